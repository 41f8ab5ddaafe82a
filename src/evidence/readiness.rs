//! May this host be enforced? The verdict from the evidence, with reasons.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tally::Evidence;
use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;

/// What the evidence has to show before a host is called ready.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gate {
    /// How far back evidence counts.
    pub window: Duration,
    /// Handshakes from Cloudflare that verified.
    pub handshakes: u64,
    /// Distinct addresses of Cloudflare's edge that they came from.
    pub edge_addresses: u64,
    /// The share of Cloudflare's handshakes that may fail, from 0 to 1.
    pub failing_share: f64,
    /// Time that the client certificate, its CA and the revocation list still have to be good for.
    pub validity: Duration,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            window: Duration::from_hours(24),
            handshakes: 100,
            edge_addresses: 3,
            failing_share: 0.0,
            validity: Duration::from_hours(14 * 24),
        }
    }
}

/// What the trust itself says about how long it holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TrustFacts {
    /// When the last of its CA certificates expires (any one of them may do the work).
    pub ca_not_after: Option<Timestamp>,
    /// When the first of its revocation lists has to be renewed.
    pub crl_next_update: Option<Timestamp>,
}

/// A host before the gate.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub mode: Mode,
    pub trust: TrustFacts,
    /// Within the gate's window, by configured name.
    pub by_name: &'a BTreeMap<String, Evidence>,
    pub now: Timestamp,
}

impl Gate {
    /// The verdict on `case`.
    pub fn judge(&self, _case: &Case<'_>) -> Readiness {
        Readiness { ready: false, shortfalls: Vec::new(), notices: Vec::new() }
    }
}

/// The verdict as it is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Readiness {
    pub ready: bool,
    /// Empty where `ready`. The gravest first.
    pub shortfalls: Vec<Shortfall>,
    /// What enforcing will cut off although it does not stand in the way of being ready, one sentence each.
    pub notices: Vec<String>,
}

/// One thing that is missing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shortfall {
    pub kind: ShortfallKind,
    /// The configured name it is about; `None`: the whole host.
    pub name: Option<String>,
    /// In plain words, with numbers: "14 of 200 handshakes from Cloudflare in the last 24 h brought no certificate;
    /// last at 10:42 from 172.64.1.9".
    pub sentence: String,
}

/// The closed set of shortfalls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortfallKind {
    /// The host's mode is `off`: nobody is asked for a certificate.
    NotObserved,
    /// Cloudflare's handshakes fail.
    Failing,
    /// Too few handshakes from Cloudflare verified.
    TooFewHandshakes,
    /// They came from too few addresses.
    TooFewEdges,
    /// One of the host's names was never asked for with a certificate that verifies.
    NameUnseen,
    /// The client certificate, its CA or a revocation list ends too soon.
    EndsSoon,
    /// The machines of a fleet do not demand the same.
    FleetDisagrees,
    /// A machine of the fleet is not heard of.
    FleetIncomplete,
}
