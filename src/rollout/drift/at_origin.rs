//! What the origin tells of one hostname, as far as Cloudflare's side is compared with it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::rollout::seen::{Host, Sighting};
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
    pub fn of(host: &Host) -> Self {
        let report = &host.detail.host;
        let mut seen: Vec<_> = host.sightings().map(Seen::of).collect();
        seen.sort_by_key(|seen| std::cmp::Reverse(seen.last_seen));
        Self {
            mode: report.mode,
            trusts_shared_ca: report.trust.as_ref().is_some_and(|trust| trust.cloudflare_shared_ca),
            window: Duration::from_secs(report.evidence.window_seconds),
            handshakes: host.detail.by_name.get(&host.configured).map_or(0, |evidence| evidence.cloudflare.handshakes),
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

impl Seen {
    fn of(sighting: Sighting) -> Self {
        let Sighting { sha256, seen, reason, .. } = sighting;
        Self { sha256, reason, last_seen: seen.last_seen, handshakes: seen.handshakes }
    }
}
