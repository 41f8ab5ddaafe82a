//! Possession of the private key, proved by the handshake's CertificateVerify from the bare public key.
//!
//! webpki's `EndEntityCert` refuses X.509 v1 certificates, which a pin may well name; a public key has no version.

use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::{DigitallySignedStruct, SignatureScheme};
use webpki::RawPublicKeyEntity;

/// The protocol version whose rules the signature follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rules {
    /// RFC 5246, section 7.4.8: any hash with any curve.
    Tls12,
    /// RFC 8446, section 4.4.3: one curve per scheme, no PKCS#1 v1.5.
    Tls13,
}

/// Whether `signature` over `message` was made with the key whose SubjectPublicKeyInfo is `spki`.
pub fn holds(rules: Rules, message: &[u8], spki: &[u8], signature: &DigitallySignedStruct) -> bool {
    let algorithms = algorithms();
    let spki = SubjectPublicKeyInfoDer::from(spki);
    match rules {
        Rules::Tls13 => verify_tls13_signature_with_raw_key(message, &spki, signature, &algorithms).is_ok(),
        Rules::Tls12 => {
            let Ok(key) = RawPublicKeyEntity::try_from(&spki) else {
                return false;
            };
            let candidates = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
            candidates.is_some_and(|(_, candidates)| {
                candidates
                    .iter()
                    .any(|algorithm| key.verify_signature(*algorithm, message, signature.signature()).is_ok())
            })
        }
    }
}

/// What a client may sign with.
pub fn schemes() -> Vec<SignatureScheme> {
    algorithms().supported_schemes()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}
