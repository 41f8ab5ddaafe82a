//! What a trust says of a certificate before a client shows it, and how a bundle is changed.

use serde::{Deserialize, Serialize};

use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// `POST /api/v1/hosts/{name}/judge`: what would be made of this certificate? Changes and records nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeRequest {
    /// The chain as a client would send it, leaf first, PEM.
    pub certificates: String,
}

/// What the host's trust says of a certificate, by the judgement that handshakes get. Possession of the key is not asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JudgeReport {
    /// The first of the host's names.
    pub host: String,
    pub mode: Mode,
    /// Of the leaf.
    pub sha256: Fingerprint,
    /// `verified`, or why not.
    pub reason: Reason,
    /// What that means, in plain words, and what to do about it; `None` where it verifies.
    pub next_step: Option<String>,
    /// Of the trust that judged.
    pub trust_digest: String,
}

/// `POST /api/v1/hosts/{name}/trust`: adds CA certificates to the host's bundle, or takes some away.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRequest {
    /// PEM; what the bundle holds already is not added again.
    #[serde(default)]
    pub add: Option<String>,
    /// By SHA-256. What the bundle does not hold is no error.
    #[serde(default)]
    pub remove: Vec<Fingerprint>,
    /// Although edges of Cloudflare's came to an enforced host with a certificate that would be refused.
    #[serde(default)]
    pub force: bool,
    /// Only say what would be changed.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of a [`TrustRequest`]. With another bundle a host has another trust, and evidence belongs to one trust: that
/// of all these hosts starts anew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrustChangeReport {
    pub host: String,
    /// All hosts that the bundle serves, by their first name.
    pub hosts: Vec<String>,
    /// The CA's name in the configuration.
    pub ca: String,
    /// The bundle's file that is changed.
    pub file: String,
    pub added: Vec<Fingerprint>,
    pub removed: Vec<Fingerprint>,
    /// Whether the file was changed and loaded. Not where there is nothing to change.
    pub applied: bool,
}
