//! Evidence in the words of the API: several names' parts added up.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::evidence::known::Recogniser;
use crate::evidence::network::Network;
use crate::evidence::report::{CertificateReport, CertificateRole, EvidenceReport, NetworkReport, SeenReport};
use crate::evidence::tally::{Evidence, SeenCertificate};
use crate::policy::verdict::Reason;
use crate::x509::{CertificateSummary, Fingerprint};

/// What was seen within `window`, all `parts` together.
pub(super) fn evidence<'e>(window: Duration, parts: impl IntoIterator<Item = &'e Evidence> + Clone) -> EvidenceReport {
    let mut report = EvidenceReport { window_seconds: window.as_secs(), ..EvidenceReport::default() };
    let mut edges = BTreeSet::new();
    let mut edges_at_least = 0;
    for part in parts {
        for ((network, reason), count) in &part.handshakes {
            let share = share(&mut report, *network);
            share.handshakes += count;
            share.verified += if *reason == Reason::Verified { *count } else { 0 };
            *share.by_reason.entry(*reason).or_default() += count;
        }
        for (network, count) in &part.requests {
            share(&mut report, *network).requests += count;
        }
        edges.extend(part.edges.addresses.iter().copied());
        edges_at_least = edges_at_least.max(part.edges.at_least);
        report.last_verified = report.last_verified.max(last_verified(part));
    }
    report.edge_addresses = edges_at_least.max(edges.len() as u64);
    report
}

fn share(report: &mut EvidenceReport, network: Network) -> &mut NetworkReport {
    match network {
        Network::Cloudflare => &mut report.cloudflare,
        Network::Elsewhere => &mut report.elsewhere,
    }
}

fn last_verified(evidence: &Evidence) -> Option<Timestamp> {
    let verified = evidence
        .certificates
        .iter()
        .filter(|((network, _), seen)| *network == Network::Cloudflare && seen.reason == Reason::Verified);
    verified.map(|(_, seen)| seen.last_seen).max()
}

/// A certificate of ours, or of those we trust. `None` for one that cannot be read.
pub(super) fn certificate(
    role: CertificateRole,
    host: Option<&str>,
    summary: &CertificateSummary,
    recogniser: &Recogniser<'_>,
) -> Option<CertificateReport> {
    let fields = summary.fields.as_ref()?;
    Some(CertificateReport {
        role,
        host: host.map(str::to_owned),
        sha256: summary.fingerprint,
        subject: fields.subject.clone(),
        issuer: fields.issuer.clone(),
        not_after: fields.not_after,
        known_as: recogniser.known_as(summary.fingerprint, host.unwrap_or_default()),
        seen: None,
    })
}

/// What clients of `host` presented.
pub(super) fn client_certificates<'e>(
    host: &str,
    parts: impl Iterator<Item = &'e Evidence>,
    recogniser: &Recogniser<'_>,
) -> Vec<CertificateReport> {
    let told = |((network, sha256), seen): ((Network, Fingerprint), SeenCertificate)| CertificateReport {
        role: CertificateRole::Client,
        host: Some(host.to_owned()),
        sha256,
        subject: seen.subject,
        issuer: seen.issuer,
        not_after: seen.not_after,
        known_as: recogniser.known_as(sha256, host),
        seen: Some(SeenReport {
            network,
            reason: seen.reason,
            first_seen: seen.first_seen,
            last_seen: seen.last_seen,
            handshakes: seen.handshakes,
        }),
    };
    Evidence::of_all(parts).certificates.into_iter().map(told).collect()
}
