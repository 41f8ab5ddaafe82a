//! Settings of the zone: asked for once, then waited for.

use super::context::{Context, Look};
use super::error::RolloutError;
use super::step::Step;
use crate::cloudflare::{CloudflareError, Kind, PostQuantum};

/// Sees to it that the zone shows Cloudflare's shared certificate, or does not.
///
/// # Errors
/// Cloudflare refuses it, or the time is up.
pub fn ensure_tls_client_auth(ctx: &mut Context<'_>, step: &Step, on: bool) -> Result<(), RolloutError> {
    let wanted = if on { "on" } else { "off" };
    ensure(
        ctx,
        step,
        |ctx| {
            let setting = ctx.cloudflare.tls_client_auth(&ctx.zone.id)?;
            Ok((setting.value == wanted, setting.editable))
        },
        |ctx| ctx.cloudflare.set_tls_client_auth(&ctx.zone.id, on).map(drop),
    )
}

/// Sees to it that the zone shows its own certificate on all hostnames, or does not.
///
/// # Errors
/// Cloudflare refuses it, or the time is up.
pub fn ensure_zone_level(ctx: &mut Context<'_>, step: &Step, on: bool) -> Result<(), RolloutError> {
    ensure(
        ctx,
        step,
        |ctx| Ok((ctx.cloudflare.zone_level(&ctx.zone.id)? == on, true)),
        |ctx| ctx.cloudflare.set_zone_level(&ctx.zone.id, on),
    )
}

/// Sees to it that the zone agrees on keys with its origins as `wanted`.
///
/// # Errors
/// Cloudflare refuses it, or the time is up.
pub fn ensure_post_quantum(ctx: &mut Context<'_>, step: &Step, wanted: PostQuantum) -> Result<(), RolloutError> {
    ensure(
        ctx,
        step,
        |ctx| {
            let setting = ctx.cloudflare.post_quantum(&ctx.zone.id)?;
            Ok((setting.value == wanted, setting.editable))
        },
        |ctx| ctx.cloudflare.set_post_quantum(&ctx.zone.id, wanted).map(drop),
    )
}

/// `look` says whether it is so, and whether it can be changed.
fn ensure(
    ctx: &mut Context<'_>,
    step: &Step,
    look: impl Fn(&Context<'_>) -> Result<(bool, bool), CloudflareError>,
    change: impl Fn(&Context<'_>) -> Result<(), CloudflareError>,
) -> Result<(), RolloutError> {
    let mut asked = false;
    ctx.wait(step, ctx.patience.deploy, "the same command goes on", |ctx| {
        match look(ctx)? {
            (true, _) => return Ok(Look::Ready(())),
            (false, false) => {
                return Err(RolloutError::GaveUp {
                    what: format!("{}, and Cloudflare says that it cannot be changed here", step.is),
                    next_step: "look at the zone's plan in Cloudflare's dashboard".to_owned(),
                });
            }
            (false, true) if asked => return Ok(Look::NotYet("Cloudflare does not show the change yet".to_owned())),
            (false, true) => {}
        }
        match change(ctx) {
            Ok(()) => asked = true,
            Err(error) if error.kind() == Some(Kind::ZoneBusy) || error.may_have_been_done() => {}
            Err(error) => return Err(error.into()),
        }
        // Most of the time it shows at once.
        match look(ctx)? {
            (true, _) => Ok(Look::Ready(())),
            (false, _) => Ok(Look::NotYet("Cloudflare does not show the change yet".to_owned())),
        }
    })
}
