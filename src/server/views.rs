//! The hosts in force, as the admin side shows them.

use std::sync::Arc;

use crate::admin::{HostList, HostView};
use crate::proxy::worker::Shared;
use crate::snapshot::host::Host;
use crate::x509::CertificateSummary;

/// Lists the hosts of whatever snapshot is in force when it is asked.
pub fn hosts(shared: &Arc<Shared>) -> HostList {
    let current = Arc::clone(&shared.current);
    Arc::new(move || current.load().all.iter().map(|host| view(host)).collect())
}

/// One host.
pub fn view(host: &Host) -> HostView {
    let trust = host.client_auth.trust();
    let bundle = trust.and_then(|trust| trust.bundle());
    let anchors = bundle.map(|bundle| bundle.certificates()).unwrap_or_default();
    let leaf = host.certificate.chain().first().map(CertificateSummary::read);
    HostView {
        names: host.names.iter().map(ToString::to_string).collect(),
        mode: host.client_auth.mode().label(),
        ca: bundle.map(|bundle| bundle.name().to_owned()).into_iter().collect(),
        pins: trust.map_or(0, |trust| trust.pins().len()),
        ca_not_after: anchors.iter().filter_map(|ca| Some(ca.summary.fields.as_ref()?.not_after)).min(),
        certificate_not_after: leaf.and_then(|leaf| Some(leaf.fields?.not_after)),
        upstream: host.upstream.addresses().map(ToString::to_string).collect(),
    }
}
