//! Rattling at the lock: direct connections without and with a wrong certificate fail, with the right one succeed.

use std::net::SocketAddr;
use std::time::Duration;

use super::context::Context;
use super::desired::Desired;
use super::error::RolloutError;
use super::observed::Observed;
use crate::hostname::Hostname;
use crate::probe::battery::{Tried, essentials};
use crate::probe::{Identity, reachable};

/// How long one connection may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Tries it. Whatever was found is told; what fails is an error.
pub(super) fn prove(
    ctx: &mut Context<'_>,
    desired: &Desired,
    observed: &Observed,
    hostname: &Hostname,
) -> Result<(), RolloutError> {
    let address = address(desired, observed)?;
    let identity = desired.leaf.as_ref().map(|leaf| Identity::from_pem(leaf.certificate.as_bytes(), &leaf.key));
    let identity = identity.transpose().map_err(|error| RolloutError::Unsafe {
        what: format!("the certificate cannot be shown: {error}"),
        next_step: "`originlock pki inspect FILE` says what it is".to_owned(),
    })?;
    let tried = essentials(address, hostname, identity.as_ref(), LIMIT, ctx.clock.now());
    for Tried { attempt, finding, detail, .. } in &tried {
        ctx.progress.notes(&format!("{hostname} at {address} with {}: {detail} ({})", attempt.what(), finding.label()));
    }
    let failed: Vec<_> = tried.iter().filter(|tried| tried.failed()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let found: Vec<_> = failed.iter().map(|tried| format!("with {}: {}", tried.attempt.what(), tried.detail)).collect();
    Err(RolloutError::GaveUp {
        what: format!("the proof for {hostname} at {address} failed, {}", found.join(", ")),
        next_step: format!(
            "if the origin is reached elsewhere, name its address with --origin-address; `originlock probe {address} \
             --host {hostname}` tries more; `originlock observe {hostname}` lets everyone in again"
        ),
    })
}

fn address(desired: &Desired, observed: &Observed) -> Result<SocketAddr, RolloutError> {
    let listener = observed.status.listeners.first().and_then(|address| address.parse().ok()).map(reachable);
    desired.origin_address.or(listener).ok_or_else(|| RolloutError::Unsafe {
        what: "the origin tells of no listener to connect to".to_owned(),
        next_step: "name one with --origin-address ADDRESS:PORT".to_owned(),
    })
}
