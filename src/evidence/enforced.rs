//! What enforcing does to Cloudflare's handshakes: exact counts of this process, which only grow.

use std::sync::atomic::{AtomicU64, Ordering};

use super::handshake::HandshakeOutcome;
use crate::policy::client_auth::Mode;
use crate::policy::trust::TrustDigest;
use crate::policy::verdict::Decision;

/// Handshakes from Cloudflare with one configured name while it was enforced under one trust.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enforced {
    pub trust: TrustDigest,
    pub admitted: u64,
    pub refused: u64,
}

#[derive(Default, Debug)]
pub(super) struct Decided {
    admitted: AtomicU64,
    refused: AtomicU64,
}

impl Decided {
    /// Counts `outcome` if enforcing decided about it, and not somebody who broke off.
    pub(super) fn record(&self, outcome: &HandshakeOutcome) {
        if outcome.mode == Some(Mode::Enforce) && outcome.is_judged() {
            let count = match outcome.decision {
                Decision::Admit => &self.admitted,
                Decision::Refuse => &self.refused,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn so_far(&self, trust: TrustDigest) -> Enforced {
        let (admitted, refused) = (self.admitted.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        Enforced { trust, admitted, refused }
    }
}
