//! A CA bundle: the trust anchors of a host, with the dates that webpki does not look at.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::clock::Timestamp;
use crate::x509::{CertificateFields, CertificateSummary};

/// A non-empty set of CA certificates.
#[derive(Debug)]
pub struct CaBundle {
    name: Arc<str>,
    anchors: Vec<TrustAnchor<'static>>,
    certificates: Vec<CaCertificate>,
}

/// One CA certificate of a bundle.
#[derive(Debug)]
pub struct CaCertificate {
    pub der: CertificateDer<'static>,
    pub summary: CertificateSummary,
    /// The subject, shared with every judgement that names it.
    pub subject: Arc<str>,
}

/// Whether a CA certificate stands for a chain that leads to its key. The better answer is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Vouches {
    Expired,
    NotYetValid,
    PathTooLong,
    Yes,
}

/// Why certificates make no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("holds no certificate")]
    Empty,
    #[error("certificate {number} cannot be read as X.509")]
    Unreadable { number: usize },
}

impl CaBundle {
    /// Takes certificates as they stand in the bundle's files; copies of one certificate count once.
    pub fn new(name: &str, certificates: Vec<CertificateDer<'static>>) -> Result<Self, BundleError> {
        let mut bundle = Self { name: name.into(), anchors: Vec::new(), certificates: Vec::new() };
        for (index, der) in certificates.into_iter().enumerate() {
            bundle.add(der).ok_or(BundleError::Unreadable { number: index + 1 })?;
        }
        match bundle.anchors.is_empty() {
            true => Err(BundleError::Empty),
            false => Ok(bundle),
        }
    }

    fn add(&mut self, der: CertificateDer<'static>) -> Option<()> {
        if self.certificates.iter().any(|known| known.der == der) {
            return Some(());
        }
        let summary = CertificateSummary::read(&der);
        let subject = summary.fields.as_ref()?.subject.as_str().into();
        let anchor = webpki::anchor_from_trusted_cert(&der).ok()?.to_owned();
        self.anchors.push(anchor);
        self.certificates.push(CaCertificate { der, summary, subject });
        Some(())
    }

    /// The name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The certificates, in the order of the files.
    pub fn certificates(&self) -> &[CaCertificate] {
        &self.certificates
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The certificate behind `anchor`, and whether it vouches at `now` for a leaf that `between` further CAs lie above.
    ///
    /// webpki takes an anchor for a name and a key, and looks neither at its dates nor at its path length. A CA that was
    /// re-issued with its key has several certificates, and any of them that vouches will do.
    pub(super) fn behind(
        &self,
        anchor: &TrustAnchor<'_>,
        now: Timestamp,
        between: usize,
    ) -> Option<(&CaCertificate, Vouches)> {
        let same = self.anchors.iter().zip(&self.certificates).filter_map(|(candidate, certificate)| {
            let same = candidate.subject == anchor.subject
                && candidate.subject_public_key_info == anchor.subject_public_key_info;
            same.then_some((certificate, certificate.summary.fields.as_ref()?))
        });
        same.map(|(certificate, fields)| (certificate, Vouches::of(fields, now, between), fields.not_after))
            .max_by_key(|(_, vouches, not_after)| (*vouches, *not_after))
            .map(|(certificate, vouches, _)| (certificate, vouches))
    }
}

impl Vouches {
    fn of(ca: &CertificateFields, now: Timestamp, between: usize) -> Self {
        let long_enough =
            ca.path_length.and_then(|length| usize::try_from(length).ok()).is_none_or(|most| between <= most);
        if now > ca.not_after {
            Self::Expired
        } else if now < ca.not_before {
            Self::NotYetValid
        } else if !long_enough {
            Self::PathTooLong
        } else {
            Self::Yes
        }
    }
}
