//! The ledger beside the snapshot: whose evidence is kept.

use crate::evidence::ledger::Subject;
use crate::snapshot::Snapshot;

/// The hosts of `snapshot` as the ledger has to know them.
pub fn subjects(snapshot: &Snapshot) -> Vec<Subject> {
    let default = snapshot.hosts.select(None).ok();
    let subject = |host: &std::sync::Arc<crate::snapshot::host::Host>| Subject {
        host: host.name.clone(),
        names: host.names.clone(),
        is_default: default.is_some_and(|default| default.name == host.name),
        trust: host.client_auth.trust().map(|trust| trust.digest()),
    };
    snapshot.all.iter().map(subject).collect()
}
