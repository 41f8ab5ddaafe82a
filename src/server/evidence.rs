//! The ledger beside the snapshot: whose evidence is kept.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::evidence::ledger::{Ledger, Subject};
use crate::snapshot::Snapshot;
use crate::snapshot::host::Host;

/// Has `ledger` count for the hosts of `snapshot`. Before it is in force, so that what is judged under it finds its account.
pub fn follow(ledger: &Ledger, snapshot: &Snapshot, now: Timestamp) {
    let default = snapshot.hosts.select(None).ok();
    let subject = |host: &Arc<Host>| Subject {
        host: Arc::clone(&host.name),
        names: host.names.clone(),
        is_default: default.is_some_and(|default| default.name == host.name),
        trust: host.client_auth.trust().map(|trust| trust.digest()),
        window: host.gate.window,
    };
    ledger.set_networks(Arc::clone(&snapshot.networks));
    ledger.adopt(&snapshot.all.iter().map(subject).collect::<Vec<_>>(), now);
}
