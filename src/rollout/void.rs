//! A hostname shows what it showed before: nothing of its own, or what the journal remembers.

use std::collections::BTreeSet;
use std::time::Instant;

use super::associations::{Asked, wants_asking};
use super::context::{Context, Look};
use super::error::RolloutError;
use super::journal::AssociationBefore;
use super::step::Step;
use crate::cloudflare::{Association, AssociationChange, CertificateId, CloudflareError, Kind, Status};
use crate::hostname::Hostname;

const NEXT_STEP: &str = "the same command goes on waiting; a void was seen to take minutes";

/// What became of a request for a change.
enum Answer {
    Asked(Asked),
    /// Cloudflare does not know the certificate any more: the association shows nothing.
    Inert,
}

/// Asks for several associations to be voided at once, so that they can be waited for together. Whether that came about,
/// [`ensure`] finds out.
pub(super) fn ask_all(ctx: &Context<'_>, associations: &[(Hostname, CertificateId)]) -> bool {
    let changes: Vec<_> = associations.iter().map(|(hostname, id)| voided(hostname, id)).collect();
    ctx.cloudflare.associate(&ctx.zone.id, &changes).is_ok()
}

/// Sees to it that `hostname` has no association any more. `asked`: it was asked for already.
///
/// # Errors
/// Cloudflare refuses it, gives up on it, or the time is up.
pub(super) fn ensure(ctx: &mut Context<'_>, step: &Step, hostname: &Hostname, asked: bool) -> Result<(), RolloutError> {
    let mut asked = if asked { Asked::Yes } else { Asked::No };
    let mut was_enabled = false;
    ctx.wait(step, ctx.patience.deploy, NEXT_STEP, |ctx| {
        let Some(association) = ctx.cloudflare.association(&ctx.zone.id, hostname)? else { return Ok(Look::Ready(())) };
        was_enabled |= association.enabled == Some(true);
        // An API that has nothing to say for "void" says `false`.
        let turned = was_enabled && matches!(asked, Asked::Yes) && association.enabled == Some(false);
        match standing(hostname, &association)? {
            Standing::Gone => return Ok(Look::Ready(())),
            Standing::There if turned => return Ok(Look::Ready(())),
            Standing::Going => {}
            Standing::There if wants_asking(&asked, ctx) => {
                let id = association.cert_id.clone().ok_or_else(|| nameless(hostname))?;
                match answer(ctx.cloudflare.associate(&ctx.zone.id, &[voided(hostname, &id)]))? {
                    Answer::Asked(now) => asked = now,
                    Answer::Inert => return Ok(Look::Ready(())),
                }
            }
            Standing::There => {}
        }
        Ok(Look::NotYet(format!("the association of {hostname} is not gone yet")))
    })
}

/// Sees to it that `hostname` shows again what it showed.
///
/// # Errors
/// Cloudflare refuses it, gives up on it, or the time is up.
pub(super) fn restore(
    ctx: &mut Context<'_>,
    step: &Step,
    hostname: &Hostname,
    before: &AssociationBefore,
) -> Result<(), RolloutError> {
    let AssociationBefore { cert_id, enabled, .. } = before;
    let mut asked = Asked::No;
    ctx.wait(step, ctx.patience.deploy, NEXT_STEP, |ctx| {
        let association = ctx.cloudflare.association(&ctx.zone.id, hostname)?;
        if let Some(association) = association.filter(|association| is_restored(association, before)) {
            match association.status {
                Status::Active => return Ok(Look::Ready(())),
                Status::DeploymentTimedOut => return Err(gave_up(hostname, &association.status)),
                Status::Initializing
                | Status::PendingDeployment
                | Status::PendingDeletion
                | Status::Deleted
                | Status::DeletionTimedOut
                | Status::Other(_) => {}
            }
            return Ok(Look::NotYet(format!("the association of {hostname} is {}", association.status)));
        }
        if wants_asking(&asked, ctx) {
            let (hostname, cert_id) = (hostname.to_string(), cert_id.clone());
            let change = AssociationChange { hostname, cert_id, enabled: Some(*enabled) };
            match ctx.cloudflare.associate(&ctx.zone.id, &[change]) {
                Err(error) if error.kind() == Some(Kind::UnknownCertificate) => return Err(error.into()),
                done => match answer(done)? {
                    Answer::Asked(now) => asked = now,
                    Answer::Inert => {}
                },
            }
        }
        Ok(Look::NotYet(format!("the association of {hostname} is not as it was yet")))
    })
}

/// All associations of the zone, and `true`; where the API cannot list them, those of the hostnames that were set up from
/// here.
pub(super) fn all(ctx: &Context<'_>) -> Result<(Vec<Association>, bool), RolloutError> {
    if let Some(listed) = ctx.cloudflare.associations(&ctx.zone.id)? {
        return Ok((listed, true));
    }
    let entries = ctx.journal.entries();
    let of_uploads = entries.uploads.values().flat_map(|upload| &upload.hostnames);
    let names: BTreeSet<_> = entries.before.keys().chain(of_uploads).collect();
    let mut known = Vec::new();
    for name in names {
        let Ok(hostname) = Hostname::parse(name) else { continue };
        if let Some(mut association) = ctx.cloudflare.association(&ctx.zone.id, &hostname)? {
            // An older API does not always say it.
            association.hostname.clone_from(name);
            known.push(association);
        }
    }
    Ok((known, false))
}

/// Whether it is as it was, deployed or on the way to it.
pub(super) fn is_restored(association: &Association, before: &AssociationBefore) -> bool {
    let same = association.cert_id.as_ref() == Some(&before.cert_id) && association.enabled == Some(before.enabled);
    same && !association.status.is_leaving()
}

/// Whether an association still stands in the way of deleting its certificate.
pub(super) fn is_there(association: &Association) -> bool {
    association.enabled.is_some() && !association.status.is_leaving()
}

/// Voids the associations of those hostnames that still refer to certificate `id` although they read as gone before: a
/// read may show what was.
pub(super) fn ask_again(ctx: &Context<'_>, hostnames: &[Hostname], id: &CertificateId) -> Result<(), RolloutError> {
    for hostname in hostnames {
        let association = ctx.cloudflare.association(&ctx.zone.id, hostname)?;
        let refers = association.filter(|found| is_there(found) && found.cert_id.as_ref() == Some(id));
        if refers.is_some() {
            answer(ctx.cloudflare.associate(&ctx.zone.id, &[voided(hostname, id)]))?;
        }
    }
    Ok(())
}

enum Standing {
    There,
    Going,
    Gone,
}

fn standing(hostname: &Hostname, association: &Association) -> Result<Standing, RolloutError> {
    match (&association.status, association.enabled) {
        (Status::Deleted, _) => Ok(Standing::Gone),
        (Status::PendingDeletion, _) => Ok(Standing::Going),
        (Status::DeletionTimedOut, _) => Err(gave_up(hostname, &association.status)),
        (_, None) => Ok(Standing::Gone),
        (
            Status::Initializing
            | Status::PendingDeployment
            | Status::Active
            | Status::DeploymentTimedOut
            | Status::Other(_),
            Some(_),
        ) => Ok(Standing::There),
    }
}

fn voided(hostname: &Hostname, id: &CertificateId) -> AssociationChange {
    AssociationChange { hostname: hostname.to_string(), cert_id: id.clone(), enabled: None }
}

fn answer(asked: Result<(), CloudflareError>) -> Result<Answer, RolloutError> {
    match asked {
        Ok(()) => Ok(Answer::Asked(Asked::Yes)),
        Err(error) if error.kind() == Some(Kind::UnknownCertificate) => Ok(Answer::Inert),
        Err(error) if error.kind() == Some(Kind::ZoneBusy) => Ok(Answer::Asked(Asked::No)),
        Err(error) if error.may_have_been_done() => Ok(Answer::Asked(Asked::Unclear(Instant::now()))),
        Err(error) => Err(error.into()),
    }
}

fn gave_up(hostname: &Hostname, status: &Status) -> RolloutError {
    RolloutError::GaveUp {
        what: format!("the association of {hostname} is {status}: Cloudflare stopped"),
        next_step: "look at it in Cloudflare's dashboard, or run the same command again later".to_owned(),
    }
}

fn nameless(hostname: &Hostname) -> RolloutError {
    RolloutError::GaveUp {
        what: format!("Cloudflare does not say which certificate {hostname} is associated with, and wants it named"),
        next_step: "void the association in Cloudflare's dashboard".to_owned(),
    }
}
