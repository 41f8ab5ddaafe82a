//! Whether a private key can be used, and belongs to a certificate.

use rcgen::{KeyPair, PublicKeyData};

use crate::secret::Secret;

/// What every private key's first line ends with.
const MARK: &str = "PRIVATE KEY-----";
/// How PKCS#8 and the older formats say that a key is encrypted.
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// Why a private key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no private key in it; PEM is expected, with `-----BEGIN PRIVATE KEY-----`")]
    Missing,
    #[error("the key is encrypted with a passphrase")]
    Encrypted,
    #[error("the key cannot be read")]
    Unreadable(#[source] rcgen::Error),
    #[error("the key belongs to another certificate")]
    Mismatch,
}

/// Looks whether `key`, PEM in PKCS#8, PKCS#1 or SEC 1, belongs to the certificate with this SubjectPublicKeyInfo.
///
/// # Errors
/// It cannot be read, or it does not.
pub fn check(key: &Secret, spki: &[u8]) -> Result<(), KeyError> {
    let text = std::str::from_utf8(key.expose()).map_err(|_| KeyError::Missing)?;
    if ENCRYPTED.iter().any(|mark| text.contains(mark)) {
        return Err(KeyError::Encrypted);
    }
    if !text.contains(MARK) {
        return Err(KeyError::Missing);
    }
    let key = KeyPair::from_pem(text).map_err(KeyError::Unreadable)?;
    match key.subject_public_key_info() == spki {
        true => Ok(()),
        false => Err(KeyError::Mismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::pki::{KeyType, LeafOptions, Validity, self_signed};
    use crate::x509::CertificateSummary;

    #[test]
    fn a_key_is_told_from_others_and_from_what_is_none() {
        let validity = Validity::days(Timestamp::from_seconds(1_800_000_000), 30);
        let made = |key_type| {
            let options = LeafOptions { key_type, ..LeafOptions::client("edge", validity) };
            self_signed(&options).expect("a certificate")
        };
        for key_type in [KeyType::P256, KeyType::P384, KeyType::Ed25519, KeyType::Rsa2048] {
            let (own, other) = (made(key_type), made(key_type));
            let spki = CertificateSummary::read(&own.certificate_der.as_slice().into()).fields.expect("readable").spki;
            check(&own.key_pem, &spki).unwrap_or_else(|error| panic!("{key_type:?}: {error}"));
            assert!(matches!(check(&other.key_pem, &spki), Err(KeyError::Mismatch)), "{key_type:?}");
        }
        let words = |text: &str| format!("{:?}", check(&Secret::new(text.into()), &[]).expect_err("no key"));
        assert_eq!(words(""), "Missing");
        assert_eq!(
            words("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"),
            "Encrypted"
        );
        assert_eq!(words("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"), "Encrypted");
        assert!(words("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n").starts_with("Unreadable"));
    }
}
