//! A verdict and what it rests on, as handshakes, sessions and connections keep it.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::verdict::{Reason, Verdict};
use crate::clock::Timestamp;
use crate::x509::CertificateSummary;

/// A verdict and what it rests on.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    /// The CA's subject or the pin that held.
    pub matched: Option<Arc<str>>,
    /// The leaf.
    pub certificate: Option<Arc<CertificateSummary>>,
    /// The chain as presented, kept to be judged again; empty where it is too large to keep.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// Number of certificates presented.
    pub chain_length: usize,
    /// From when to when a `Verified` stands without another look.
    pub valid: (Timestamp, Timestamp),
}

impl Judgement {
    /// Of a client that presented nothing.
    pub fn absent() -> Self {
        Self {
            verdict: Verdict::Absent,
            matched: None,
            certificate: None,
            chain: Arc::new([]),
            chain_length: 0,
            valid: (Timestamp::MAX, Timestamp::MAX),
        }
    }

    pub(super) fn new(examined: Examined, certificate: Arc<CertificateSummary>, chain: &[CertificateDer<'_>]) -> Self {
        let owned = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let (verdict, matched, valid) = match examined {
            Ok(held) => (Verdict::Verified, Some(held.matched), held.valid),
            Err(reason) => (Verdict::Failed(reason), None, (Timestamp::MAX, Timestamp::MAX)),
        };
        Self { verdict, matched, certificate: Some(certificate), chain: owned, chain_length: chain.len(), valid }
    }

    pub(super) fn out_of_bounds(reason: Reason, chain: &[CertificateDer<'_>]) -> Self {
        Self { verdict: Verdict::Failed(reason), chain_length: chain.len(), ..Self::absent() }
    }

    /// Whether a `Verified` stands at `now` without another look.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.verdict == Verdict::Verified && self.valid.0 <= now && now <= self.valid.1
    }
}

/// What held, from when to when; or why nothing did.
pub(super) type Examined = Result<Held, Reason>;

pub(super) struct Held {
    pub(super) matched: Arc<str>,
    pub(super) valid: (Timestamp, Timestamp),
}
