//! A hostname shows a certificate of its own: asked for once, then waited for.

use std::time::Instant;

use super::context::{Context, Look};
use super::error::RolloutError;
use super::step::Step;
use crate::cloudflare::{Association, AssociationChange, CertificateId, Kind, Status};
use crate::hostname::Hostname;

/// After how many looks that do not show it a request without an answer is made again.
const LOOKS_BEFORE_AGAIN: u32 = 5;

/// Whether a change was asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    No,
    /// There was no answer to it: it may have come about or not.
    Unclear(Instant),
    Yes,
}

/// Sees to it that `hostname` shows certificate `id`, whatever it showed before.
///
/// # Errors
/// Cloudflare refuses it, gives up on deploying it, or the time is up.
pub fn ensure(
    ctx: &mut Context<'_>,
    step: &Step,
    hostname: &Hostname,
    id: &CertificateId,
) -> Result<Association, RolloutError> {
    let limit = ctx.patience.deploy;
    let next_step = "the same command goes on waiting";
    let mut asked = Asked::No;
    ctx.wait(step, limit, next_step, |ctx| {
        let association = ctx.cloudflare.association(&ctx.zone.id, hostname)?;
        match association.as_ref().filter(|association| is_of(association, id)) {
            Some(association) => return deployed(hostname, association),
            None if wants_asking(&asked, ctx) => {}
            None => return Ok(Look::NotYet(format!("Cloudflare does not show the association of {hostname} yet"))),
        }
        let change = AssociationChange { hostname: hostname.to_string(), cert_id: id.clone(), enabled: Some(true) };
        match ctx.cloudflare.associate(&ctx.zone.id, &[change]) {
            Ok(()) => asked = Asked::Yes,
            Err(error) if error.kind() == Some(Kind::ZoneBusy) => {}
            Err(error) if error.may_have_been_done() => asked = Asked::Unclear(Instant::now()),
            Err(error) => return Err(error.into()),
        }
        Ok(Look::NotYet(format!("the association of {hostname} is under way")))
    })
}

/// Whether `association` shows certificate `id`, deployed or on the way to it.
pub fn is_of(association: &Association, id: &CertificateId) -> bool {
    let shows = association.enabled == Some(true) && association.cert_id.as_ref() == Some(id);
    shows && !association.status.is_leaving()
}

/// Whether it is to be asked for, or asked for again.
pub(super) fn wants_asking(asked: &Asked, ctx: &Context<'_>) -> bool {
    match asked {
        Asked::No => true,
        Asked::Unclear(at) => at.elapsed() >= ctx.patience.poll * LOOKS_BEFORE_AGAIN,
        Asked::Yes => false,
    }
}

fn deployed(hostname: &Hostname, association: &Association) -> Result<Look<Association>, RolloutError> {
    let is = format!("the association of {hostname} is {}", association.status);
    match association.status {
        Status::Active => Ok(Look::Ready(association.clone())),
        Status::DeploymentTimedOut => Err(RolloutError::GaveUp {
            what: is,
            next_step: format!(
                "Cloudflare stopped deploying it: `originlock aop rollback {hostname}`, then run the same command again"
            ),
        }),
        Status::Initializing
        | Status::PendingDeployment
        | Status::PendingDeletion
        | Status::Deleted
        | Status::DeletionTimedOut
        | Status::Other(_) => Ok(Look::NotYet(is)),
    }
}
