//! What Cloudflare's API says, beside what this origin demands and what the edges presented to it: where they part.

mod at_origin;
mod facts;
mod finding;
mod of_host;
mod of_zone;
#[cfg(test)]
mod tests;

pub use at_origin::{AtOrigin, Seen};
pub use facts::{HostFacts, LeftOut, Presented, ZoneFacts};
pub use finding::FindingKind;

use super::error::RolloutError;
use super::origin::Origin;
use super::preflight::zone::is_within;
use crate::clock::Timestamp;
use crate::cloudflare::Cloudflare;
use crate::evidence::report::FindingReport;
use crate::hostname::Hostname;

/// Looks at a zone, named or by its id, and at those of `hosts` that lie in it. Changes nothing; rights to read are
/// enough, and what a right is missing for is left out and said.
///
/// # Errors
/// Cloudflare or the origin does not tell.
pub fn look(
    cloudflare: &Cloudflare,
    origin: &dyn Origin,
    zone: &str,
    hosts: &[Hostname],
    now: Timestamp,
) -> Result<Vec<FindingReport>, RolloutError> {
    let mut facts = ZoneFacts::read(cloudflare, cloudflare.zone_called(zone)?)?;
    let mut seen = Vec::new();
    let inside: Vec<_> = hosts.iter().filter(|hostname| is_within(hostname.as_str(), &facts.zone.name)).collect();
    for hostname in inside {
        let mut host = HostFacts::read(cloudflare, &mut facts, hostname)?;
        host.ask(origin, &facts)?;
        seen.push(host);
    }
    Ok(findings(&facts, &seen, now))
}

/// What does not fit, the gravest first.
pub fn findings(zone: &ZoneFacts, hosts: &[HostFacts], now: Timestamp) -> Vec<FindingReport> {
    let of_hosts = hosts.iter().flat_map(|host| of_host::findings(zone, host, now));
    let mut findings: Vec<_> = of_zone::findings(zone, hosts, now).into_iter().chain(of_hosts).collect();
    findings.sort_by_key(|finding| finding.weight);
    findings
}
