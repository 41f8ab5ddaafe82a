//! What is looked at before anything is changed, at Cloudflare or at the origin. Everything here reads.

mod dns;
mod levels;
mod lint;
mod origin;
mod ssl;
mod token;
mod zone;

pub use zone::is_within;

use std::collections::BTreeSet;

use super::desired::Desired;
use super::journal::Entries;
use super::leaf::Leaf;
use super::origin::Origin;
use super::step::{Check, CheckVerdict};
use crate::clock::Timestamp;
use crate::cloudflare::{Cloudflare, CloudflareError, Zone};

/// The words of all checks, in their order.
pub const CHECKS: [&str; 16] = [
    "certificate",
    "certificate_time",
    "certificate_usage",
    "certificate_strength",
    "token",
    "zone",
    "ssl_mode",
    "config_rules",
    "dns",
    "dns_address",
    "levels",
    "replaces",
    "room",
    "origin",
    "trust",
    "other_names",
];

/// Those that `--force` does not take: Cloudflare refuses such a certificate or key, and only `--replace` replaces.
pub const NEVER_FORCED: [&str; 2] = ["certificate", "replaces"];

/// What was found before the first step.
#[derive(Clone, Debug)]
pub struct Preflight {
    pub checks: Vec<Check>,
    /// `None`: it was not found, and nothing can be done.
    pub zone: Option<Zone>,
}

impl Preflight {
    /// Whether nothing stands in the way.
    pub fn is_passed(&self) -> bool {
        self.zone.is_some() && self.checks.iter().all(|check| check.verdict != CheckVerdict::Fails)
    }

    /// The checks that stand in the way.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict == CheckVerdict::Fails)
    }
}

/// What is to be said of a certificate before Cloudflare gets it.
pub fn of_leaf(leaf: &Leaf, now: Timestamp) -> Vec<Check> {
    let subject = short_name(leaf);
    lint::lint(leaf, now).into_iter().map(|(name, finding)| finding.of(name, &subject)).collect()
}

/// Whom to ask, and what for.
#[derive(Clone, Copy)]
struct Asking<'a> {
    cloudflare: &'a Cloudflare,
    origin: &'a dyn Origin,
    desired: &'a Desired,
    now: Timestamp,
}

/// Looks at everything, whatever is found on the way: all that is wrong is told at once. `zone` is a name or an id; without
/// one the zone is that of the hostnames.
pub fn look(
    cloudflare: &Cloudflare,
    origin: &dyn Origin,
    desired: &Desired,
    zone: Option<&str>,
    entries: impl FnOnce(&Zone) -> Option<Entries>,
    now: Timestamp,
) -> Preflight {
    let asking = Asking { cloudflare, origin, desired, now };
    let mut checks = Vec::new();
    if let Some(leaf) = &desired.leaf {
        checks.extend(of_leaf(leaf, now));
    }
    let (found, zone_check) = zone::look(&asking, zone);
    let readings = found.as_ref().map(|zone| token::Readings::read(&asking, zone));
    let subject = found.as_ref().map_or_else(|| zone.unwrap_or_default().to_owned(), |zone| zone.name.clone());
    checks.push(token::look(&asking, found.as_ref(), readings.as_ref()).of("token", &subject));
    checks.push(zone_check.of("zone", &subject));
    if let (Some(zone), Some(readings)) = (&found, &readings) {
        checks.extend(ssl::look(readings).into_iter().map(|(name, finding)| finding.of(name, &subject)));
        checks.extend(dns::look(&asking, zone, readings));
        checks.extend(levels::look(&asking, zone, readings, entries(zone).as_ref()));
    }
    checks.extend(origin::look(&asking));
    overrule(&mut checks, desired);
    Preflight { checks, zone: found }
}

/// A word alone overrules nothing where several subjects fail: which one was meant has to be said.
fn overrule(checks: &mut [Check], desired: &Desired) {
    let failed = checks.iter().filter(|check| check.verdict == CheckVerdict::Fails);
    let failed: BTreeSet<_> = failed.map(|check| (check.name, check.subject.clone())).collect();
    for check in checks.iter_mut().filter(|check| check.verdict == CheckVerdict::Fails) {
        let number = failed.iter().filter(|(name, _)| *name == check.name).count();
        if !NEVER_FORCED.contains(&check.name) && desired.forces(check.name, &check.subject, number) {
            check.verdict = CheckVerdict::Forced;
        }
    }
}

/// What one check found.
#[derive(Clone, Debug)]
struct Finding {
    verdict: CheckVerdict,
    found: String,
    next_step: String,
}

impl Finding {
    fn holds(found: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Holds, found: found.into(), next_step: String::new() }
    }

    fn warns(found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Warning, found: found.into(), next_step: next_step.into() }
    }

    fn fails(found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Fails, found: found.into(), next_step: next_step.into() }
    }

    /// What has to be known could not be read.
    fn unread(error: &CloudflareError) -> Self {
        Self::fails(told(error), error.next_step())
    }

    fn of(self, name: &'static str, subject: &str) -> Check {
        let Self { verdict, found, next_step } = self;
        Check { name, subject: subject.to_owned(), verdict, found, next_step }
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

fn short_name(leaf: &Leaf) -> String {
    leaf.summary.subject().to_owned()
}
