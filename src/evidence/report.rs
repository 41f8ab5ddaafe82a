//! Evidence as the admin API tells it and its clients read it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod cloudflare;
mod trust;

pub use cloudflare::{CloudflareReport, FindingReport, FindingWeight};
pub use trust::{JudgeReport, JudgeRequest, TrustChangeReport, TrustRequest};

use super::network::Network;
use super::readiness::Readiness;
use super::strangers::UnknownName;
use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// `GET /api/v1/hosts`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostsReport {
    /// The moment that it is about.
    pub at: Timestamp,
    pub hosts: Vec<HostReport>,
}

/// One host: what it demands, what came, and whether it may be enforced.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostReport {
    /// The first of its names.
    pub name: String,
    pub names: Vec<String>,
    pub mode: Mode,
    /// `None` where the mode is `off`.
    pub trust: Option<TrustReport>,
    /// When its own certificate expires.
    pub certificate_not_after: Option<Timestamp>,
    /// Addresses of its backends.
    pub upstream: Vec<String>,
    /// Where its mode is written.
    pub source: Option<SourceReport>,
    /// Set while `enforce` falls back to `observe` unless someone confirms it.
    pub confirm_by: Option<Timestamp>,
    pub readiness: Readiness,
    pub evidence: EvidenceReport,
}

/// What a client's certificate is judged against.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrustReport {
    /// Equal digests judge alike; evidence belongs to one.
    pub digest: String,
    /// Names of CAs in the configuration.
    pub ca: Vec<String>,
    /// Number of pinned certificates and keys.
    pub pins: usize,
    /// When the last of its CA certificates expires: any one of them may do the work.
    pub ca_not_after: Option<Timestamp>,
    /// When the first of its revocation lists has to be renewed.
    pub crl_next_update: Option<Timestamp>,
    /// Whether it trusts the CA that all of Cloudflare's customers share.
    pub cloudflare_shared_ca: bool,
}

/// A place in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceReport {
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// What was seen within the gate's window, under the trust in force. That of a whole host is that of its configured
/// names: what other names the default host is asked for is not among it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct EvidenceReport {
    pub window_seconds: u64,
    pub cloudflare: NetworkReport,
    pub elsewhere: NetworkReport,
    /// Distinct addresses of Cloudflare's edge whose handshakes verified.
    pub edge_addresses: u64,
    /// When a handshake from Cloudflare last verified.
    pub last_verified: Option<Timestamp>,
}

/// One network's share.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct NetworkReport {
    pub handshakes: u64,
    pub verified: u64,
    pub requests: u64,
    pub by_reason: BTreeMap<Reason, u64>,
}

/// `GET /api/v1/hosts/{name}`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostDetail {
    #[serde(flatten)]
    pub host: HostReport,
    /// The last hour by minutes, oldest first; minutes without a handshake are left out.
    pub last_hour: Vec<Column>,
    /// The last seven days by hours, likewise.
    pub last_week: Vec<Column>,
    /// By name, as configured.
    pub by_name: BTreeMap<String, EvidenceReport>,
    /// The soonest to expire first.
    pub certificates: Vec<CertificateReport>,
    /// The latest first.
    pub failures: Vec<FailureReport>,
    /// Who reaches the origin around Cloudflare: the most handshakes first.
    pub outsiders: Vec<OutsiderReport>,
}

/// One bar of a chart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Column {
    pub from: Timestamp,
    pub seconds: u64,
    pub cloudflare: BTreeMap<Reason, u64>,
    pub elsewhere: BTreeMap<Reason, u64>,
}

/// `GET /api/v1/certificates`: every certificate that matters, the soonest to expire first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CertificatesReport {
    pub at: Timestamp,
    pub certificates: Vec<CertificateReport>,
}

/// A certificate and what it is to us.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CertificateReport {
    pub role: CertificateRole,
    /// The host it belongs to or was shown to; `None` for a CA, which may serve several.
    pub host: Option<String>,
    pub sha256: Fingerprint,
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
    /// Who it is known to be: "the CA that all of Cloudflare's customers share".
    pub known_as: Option<String>,
    /// Of a client certificate: where it came from, what was made of it, when and how often it came.
    pub seen: Option<SeenReport>,
}

/// What a certificate is to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateRole {
    /// Presented by a client that proved possession of its key.
    Client,
    /// A host's own.
    Server,
    /// In a CA bundle.
    Ca,
}

/// When and how often a client certificate came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeenReport {
    pub network: Network,
    pub reason: Reason,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub handshakes: u64,
    /// The same by configured name. A host's names may be shown different certificates.
    pub by_name: BTreeMap<String, SeenByName>,
}

/// When and how often a client certificate came for one configured name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeenByName {
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub handshakes: u64,
}

/// `GET /api/v1/failures?host=`: why handshakes fail, by kind, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailuresReport {
    pub at: Timestamp,
    pub failures: Vec<FailureReport>,
}

/// One kind of failure on one host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailureReport {
    pub host: String,
    pub network: Network,
    pub reason: Reason,
    /// Within the gate's window.
    pub handshakes: u64,
    pub first: FailureExample,
    pub last: FailureExample,
    /// What happened, in plain words.
    pub cause: String,
    /// What to do about it.
    pub next_step: String,
}

/// A handshake that stands for its kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailureExample {
    pub at: Timestamp,
    pub client_address: String,
    pub server_name: Option<String>,
    pub certificate: Option<FailedCertificateReport>,
}

/// The leaf that was presented.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailedCertificateReport {
    pub sha256: Fingerprint,
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
    pub known_as: Option<String>,
}

/// A source outside Cloudflare's ranges that reaches the origin without a certificate that verifies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutsiderReport {
    /// `203.0.113.0/24`
    pub network: String,
    pub handshakes: u64,
    pub requests: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub reason: Reason,
    pub path: Option<String>,
    pub user_agent: Option<String>,
}

/// `GET /api/v1/status`: the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    pub at: Timestamp,
    pub version: String,
    pub started_at: Timestamp,
    /// The number of the configuration in force, from 1.
    pub generation: u64,
    /// The main configuration file.
    pub config: String,
    /// Where it listens.
    pub listeners: Vec<String>,
    pub networks: NetworksReport,
    /// The file that evidence survives in; `None`: a restart forgets it.
    pub evidence_file: Option<String>,
    /// What Cloudflare asked for in vain: a name is missing from the configuration, or a DNS record leads here that
    /// should not. The latest first.
    pub unknown_names: Vec<UnknownName>,
    /// Whether whoever asks may change something.
    pub may_change: bool,
}

/// Which addresses count as Cloudflare's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworksReport {
    /// `shipped`, or the file.
    pub source: String,
    /// The day of the shipped list.
    pub dated: Option<String>,
    pub ranges: usize,
}

/// `POST /api/v1/hosts/{name}/mode`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    pub mode: Mode,
    /// Although it is not ready. Logged.
    #[serde(default)]
    pub force: bool,
    /// Only say what would be changed.
    #[serde(default)]
    pub dry_run: bool,
    /// Fall back to `observe` unless confirmed within this time. Fails open.
    #[serde(default)]
    pub confirm_within_seconds: Option<u64>,
    /// Have readiness judged over this window instead of the configured one, which has to be longer.
    #[serde(default)]
    pub window_seconds: Option<u64>,
}

/// What came of a [`ModeRequest`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModeReport {
    pub host: String,
    /// All the names it is about.
    pub names: Vec<String>,
    pub from: Mode,
    pub to: Mode,
    pub source: SourceReport,
    /// A unified diff of the file.
    pub diff: String,
    /// Whether the file was changed and loaded.
    pub applied: bool,
    /// Whether it was done although the host is not ready.
    pub forced: bool,
    pub readiness: Readiness,
    /// What the proxy saw when it connected to itself afterwards.
    pub checks: Vec<CheckReport>,
    pub confirm_by: Option<Timestamp>,
}

/// One connection of the proxy to itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckReport {
    /// "without a certificate"
    pub what: String,
    pub expected: String,
    pub got: String,
    /// `None`: nothing happened that would show it.
    pub passed: Option<bool>,
}

impl CheckReport {
    /// Whether something else happened than was expected.
    pub fn failed(&self) -> bool {
        self.passed == Some(false)
    }
}

/// `POST /api/v1/reload`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReloadReport {
    pub generation: u64,
    /// What will bite, one sentence each.
    pub warnings: Vec<String>,
}

/// What went wrong, as `application/problem+json` (RFC 9457).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProblemReport {
    /// A word of a closed set: `not_ready`, `unknown_host`, `forbidden`, `not_writable`, `bad_configuration`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// A short sentence.
    pub title: String,
    pub status: u16,
    /// What exactly.
    pub detail: String,
    /// What to do next.
    pub next_step: Option<String>,
    /// With `not_ready`.
    pub readiness: Option<Readiness>,
    /// With `not_writable`: the change that someone else has to make.
    pub diff: Option<String>,
    pub source: Option<SourceReport>,
}
