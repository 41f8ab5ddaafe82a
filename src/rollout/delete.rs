//! A certificate is gone from Cloudflare: asked for once nothing refers to it, however long that takes.

use std::time::Instant;

use super::associations::{Asked, wants_asking};
use super::context::{Context, Look};
use super::error::RolloutError;
use super::step::Step;
use super::void;
use crate::cloudflare::{CertificateId, Collection, Kind, Status};
use crate::hostname::Hostname;

/// Sees to it that certificate `id` is gone, or on its way: what is left of it stays readable for a while. `hostnames` are
/// not to refer to it any more.
///
/// # Errors
/// Cloudflare refuses it, gives up on it, or the time is up.
pub(super) fn ensure(
    ctx: &mut Context<'_>,
    step: &Step,
    collection: Collection,
    id: &CertificateId,
    hostnames: &[Hostname],
) -> Result<(), RolloutError> {
    let mut asked = Asked::No;
    let next_step = "the same command goes on waiting; nothing shows the certificate meanwhile";
    ctx.wait(step, ctx.patience.deploy, next_step, |ctx| {
        if wants_asking(&asked, ctx) {
            match ctx.cloudflare.delete_certificate(&ctx.zone.id, collection, id) {
                Ok(()) => asked = Asked::Yes,
                Err(error) => match error.kind() {
                    Some(Kind::InUse) => {
                        void::ask_again(ctx, hostnames, id)?;
                        return Ok(Look::NotYet(format!("certificate {id} is in use, says Cloudflare")));
                    }
                    Some(Kind::PendingDeployment) => {
                        return Ok(Look::NotYet(format!("certificate {id} is still being deployed")));
                    }
                    Some(Kind::ZoneBusy) => {
                        return Ok(Look::NotYet("another change of the zone's certificates is under way".to_owned()));
                    }
                    _ if error.may_have_been_done() => asked = Asked::Unclear(Instant::now()),
                    _ => return Err(error.into()),
                },
            }
        }
        let Some(certificate) = ctx.cloudflare.certificate(&ctx.zone.id, collection, id)? else {
            return Ok(Look::Ready(()));
        };
        match certificate.status {
            Status::PendingDeletion | Status::Deleted => Ok(Look::Ready(())),
            Status::DeletionTimedOut => Err(RolloutError::GaveUp {
                what: format!("certificate {id} is {}: Cloudflare stopped deleting it", certificate.status),
                next_step:
                    "no hostname shows it; delete it in Cloudflare's dashboard, or run the same command again later"
                        .to_owned(),
            }),
            Status::Initializing
            | Status::PendingDeployment
            | Status::Active
            | Status::DeploymentTimedOut
            | Status::Other(_) => Ok(Look::NotYet(format!("certificate {id} is {}", certificate.status))),
        }
    })
}
