//! What was seen of one configured name under one trust.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::enforced::{Decided, Enforced};
use super::handshake::HandshakeOutcome;
use super::network::Network;
use super::requests::RequestNote;
use super::sets::{AskedFor, Certificates, EdgeSet, OutsiderSet};
use super::tally::{Edges, Evidence, FailedCertificate, Failure, FirstAndLast, MAX_EDGES};
use super::window::{MAX_WINDOW, Slice, Windows};
use crate::clock::Timestamp;
use crate::policy::trust::TrustDigest;
use crate::policy::verdict::Reason;
use crate::x509::{CertificateSummary, Fingerprint};

const REQUESTS: &str = "requests";

/// One account. Whoever records and whoever reads hold its lock for microseconds.
#[derive(Debug)]
pub(super) struct Account {
    /// The configured name as written, or [`DEFAULT_NAME`](super::ledger::DEFAULT_NAME).
    pub(super) name: Arc<str>,
    pub(super) trust: TrustDigest,
    entries: Mutex<Entries>,
    decided: Decided,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Handshake(Network, Reason),
    Request(Network),
}

/// All that an account holds; its size has a bound whatever strangers send.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Entries {
    counts: Windows<Kind>,
    edges: EdgeSet,
    certificates: Certificates,
    failures: Vec<((Network, Reason), FirstAndLast)>,
    outsiders: OutsiderSet,
    /// The latest time that anything was recorded under.
    latest: Option<Timestamp>,
}

impl Account {
    pub(super) fn new(name: Arc<str>, trust: TrustDigest) -> Self {
        Self::of(name, trust, Entries::default())
    }

    /// With what a file remembered.
    pub(super) fn of(name: Arc<str>, trust: TrustDigest, mut entries: Entries) -> Self {
        entries.normalise();
        Self { name, trust, entries: Mutex::new(entries), decided: Decided::default() }
    }

    pub(super) fn record(&self, outcome: &HandshakeOutcome, network: Network) {
        self.lock().record(outcome, network);
        if network == Network::Cloudflare {
            self.decided.record(outcome);
        }
    }

    /// What enforcing has done to Cloudflare so far.
    pub(super) fn enforced(&self) -> Enforced {
        self.decided.so_far(self.trust)
    }

    pub(super) fn note(&self, note: &RequestNote, network: Network) {
        self.lock().note(note, network);
    }

    pub(super) fn evidence(&self, window: Duration, now: Timestamp) -> Evidence {
        self.settled(now).evidence(window, now)
    }

    /// The client certificates that verified within `window`.
    pub(super) fn verified_certificates(&self, window: Duration, now: Timestamp) -> Vec<Fingerprint> {
        let (entries, begin) = (self.settled(now), now.before(window.min(MAX_WINDOW)));
        Network::ALL.into_iter().flat_map(|network| entries.certificates.of(network).verified_since(begin)).collect()
    }

    pub(super) fn last_hour(&self, now: Timestamp) -> Vec<Slice<Kind>> {
        self.settled(now).counts.last_hour(now)
    }

    pub(super) fn last_week(&self, now: Timestamp) -> Vec<Slice<Kind>> {
        self.settled(now).counts.last_week(now)
    }

    /// Whether nothing is left within the longest window.
    pub(super) fn is_empty(&self, now: Timestamp) -> bool {
        self.settled(now).counts.is_empty(now)
    }

    /// A copy of everything, for the file.
    pub(super) fn entries(&self, now: Timestamp) -> Entries {
        self.settled(now).clone()
    }

    fn settled(&self, now: Timestamp) -> MutexGuard<'_, Entries> {
        let mut entries = self.lock();
        entries.settle(now);
        entries
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Every change leaves the entries whole at each of its steps.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn record(&mut self, outcome: &HandshakeOutcome, network: Network) {
        let at = outcome.at;
        // Nobody is called verified who has not shown that the key is theirs.
        let reason = match outcome.reason {
            Reason::Verified if !outcome.proved => Reason::ProofFailed,
            reason => reason,
        };
        self.latest = self.latest.max(Some(at));
        self.counts.add(at, Kind::Handshake(network, reason), 1);
        if let (true, Some(certificate)) = (outcome.proved && outcome.is_judged(), &outcome.certificate) {
            self.certificates.of_mut(network).saw(certificate, reason, at);
        }
        match (reason, network) {
            (Reason::Verified, Network::Cloudflare) => self.edges.saw(outcome.peer.ip(), at),
            (Reason::Verified, Network::Elsewhere) => {}
            (_, network) => {
                self.failed((network, reason), Failure::of(outcome));
                // Who broke off is not let in under any mode.
                if network == Network::Elsewhere && outcome.is_judged() {
                    self.outsiders.shook_hands(outcome.peer, reason, at);
                }
            }
        }
    }

    fn failed(&mut self, kind: (Network, Reason), failure: Failure) {
        let known = self.failures.iter_mut().find(|(known, _)| *known == kind);
        match known {
            Some((_, both)) if failure.at.since(both.last.at) <= MAX_WINDOW => both.merge(FirstAndLast::only(failure)),
            Some((_, both)) => *both = FirstAndLast::only(failure),
            None => self.failures.push((kind, FirstAndLast::only(failure))),
        }
    }

    fn note(&mut self, note: &RequestNote, network: Network) {
        self.latest = self.latest.max(Some(note.at));
        self.counts.add(note.at, Kind::Request(network), note.requests);
        if network == Network::Elsewhere && note.reason != Reason::Verified {
            let asked = AskedFor {
                requests: note.requests,
                path: note.path.as_deref(),
                user_agent: note.user_agent.as_deref(),
            };
            self.outsiders.asked(note.peer, note.reason, asked, note.at);
        }
    }

    fn evidence(&self, window: Duration, now: Timestamp) -> Evidence {
        let begin = now.before(window.min(MAX_WINDOW));
        let mut evidence = Evidence::default();
        for (kind, number) in self.counts.sum(window, now) {
            match kind {
                Kind::Handshake(network, reason) => drop(evidence.handshakes.insert((network, reason), number)),
                Kind::Request(network) => drop(evidence.requests.insert(network, number)),
            }
        }
        evidence.edges = Edges { addresses: self.edges.since(begin).collect(), at_least: 0 };
        if evidence.edges.addresses.len() >= MAX_EDGES {
            evidence.edges.at_least = MAX_EDGES as u64;
        }
        for network in Network::ALL {
            let seen = self.certificates.of(network).since(begin);
            evidence.certificates.extend(seen.map(|(sha256, seen)| ((network, *sha256), seen.clone())));
        }
        let counted = |kind: &(Network, Reason)| evidence.handshakes.contains_key(kind);
        evidence.failures = self.failures.iter().filter(|(kind, _)| counted(kind)).cloned().collect();
        evidence.outsiders = self.outsiders.since(begin).collect();
        evidence.more_outsiders = self.outsiders.is_full() && !evidence.outsiders.is_empty();
        evidence
    }

    /// Takes what was recorded under a time that lies ahead for what happened just now: the clock was set back.
    fn settle(&mut self, now: Timestamp) {
        if self.latest.is_none_or(|latest| latest <= now) {
            return;
        }
        self.counts.settle(now);
        self.edges.settle(now);
        Network::ALL.into_iter().for_each(|network| self.certificates.of_mut(network).settle(now));
        self.failures.iter_mut().for_each(|(_, both)| both.settle(now));
        self.outsiders.settle(now);
        self.latest = Some(now);
    }

    /// Puts what was read from a file within the bounds that hold for what is recorded.
    fn normalise(&mut self) {
        self.counts.normalise();
        self.edges.normalise();
        Network::ALL.into_iter().for_each(|network| self.certificates.of_mut(network).normalise());
        let failures: BTreeMap<_, _> = std::mem::take(&mut self.failures).into_iter().collect();
        self.failures = failures.into_iter().map(|(kind, both)| (kind, both.clipped())).collect();
        self.outsiders.normalise();
        // Whatever it says lies ahead is settled when it is first looked at.
        self.latest = Some(Timestamp::MAX);
    }
}

/// `cloudflare verified`, `elsewhere requests`: a file has thousands of them.
impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Handshake(network, reason) => {
                serializer.collect_str(&format_args!("{} {}", network.label(), reason.label()))
            }
            Self::Request(network) => serializer.collect_str(&format_args!("{} {REQUESTS}", network.label())),
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a network and what came from it are needed"))
    }
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        let (network, what) = text.split_once(' ')?;
        let network = Network::ALL.into_iter().find(|known| known.label() == network)?;
        match what {
            REQUESTS => Some(Self::Request(network)),
            reason => Reason::parse(reason).map(|reason| Self::Handshake(network, reason)),
        }
    }
}

impl Failure {
    fn of(outcome: &HandshakeOutcome) -> Self {
        Self {
            at: outcome.at,
            peer: SocketAddr::new(outcome.peer.ip().to_canonical(), outcome.peer.port()),
            server_name: outcome.server_name.as_ref().map(ToString::to_string),
            certificate: outcome.certificate.as_deref().map(FailedCertificate::of),
        }
    }
}

impl FailedCertificate {
    fn of(certificate: &CertificateSummary) -> Self {
        let fields = certificate.fields.as_ref();
        Self {
            sha256: certificate.fingerprint,
            subject: certificate.subject().to_owned(),
            issuer: fields.map_or_else(String::new, |fields| fields.issuer.clone()),
            not_after: fields.map_or(Timestamp::MAX, |fields| fields.not_after),
        }
    }
}
