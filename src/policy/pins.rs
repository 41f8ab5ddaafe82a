//! Pinned certificates: the very ones, or any with the very key.

use std::fmt;
use std::sync::Arc;

use crate::x509::{CertificateSummary, Fingerprint};

/// One pin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pin {
    /// SHA-256 of the leaf certificate's DER.
    Certificate(Fingerprint),
    /// SHA-256 of the leaf's SubjectPublicKeyInfo: survives a renewal that keeps the key.
    PublicKey(Fingerprint),
}

impl Pin {
    /// Whether `leaf` is what this pin means.
    pub fn holds(&self, leaf: &CertificateSummary) -> bool {
        match self {
            Self::Certificate(fingerprint) => leaf.fingerprint == *fingerprint,
            Self::PublicKey(fingerprint) => {
                leaf.fields.as_ref().is_some_and(|fields| fields.spki_fingerprint == *fingerprint)
            }
        }
    }

    /// The pin as a log names what was matched.
    pub fn name(&self) -> Arc<str> {
        self.to_string().into()
    }
}

/// As in the configuration.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(fingerprint) => write!(f, "sha256:{fingerprint}"),
            Self::PublicKey(fingerprint) => write!(f, "spki-sha256:{fingerprint}"),
        }
    }
}
