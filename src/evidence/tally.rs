//! What handshakes add up to, within one window of time.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::clock::Timestamp;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// Addresses of the edge that are kept by name; more are not told apart.
pub const MAX_EDGES: usize = 256;
/// Longest hostname, subject or issuer.
const MAX_NAME_CHARS: usize = 256;

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
    /// Whether there may be more of them than are kept.
    pub more_outsiders: bool,
}

/// Distinct addresses: by name as long as they are few, and how many there are at least.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Edges {
    pub addresses: BTreeSet<IpAddr>,
    /// A count from where only numbers are known; the addresses above may be among them.
    pub at_least: u64,
}

/// A client certificate that came with proof of its key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeenCertificate {
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
    /// What the last judgement of it was.
    pub reason: Reason,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Since it was first seen.
    pub handshakes: u64,
}

/// The first and the last of its kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstAndLast {
    pub first: Failure,
    pub last: Failure,
}

/// One handshake that did not verify.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub peer: SocketAddr,
    /// The name the client asked for.
    pub server_name: Option<String>,
    /// The presented leaf: fingerprint, subject, issuer.
    pub certificate: Option<FailedCertificate>,
}

/// The leaf of a failed handshake.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct FailedCertificate {
    pub sha256: Fingerprint,
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
}

/// A source outside Cloudflare's ranges that enforcing would cut off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outsider {
    /// Since it was first seen; so are the requests.
    pub handshakes: u64,
    pub requests: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// What its last handshake came to.
    pub reason: Reason,
    /// When its last request came.
    pub last_request: Option<Timestamp>,
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

    fn merge(&mut self, other: Self) {
        self.addresses.extend(other.addresses);
        // They may be the same addresses, so their numbers do not add up.
        self.at_least = self.at_least.max(other.at_least);
    }
}

impl Evidence {
    /// Handshakes of `network` that came to `reason`.
    pub fn count(&self, network: Network, reason: Reason) -> u64 {
        self.handshakes.get(&(network, reason)).copied().unwrap_or(0)
    }

    /// What all `parts` add up to.
    pub fn of_all<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut whole = Self::default();
        parts.into_iter().for_each(|part| whole.merge(part.clone()));
        whole
    }

    /// Adds what was seen elsewhere: of another name, or by another machine. The order does not matter.
    pub fn merge(&mut self, other: Self) {
        let Self { handshakes, edges, requests, certificates, failures, outsiders, more_outsiders } = other;
        add_all(&mut self.handshakes, handshakes);
        self.edges.merge(edges);
        add_all(&mut self.requests, requests);
        merge_all(&mut self.certificates, certificates, SeenCertificate::merge);
        merge_all(&mut self.failures, failures, FirstAndLast::merge);
        merge_all(&mut self.outsiders, outsiders, Outsider::merge);
        self.more_outsiders |= more_outsiders;
    }
}

impl SeenCertificate {
    fn merge(&mut self, other: Self) {
        let first_seen = self.first_seen.min(other.first_seen);
        let handshakes = self.handshakes.saturating_add(other.handshakes);
        let latest =
            |seen: &Self| (seen.last_seen, seen.reason, seen.not_after, seen.subject.clone(), seen.issuer.clone());
        if latest(&other) > latest(self) {
            *self = other;
        }
        self.first_seen = first_seen;
        self.handshakes = handshakes;
    }
}

impl FirstAndLast {
    /// Of one failure alone.
    pub fn only(failure: Failure) -> Self {
        Self { first: failure.clone(), last: failure }
    }

    /// Moves what lies ahead of `now` to `now`.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.first.at = self.first.at.min(now);
        self.last.at = self.last.at.min(now);
    }

    /// With texts no longer than those that are recorded.
    pub(super) fn clipped(mut self) -> Self {
        for failure in [&mut self.first, &mut self.last] {
            failure.server_name = failure.server_name.take().map(clipped);
            if let Some(certificate) = &mut failure.certificate {
                certificate.subject = clipped(std::mem::take(&mut certificate.subject));
                certificate.issuer = clipped(std::mem::take(&mut certificate.issuer));
            }
        }
        self
    }

    /// Takes what was seen of the same kind elsewhere.
    pub fn merge(&mut self, other: Self) {
        if other.first < self.first {
            self.first = other.first;
        }
        if other.last > self.last {
            self.last = other.last;
        }
    }
}

impl Outsider {
    /// Takes what was seen of the same source elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        self.handshakes = self.handshakes.saturating_add(other.handshakes);
        self.requests = self.requests.saturating_add(other.requests);
        self.first_seen = self.first_seen.min(other.first_seen);
        (self.last_seen, self.reason) = (self.last_seen, self.reason).max((other.last_seen, other.reason));
        let theirs = (other.last_request, other.path, other.user_agent);
        if theirs > (self.last_request, self.path.clone(), self.user_agent.clone()) {
            (self.last_request, self.path, self.user_agent) = theirs;
        }
    }
}

/// As long as a certificate's name or a hostname may be where it is read from the wire.
pub(super) fn clipped(text: String) -> String {
    text.chars().take(MAX_NAME_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn add_all<K: Ord>(sums: &mut BTreeMap<K, u64>, others: BTreeMap<K, u64>) {
    for (key, number) in others {
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(number);
    }
}

fn merge_all<K: Ord, V>(all: &mut BTreeMap<K, V>, others: BTreeMap<K, V>, merge: impl Fn(&mut V, V)) {
    for (key, other) in others {
        match all.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(other)),
            Entry::Occupied(mut entry) => merge(entry.get_mut(), other),
        }
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
