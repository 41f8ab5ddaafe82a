//! What the operator wants.

use std::net::SocketAddr;
use std::time::Duration;

use super::leaf::Leaf;
use super::step::Level;
use crate::cloudflare::{Collection, PostQuantum};
use crate::hostname::Hostname;

/// What the operator wants of Cloudflare and of the origin.
#[derive(Clone, Debug)]
pub struct Desired {
    pub level: Level,
    /// Each once.
    pub hostnames: Vec<Hostname>,
    /// What the edges show. `None` at [`Level::Global`], where Cloudflare has its own.
    pub leaf: Option<Leaf>,
    /// Whether `tls_client_auth` is switched on.
    pub zone_setting: bool,
    pub post_quantum: Option<PostQuantum>,
    /// Whether the origin enforces in the end.
    pub enforce: bool,
    /// Whether another certificate may be replaced right away, without having both trusted for a while.
    pub replace: bool,
    /// Over which time readiness is judged; `None`: the origin's own, or less if the edges have changed since.
    pub window: Option<Duration>,
    /// Where the proof connects to; `None`: the origin's first listener.
    pub origin_address: Option<SocketAddr>,
    /// Words of checks that do not stand in the way.
    pub force: Vec<String>,
}

impl Desired {
    /// Where the certificate is kept at Cloudflare.
    pub fn collection(&self) -> Option<Collection> {
        match self.level {
            Level::Global => None,
            Level::Zone => Some(Collection::Zone),
            Level::Hostname => Some(Collection::Hostname),
        }
    }

    /// Whether the operator overrules a check.
    pub fn forces(&self, check: &str) -> bool {
        self.force.iter().any(|word| word == check)
    }
}
