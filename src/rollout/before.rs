//! What was there before the first change, for the way back.

use super::context::Context;
use super::error::RolloutError;
use super::journal::{AssociationBefore, Before, ZoneBefore};
use crate::cloudflare::{Association, CertificateId};
use crate::hostname::Hostname;

/// Records what `hostname` showed before it shows certificate `id`, unless that is recorded already.
///
/// # Errors
/// The journal cannot be written. Then nothing may be changed.
pub fn record_association(
    ctx: &mut Context<'_>,
    hostname: &Hostname,
    association: Option<&Association>,
    id: Option<&CertificateId>,
) -> Result<(), RolloutError> {
    let association = association.and_then(|association| {
        let (cert_id, enabled) = (association.cert_id.clone()?, association.enabled?);
        Some(AssociationBefore { cert_id, sha256: association.sha256, enabled })
    });
    // It shows that certificate already: what was before is not known any more.
    if association.as_ref().is_some_and(|association| association.enabled && Some(&association.cert_id) == id) {
        return Ok(());
    }
    let before = Before { recorded_at: ctx.clock.now(), association, restored: false };
    ctx.journal.record(|entries| {
        let known = entries.before.get(hostname.as_str()).is_some_and(|known| !known.restored);
        if !known {
            entries.before.insert(hostname.to_string(), before);
        }
    })?;
    Ok(())
}

/// Records what the zone was like, unless that is recorded already. `None`: it could not be read.
///
/// # Errors
/// The journal cannot be written. Then nothing may be changed.
pub fn record_zone(
    ctx: &mut Context<'_>,
    tls_client_auth: Option<bool>,
    zone_level: Option<bool>,
) -> Result<(), RolloutError> {
    let before = ZoneBefore { recorded_at: ctx.clock.now(), tls_client_auth, zone_level, restored: false };
    ctx.journal.record(|entries| {
        if entries.zone_before.as_ref().is_none_or(|known| known.restored) {
            entries.zone_before = Some(before);
        }
    })?;
    Ok(())
}
