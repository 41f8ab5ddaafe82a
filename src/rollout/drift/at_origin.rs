//! What the origin tells of one hostname, as far as Cloudflare's side is compared with it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::evidence::report::{CertificateRole, HostDetail, SeenByName};
use crate::hostname::{HostPattern, Hostname};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// What the origin demands and saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtOrigin {
    pub mode: Mode,
    pub trusts_shared_ca: bool,
    /// Over which evidence counts.
    pub window: Duration,
    /// From Cloudflare's edges within the window, for this hostname.
    pub handshakes: u64,
    /// Certificates that edges presented for it, the latest first.
    pub seen: Vec<Seen>,
}

/// A certificate that Cloudflare's edges presented for a hostname.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub sha256: Fingerprint,
    /// What was made of it.
    pub reason: Reason,
    pub last_seen: Timestamp,
    pub handshakes: u64,
}

impl AtOrigin {
    /// Out of what the admin API tells of the host.
    pub fn of(detail: &HostDetail, hostname: &Hostname) -> Self {
        let name = configured(&detail.host.names, hostname);
        let evidence = name.and_then(|name| detail.by_name.get(name));
        let mut seen: Vec<_> = name.map(|name| seen(detail, name)).unwrap_or_default();
        seen.sort_by_key(|seen| std::cmp::Reverse(seen.last_seen));
        Self {
            mode: detail.host.mode,
            trusts_shared_ca: detail.host.trust.as_ref().is_some_and(|trust| trust.cloudflare_shared_ca),
            window: Duration::from_secs(detail.host.evidence.window_seconds),
            handshakes: evidence.map_or(0, |evidence| evidence.cloudflare.handshakes),
            seen,
        }
    }

    /// Whether whoever does not verify is refused.
    pub fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// When edges last presented this very certificate.
    pub fn last_seen(&self, sha256: Fingerprint) -> Option<Timestamp> {
        self.seen.iter().find(|seen| seen.sha256 == sha256).map(|seen| seen.last_seen)
    }
}

fn seen(detail: &HostDetail, name: &str) -> Vec<Seen> {
    let of_clients = detail.certificates.iter().filter(|report| report.role == CertificateRole::Client);
    let from_edges = of_clients.filter_map(|report| {
        let seen = report.seen.as_ref().filter(|seen| seen.network == Network::Cloudflare)?;
        let SeenByName { last_seen, handshakes, .. } = *seen.by_name.get(name)?;
        Some(Seen { sha256: report.sha256, reason: seen.reason, last_seen, handshakes })
    });
    from_edges.collect()
}

/// The configured name that `hostname` is counted under: its own before a wildcard.
fn configured<'a>(names: &'a [String], hostname: &Hostname) -> Option<&'a str> {
    let own = names.iter().find(|name| *name == hostname.as_str());
    let covering = || names.iter().find(|name| HostPattern::parse(name).is_ok_and(|pattern| pattern.covers(hostname)));
    own.or_else(covering).map(String::as_str)
}
