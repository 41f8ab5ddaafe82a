//! Certificate revocation lists, as webpki consults them.

use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::clock::Timestamp;
use crate::x509::{self, Fingerprint};

/// One revocation list, indexed by serial number.
#[derive(Debug)]
pub struct Crl {
    list: CertRevocationList<'static>,
    fingerprint: Fingerprint,
    next_update: Timestamp,
}

/// Why bytes are no revocation list.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    #[error("is no certificate revocation list that can be read")]
    Unreadable,
    #[error("is a kind of revocation list that is not supported")]
    Unsupported(#[source] webpki::Error),
    #[error("has no nextUpdate, so nobody could tell when it is too old")]
    NoNextUpdate,
}

impl Crl {
    /// Reads a DER-encoded list and indexes its entries.
    pub fn new(der: &[u8]) -> Result<Self, CrlError> {
        let next_update = x509::crl_next_update(der).ok_or(CrlError::Unreadable)?.ok_or(CrlError::NoNextUpdate)?;
        let list = OwnedCertRevocationList::from_der(der).map_err(CrlError::Unsupported)?;
        Ok(Self { list: list.into(), fingerprint: Fingerprint::of(der), next_update })
    }

    /// When a newer list is due.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    pub(super) fn list(&self) -> &CertRevocationList<'static> {
        &self.list
    }

    /// SHA-256 of its DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}
