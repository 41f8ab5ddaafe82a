//! Whether the old certificate is out of use: by what the origin saw, never by what the API says.

use std::time::Duration;

use super::{Item, Wanted, no_host, since};
use crate::evidence::network::Network;
use crate::rollout::context::{Context, Look};
use crate::rollout::error::RolloutError;
use crate::rollout::journal::Replaced;
use crate::rollout::seen::{Host, Sought};
use crate::rollout::step::Step;

/// Waits until edges have presented the new certificate and none of the old ones for `settle`.
///
/// # Errors
/// They still present an old one when the time is up.
pub(super) fn wait(
    ctx: &mut Context<'_>,
    wanted: &Wanted,
    item: &Item,
    step: &Step,
    settle: Duration,
) -> Result<(), RolloutError> {
    let hostname = &item.hostname;
    let new = Sought::Certificate(wanted.leaf.sha256());
    let begun = since(ctx, item).map_or_else(|| ctx.origin.status().map(|status| status.at), Ok)?;
    let next_step = "the old certificate stays at Cloudflare until it is out of use; the same command goes on waiting";
    ctx.wait(step, ctx.patience.evidence.saturating_add(settle), next_step, |ctx| {
        let host = Host::find(ctx.origin, hostname)?.ok_or_else(|| no_host(hostname))?;
        let now = ctx.origin.status()?.at;
        let last = |old: &Replaced| {
            let sighting = host.sighting(Sought::Certificate(old.sha256), None);
            sighting.map(|sighting| sighting.seen.last_seen)
        };
        let quiet_since = item.old.iter().filter_map(last).chain([begun]).max().unwrap_or(begun);
        if now.since(quiet_since) < settle {
            return Ok(Look::NotYet(format!("the old certificate was presented for {hostname} a short while ago")));
        }
        Ok(match host.sighting(new, Some(quiet_since)) {
            Some(_) => Look::Ready(()),
            None => Look::NotYet(format!("nothing has come from Cloudflare for {hostname} since the old certificate")),
        })
    })
}

/// Refuses to go on where edges present `old` to any name of the host.
///
/// # Errors
/// They did so a short while ago.
pub(super) fn expect_unseen(ctx: &Context<'_>, item: &Item, old: &Replaced) -> Result<(), RolloutError> {
    let Some(host) = Host::find(ctx.origin, &item.hostname)? else { return Ok(()) };
    let now = ctx.origin.status()?.at;
    let of_edges = host.detail.certificates.iter().filter(|report| report.sha256 == old.sha256);
    let seen = of_edges.filter_map(|report| report.seen.as_ref()).filter(|seen| seen.network == Network::Cloudflare);
    let names = seen.flat_map(|seen| &seen.by_name).filter(|(_, seen)| now.since(seen.last_seen) < ctx.patience.settle);
    match names.map(|(name, _)| name.as_str()).next() {
        None => Ok(()),
        Some(name) => Err(RolloutError::Unsafe {
            what: format!("edges still present certificate {} for {name}", old.id),
            next_step: format!("rotate {name} too, with the same certificate: `originlock aop rotate {name} …`"),
        }),
    }
}
