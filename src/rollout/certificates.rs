//! The certificate is at Cloudflare, once, and deployed: whatever was there before, and whatever gets lost on the way.

use std::collections::BTreeSet;

use super::context::{Context, Look};
use super::error::RolloutError;
use super::journal::{Entries, Upload};
use super::leaf::Leaf;
use super::step::Step;
use crate::cloudflare::{
    CertificateId, Cloudflare, CloudflareError, Collection, Kind, Status, UploadedCertificate, ZoneId,
};
use crate::hostname::Hostname;
use crate::x509::Fingerprint;

/// Sees to it that `leaf` is in `collection` and active for `hostnames`, by uploading it where it is not there already.
///
/// Nothing is sent again before it was looked up: a certificate is recognised by its fingerprint in the list, and by the
/// id in the journal where the list lags behind. A second upload of the same certificate is none: Cloudflare refuses it.
///
/// # Errors
/// Cloudflare refuses it, gives up on deploying it, or the time is up.
pub fn ensure(
    ctx: &mut Context<'_>,
    step: &Step,
    collection: Collection,
    leaf: &Leaf,
    hostnames: &[Hostname],
) -> Result<UploadedCertificate, RolloutError> {
    let limit = ctx.patience.deploy;
    let next_step = "the same command goes on waiting; nothing is uploaded twice";
    let found = ctx.wait(step, limit, next_step, |ctx| find_or_upload(ctx, collection, leaf, hostnames))?;
    ctx.wait(step, limit, next_step, |ctx| deployed(ctx, collection, leaf, &found.id))
}

/// The certificate with this fingerprint, as far as Cloudflare shows it: one that lives before one that is leaving.
///
/// # Errors
/// Cloudflare does not tell.
pub fn find(
    cloudflare: &Cloudflare,
    zone: &ZoneId,
    collection: Collection,
    entries: Option<&Entries>,
    sha256: Fingerprint,
) -> Result<Option<UploadedCertificate>, CloudflareError> {
    let listed = cloudflare.certificates(zone, collection)?;
    let mut ours: Vec<_> = listed.into_iter().filter(|certificate| certificate.sha256 == Some(sha256)).collect();
    ours.sort_by_key(|certificate| certificate.status.is_leaving());
    let remembered = entries.and_then(|entries| entries.uploads.get(&sha256.to_string())?.id.clone());
    match (ours.into_iter().next(), remembered) {
        (Some(found), _) if !found.status.is_leaving() => Ok(Some(found)),
        // The list lags behind: what it does not show, or still shows as leaving, may be there by its id.
        (found, Some(id)) => {
            let by_id = cloudflare.certificate(zone, collection, &id)?;
            Ok(by_id.filter(|certificate| certificate.sha256.is_none_or(|is| is == sha256)).or(found))
        }
        (found, None) => Ok(found),
    }
}

fn find_or_upload(
    ctx: &mut Context<'_>,
    collection: Collection,
    leaf: &Leaf,
    hostnames: &[Hostname],
) -> Result<Look<UploadedCertificate>, RolloutError> {
    let sha256 = leaf.sha256();
    let entries = Some(ctx.journal.entries());
    match find(ctx.cloudflare, &ctx.zone.id, collection, entries, sha256)? {
        Some(found) if !found.status.is_leaving() => {
            // The intent to upload is recorded before the upload: without one it was somebody else.
            remember(ctx, sha256, Some(found.id.clone()), true, hostnames)?;
            return Ok(Look::Ready(found));
        }
        Some(found) if found.status == Status::PendingDeletion => {
            return Ok(Look::NotYet(format!("certificate {} is {} at Cloudflare", found.id, found.status)));
        }
        // What is deleted comes back to life under its id.
        Some(_) | None => {}
    }
    remember(ctx, sha256, None, false, hostnames)?;
    match ctx.cloudflare.upload(&ctx.zone.id, collection, &leaf.certificate, &leaf.key) {
        Ok(uploaded) => {
            remember(ctx, sha256, Some(uploaded.id.clone()), false, hostnames)?;
            Ok(Look::Ready(uploaded))
        }
        Err(error) => match error.kind() {
            // Not listed yet, or being deleted and not listed any more.
            Some(Kind::AlreadyExists) => {
                Ok(Look::NotYet("Cloudflare has this certificate already, and does not show it yet".to_owned()))
            }
            Some(Kind::ZoneBusy) => {
                Ok(Look::NotYet("another change of the zone's certificates is under way".to_owned()))
            }
            _ if error.may_have_been_done() => {
                Ok(Look::NotYet(format!("whether the certificate arrived is not known: {error}")))
            }
            _ => Err(error.into()),
        },
    }
}

fn deployed(
    ctx: &mut Context<'_>,
    collection: Collection,
    leaf: &Leaf,
    id: &CertificateId,
) -> Result<Look<UploadedCertificate>, RolloutError> {
    let Some(certificate) = ctx.cloudflare.certificate(&ctx.zone.id, collection, id)? else {
        return Ok(Look::NotYet(format!("certificate {id} is not shown yet")));
    };
    let is = format!("certificate {id} is {}", certificate.status);
    match certificate.status {
        // Another one's id would be a grave mistake.
        Status::Active if certificate.sha256.is_none_or(|is| is == leaf.sha256()) => Ok(Look::Ready(certificate)),
        Status::Active => Err(RolloutError::Unsafe {
            what: format!("certificate {id} at Cloudflare is another one than was uploaded"),
            next_step: "look at it in Cloudflare's dashboard; nothing refers to it yet".to_owned(),
        }),
        Status::DeploymentTimedOut => Err(RolloutError::GaveUp {
            what: is,
            next_step: format!(
                "Cloudflare stopped deploying it, and does not try again by itself: delete it (`originlock aop rollback`, \
                 or DELETE …/certificates/{id}), then run the same command again"
            ),
        }),
        Status::PendingDeletion | Status::Deleted | Status::DeletionTimedOut => Err(RolloutError::GaveUp {
            what: format!("{is}: somebody deletes it"),
            next_step: "find out who, then run the same command again; it uploads the certificate anew".to_owned(),
        }),
        Status::Initializing | Status::PendingDeployment | Status::Other(_) => Ok(Look::NotYet(is)),
    }
}

/// Keeps the moment of the first attempt, and who was there first.
fn remember(
    ctx: &mut Context<'_>,
    sha256: Fingerprint,
    id: Option<CertificateId>,
    was_there: bool,
    hostnames: &[Hostname],
) -> Result<(), RolloutError> {
    let now = ctx.clock.now();
    ctx.journal.record(|entries| {
        let upload = entries.uploads.entry(sha256.to_string()).or_insert_with(|| Upload {
            begun_at: now,
            id: None,
            was_there,
            hostnames: BTreeSet::new(),
        });
        upload.hostnames.extend(hostnames.iter().map(Hostname::to_string));
        upload.id = id.or_else(|| upload.id.take());
    })?;
    Ok(())
}
