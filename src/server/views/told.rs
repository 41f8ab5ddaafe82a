//! Evidence in the words of the API: several names' parts added up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::evidence::report::{
    CertificateReport, CertificateRole, EvidenceReport, FailedCertificateReport, FailureExample, FailureReport,
    NetworkReport, OutsiderReport, SeenReport,
};
use crate::evidence::tally::{Evidence, Failure, FirstAndLast, Outsider, SeenCertificate};
use crate::policy::cloudflare_ca::SharedCa;
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
) -> Option<CertificateReport> {
    let fields = summary.fields.as_ref()?;
    Some(CertificateReport {
        role,
        host: host.map(str::to_owned),
        sha256: summary.fingerprint,
        subject: fields.subject.clone(),
        issuer: fields.issuer.clone(),
        not_after: fields.not_after,
        known_as: known_as(summary.fingerprint),
        seen: None,
    })
}

/// What clients of `host` presented.
pub(super) fn client_certificates<'e>(host: &str, parts: impl Iterator<Item = &'e Evidence>) -> Vec<CertificateReport> {
    let mut by_kind: BTreeMap<(Network, Fingerprint), SeenCertificate> = BTreeMap::new();
    for (kind, seen) in parts.flat_map(|part| &part.certificates) {
        by_kind.entry(*kind).and_modify(|known| add(known, seen)).or_insert_with(|| seen.clone());
    }
    let told = |((network, sha256), seen): ((Network, Fingerprint), SeenCertificate)| CertificateReport {
        role: CertificateRole::Client,
        host: Some(host.to_owned()),
        sha256,
        subject: seen.subject,
        issuer: seen.issuer,
        not_after: seen.not_after,
        known_as: known_as(sha256),
        seen: Some(SeenReport {
            network,
            reason: seen.reason,
            first_seen: seen.first_seen,
            last_seen: seen.last_seen,
            handshakes: seen.handshakes,
        }),
    };
    by_kind.into_iter().map(told).collect()
}

fn add(known: &mut SeenCertificate, seen: &SeenCertificate) {
    if seen.last_seen > known.last_seen {
        known.reason = seen.reason;
    }
    known.first_seen = known.first_seen.min(seen.first_seen);
    known.last_seen = known.last_seen.max(seen.last_seen);
    known.handshakes += seen.handshakes;
}

/// Why handshakes of `host` failed, the latest kind first.
pub(super) fn failures<'e>(host: &str, parts: impl Iterator<Item = &'e Evidence>) -> Vec<FailureReport> {
    let mut kinds: BTreeMap<(Network, Reason), (FirstAndLast, u64)> = BTreeMap::new();
    for part in parts {
        for ((network, reason), failure) in &part.failures {
            let count = part.count(*network, *reason);
            kinds
                .entry((*network, *reason))
                .and_modify(|(known, known_count)| {
                    known.first = known.first.clone().min(failure.first.clone());
                    known.last = known.last.clone().max(failure.last.clone());
                    *known_count += count;
                })
                .or_insert_with(|| (failure.clone(), count));
        }
    }
    let mut failures: Vec<_> = kinds
        .into_iter()
        .map(|((network, reason), (failure, handshakes))| FailureReport {
            host: host.to_owned(),
            network,
            reason,
            handshakes,
            first: example(failure.first),
            last: example(failure.last),
            cause: reason.explanation().to_owned(),
            next_step: String::new(),
        })
        .collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.last.at));
    failures
}

fn example(failure: Failure) -> FailureExample {
    FailureExample {
        at: failure.at,
        client_address: failure.peer.ip().to_string(),
        server_name: failure.server_name,
        certificate: failure.certificate.map(|certificate| FailedCertificateReport {
            sha256: certificate.sha256,
            known_as: known_as(certificate.sha256),
            subject: certificate.subject,
            issuer: certificate.issuer,
            not_after: certificate.not_after,
        }),
    }
}

/// Who reaches the origin around Cloudflare, the most handshakes first.
pub(super) fn outsiders<'e>(parts: impl Iterator<Item = &'e Evidence>) -> Vec<OutsiderReport> {
    let mut by_network: BTreeMap<&str, Outsider> = BTreeMap::new();
    for (network, outsider) in parts.flat_map(|part| &part.outsiders) {
        let known = by_network.entry(network);
        known.and_modify(|known| join(known, outsider)).or_insert_with(|| outsider.clone());
    }
    let mut outsiders: Vec<_> = by_network
        .into_iter()
        .map(|(network, outsider)| OutsiderReport {
            network: network.to_owned(),
            handshakes: outsider.handshakes,
            requests: outsider.requests,
            first_seen: outsider.first_seen,
            last_seen: outsider.last_seen,
            reason: outsider.reason,
            path: outsider.path,
            user_agent: outsider.user_agent,
        })
        .collect();
    outsiders.sort_by_key(|outsider| std::cmp::Reverse(outsider.handshakes));
    outsiders
}

fn join(known: &mut Outsider, other: &Outsider) {
    if other.last_seen > known.last_seen {
        known.reason = other.reason;
        known.path = other.path.clone().or(known.path.take());
        known.user_agent = other.user_agent.clone().or(known.user_agent.take());
    }
    known.first_seen = known.first_seen.min(other.first_seen);
    known.last_seen = known.last_seen.max(other.last_seen);
    known.handshakes += other.handshakes;
    known.requests += other.requests;
}

fn known_as(sha256: Fingerprint) -> Option<String> {
    SharedCa::recognise(sha256).map(|_| "the CA that all of Cloudflare's customers share".to_owned())
}
