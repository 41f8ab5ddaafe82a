//! What handshakes add up to, within one window of time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::network::Network;
use crate::clock::Timestamp;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// What was seen of one configured name, of one host, or of a fleet, within a window. Parts add up in any order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Evidence {
    /// Handshakes by where they came from and what they came to.
    pub handshakes: BTreeMap<(Network, Reason), u64>,
    /// Addresses of Cloudflare's edge whose handshakes verified.
    pub edges: Edges,
    /// Requests that were answered, by where they came from.
    pub requests: BTreeMap<Network, u64>,
    /// Client certificates whose possession was proved.
    pub certificates: BTreeMap<(Network, Fingerprint), SeenCertificate>,
    /// The first and the last failure of each kind.
    pub failures: BTreeMap<(Network, Reason), FirstAndLast>,
    /// Who reaches the origin from outside Cloudflare without a certificate that verifies, by network (/24, /48).
    pub outsiders: BTreeMap<String, Outsider>,
}

/// Distinct addresses: by name as long as they are few, and how many there are at least.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Edges {
    pub addresses: BTreeSet<IpAddr>,
    /// A count from where only numbers are known; the addresses above may be among them.
    pub at_least: u64,
}

/// A client certificate that came with proof of its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenCertificate {
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
    /// What the last judgement of it was.
    pub reason: Reason,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub handshakes: u64,
}

/// The first and the last of its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstAndLast {
    pub first: Failure,
    pub last: Failure,
}

/// One handshake that did not verify.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Failure {
    pub at: Timestamp,
    pub peer: SocketAddr,
    /// The name the client asked for.
    pub server_name: Option<String>,
    /// The presented leaf: fingerprint, subject, issuer.
    pub certificate: Option<FailedCertificate>,
}

/// The leaf of a failed handshake.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FailedCertificate {
    pub sha256: Fingerprint,
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
}

/// A source outside Cloudflare's ranges that enforcing would cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outsider {
    pub handshakes: u64,
    pub requests: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// What its last handshake came to.
    pub reason: Reason,
    /// Of the last request, without its query.
    pub path: Option<String>,
    /// Of the last request.
    pub user_agent: Option<String>,
}

impl Edges {
    /// How many distinct addresses there are at least.
    pub fn count(&self) -> u64 {
        self.at_least.max(self.addresses.len() as u64)
    }
}

impl Evidence {
    /// Handshakes of `network` that came to `reason`.
    pub fn count(&self, network: Network, reason: Reason) -> u64 {
        self.handshakes.get(&(network, reason)).copied().unwrap_or(0)
    }
}
