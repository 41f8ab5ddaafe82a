//! Reading what is uploaded: certificates and private keys in PEM.

use originlock::clock::Timestamp;
use originlock::secret::Secret;
use originlock::x509::CertificateSummary;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate as the service describes it.
#[derive(Clone, Debug)]
pub struct Described {
    /// The first certificate alone, as PEM.
    pub pem: String,
    pub der: Vec<u8>,
    /// How many certificates the text holds.
    pub count: usize,
    pub issuer: String,
    /// Such as `ECDSAWithSHA256`.
    pub signature: String,
    /// Decimal.
    pub serial: String,
    pub expires: Timestamp,
    pub is_ca: bool,
    /// DER of the SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

/// A private key that can sign.
#[derive(Clone, Debug)]
pub struct Key {
    pub pem: Secret,
    /// DER of the SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

/// Not what is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable;

/// Reads the certificates of `text`, and describes the first.
pub fn certificate(text: &str) -> Result<Described, Unreadable> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let all = all.map_err(|_| Unreadable)?;
    let first = all.first().ok_or(Unreadable)?;
    let fields = CertificateSummary::read(first).fields.ok_or(Unreadable)?;
    Ok(Described {
        pem: first_block(text),
        der: first.to_vec(),
        count: all.len(),
        issuer: fields.issuer,
        signature: signature(&fields.signature_oid),
        serial: decimal(&fields.serial),
        expires: fields.not_after,
        is_ca: fields.is_ca,
        public_key: fields.spki,
    })
}

/// Reads a private key: PKCS#8, PKCS#1 or SEC1, without a passphrase.
pub fn private_key(text: &str) -> Result<Key, Unreadable> {
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| Unreadable)?;
    let key = any_supported_type(&der).map_err(|_| Unreadable)?;
    let public_key = key.public_key().ok_or(Unreadable)?.to_vec();
    Ok(Key { pem: Secret::new(text.as_bytes().to_vec()), public_key })
}

/// From the first `BEGIN` to its `END`, with the line end behind it where there is one.
fn first_block(text: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let start = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(0);
    let end = text.find(END).map_or(text.len(), |at| at + END.len());
    let block = &text[start..end];
    if text[end..].starts_with('\n') { format!("{block}\n") } else { block.to_owned() }
}

fn signature(oid: &str) -> String {
    let name = match oid {
        "1.2.840.113549.1.1.5" => "SHA1WithRSA",
        "1.2.840.113549.1.1.11" => "SHA256WithRSA",
        "1.2.840.113549.1.1.12" => "SHA384WithRSA",
        "1.2.840.113549.1.1.13" => "SHA512WithRSA",
        "1.2.840.10045.4.3.2" => "ECDSAWithSHA256",
        "1.2.840.10045.4.3.3" => "ECDSAWithSHA384",
        "1.2.840.10045.4.3.4" => "ECDSAWithSHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    };
    name.to_owned()
}

/// A hexadecimal number of any length in decimal digits.
pub fn decimal(hexadecimal: &str) -> String {
    let mut digits = vec![0_u8];
    for digit in hexadecimal.chars().filter_map(|digit| digit.to_digit(16)) {
        let mut carry = digit;
        for place in &mut digits {
            let value = u32::from(*place) * 16 + carry;
            *place = u8::try_from(value % 10).expect("one digit");
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).expect("one digit"));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}
