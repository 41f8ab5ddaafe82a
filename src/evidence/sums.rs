//! Evidence in the numbers of the API.

use std::time::Duration;

use super::network::Network;
use super::readiness::Weight;
use super::report::{EvidenceReport, NetworkReport};
use super::tally::Evidence;
use crate::clock::Timestamp;
use crate::policy::verdict::Reason;

impl EvidenceReport {
    /// What was seen within `window`, all `parts` together.
    pub fn of<'a>(window: Duration, parts: impl IntoIterator<Item = &'a Evidence>) -> Self {
        let whole = Evidence::of_all(parts);
        let mut report = Self {
            window_seconds: window.as_secs(),
            edge_addresses: whole.edges.count(),
            last_verified: last_verified(&whole),
            ..Self::default()
        };
        for ((network, reason), count) in whole.handshakes {
            report.share(network).add(reason, count);
        }
        for (network, count) in whole.requests {
            report.share(network).requests = count;
        }
        report
    }

    fn share(&mut self, network: Network) -> &mut NetworkReport {
        match network {
            Network::Cloudflare => &mut self.cloudflare,
            Network::Elsewhere => &mut self.elsewhere,
        }
    }
}

impl NetworkReport {
    fn add(&mut self, reason: Reason, count: u64) {
        self.handshakes = self.handshakes.saturating_add(count);
        if Weight::of(reason) == Weight::Verified {
            self.verified = self.verified.saturating_add(count);
        }
        self.by_reason.insert(reason, count);
    }

    /// Handshakes that enforcing refuses.
    pub fn failing(&self) -> u64 {
        let failing = self.by_reason.iter().filter(|(reason, _)| Weight::of(**reason) == Weight::Failing);
        failing.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

fn last_verified(evidence: &Evidence) -> Option<Timestamp> {
    let seen = evidence.certificates.iter().filter(|((network, _), _)| *network == Network::Cloudflare);
    let verified = seen.filter(|(_, seen)| Weight::of(seen.reason) == Weight::Verified);
    verified.map(|(_, seen)| seen.last_seen).max()
}
