//! The bundle that a rotation changes: whom it serves, and who needs the old CA in it.
//!
//! Evidence belongs to one trust, and another bundle is another trust. So who needs the old CA is looked up before the
//! first change, and remembered.

use super::{Item, Wanted};
use crate::evidence::report::{CertificateRole, HostDetail, TrustChangeReport, TrustRequest};
use crate::policy::verdict::Reason;
use crate::remote::admin::AdminError;
use crate::rollout::journal::Replaced;
use crate::rollout::origin::Origin;
use crate::rollout::plan::short;
use crate::x509::Fingerprint;

/// What adding the CA would change. Changes nothing.
pub(super) fn would_add(origin: &dyn Origin, item: &Item, wanted: &Wanted) -> Result<TrustChangeReport, AdminError> {
    let request = TrustRequest { add: wanted.add_ca.clone(), dry_run: true, ..TrustRequest::default() };
    origin.change_trust(&item.configured, &request)
}

/// What taking the old CA away would change, with the new one beside it. Changes nothing.
pub(super) fn would_remove(
    origin: &dyn Origin,
    configured: &str,
    old_cas: &[Fingerprint],
    wanted: &Wanted,
) -> Result<TrustChangeReport, AdminError> {
    let (add, remove) = (wanted.add_ca.clone(), old_cas.to_vec());
    let request = TrustRequest { add, remove, force: true, dry_run: true };
    origin.change_trust(configured, &request)
}

/// Who but the old certificates may need `old_cas`, at all hosts that the bundle serves: whoever verified, and was not
/// issued by a CA that stays. An issuer that is in no bundle is an intermediate, of which nobody knows the CA here.
pub(super) fn needed_by(
    origin: &dyn Origin,
    configured: &str,
    old_cas: &[Fingerprint],
    spared: &[Fingerprint],
    wanted: &Wanted,
) -> Result<Vec<String>, AdminError> {
    let mut needed_by = Vec::new();
    for host in would_remove(origin, configured, old_cas, wanted)?.hosts {
        let detail = origin.host(&host, None)?;
        needed_by.extend(at_host(&detail, old_cas, spared).map(|subject| format!("{subject} at {host}")));
    }
    Ok(needed_by)
}

fn at_host<'a>(
    detail: &'a HostDetail,
    old_cas: &'a [Fingerprint],
    spared: &'a [Fingerprint],
) -> impl Iterator<Item = &'a str> {
    let cas = || detail.certificates.iter().filter(|report| report.role == CertificateRole::Ca);
    let going: Vec<_> = cas().filter(|ca| old_cas.contains(&ca.sha256)).map(|ca| &ca.subject).collect();
    let staying: Vec<_> = cas().map(|ca| &ca.subject).filter(|subject| !going.contains(subject)).collect();
    let others = detail.certificates.iter().filter(move |report| {
        let verified = report.seen.as_ref().is_some_and(|seen| seen.reason == Reason::Verified);
        let is_client = report.role == CertificateRole::Client && verified && !spared.contains(&report.sha256);
        is_client && !staying.contains(&&report.issuer)
    });
    others.map(|report| report.subject.as_str())
}

/// The certificates of the rotation itself.
pub(super) fn spared(old: &[Replaced], new: Fingerprint) -> Vec<Fingerprint> {
    old.iter().map(|old| old.sha256).chain([new]).collect()
}

/// How the old CA goes once nobody needs it.
pub(super) fn remedy(old_cas: &[Fingerprint], file: &str) -> String {
    let cas: Vec<_> = old_cas.iter().map(|ca| short(*ca)).collect();
    format!("once nobody needs it, take CA {} out of {file}, then `originlock reload`", cas.join(", "))
}
