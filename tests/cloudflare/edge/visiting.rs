//! Traffic that does not stop: what a change costs is counted while it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use originlock::x509::Fingerprint;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::super::PATIENCE;
use super::{Inner, Visit};

/// Visits that go on until this is dropped.
#[derive(Debug)]
pub struct Visiting {
    counted: Arc<Counted>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counted {
    counts: Mutex<Counts>,
    changed: Condvar,
}

/// What has been so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub requests: usize,
    /// Connections that were opened.
    pub connections: usize,
    /// Requests without an answer, or with one of 400 and above.
    pub failures: Vec<String>,
    /// Certificates that connections were opened with; `None`: without.
    pub presented: BTreeSet<Option<Fingerprint>>,
    /// The last visit of each data centre.
    pub last: BTreeMap<IpAddr, Visit>,
}

impl Visiting {
    pub(super) fn start(handle: &Handle, inner: &Arc<Inner>, hostname: &str, pause: Duration) -> Self {
        let counted = Arc::new(Counted::default());
        let centres = inner.ways.centres.iter();
        let tasks = centres.map(|&centre| {
            let (inner, counted, hostname) = (Arc::clone(inner), Arc::clone(&counted), hostname.to_owned());
            handle.spawn(async move {
                loop {
                    let visit = inner.visit(centre, &hostname, "/").await;
                    counted.add(centre.address, visit);
                    tokio::time::sleep(pause).await;
                }
            })
        });
        let tasks = tasks.collect();
        Self { counted, tasks }
    }

    pub fn counts(&self) -> Counts {
        self.counted.lock().clone()
    }

    /// Waits until what was counted is so.
    ///
    /// # Panics
    /// It never is.
    pub fn wait_until(&self, what: &str, state: impl Fn(&Counts) -> bool) {
        let waited = self.counted.changed.wait_timeout_while(self.counted.lock(), PATIENCE, |counts| !state(counts));
        let (counts, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "never came about: {what}: {counts:?}");
    }

    /// Waits until every data centre has been let in on a connection opened with this certificate, or without any.
    pub fn wait_for(&self, certificate: Option<Fingerprint>) {
        let centres = self.tasks.len();
        let is_so = |visit: &Visit| visit.presented == certificate && visit.outcome.is_ok();
        let what = format!("all present {certificate:?}");
        self.wait_until(&what, |counts| counts.last.len() == centres && counts.last.values().all(is_so));
    }

    /// Waits for the next visits, begun after this, of all data centres.
    pub fn wait_for_more(&self, requests: usize) {
        let already = self.counts().requests;
        self.wait_until("more requests", |counts| counts.requests >= already + requests);
    }
}

impl Drop for Visiting {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Counted {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, centre: IpAddr, visit: Visit) {
        let mut counts = self.lock();
        counts.requests += 1;
        counts.connections += usize::from(visit.is_fresh);
        if visit.is_fresh {
            counts.presented.insert(visit.presented);
        }
        match &visit.outcome {
            Ok(page) if page.status < 400 => {}
            Ok(page) => counts.failures.push(format!("{}: status {}", visit.from, page.status)),
            Err(refused) => counts.failures.push(format!("{}: {}", visit.from, refused.error)),
        }
        counts.last.insert(centre, visit);
        drop(counts);
        self.changed.notify_all();
    }
}
