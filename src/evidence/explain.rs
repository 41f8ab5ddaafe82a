//! Why handshakes fail, in plain words, and what to do about it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::advice::{self, Circumstances};
use super::known::Recogniser;
use super::network::Network;
use super::report::{FailedCertificateReport, FailureExample, FailureReport, OutsiderReport};
use super::tally::{Evidence, FailedCertificate, Failure, FirstAndLast};
use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::CertificateSummary;

/// The failures of one host by kind, the latest first. `host` is the first of its names.
pub fn failures(
    host: &str,
    mode: Mode,
    by_name: &BTreeMap<String, Evidence>,
    recogniser: &Recogniser<'_>,
) -> Vec<FailureReport> {
    let mut whole = Evidence::of_all(by_name.values());
    let mut reports: Vec<_> = std::mem::take(&mut whole.failures)
        .into_iter()
        .map(|((network, reason), FirstAndLast { first, last })| {
            let handshakes = whole.count(network, reason);
            let known = last.certificate.as_ref().and_then(|leaf| recogniser.recognise(leaf.sha256, host));
            let circumstances = Circumstances {
                host,
                mode,
                network,
                reason,
                server_name: last.server_name.as_deref(),
                at: last.at,
                certificate: last.certificate.as_ref(),
                known,
            };
            let (cause, next_step) = advice::on(&circumstances);
            let example = |failure: &Failure| example(failure, host, recogniser);
            let (first, last) = (example(&first), example(&last));
            FailureReport { host: host.to_owned(), network, reason, handshakes, first, last, cause, next_step }
        })
        .collect();
    reports.sort_by_key(|report| Reverse(report.last.at));
    reports
}

/// What it means that `leaf` fails for `reason` before Cloudflare has presented it to `host`, and what to do about it.
/// `None` where it verifies.
pub fn ahead(
    host: &str,
    mode: Mode,
    reason: Reason,
    leaf: &CertificateSummary,
    recogniser: &Recogniser<'_>,
    now: Timestamp,
) -> Option<String> {
    if reason == Reason::Verified {
        return None;
    }
    let certificate = leaf.fields.as_ref().map(|fields| FailedCertificate {
        sha256: leaf.fingerprint,
        subject: fields.subject.clone(),
        issuer: fields.issuer.clone(),
        not_after: fields.not_after,
    });
    Some(advice::ahead(&Circumstances {
        host,
        mode,
        network: Network::Cloudflare,
        reason,
        server_name: None,
        at: now,
        certificate: certificate.as_ref(),
        known: recogniser.recognise(leaf.fingerprint, host),
    }))
}

/// Who reaches the host around Cloudflare: the most handshakes first.
pub fn outsiders(by_name: &BTreeMap<String, Evidence>) -> Vec<OutsiderReport> {
    let mut reports: Vec<_> = Evidence::of_all(by_name.values())
        .outsiders
        .into_iter()
        .map(|(network, outsider)| OutsiderReport {
            network,
            handshakes: outsider.handshakes,
            requests: outsider.requests,
            first_seen: outsider.first_seen,
            last_seen: outsider.last_seen,
            reason: outsider.reason,
            path: outsider.path,
            user_agent: outsider.user_agent,
        })
        .collect();
    reports.sort_by_key(|report| Reverse(report.handshakes));
    reports
}

fn example(failure: &Failure, host: &str, recogniser: &Recogniser<'_>) -> FailureExample {
    let certificate = failure.certificate.as_ref().map(|leaf| FailedCertificateReport {
        sha256: leaf.sha256,
        subject: leaf.subject.clone(),
        issuer: leaf.issuer.clone(),
        not_after: leaf.not_after,
        known_as: recogniser.known_as(leaf.sha256, host),
    });
    FailureExample {
        at: failure.at,
        client_address: failure.peer.ip().to_canonical().to_string(),
        server_name: failure.server_name.clone(),
        certificate,
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
