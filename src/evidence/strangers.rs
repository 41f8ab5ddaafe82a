//! Handshakes for which no host was chosen.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handshake::HandshakeOutcome;
use super::network::Network;
use super::window::Windows;
use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::policy::verdict::Reason;

/// Unknown names kept: the sign of a slip in the configuration, which rarely is about more.
const MAX_UNKNOWN_NAMES: usize = 32;

/// What all of them come to, and what Cloudflare asked for in vain.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Strangers {
    counts: Windows<(Network, Reason)>,
    /// The one asked for last stands last.
    unknown: Vec<UnknownName>,
}

/// A name that no host has, and that one of Cloudflare's addresses asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnknownName {
    pub name: String,
    pub handshakes: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Who asked last.
    pub client_address: IpAddr,
}

impl Strangers {
    pub(super) fn record(&mut self, outcome: &HandshakeOutcome, network: Network) {
        self.counts.add(outcome.at, (network, outcome.reason), 1);
        if let (Network::Cloudflare, Reason::SniUnknown, Some(name)) = (network, outcome.reason, &outcome.server_name) {
            self.asked_for(name.as_str(), outcome.peer.ip().to_canonical(), outcome.at);
        }
    }

    pub(super) fn counts(&mut self, window: Duration, now: Timestamp) -> BTreeMap<(Network, Reason), u64> {
        self.counts.settle(now);
        self.counts.sum(window, now)
    }

    /// The latest first.
    pub(super) fn unknown_names(&mut self, now: Timestamp) -> Vec<UnknownName> {
        self.settle(now);
        self.unknown.iter().rev().cloned().collect()
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        self.counts.settle(now);
        for unknown in &mut self.unknown {
            unknown.first_seen = unknown.first_seen.min(now);
            unknown.last_seen = unknown.last_seen.min(now);
        }
    }

    pub(super) fn normalise(&mut self) {
        self.counts.normalise();
        self.unknown.retain(|unknown| Hostname::parse(&unknown.name).is_ok());
        let surplus = self.unknown.len().saturating_sub(MAX_UNKNOWN_NAMES);
        self.unknown.drain(..surplus);
    }

    fn asked_for(&mut self, name: &str, client_address: IpAddr, at: Timestamp) {
        let known = self.unknown.iter().position(|unknown| unknown.name == name);
        let mut unknown = match known {
            Some(at) => self.unknown.remove(at),
            None => UnknownName { name: name.to_owned(), handshakes: 0, first_seen: at, last_seen: at, client_address },
        };
        unknown.handshakes = unknown.handshakes.saturating_add(1);
        (unknown.last_seen, unknown.client_address) = (unknown.last_seen.max(at), client_address);
        self.unknown.push(unknown);
        self.unknown.drain(..self.unknown.len().saturating_sub(MAX_UNKNOWN_NAMES));
    }
}
