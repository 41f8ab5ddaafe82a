//! May this host be enforced? The verdict from the evidence, with reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::DEFAULT_NAME;
use super::network::Network;
use super::notices;
use super::tally::{Evidence, FirstAndLast};
use super::wording::{count, day, distance, moment, span, window};
use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;
use crate::policy::cloudflare_ca::SharedCa;
use crate::policy::trust::Trust;
use crate::policy::verdict::Reason;

/// How long a revocation list has to last at least. Lists live for days, where certificates live for months: asked for
/// the same validity, a host with a weekly list would never be ready.
const CRL_VALIDITY: Duration = Duration::from_hours(24);
/// Shares are compared in millionths: whole numbers, which do not round.
const WHOLE: u128 = 1_000_000;

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
    /// Whether it trusts the CA that all of Cloudflare's customers share.
    pub cloudflare_shared_ca: bool,
}

impl TrustFacts {
    /// What `trust` says.
    pub fn of(trust: &Trust) -> Self {
        let cas = trust.bundle().map(|bundle| bundle.certificates()).unwrap_or_default();
        Self {
            ca_not_after: cas.iter().filter_map(|ca| Some(ca.summary.fields.as_ref()?.not_after)).max(),
            crl_next_update: trust.crls().iter().map(|crl| crl.next_update()).min(),
            cloudflare_shared_ca: cas.iter().any(|ca| SharedCa::recognise(ca.summary.fingerprint).is_some()),
        }
    }
}

/// A host before the gate.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The first of its names, where a command can be told that asks its proxy about it.
    pub host: Option<&'a str>,
    pub mode: Mode,
    pub trust: TrustFacts,
    /// Within the gate's window, by configured name: every configured name is there, seen or not.
    pub by_name: &'a BTreeMap<String, Evidence>,
    pub now: Timestamp,
}

impl<'a> Case<'a> {
    /// What counts, by name: that which asked for the host by one of its names. What else the default host takes is
    /// anyone's to send who has a zone of their own.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'a str, &'a Evidence)> + Clone + use<'a> {
        named(self.by_name)
    }

    /// How many of them weigh `weight`.
    pub(super) fn weigh(&self, weight: Weight) -> u64 {
        sum(self.named().map(|(_, evidence)| evidence.weigh(weight)))
    }
}

/// Those of `by_name` that stand for a configured name.
pub fn named(by_name: &BTreeMap<String, Evidence>) -> impl Iterator<Item = (&str, &Evidence)> + Clone {
    by_name.iter().filter(|(name, _)| *name != DEFAULT_NAME).map(|(name, evidence)| (name.as_str(), evidence))
}

/// What a handshake is to the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    Verified,
    /// Enforcing refuses what observing lets in.
    Failing,
    /// It ends without a judgement, whatever the mode.
    BrokenOff,
}

impl Weight {
    pub(super) const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Verified => Self::Verified,
            Reason::NoCertificate
            | Reason::UnknownIssuer
            | Reason::BadSignature
            | Reason::Expired
            | Reason::NotYetValid
            | Reason::Revoked
            | Reason::CrlExpired
            | Reason::WrongPurpose
            | Reason::CaAsLeaf
            | Reason::UnsupportedVersion
            | Reason::UnsupportedAlgorithm
            | Reason::WeakKey
            | Reason::ChainTooLong
            | Reason::TooLarge
            | Reason::BadEncoding
            | Reason::NameConstraint
            | Reason::PinMismatch
            | Reason::ProofFailed => Self::Failing,
            Reason::SniMissing
            | Reason::SniUnknown
            | Reason::HandshakeTimeout
            | Reason::ClientAlert
            | Reason::ClientEof
            | Reason::NotTls
            | Reason::ProtocolError
            | Reason::HostMismatch
            | Reason::TrustChanged => Self::BrokenOff,
        }
    }
}

/// Whether the gate holds a handshake that ended with `reason` against the host.
pub fn is_failing(reason: Reason) -> bool {
    Weight::of(reason) == Weight::Failing
}

impl Gate {
    /// The verdict on `case`.
    pub fn judge(&self, case: &Case<'_>) -> Readiness {
        let shortfalls = match case.mode {
            Mode::Off => vec![not_observed()],
            Mode::Observe | Mode::Enforce => self.shortfalls(case),
        };
        Readiness { ready: shortfalls.is_empty(), shortfalls, notices: notices::of(self, case) }
    }

    fn shortfalls(&self, case: &Case<'_>) -> Vec<Shortfall> {
        let mut shortfalls: Vec<_> =
            case.named().flat_map(|(name, evidence)| self.failing(name, evidence, case.now)).collect();
        shortfalls.extend(self.ends_soon(case));
        let verified = case.weigh(Weight::Verified);
        // Where there is nothing at all, that is said once.
        if verified > 0 {
            shortfalls.extend(case.named().filter_map(|(name, evidence)| self.unseen(name, evidence)));
        }
        shortfalls.extend(self.too_few_handshakes(verified));
        if verified > 0 {
            shortfalls.extend(self.too_few_edges(case));
        }
        shortfalls
    }

    /// Whether `failing` of `judged` handshakes are more than may fail.
    pub(super) fn is_exceeded(&self, failing: u64, judged: u64) -> bool {
        // What is no number, or less than nothing, becomes 0 here and allows nothing.
        let allowed = ((self.failing_share * WHOLE as f64).round() as u128).min(WHOLE);
        u128::from(failing) * WHOLE > allowed * u128::from(judged)
    }

    fn failing(&self, name: &str, evidence: &Evidence, now: Timestamp) -> Vec<Shortfall> {
        let (verified, failing) = (evidence.weigh(Weight::Verified), evidence.weigh(Weight::Failing));
        let judged = verified.saturating_add(failing);
        if !self.is_exceeded(failing, judged) {
            return Vec::new();
        }
        let sentence = |reason: Reason, number: u64| {
            let of = format!("{number} of {}", count(judged, "handshake"));
            let within = window(self.window);
            let last = last_failure(evidence.failures.get(&(Network::Cloudflare, reason)), now);
            let allowed = self.allowed();
            format!("{of} from Cloudflare for {name} in the last {within} {}{last}{allowed}", what_it_did(reason))
        };
        let mut reasons: Vec<_> = evidence.of_cloudflare(Weight::Failing).collect();
        reasons.sort_by_key(|(reason, number)| (std::cmp::Reverse(*number), *reason));
        reasons
            .into_iter()
            .map(|(reason, number)| Shortfall {
                kind: ShortfallKind::Failing,
                name: Some(name.to_owned()),
                sentence: sentence(reason, number),
            })
            .collect()
    }

    fn allowed(&self) -> String {
        match self.failing_share > 0.0 {
            true => format!("; at most {} % may fail", percent(self.failing_share)),
            false => String::new(),
        }
    }

    fn unseen(&self, name: &str, evidence: &Evidence) -> Option<Shortfall> {
        let within = window(self.window);
        let sentence =
            format!("no handshake from Cloudflare for {name} brought a certificate that verifies in the last {within}");
        let unseen = evidence.weigh(Weight::Verified) == 0;
        unseen.then(|| Shortfall { kind: ShortfallKind::NameUnseen, name: Some(name.to_owned()), sentence })
    }

    fn too_few_handshakes(&self, verified: u64) -> Option<Shortfall> {
        // Nothing seen is no proof of anything, whatever the gate asks for.
        let needed = self.handshakes.max(1);
        let seen = match verified {
            0 => "no handshake".to_owned(),
            _ => count(verified, "handshake"),
        };
        let sentence = format!(
            "{seen} from Cloudflare verified in the last {}; at least {needed} {} needed",
            window(self.window),
            are(needed)
        );
        (verified < needed).then_some(Shortfall { kind: ShortfallKind::TooFewHandshakes, name: None, sentence })
    }

    fn too_few_edges(&self, case: &Case<'_>) -> Option<Shortfall> {
        let seen = edge_addresses(case);
        let needed = self.edge_addresses;
        let sentence = format!(
            "verified handshakes came from {} of Cloudflare's edge in the last {}; at least {needed} {} needed",
            count(seen, "address"),
            window(self.window),
            are(needed)
        );
        (seen < needed).then_some(Shortfall { kind: ShortfallKind::TooFewEdges, name: None, sentence })
    }

    fn ends_soon(&self, case: &Case<'_>) -> Vec<Shortfall> {
        let end = |at: Timestamp, after: Duration| (at <= case.now.after(after)).then_some(at);
        let ends = |at: Timestamp| match at > case.now {
            true => format!("ends on {}, {}", day(at), distance(at, case.now)),
            false => format!("ended on {}, {}", day(at), distance(at, case.now)),
        };
        let asked = format!("it has to be good for {} more", span(self.validity));
        let mut sentences = Vec::new();
        if let Some((subject, at)) = first_client_certificate_to_end(case)
            && let Some(at) = end(at, self.validity)
        {
            sentences.push(format!("the client certificate {subject} {}; {asked}", ends(at)));
        }
        if let Some(at) = case.trust.ca_not_after.and_then(|at| end(at, self.validity)) {
            sentences.push(format!("the CA that clients are judged by {}; {asked}", ends(at)));
        }
        if let Some(at) = case.trust.crl_next_update.and_then(|at| end(at, self.validity.min(CRL_VALIDITY))) {
            let due = format!("{}, {}", moment(at, case.now), distance(at, case.now));
            sentences.push(match at > case.now {
                true => format!("a revocation list is due for renewal {due}; from then on it refuses everybody"),
                false => format!("a revocation list was due for renewal {due}, and refuses everybody since"),
            });
        }
        let shortfall = |sentence| Shortfall { kind: ShortfallKind::EndsSoon, name: None, sentence };
        sentences.into_iter().map(shortfall).collect()
    }
}

fn not_observed() -> Shortfall {
    let sentence =
        "the mode is `off`: nobody is asked for a certificate, so there is nothing to go by; observe it first";
    Shortfall { kind: ShortfallKind::NotObserved, name: None, sentence: sentence.to_owned() }
}

/// Distinct addresses of the edge that handshakes of any of the names came from.
fn edge_addresses(case: &Case<'_>) -> u64 {
    let addresses: BTreeSet<_> = case.named().flat_map(|(_, evidence)| &evidence.edges.addresses).collect();
    let at_least = case.named().map(|(_, evidence)| evidence.edges.count()).max().unwrap_or(0);
    at_least.max(addresses.len() as u64)
}

fn first_client_certificate_to_end<'a>(case: &Case<'a>) -> Option<(&'a str, Timestamp)> {
    let seen = case.named().flat_map(|(_, evidence)| &evidence.certificates);
    seen.filter(|((network, _), certificate)| {
        *network == Network::Cloudflare && Weight::of(certificate.reason) == Weight::Verified
    })
    .map(|(_, certificate)| (certificate.subject.as_str(), certificate.not_after))
    .min_by_key(|(_, not_after)| *not_after)
}

/// "; last at 10:42 UTC from 172.64.1.9"
fn last_failure(samples: Option<&FirstAndLast>, now: Timestamp) -> String {
    let Some(last) = samples.map(|samples| &samples.last) else { return String::new() };
    match last.peer.ip().is_unspecified() {
        // Told by counters of other machines, which name no address.
        true => format!("; last {}", moment(last.at, now)),
        false => format!("; last {} from {}", moment(last.at, now), last.peer.ip().to_canonical()),
    }
}

fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

fn are(number: u64) -> &'static str {
    match number {
        1 => "is",
        _ => "are",
    }
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// The rest of a sentence about handshakes that begins with their number.
const fn what_it_did(reason: Reason) -> &'static str {
    match reason {
        Reason::NoCertificate => "brought no certificate",
        Reason::UnknownIssuer => "brought a certificate that no CA of this host issued",
        Reason::BadSignature => "brought a certificate whose chain has a signature that does not fit",
        Reason::Expired => "brought a certificate that has expired, or whose CA has",
        Reason::NotYetValid => "brought a certificate that is not valid yet",
        Reason::Revoked => "brought a certificate that is revoked",
        Reason::CrlExpired => "could not be verified because a revocation list is out of date",
        Reason::WrongPurpose => "brought a certificate that is not meant for client authentication",
        Reason::CaAsLeaf => "brought the certificate of a CA instead of a client's",
        Reason::UnsupportedVersion => "brought an X.509 v1 certificate",
        Reason::UnsupportedAlgorithm => "brought a certificate signed with an algorithm that is not accepted",
        Reason::WeakKey => "brought a certificate whose key is too short",
        Reason::ChainTooLong => "brought too long a chain of certificates",
        Reason::TooLarge => "brought too large a certificate",
        Reason::BadEncoding => "brought a certificate that cannot be understood",
        Reason::NameConstraint => "brought a certificate for a name that its CA may not vouch for",
        Reason::PinMismatch => "brought a certificate that is not pinned",
        Reason::ProofFailed => "did not prove possession of the certificate's key",
        // None of these fails against a trust.
        Reason::Verified
        | Reason::SniMissing
        | Reason::SniUnknown
        | Reason::HandshakeTimeout
        | Reason::ClientAlert
        | Reason::ClientEof
        | Reason::NotTls
        | Reason::ProtocolError
        | Reason::HostMismatch
        | Reason::TrustChanged => "did not come to a judgement",
    }
}

impl Evidence {
    /// Handshakes from Cloudflare that weigh `weight`, by reason.
    pub(super) fn of_cloudflare(&self, weight: Weight) -> impl Iterator<Item = (Reason, u64)> {
        let all = self.handshakes.iter().filter(|(_, number)| **number > 0);
        all.filter(move |((network, reason), _)| *network == Network::Cloudflare && Weight::of(*reason) == weight)
            .map(|((_, reason), number)| (*reason, *number))
    }

    /// How many they are.
    pub(super) fn weigh(&self, weight: Weight) -> u64 {
        sum(self.of_cloudflare(weight).map(|(_, number)| number))
    }
}

/// The verdict as it is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Readiness {
    pub ready: bool,
    /// Empty where `ready`. The gravest first.
    pub shortfalls: Vec<Shortfall>,
    /// What does not stand in the way and is good to know: whom enforcing will cut off, above all. One sentence each.
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

#[cfg(test)]
#[path = "readiness_tests.rs"]
mod tests;
