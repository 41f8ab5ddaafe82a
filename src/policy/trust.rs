//! The one judgement of a client's certificate.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;

use super::bundle::CaBundle;
use super::chain;
use super::crl::Crl;
use super::judgement::{Examined, Held, Judgement};
use super::memo::{ChainDigest, Memo};
use super::pins::Pin;
use super::verdict::{Reason, Verdict};
use crate::clock::Timestamp;
use crate::x509::{CertificateFields, CertificateSummary, Fingerprint, KeyKind};

/// NIST SP 800-131A: shorter RSA keys are disallowed.
const MIN_RSA_BITS: usize = 2048;

/// What is demanded of a client's certificate: a CA bundle, pinned certificates, or both at once.
#[derive(Debug)]
pub struct Trust {
    bundle: Option<Arc<CaBundle>>,
    crls: Vec<Arc<Crl>>,
    pins: Vec<Pin>,
    bounds: ChainBounds,
    digest: TrustDigest,
    memo: Memo,
}

/// What of a stranger's chain is looked at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainBounds {
    /// Number of certificates, the leaf included.
    pub certificates: usize,
    /// DER bytes of each.
    pub certificate_bytes: usize,
}

/// SHA-256 over everything that can change a judgement. Equal digests judge alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TrustDigest(pub [u8; 32]);

/// A trust that would let nobody in.
#[derive(Debug, thiserror::Error)]
#[error("a trust needs a CA bundle or pinned certificates")]
pub struct EmptyTrust;

impl Trust {
    /// With both a bundle and pins, both must hold: pins narrow what the CA vouches for.
    pub fn new(
        bundle: Option<Arc<CaBundle>>,
        crls: Vec<Arc<Crl>>,
        mut pins: Vec<Pin>,
        bounds: ChainBounds,
    ) -> Result<Self, EmptyTrust> {
        if bundle.is_none() && pins.is_empty() {
            return Err(EmptyTrust);
        }
        pins.sort_unstable();
        pins.dedup();
        let digest = TrustDigest::of(bundle.as_deref(), &crls, &pins, bounds);
        Ok(Self { bundle, crls, pins, bounds, digest, memo: Memo::default() })
    }

    /// Forms the verdict on `chain` at `now`: in a handshake, on a resumed session, after a reload.
    ///
    /// Possession of the leaf's key is proved elsewhere ([`super::proof`]), on every full handshake.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Arc<Judgement> {
        let Some(leaf) = chain.first() else {
            return Arc::new(Judgement::absent());
        };
        if let Some(reason) = self.out_of_bounds(chain) {
            return Arc::new(Judgement::out_of_bounds(reason, chain));
        }
        let digest = ChainDigest::of(chain);
        if let Some(known) = self.memo.get(&digest, now) {
            return known;
        }
        let summary = Arc::new(CertificateSummary::read(leaf));
        Arc::new(Judgement::new(self.examine(&summary, chain, now), summary, chain))
    }

    /// Has `judgement` stand without another look while it is valid, now that its client proved possession of the key.
    ///
    /// Certificates are public: whoever has one could otherwise fill the memory with it and ever other junk behind it.
    pub fn remember(&self, judgement: &Arc<Judgement>) {
        if judgement.verdict == Verdict::Verified {
            self.memo.put(ChainDigest::of(&judgement.chain), judgement);
        }
    }

    /// The judgements that [`Trust::remember`] keeps of a leaf, whole chains with them: at times none.
    pub fn remembered(&self, leaf: Fingerprint) -> Vec<Arc<Judgement>> {
        self.memo.of_leaf(leaf)
    }

    /// The same demands with another CA bundle, to see whom it would let in.
    #[must_use]
    pub fn with_bundle(&self, bundle: Arc<CaBundle>) -> Self {
        let (crls, pins, bounds) = (self.crls.clone(), self.pins.clone(), self.bounds);
        let digest = TrustDigest::of(Some(&bundle), &crls, &pins, bounds);
        Self { bundle: Some(bundle), crls, pins, bounds, digest, memo: Memo::default() }
    }

    /// What sets this trust apart from others.
    pub fn digest(&self) -> TrustDigest {
        self.digest
    }

    /// The CA bundle, if there is one.
    pub fn bundle(&self) -> Option<&Arc<CaBundle>> {
        self.bundle.as_ref()
    }

    /// The revocation lists.
    pub fn crls(&self) -> &[Arc<Crl>] {
        &self.crls
    }

    /// The pins.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    fn out_of_bounds(&self, chain: &[CertificateDer<'_>]) -> Option<Reason> {
        if chain.len() > self.bounds.certificates {
            return Some(Reason::ChainTooLong);
        }
        let too_large = chain.iter().any(|certificate| certificate.len() > self.bounds.certificate_bytes);
        too_large.then_some(Reason::TooLarge)
    }

    fn examine(&self, leaf: &CertificateSummary, chain: &[CertificateDer<'_>], now: Timestamp) -> Examined {
        let fields = leaf.fields.as_ref().ok_or(Reason::BadEncoding)?;
        if matches!(fields.key, KeyKind::Rsa(bits) if bits < MIN_RSA_BITS) {
            return Err(Reason::WeakKey);
        }
        let pin = self.pins.iter().find(|pin| pin.holds(leaf));
        match (&self.bundle, pin) {
            (None, None) => Err(Reason::PinMismatch),
            (None, Some(pin)) => by_pin_alone(*pin, fields, now),
            (Some(bundle), pin) => {
                let held = self.by_bundle(bundle, fields, chain, now)?;
                match pin.is_none() && !self.pins.is_empty() {
                    true => Err(Reason::PinMismatch),
                    false => Ok(held),
                }
            }
        }
    }

    fn by_bundle(
        &self,
        bundle: &CaBundle,
        fields: &CertificateFields,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Examined {
        // webpki would say `unknown_issuer` of a self-signed v1 or CA certificate, which helps nobody.
        if fields.version != 3 {
            return Err(Reason::UnsupportedVersion);
        }
        if fields.is_ca {
            return Err(Reason::CaAsLeaf);
        }
        let anchored = chain::verify(bundle, &self.crls, chain, now)?;
        if !fields.allows_client_auth {
            return Err(Reason::WrongPurpose);
        }
        let until = anchored.valid_until.min(fields.not_after);
        Ok(Held { matched: anchored.ca, valid: (fields.not_before, until) })
    }
}

/// A pin vouches for the certificate whatever its shape: no CA, no version, no purpose is asked for. Its dates are.
fn by_pin_alone(pin: Pin, fields: &CertificateFields, now: Timestamp) -> Examined {
    if now < fields.not_before {
        return Err(Reason::NotYetValid);
    }
    if now > fields.not_after {
        return Err(Reason::Expired);
    }
    Ok(Held { matched: pin.name(), valid: (fields.not_before, fields.not_after) })
}

impl TrustDigest {
    fn of(bundle: Option<&CaBundle>, crls: &[Arc<Crl>], pins: &[Pin], bounds: ChainBounds) -> Self {
        let cas = bundle.map(|bundle| bundle.certificates()).unwrap_or_default();
        let mut parts: Vec<String> = cas.iter().map(|ca| format!("ca {}", ca.summary.fingerprint)).collect();
        parts.extend(crls.iter().map(|crl| format!("crl {}", crl.fingerprint())));
        parts.extend(pins.iter().map(|pin| format!("pin {pin}")));
        parts.push(format!("bounds {bounds:?}"));
        // The order of files says nothing about whom they let in.
        parts.sort_unstable();
        let digest = digest::digest(&digest::SHA256, parts.join("\n").as_bytes());
        Self(digest.as_ref().try_into().expect("SHA-256 is 32 bytes long"))
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for TrustDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fingerprint(self.0).fmt(f)
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
