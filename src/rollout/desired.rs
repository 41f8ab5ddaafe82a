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
    /// Checks that do not stand in the way.
    pub force: Vec<Force>,
}

/// A check that is overruled, for one hostname or zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Force {
    /// Its word.
    pub check: String,
    /// `None`: the only one that it is about.
    pub subject: Option<String>,
}

impl Force {
    /// Reads `CHECK` or `CHECK=SUBJECT`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((check, subject)) => Self { check: check.to_owned(), subject: Some(subject.to_owned()) },
            None => Self { check: text.to_owned(), subject: None },
        }
    }
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

    /// Whether the operator overrules a check for `subject`, which is one of `number` that it is about.
    pub fn forces(&self, check: &str, subject: &str, number: usize) -> bool {
        let of_check = self.force.iter().filter(|force| force.check == check);
        of_check.map(|force| force.subject.as_deref()).any(|of| of.map_or(number == 1, |of| of == subject))
    }
}
