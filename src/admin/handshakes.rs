//! Recent handshakes as JSON: which are asked for, and how one is told.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::control::View;
use super::problem::Problem;
use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::evidence::recorder::Recorded;
use crate::policy::verdict::Reason;
use crate::x509::{CertificateSummary, Fingerprint};

/// Handshakes in an answer that asks for no number.
const DEFAULT_LIMIT: usize = 100;
/// Handshakes in any answer: what the ring holds.
const MAX_LIMIT: usize = 1000;

/// What may stand behind `?`.
#[derive(Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HandshakesQuery {
    limit: Option<usize>,
    after: Option<u64>,
    host: Option<String>,
    reason: Option<String>,
    network: Option<Network>,
}

/// Which handshakes are asked for.
#[derive(Default, Debug)]
pub(super) struct Wanted {
    pub(super) limit: usize,
    /// Only what came after this number.
    pub(super) after: Option<u64>,
    /// The first of the host's names, or a name that a client asked for.
    host: Option<String>,
    reason: Option<Reason>,
    network: Option<Network>,
}

/// A handshake in the words of the log. Absent values are `null`.
#[derive(Serialize)]
pub(super) struct HandshakeView<'a> {
    sequence: u64,
    at: Timestamp,
    client_address: String,
    client_port: u16,
    network: Network,
    server_address: Option<&'a str>,
    host: Option<&'a str>,
    mode: Option<&'static str>,
    verdict: &'static str,
    reason: Reason,
    explanation: &'static str,
    decision: &'static str,
    would_refuse: bool,
    proved: bool,
    matched: Option<&'a str>,
    certificate: Option<CertificateView<'a>>,
    chain_length: usize,
    tls_version: Option<&'static str>,
    cipher: Option<&'static str>,
    group: Option<&'static str>,
    alpn: Option<&'static str>,
    resumed: bool,
    duration_ms: f64,
    alert: Option<&'static str>,
    detail: Option<&'a str>,
    own: bool,
}

#[derive(Serialize)]
struct CertificateView<'a> {
    sha256: Fingerprint,
    spki_sha256: Option<Fingerprint>,
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    serial: Option<&'a str>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

#[derive(Serialize)]
pub(super) struct HandshakesAnswer<'a> {
    pub(super) handshakes: Vec<HandshakeView<'a>>,
}

impl HandshakesQuery {
    /// What is meant; `view` knows the hosts' other names.
    pub(super) fn understand(self, view: &dyn View) -> Result<Wanted, Problem> {
        let reason = match &self.reason {
            Some(word) => Some(Reason::parse(word).ok_or_else(|| {
                Problem::bad_request(
                    "`reason` is no reason that a handshake ends with",
                    "docs/reference/reasons.md lists them",
                )
            })?),
            None => None,
        };
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let host = self.host.map(|name| view.first_name(&name).unwrap_or(name));
        Ok(Wanted { limit, after: self.after, host, reason, network: self.network })
    }
}

impl Wanted {
    /// Whether `recorded`, whose client belongs to `network`, is asked for.
    pub(super) fn takes(&self, recorded: &Recorded, network: Network) -> bool {
        let outcome = &recorded.outcome;
        let of_host = |name: &String| {
            outcome.host.as_deref() == Some(name)
                || outcome.server_name.as_ref().is_some_and(|asked| asked.as_str() == name)
        };
        self.after.is_none_or(|after| recorded.sequence > after)
            && self.host.as_ref().is_none_or(of_host)
            && self.reason.is_none_or(|reason| outcome.reason == reason)
            && self.network.is_none_or(|wanted| wanted == network)
    }
}

impl<'a> HandshakeView<'a> {
    pub(super) fn of(recorded: &'a Recorded, network: Network) -> Self {
        let outcome = &*recorded.outcome;
        Self {
            sequence: recorded.sequence,
            at: outcome.at,
            client_address: outcome.peer.ip().to_string(),
            client_port: outcome.peer.port(),
            network,
            server_address: outcome.server_name.as_ref().map(|name| name.as_str()),
            host: outcome.host.as_deref(),
            mode: outcome.mode.map(|mode| mode.label()),
            verdict: outcome.verdict.label(),
            reason: outcome.reason,
            explanation: outcome.reason.explanation(),
            decision: outcome.decision.label(),
            would_refuse: outcome.would_refuse,
            proved: outcome.proved,
            matched: outcome.matched.as_deref(),
            certificate: outcome.certificate.as_deref().map(CertificateView::from),
            chain_length: outcome.chain_length,
            tls_version: outcome.tls_version,
            cipher: outcome.cipher,
            group: outcome.group,
            alpn: outcome.alpn,
            resumed: outcome.resumed,
            duration_ms: outcome.duration.as_secs_f64() * 1000.0,
            alert: outcome.alert,
            detail: outcome.detail.as_deref(),
            own: outcome.own,
        }
    }
}

impl<'a> From<&'a CertificateSummary> for CertificateView<'a> {
    fn from(certificate: &'a CertificateSummary) -> Self {
        let fields = certificate.fields.as_ref();
        Self {
            sha256: certificate.fingerprint,
            spki_sha256: fields.map(|fields| fields.spki_fingerprint),
            subject: fields.map(|fields| fields.subject.as_str()),
            issuer: fields.map(|fields| fields.issuer.as_str()),
            serial: fields.map(|fields| fields.serial.as_str()),
            not_before: fields.map(|fields| fields.not_before),
            not_after: fields.map(|fields| fields.not_after),
        }
    }
}

/// The network of a handshake's client.
pub(super) fn network_of(recorded: &Recorded, view: &dyn View) -> Network {
    let address: IpAddr = recorded.outcome.peer.ip();
    view.network(address)
}
