//! What programs read: hosts and recent handshakes as JSON.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::AdminState;
use crate::clock::Timestamp;
use crate::evidence::recorder::Recorded;
use crate::policy::verdict::Reason;
use crate::x509::{CertificateSummary, Fingerprint};

/// Handshakes in an answer that asks for no number.
const DEFAULT_LIMIT: usize = 100;

/// One configured host, as the admin side shows it.
#[derive(Clone, Debug, Serialize)]
pub struct HostView {
    pub names: Vec<String>,
    /// `off`, `observe` or `enforce`.
    pub mode: &'static str,
    /// The names of its CAs in the configuration.
    pub ca: Vec<String>,
    /// Number of pinned certificates and keys.
    pub pins: usize,
    /// When the first of its CA certificates expires.
    pub ca_not_after: Option<Timestamp>,
    /// When its own certificate expires.
    pub certificate_not_after: Option<Timestamp>,
    /// Addresses of its backends.
    pub upstream: Vec<String>,
}

#[derive(Serialize)]
struct HostsAnswer {
    hosts: Vec<HostView>,
}

#[derive(Serialize)]
struct HandshakesAnswer<'a> {
    handshakes: Vec<HandshakeView<'a>>,
}

#[derive(Deserialize)]
pub(super) struct HandshakesQuery {
    limit: Option<usize>,
}

/// A handshake in the words of the log. Absent values are `null`.
#[derive(Serialize)]
struct HandshakeView<'a> {
    sequence: u64,
    at: Timestamp,
    client_address: String,
    client_port: u16,
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

/// `GET /api/v1/hosts`
pub(super) async fn hosts(State(state): State<AdminState>) -> impl IntoResponse {
    Json(HostsAnswer { hosts: (state.hosts)() })
}

/// `GET /api/v1/handshakes?limit=`, newest first.
pub(super) async fn handshakes(
    State(state): State<AdminState>,
    query: Result<Query<HandshakesQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        return (StatusCode::BAD_REQUEST, "limit must be a whole number\n").into_response();
    };
    let recorded = state.recent.latest(query.limit.unwrap_or(DEFAULT_LIMIT));
    Json(HandshakesAnswer { handshakes: recorded.iter().map(HandshakeView::from).collect() }).into_response()
}

impl<'a> From<&'a Recorded> for HandshakeView<'a> {
    fn from(recorded: &'a Recorded) -> Self {
        let outcome = &*recorded.outcome;
        Self {
            sequence: recorded.sequence,
            at: outcome.at,
            client_address: outcome.peer.ip().to_string(),
            client_port: outcome.peer.port(),
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
