//! The requests of one connection on their way to the ledger.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;

use super::standing::Standing;
use super::worker::Worker;
use crate::evidence::network::Network;
use crate::evidence::requests::{RequestNote, printable};
use crate::hostname::Hostname;
use crate::policy::verdict::Verdict;
use crate::snapshot::host::Host;

/// The ledger is told of a connection's requests at most this often, and at the connection's end.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts the requests of one connection. Between two notes a request of a verified client costs an addition.
pub struct Notes {
    worker: Rc<Worker>,
    peer: SocketAddr,
    untold: Cell<u64>,
    told: Cell<Option<Instant>>,
    /// Whose requests the untold ones are.
    account: RefCell<Option<Account>>,
    /// The last untold request, where it is to be told.
    last: RefCell<Option<Box<Asked>>>,
    is_outside: OnceCell<bool>,
}

struct Account {
    host: Arc<Host>,
    server_name: Option<Hostname>,
    verdict: Verdict,
}

struct Asked {
    path: String,
    user_agent: Option<String>,
}

impl Notes {
    /// For a connection from `peer`.
    pub fn new(worker: Rc<Worker>, peer: SocketAddr) -> Self {
        Self {
            worker,
            peer,
            untold: Cell::new(0),
            told: Cell::new(None),
            account: RefCell::new(None),
            last: RefCell::new(None),
            is_outside: OnceCell::new(),
        }
    }

    /// Counts one request that came at `now`.
    pub fn count(&self, standing: &Standing, parts: &Parts, now: Instant) {
        let is_same =
            |account: &Account| Arc::ptr_eq(&account.host, &standing.host) && account.verdict == standing.verdict;
        if !self.account.borrow().as_ref().is_some_and(is_same) {
            self.tell();
            *self.account.borrow_mut() = Some(Account {
                host: Arc::clone(&standing.host),
                server_name: standing.server_name().cloned(),
                verdict: standing.verdict,
            });
        }
        self.untold.set(self.untold.get() + 1);
        if !standing.is_verified() && self.is_outside() {
            *self.last.borrow_mut() = Some(Box::new(Asked::of(parts)));
        }
        if self.told.get().is_none_or(|told| now.saturating_duration_since(told) >= INTERVAL) {
            self.told.set(Some(now));
            self.tell();
        }
    }

    fn tell(&self) {
        let requests = self.untold.take();
        let asked = self.last.take();
        let account = self.account.borrow();
        let (Some(account), 1..) = (&*account, requests) else { return };
        let Some(trust) = account.host.client_auth.trust() else { return };
        let (path, user_agent) = asked.map(|asked| (asked.path, asked.user_agent)).unzip();
        self.worker.shared.observer.note(&RequestNote {
            at: self.worker.shared.clock.now(),
            peer: self.peer,
            server_name: account.server_name.clone(),
            trust: trust.digest(),
            reason: account.verdict.reason(),
            requests,
            path,
            user_agent: user_agent.flatten(),
        });
    }

    fn is_outside(&self) -> bool {
        let network = || self.worker.shared.observer.ledger().network_of(self.peer.ip());
        *self.is_outside.get_or_init(|| network() == Network::Elsewhere)
    }
}

/// The connection's end.
impl Drop for Notes {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Asked {
    fn of(parts: &Parts) -> Self {
        Self { path: printable(parts.uri.path()), user_agent: user_agent(&parts.headers) }
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(USER_AGENT).map(|value| printable(&String::from_utf8_lossy(value.as_bytes())))
}
