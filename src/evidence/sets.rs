//! What one account keeps by name: each set bounded, whatever strangers send.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::requests::printable;
use super::tally::{MAX_EDGES, Outsider, SeenCertificate, clipped};
use crate::clock::Timestamp;
use crate::policy::verdict::Reason;
use crate::x509::{CertificateSummary, Fingerprint};

/// Client certificates kept per network. The edge shows one per host, two while it is rotated.
const MAX_CERTIFICATES: usize = 32;
/// Sources outside Cloudflare kept: more than an operator would look at.
const MAX_OUTSIDERS: usize = 64;

/// What strangers share and may not be told apart by: one customer's network.
const OUTSIDER_V4: u8 = 24;
const OUTSIDER_V6: u8 = 48;

/// Addresses of Cloudflare's edge and when a handshake from each last verified.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct EdgeSet(Vec<(IpAddr, Timestamp)>);

impl EdgeSet {
    pub(super) fn saw(&mut self, address: IpAddr, at: Timestamp) {
        let address = address.to_canonical();
        if let Some((_, last)) = self.0.iter_mut().find(|(known, _)| *known == address) {
            *last = at.max(*last);
            return;
        }
        if self.0.len() >= MAX_EDGES {
            remove_least(&mut self.0, |(_, last)| *last);
        }
        self.0.push((address, at));
    }

    /// Those seen from `begin` on.
    pub(super) fn since(&self, begin: Timestamp) -> impl Iterator<Item = IpAddr> {
        self.0.iter().filter(move |(_, last)| *last >= begin).map(|(address, _)| *address)
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        self.0.iter_mut().for_each(|(_, last)| *last = now.min(*last));
    }

    pub(super) fn normalise(&mut self) {
        for (address, last) in std::mem::take(&mut self.0) {
            self.saw(address, last);
        }
    }
}

/// The client certificates of one network whose possession was proved.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CertificateSet(Vec<(Fingerprint, SeenCertificate)>);

impl CertificateSet {
    pub(super) fn saw(&mut self, certificate: &CertificateSummary, reason: Reason, at: Timestamp) {
        if let Some((_, seen)) = self.0.iter_mut().find(|(known, _)| *known == certificate.fingerprint) {
            seen.handshakes = seen.handshakes.saturating_add(1);
            if at >= seen.last_seen {
                (seen.last_seen, seen.reason) = (at, reason);
            }
            return;
        }
        let Some(fields) = &certificate.fields else { return };
        self.add(
            certificate.fingerprint,
            SeenCertificate {
                subject: fields.subject.clone(),
                issuer: fields.issuer.clone(),
                not_after: fields.not_after,
                reason,
                first_seen: at,
                last_seen: at,
                handshakes: 1,
            },
        );
    }

    /// Those seen from `begin` on.
    pub(super) fn since(&self, begin: Timestamp) -> impl Iterator<Item = &(Fingerprint, SeenCertificate)> {
        self.0.iter().filter(move |(_, seen)| seen.last_seen >= begin)
    }

    /// Those that verified, likewise.
    pub(super) fn verified_since(&self, begin: Timestamp) -> impl Iterator<Item = Fingerprint> {
        self.since(begin).filter(|(_, seen)| seen.reason == Reason::Verified).map(|(fingerprint, _)| *fingerprint)
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        for (_, seen) in &mut self.0 {
            seen.first_seen = seen.first_seen.min(now);
            seen.last_seen = seen.last_seen.min(now);
        }
    }

    pub(super) fn normalise(&mut self) {
        for (fingerprint, seen) in std::mem::take(&mut self.0) {
            if !self.0.iter().any(|(known, _)| *known == fingerprint) {
                let (subject, issuer) = (clipped(seen.subject), clipped(seen.issuer));
                self.add(fingerprint, SeenCertificate { subject, issuer, ..seen });
            }
        }
    }

    /// Whoever makes certificates by the thousand pushes out what failed, never what verified.
    fn add(&mut self, fingerprint: Fingerprint, seen: SeenCertificate) {
        let rank = |seen: &SeenCertificate| seen.reason == Reason::Verified;
        if self.0.len() >= MAX_CERTIFICATES {
            if !rank(&seen) && self.0.iter().all(|(_, known)| rank(known)) {
                return;
            }
            remove_least(&mut self.0, |(_, known)| (rank(known), known.last_seen));
        }
        self.0.push((fingerprint, seen));
    }
}

/// Who reaches the origin from outside Cloudflare without a certificate that verifies, by network.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OutsiderSet(Vec<(IpNet, Outsider)>);

/// What is known of a request from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedFor<'a> {
    pub(super) requests: u64,
    pub(super) path: Option<&'a str>,
    pub(super) user_agent: Option<&'a str>,
}

impl OutsiderSet {
    pub(super) fn shook_hands(&mut self, peer: SocketAddr, reason: Reason, at: Timestamp) {
        let outsider = self.entry(peer, reason, at);
        outsider.handshakes = outsider.handshakes.saturating_add(1);
        if at >= outsider.last_seen {
            (outsider.last_seen, outsider.reason) = (at, reason);
        }
    }

    pub(super) fn asked(&mut self, peer: SocketAddr, reason: Reason, asked: AskedFor<'_>, at: Timestamp) {
        let outsider = self.entry(peer, reason, at);
        outsider.requests = outsider.requests.saturating_add(asked.requests);
        outsider.last_seen = outsider.last_seen.max(at);
        if outsider.last_request.is_none_or(|last| last <= at) {
            outsider.last_request = Some(at);
            outsider.path = asked.path.map(str::to_owned);
            outsider.user_agent = asked.user_agent.map(str::to_owned);
        }
    }

    /// Those seen from `begin` on.
    pub(super) fn since(&self, begin: Timestamp) -> impl Iterator<Item = (String, Outsider)> {
        self.0
            .iter()
            .filter(move |(_, seen)| seen.last_seen >= begin)
            .map(|(net, seen)| (net.to_string(), seen.clone()))
    }

    /// Whether another one may have had to give way.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_OUTSIDERS
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        for (_, seen) in &mut self.0 {
            seen.first_seen = seen.first_seen.min(now);
            seen.last_seen = seen.last_seen.min(now);
            seen.last_request = seen.last_request.map(|last| last.min(now));
        }
    }

    pub(super) fn normalise(&mut self) {
        for (net, seen) in std::mem::take(&mut self.0) {
            let seen = Outsider {
                path: seen.path.as_deref().map(printable),
                user_agent: seen.user_agent.as_deref().map(printable),
                ..seen
            };
            if !self.0.iter().any(|(known, _)| *known == net) {
                self.add(net, seen);
            }
        }
    }

    fn entry(&mut self, peer: SocketAddr, reason: Reason, at: Timestamp) -> &mut Outsider {
        let net = network_of(peer.ip());
        let known = self.0.iter().position(|(known, _)| *known == net);
        let index = known.unwrap_or_else(|| {
            self.add(
                net,
                Outsider {
                    handshakes: 0,
                    requests: 0,
                    first_seen: at,
                    last_seen: at,
                    reason,
                    last_request: None,
                    path: None,
                    user_agent: None,
                },
            );
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// A crowd that comes once each takes turns in one place; who asks again and again stays.
    fn add(&mut self, net: IpNet, seen: Outsider) {
        if self.is_full() {
            let forgotten = |known: &Outsider| seen.last_seen.since(known.last_seen) > super::window::MAX_WINDOW;
            remove_least(&mut self.0, |(_, known)| {
                (!forgotten(known), known.requests, known.handshakes, known.last_seen)
            });
        }
        self.0.push((net, seen));
    }
}

/// The /24 or /48 around `address`.
fn network_of(address: IpAddr) -> IpNet {
    let net = match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Net::new(address, OUTSIDER_V4).map(IpNet::V4),
        IpAddr::V6(address) => Ipv6Net::new(address, OUTSIDER_V6).map(IpNet::V6),
    };
    net.expect("24 is a length of IPv4, 48 one of IPv6").trunc()
}

fn remove_least<T, K: Ord>(all: &mut Vec<T>, rank: impl Fn(&T) -> K) {
    if let Some((least, _)) = all.iter().enumerate().min_by_key(|(_, one)| rank(one)) {
        all.swap_remove(least);
    }
}

/// Both networks' certificates: what comes from elsewhere has no say in what is kept of Cloudflare's.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Certificates {
    cloudflare: CertificateSet,
    elsewhere: CertificateSet,
}

impl Certificates {
    pub(super) fn of(&self, network: Network) -> &CertificateSet {
        match network {
            Network::Cloudflare => &self.cloudflare,
            Network::Elsewhere => &self.elsewhere,
        }
    }

    pub(super) fn of_mut(&mut self, network: Network) -> &mut CertificateSet {
        match network {
            Network::Cloudflare => &mut self.cloudflare,
            Network::Elsewhere => &mut self.elsewhere,
        }
    }
}
