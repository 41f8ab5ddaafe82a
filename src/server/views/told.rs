//! Certificates in the words of the API.

use std::collections::BTreeMap;

use crate::evidence::known::Recogniser;
use crate::evidence::network::Network;
use crate::evidence::report::{CertificateReport, CertificateRole, SeenByName, SeenReport};
use crate::evidence::tally::{Evidence, SeenCertificate};
use crate::x509::{CertificateSummary, Fingerprint};

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
pub(super) fn client_certificates(
    host: &str,
    by_name: &BTreeMap<String, Evidence>,
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
            by_name: by_name
                .iter()
                .filter_map(|(name, evidence)| {
                    Some((name.clone(), seen_by_name(evidence.certificates.get(&(network, sha256))?)))
                })
                .collect(),
        }),
    };
    Evidence::of_all(by_name.values()).certificates.into_iter().map(told).collect()
}

fn seen_by_name(seen: &SeenCertificate) -> SeenByName {
    SeenByName { first_seen: seen.first_seen, last_seen: seen.last_seen, handshakes: seen.handshakes }
}
