//! What the look at Cloudflare's side found.

use prometheus::{IntCounter, IntGaugeVec, Registry};

use super::register::{counter, gauges};
use crate::clock::Timestamp;
use crate::evidence::report::{FindingReport, FindingWeight};

/// What is known of Cloudflare's side at one moment. Zones are named as they are configured.
#[derive(Clone, Copy, Debug)]
pub struct CloudflareSeen<'a> {
    /// When each zone was last looked at with success.
    pub checked: &'a [(String, Timestamp)],
    /// By zone.
    pub findings: &'a [(String, FindingReport)],
}

/// The series of that look. Without one there are none but the count of failures.
#[derive(Debug)]
pub(super) struct CloudflareGauges {
    findings: IntGaugeVec,
    checked: IntGaugeVec,
    failures: IntCounter,
}

impl CloudflareGauges {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            findings: gauges(
                r,
                "originlock_cloudflare_findings",
                "What at Cloudflare does not fit what this origin demands, by zone, host (empty: the whole zone), kind and \
                 weight.",
                &["zone", "host", "kind", "weight"],
            ),
            checked: gauges(
                r,
                "originlock_cloudflare_checked_timestamp_seconds",
                "The moment when Cloudflare's side was last looked at with success, in seconds since the Unix epoch, by \
                 zone.",
                &["zone"],
            ),
            failures: counter(
                r,
                "originlock_cloudflare_check_failures_total",
                "Looks at a zone on Cloudflare's side that came to nothing.",
            ),
        }
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    /// Replaces all that is said.
    pub(super) fn show(&self, seen: CloudflareSeen<'_>) {
        self.findings.reset();
        self.checked.reset();
        for (zone, at) in seen.checked {
            self.checked.with_label_values(&[zone]).set(at.seconds());
        }
        for (zone, finding) in seen.findings {
            let host = finding.host.as_deref().unwrap_or_default();
            self.findings.with_label_values(&[zone, host, &finding.kind, weight(finding.weight)]).inc();
        }
    }
}

const fn weight(weight: FindingWeight) -> &'static str {
    match weight {
        FindingWeight::Alarm => "alarm",
        FindingWeight::Warning => "warning",
    }
}
