//! An `enforce` that takes itself back unless somebody confirms it. It fails open, so it is asked for each time and loud.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};

use super::Walk;
use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Decision;

/// How often it is looked whether time is up.
const LOOK: Duration = Duration::from_millis(100);
/// How long after a fall back that failed the next one is tried.
const RETRY: Duration = Duration::from_secs(10);
/// Fewer handshakes that fail may be one edge server's mistake.
const FEWEST_REFUSED: u64 = 3;

/// The hosts whose `enforce` waits for a confirmation.
#[derive(Debug, Default)]
pub struct Confirmations(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    hosts: BTreeMap<String, Pending>,
    /// Whether a thread watches.
    watched: bool,
}

/// An `enforce` that wants to be confirmed, and how it goes.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    within: Duration,
    deadline: Timestamp,
    /// The last handshake that was looked at.
    seen: u64,
    failing_share: f64,
    verified: u64,
    refused: u64,
    last_refusal: String,
    /// After a fall back that failed.
    not_before: Option<Timestamp>,
}

impl Pending {
    /// Falls back at `deadline`, which is `within` from now, or when more than `failing_share` of Cloudflare's handshakes
    /// after number `after` are refused.
    pub(super) fn new(within: Duration, deadline: Timestamp, after: u64, failing_share: f64) -> Self {
        let last_refusal = String::new();
        Self { within, deadline, seen: after, failing_share, verified: 0, refused: 0, last_refusal, not_before: None }
    }
}

impl Confirmations {
    /// Until when `host`, the first of its names, wants to be confirmed.
    pub fn deadline(&self, host: &str) -> Option<Timestamp> {
        self.lock().hosts.get(host).map(|pending| pending.deadline)
    }

    /// `host` waits from now on.
    pub(super) fn wait_for(&self, host: &str, pending: Pending) {
        self.lock().hosts.insert(host.to_owned(), pending);
    }

    /// `host` does not wait any longer. Whether it did.
    pub(super) fn forget(&self, host: &str) -> bool {
        self.lock().hosts.remove(host).is_some()
    }

    /// Nobody is left who could confirm or fall back.
    pub(super) fn end(&self) {
        for host in std::mem::take(&mut self.lock().hosts).into_keys() {
            warn!(originlock.host = host, "ends before enforce was confirmed; it stays enforced with the next start");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the watching end if nobody waits.
    fn is_over(&self) -> bool {
        let mut waiting = self.lock();
        waiting.watched = !waiting.hosts.is_empty();
        !waiting.watched
    }
}

/// Sees to it that a thread watches until nobody waits. It does not keep the server alive.
pub(super) fn watch(confirmations: &Arc<Confirmations>, walk: Weak<Walk>) {
    let mut waiting = confirmations.lock();
    if waiting.watched {
        return;
    }
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let work = move || {
        let _log = tracing::dispatcher::set_default(&dispatch);
        while let Some(walk) = walk.upgrade() {
            walk.look_at_confirmations();
            if walk.confirmations.is_over() {
                return;
            }
            drop(walk);
            thread::sleep(LOOK);
        }
    };
    waiting.watched = thread::Builder::new().name("confirm".into()).spawn(work).is_ok();
    if !waiting.watched {
        warn!("no thread can be started to fall back to observe; confirm or change the mode by hand");
    }
}

impl Walk {
    fn look_at_confirmations(&self) {
        let hosts: Vec<_> = self.confirmations.lock().hosts.keys().cloned().collect();
        for host in hosts {
            if !self.is_enforced(&host) {
                // A reload has done it.
                if self.confirmations.forget(&host) {
                    info!(originlock.host = host, "is not enforced any more; nothing is left to confirm");
                }
                continue;
            }
            self.count_handshakes(&host);
            if let Some(why) = self.why_to_fall_back(&host) {
                match self.fall_back(&host, &why) {
                    true => drop(self.confirmations.forget(&host)),
                    false => {
                        self.with(&host, |pending| pending.not_before = Some(self.shared.clock.now().after(RETRY)))
                    }
                }
            }
        }
    }

    fn is_enforced(&self, host: &str) -> bool {
        let snapshot = self.shared.current.load();
        snapshot.all.iter().any(|known| *known.name == *host && known.client_auth.mode() == Mode::Enforce)
    }

    fn with(&self, host: &str, change: impl FnOnce(&mut Pending)) {
        if let Some(pending) = self.confirmations.lock().hosts.get_mut(host) {
            change(pending);
        }
    }

    /// What came from Cloudflare since it is enforced.
    fn count_handshakes(&self, host: &str) {
        self.with(host, |pending| {
            for recorded in self.shared.observer.recent().snapshot(pending.seen) {
                pending.seen = recorded.sequence;
                let outcome = &recorded.outcome;
                let is_of_host = outcome.host.as_deref() == Some(host) && outcome.mode == Some(Mode::Enforce);
                let from_cloudflare = !outcome.own && self.view.network(outcome.peer.ip()) == Network::Cloudflare;
                if !is_of_host || !outcome.is_judged() || !from_cloudflare {
                    continue;
                }
                match outcome.decision {
                    Decision::Admit => pending.verified += 1,
                    Decision::Refuse => {
                        pending.refused += 1;
                        pending.last_refusal = format!("{} from {}", outcome.reason.label(), outcome.peer.ip());
                    }
                }
            }
        });
    }

    fn why_to_fall_back(&self, host: &str) -> Option<String> {
        let pending = self.confirmations.lock().hosts.get(host).cloned()?;
        let now = self.shared.clock.now();
        if pending.not_before.is_some_and(|moment| now < moment) {
            return None;
        }
        let all = pending.verified + pending.refused;
        let share = pending.refused as f64 / all.max(1) as f64;
        if pending.refused >= FEWEST_REFUSED && share > pending.failing_share {
            let Pending { refused, last_refusal, .. } = pending;
            return Some(format!(
                "{refused} of {all} handshakes from Cloudflare were refused, the last {last_refusal}"
            ));
        }
        (now >= pending.deadline).then(|| format!("not confirmed within {} s", pending.within.as_secs()))
    }
}
