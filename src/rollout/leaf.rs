//! The client certificate that Cloudflare's edge is to show, with its key.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::secret::Secret;
use crate::x509::{CertificateSummary, Fingerprint};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A leaf and its key, as they were given.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The leaf alone, PEM: what is uploaded.
    pub certificate: String,
    pub key: Secret,
    pub summary: CertificateSummary,
    /// How many certificates stood behind the leaf. They are not uploaded.
    pub followed_by: usize,
}

/// Why a text holds no leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeafError {
    #[error("no certificate found, expected PEM with `{BEGIN}`")]
    NoCertificate,
    #[error("the certificate's PEM is broken")]
    Broken,
}

impl Leaf {
    /// From PEM: the leaf first, and its private key.
    ///
    /// # Errors
    /// There is no certificate in it. What is wrong with a certificate that is there, and with the key, the pre-flight
    /// check says.
    pub fn from_pem(certificates: &[u8], key: Secret) -> Result<Self, LeafError> {
        let text = std::str::from_utf8(certificates).map_err(|_| LeafError::NoCertificate)?;
        let begin = text.find(BEGIN).ok_or(LeafError::NoCertificate)?;
        let (_, from_begin) = text.split_at(begin);
        let end = from_begin.find(END).ok_or(LeafError::Broken)? + END.len();
        let certificate = format!("{}\n", &from_begin[..end]);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| LeafError::Broken)?;
        Ok(Self {
            summary: CertificateSummary::read(&der),
            followed_by: from_begin[end..].matches(BEGIN).count(),
            certificate,
            key,
        })
    }

    /// By which it is recognised everywhere.
    pub fn sha256(&self) -> Fingerprint {
        self.summary.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::pki::{LeafOptions, Validity, self_signed};

    #[test]
    fn the_leaf_alone_is_taken_from_a_chain() {
        let validity = Validity::days(Timestamp::from_seconds(1_800_000_000), 30);
        let issued = |name| self_signed(&LeafOptions::client(name, validity)).expect("a certificate");
        let (leaf, other) = (issued("edge"), issued("other"));
        let text = format!("edge\n{}\n{}", leaf.certificate_pem, other.certificate_pem);
        let read = Leaf::from_pem(text.as_bytes(), leaf.key_pem.clone()).expect("a leaf");
        assert_eq!(read.sha256(), Fingerprint::of(&leaf.certificate_der));
        assert_eq!((read.followed_by, read.certificate.matches(BEGIN).count()), (1, 1));
        for (text, error) in [("", LeafError::NoCertificate), (BEGIN, LeafError::Broken)] {
            assert_eq!(Leaf::from_pem(text.as_bytes(), leaf.key_pem.clone()).expect_err("no leaf"), error);
        }
    }
}
