//! What the origin saw Cloudflare's edges present.

use super::origin::Origin;
use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::evidence::report::{CertificateReport, CertificateRole, HostDetail, SeenByName};
use crate::hostname::Hostname;
use crate::policy::verdict::Reason;
use crate::remote::admin::AdminError;
use crate::x509::Fingerprint;

/// Which certificate is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sought {
    /// This very one.
    Certificate(Fingerprint),
    /// Whichever verifies: Cloudflare's shared certificate is not known beforehand, and changes.
    Verified,
}

/// A certificate that Cloudflare's edges presented for a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    pub sha256: Fingerprint,
    pub subject: String,
    pub seen: SeenByName,
    /// What was made of it.
    pub reason: Reason,
}

/// A host of the origin, found by one of Cloudflare's hostnames.
#[derive(Clone, PartialEq, Debug)]
pub struct Host {
    /// The hostname as it stands in the origin's configuration: itself, or the wildcard that takes it in.
    pub configured: String,
    pub detail: HostDetail,
}

impl Sighting {
    /// Whether enforcing would let it in.
    pub fn counts(&self) -> bool {
        self.reason == Reason::Verified
    }
}

impl Host {
    /// Looks for `hostname` at the origin. `None`: no host is configured for it.
    ///
    /// # Errors
    /// The origin does not tell.
    pub fn find(origin: &dyn Origin, hostname: &Hostname) -> Result<Option<Self>, AdminError> {
        let wildcard = hostname.parent().map(|parent| format!("*.{parent}"));
        for name in std::iter::once(hostname.to_string()).chain(wildcard) {
            match origin.host(&name, None) {
                Ok(detail) => return Ok(Some(Self { configured: name, detail })),
                Err(AdminError::Problem(problem)) if problem.kind == "unknown_host" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What else is enforced with those of `wanted`: further names of the same host, and a wildcard, which takes in names
    /// that nobody can list. Its evidence is one for all of them.
    pub fn others<'a>(&'a self, wanted: &'a [Hostname]) -> impl Iterator<Item = &'a str> {
        let is_wanted = |name: &str| wanted.iter().any(|hostname| hostname.as_str() == name);
        self.detail.host.names.iter().map(String::as_str).filter(move |name| !is_wanted(name))
    }

    /// The latest sighting of `sought` from Cloudflare for this name, at `since` or later.
    pub fn sighting(&self, sought: Sought, since: Option<Timestamp>) -> Option<Sighting> {
        self.sightings()
            .filter(|sighting| match sought {
                Sought::Certificate(sha256) => sighting.sha256 == sha256,
                Sought::Verified => sighting.counts(),
            })
            .filter(|sighting| since.is_none_or(|since| sighting.seen.last_seen >= since))
            .max_by_key(|sighting| sighting.seen.last_seen)
    }

    /// Everything that Cloudflare's edges presented for this name.
    pub fn sightings(&self) -> impl Iterator<Item = Sighting> {
        let clients = self.detail.certificates.iter().filter(|certificate| certificate.role == CertificateRole::Client);
        clients.filter_map(|certificate| self.sighting_of(certificate))
    }

    fn sighting_of(&self, certificate: &CertificateReport) -> Option<Sighting> {
        let seen = certificate.seen.as_ref().filter(|seen| seen.network == Network::Cloudflare)?;
        Some(Sighting {
            sha256: certificate.sha256,
            subject: certificate.subject.clone(),
            seen: seen.by_name.get(&self.configured)?.clone(),
            reason: seen.reason,
        })
    }
}
