//! What backends are told of clients, made once per host and certificate and shared by all its connections.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::identity_headers::Identity;
use crate::policy::judgement::Judgement;
use crate::policy::verdict::Verdict;
use crate::snapshot::host::Host;

/// The identity last written for each host. The edge presents one certificate there, so it is nearly always the one.
#[derive(Default)]
pub struct Identities(RefCell<HashMap<Arc<str>, Known>>);

struct Known {
    host: Arc<Host>,
    judgement: Arc<Judgement>,
    identity: Rc<Identity>,
}

impl Identities {
    /// What the backend of `host` is told of a client with this verdict.
    pub fn of(&self, host: &Arc<Host>, verdict: Verdict, judgement: Option<&Arc<Judgement>>) -> Rc<Identity> {
        let (Verdict::Verified, Some(judgement)) = (verdict, judgement) else {
            return Rc::new(Identity::new(verdict, &[], None, &host.dialects));
        };
        let mut known = self.0.borrow_mut();
        match known.get(&host.name) {
            Some(known) if Arc::ptr_eq(&known.host, host) && Arc::ptr_eq(&known.judgement, judgement) => {
                Rc::clone(&known.identity)
            }
            _ => {
                let certificate = judgement.certificate.as_deref();
                let identity = Rc::new(Identity::new(verdict, &judgement.chain, certificate, &host.dialects));
                let (host, judgement) = (Arc::clone(host), Arc::clone(judgement));
                let name = Arc::clone(&host.name);
                known.insert(name, Known { host, judgement, identity: Rc::clone(&identity) });
                identity
            }
        }
    }

    /// Forgets what belongs to hosts that are no longer served.
    pub fn retain(&self, live: impl Fn(&Arc<Host>) -> bool) {
        self.0.borrow_mut().retain(|_, known| live(&known.host));
    }
}
