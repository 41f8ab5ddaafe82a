//! Chains already found good under one trust, so that the edge's certificate is verified once and not per handshake.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;

use super::judgement::Judgement;
use crate::clock::Timestamp;
use crate::x509::Fingerprint;

/// Far more client certificates than one host has at a time; beyond it the memo starts anew.
const MAX_CHAINS: usize = 1024;

/// The SHA-256 of a whole presented chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ChainDigest([u8; 32]);

impl ChainDigest {
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for certificate in chain {
            // The length keeps two chains apart whose concatenations are equal.
            context.update(&certificate.len().to_be_bytes());
            context.update(certificate);
        }
        Self(context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes long"))
    }
}

/// A bounded memory of `Verified` judgements. Only those whose clients proved
/// possession are put here: strangers could fill it with anything else.
#[derive(Debug, Default)]
pub(super) struct Memo(RwLock<HashMap<[u8; 32], Arc<Judgement>>>);

impl Memo {
    pub(super) fn get(&self, chain: &ChainDigest, now: Timestamp) -> Option<Arc<Judgement>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&chain.0).filter(|judgement| judgement.holds_at(now)).cloned()
    }

    /// Those whose leaf is `leaf`: one for each chain that it came with.
    pub(super) fn of_leaf(&self, leaf: Fingerprint) -> Vec<Arc<Judgement>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_leaf = |judgement: &&Arc<Judgement>| {
            judgement.certificate.as_ref().is_some_and(|certificate| certificate.fingerprint == leaf)
        };
        known.values().filter(is_leaf).cloned().collect()
    }

    pub(super) fn put(&self, chain: ChainDigest, judgement: &Arc<Judgement>) {
        let same = |known: &Arc<Judgement>| Arc::ptr_eq(known, judgement);
        if self.0.read().unwrap_or_else(PoisonError::into_inner).get(&chain.0).is_some_and(same) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CHAINS {
            known.clear();
        }
        known.insert(chain.0, Arc::clone(judgement));
    }
}
