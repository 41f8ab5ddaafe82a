//! The ledger as gauges, made anew for every scrape. Those of several machines add up.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{IntGaugeVec, Registry};

use super::OTHER_HOST;
use super::register::gauges;
use crate::clock::{Clock, Timestamp};
use crate::evidence::ledger::{DEFAULT_NAME, Ledger, Scope};
use crate::evidence::network::Network;
use crate::evidence::tally::Evidence;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;

/// Digits of a trust's digest that tell the trusts of one host apart.
const TRUST_DIGITS: usize = 16;

/// How far back handshakes count for which there is no host, and so no window.
const STRANGERS_WINDOW: Duration = Duration::from_hours(24);

/// What a machine knows that a fleet's verdict is made of.
#[derive(Debug)]
pub(super) struct EvidenceGauges {
    ledger: OnceLock<(Arc<Ledger>, Clock)>,
    mode: IntGaugeVec,
    window: IntGaugeVec,
    handshakes: IntGaugeVec,
    edges: IntGaugeVec,
    certificate: IntGaugeVec,
    last_failure: IntGaugeVec,
}

impl EvidenceGauges {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            ledger: OnceLock::new(),
            mode: gauges(r, "originlock_host_mode", "The host's mode; the value is always 1.", &["host", "mode"]),
            window: gauges(
                r,
                "originlock_evidence_window_seconds",
                "How far back the host's evidence counts, in seconds.",
                &["host"],
            ),
            handshakes: gauges(
                r,
                "originlock_evidence_handshakes",
                "Handshakes within the window, by configured name, trust, network and reason.",
                &["host", "name", "trust", "network", "reason"],
            ),
            edges: gauges(
                r,
                "originlock_evidence_edge_addresses",
                "Distinct addresses of Cloudflare's edge whose handshakes verified within the window.",
                &["host", "trust"],
            ),
            certificate: gauges(
                r,
                "originlock_evidence_client_certificate_not_after_seconds",
                "The moment when the first of the client certificates that Cloudflare presented and that verified within \
                 the window expires, in seconds since the Unix epoch.",
                &["host", "trust"],
            ),
            last_failure: gauges(
                r,
                "originlock_evidence_last_failure_timestamp_seconds",
                "The moment of the last handshake of a kind that did not verify, in seconds since the Unix epoch.",
                &["host", "name", "network", "reason"],
            ),
        }
    }

    pub(super) fn follow(&self, ledger: Arc<Ledger>, clock: Clock) {
        // A process has one ledger.
        let _ = self.ledger.set((ledger, clock));
    }

    /// Looks and sets, for at most `names` configured names. `hosts` are those with series of their own.
    pub(super) fn update<'a>(&self, hosts: impl Iterator<Item = (&'a str, Mode)>, names: usize) {
        let Self { mode: modes, window: windows, handshakes, edges, certificate, last_failure, .. } = self;
        for family in [modes, windows, handshakes, edges, certificate, last_failure] {
            family.reset();
        }
        let mut left = names;
        for (host, mode) in hosts {
            modes.with_label_values(&[host, mode.label()]).set(1);
            let Some((ledger, clock)) = self.ledger.get() else { continue };
            let Some(Scope { trust, window, names }) = ledger.scope(host) else { continue };
            windows.with_label_values(&[host]).set(whole(window.as_secs()));
            // Looked at before the evidence is: adding it up is the costly part.
            if names <= left {
                left -= names;
                let by_name = ledger.evidence(host, window, clock.now());
                self.set_host(host, &trust.to_string()[..TRUST_DIGITS], by_name);
            }
        }
        if let Some((ledger, clock)) = self.ledger.get() {
            for ((network, reason), number) in ledger.strangers(STRANGERS_WINDOW, clock.now()) {
                let labels = [OTHER_HOST, "", "", network.label(), reason.label()];
                handshakes.with_label_values(&labels).set(whole(number));
            }
        }
    }

    fn set_host(&self, host: &str, trust: &str, by_name: BTreeMap<String, Evidence>) {
        let mut whole_host = Evidence::default();
        for (name, evidence) in by_name {
            let verified = ((Network::Cloudflare, Reason::Verified), 0);
            for ((network, reason), number) in std::iter::once(verified).chain(evidence.handshakes.clone()) {
                let labels = [host, &name, trust, network.label(), reason.label()];
                self.handshakes.with_label_values(&labels).set(whole(number));
            }
            for ((network, reason), both) in &evidence.failures {
                let labels = [host, &name, network.label(), reason.label()];
                self.last_failure.with_label_values(&labels).set(both.last.at.seconds());
            }
            // What asked for another name is anyone's to send.
            if name != DEFAULT_NAME {
                whole_host.merge(evidence);
            }
        }
        self.edges.with_label_values(&[host, trust]).set(whole(whole_host.edges.count()));
        if let Some(not_after) = first_end(&whole_host) {
            self.certificate.with_label_values(&[host, trust]).set(not_after.seconds());
        }
    }
}

/// When the first of the certificates ends that Cloudflare showed and that verified.
fn first_end(evidence: &Evidence) -> Option<Timestamp> {
    let cloudflare = evidence.certificates.iter().filter(|((network, _), _)| *network == Network::Cloudflare);
    cloudflare.filter(|(_, seen)| seen.reason == Reason::Verified).map(|(_, seen)| seen.not_after).min()
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
