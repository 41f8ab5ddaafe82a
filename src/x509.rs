//! Certificates as the field speaks of them: fingerprints, names, dates, keys. The home of `x509-parser`.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::*;
use x509_parser::public_key::PublicKey;

use crate::clock::Timestamp;
use crate::hostname::{HostPattern, Hostname};

/// RFC 5280, section 4.1.2.2, allows 20 bytes; a stranger may write more.
const MAX_SERIAL_DIGITS: usize = 64;
/// Longest subject or issuer text kept: it is a stranger's to choose and goes into the log.
const MAX_NAME_CHARS: usize = 256;

/// A SHA-256 digest of a certificate's DER or of its SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 is 32 bytes long"))
    }

    /// Reads 64 hexadecimal digits, with or without colons, any case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("64 hexadecimal digits are needed"))
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The public key's kind, as far as a judgement or a reader asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// Modulus length in bits.
    Rsa(usize),
    /// Curve size in bits: 256, 384, 521.
    Ecdsa(usize),
    Ed25519,
    /// Its object identifier in dotted form.
    Other(String),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Ecdsa(bits) => write!(f, "ECDSA P-{bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => f.write_str(oid),
        }
    }
}

/// What can be said of one certificate. All texts are a stranger's: shortened, control characters replaced.
#[derive(Clone, Debug)]
pub struct CertificateSummary {
    /// SHA-256 of the DER.
    pub fingerprint: Fingerprint,
    /// What the DER holds; `None` when it cannot be parsed.
    pub fields: Option<CertificateFields>,
}

/// The fields of a certificate that could be parsed.
#[derive(Clone, Debug)]
pub struct CertificateFields {
    pub subject: String,
    pub issuer: String,
    /// Lower-case hexadecimal, without leading zero bytes.
    pub serial: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// 1 or 3.
    pub version: u32,
    /// Basic constraints say CA:TRUE.
    pub is_ca: bool,
    /// There are basic constraints at all.
    pub has_basic_constraints: bool,
    /// How many CAs may stand between this one and a leaf; `None`: any number.
    pub path_length: Option<u32>,
    /// Extended key usage, where present, allows client authentication; key usage, where present, allows signing.
    pub allows_client_auth: bool,
    /// Subject and issuer are the same name.
    pub self_issued: bool,
    pub key: KeyKind,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_fingerprint: Fingerprint,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// DER of the subject's and issuer's distinguished names.
    pub subject_der: Vec<u8>,
    pub issuer_der: Vec<u8>,
    /// The signature algorithm's object identifier, dotted.
    pub signature_oid: String,
}

impl CertificateSummary {
    /// Reads `der`. Never fails: what cannot be parsed still has a fingerprint.
    pub fn read(der: &CertificateDer<'_>) -> Self {
        Self { fingerprint: Fingerprint::of(der), fields: CertificateFields::parse(der) }
    }

    /// The subject, or a word for a certificate that has none to read.
    pub fn subject(&self) -> &str {
        self.fields.as_ref().map_or("(unreadable)", |fields| &fields.subject)
    }
}

impl CertificateFields {
    fn parse(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let spki = certificate.public_key();
        Some(Self {
            subject: printable(&certificate.subject().to_string()),
            issuer: printable(&certificate.issuer().to_string()),
            serial: format!("{:x}", certificate.serial).chars().take(MAX_SERIAL_DIGITS).collect(),
            not_before: Timestamp::from_seconds(certificate.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(certificate.validity().not_after.timestamp()),
            version: certificate.version().0 + 1,
            is_ca: certificate.is_ca(),
            has_basic_constraints: certificate.basic_constraints().is_ok_and(|constraints| constraints.is_some()),
            path_length: path_length(&certificate),
            allows_client_auth: allows_client_auth(&certificate),
            self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            key: key_kind(spki),
            spki_fingerprint: Fingerprint::of(spki.raw),
            spki: spki.raw.to_vec(),
            subject_der: certificate.subject().as_raw().to_vec(),
            issuer_der: certificate.issuer().as_raw().to_vec(),
            signature_oid: certificate.signature_algorithm.algorithm.to_id_string(),
        })
    }
}

/// Whether a client that asked for any name of `pattern` would accept this server certificate's names (RFC 6125).
pub fn covers(certificate: &CertificateDer<'_>, pattern: &HostPattern) -> bool {
    let names = dns_names(certificate);
    let named = |text: &str| names.iter().any(|name| name.eq_ignore_ascii_case(text));
    let by_wildcard = |name: &Hostname| name.parent().is_some_and(|parent| named(&format!("*.{parent}")));
    match pattern {
        HostPattern::Exact(name) => named(name.as_str()) || by_wildcard(name),
        HostPattern::Wildcard(_) => named(&pattern.to_string()),
    }
}

/// Whether this server certificate names `name` itself. A wildcard names nothing.
pub fn names(certificate: &CertificateDer<'_>, name: &Hostname) -> bool {
    dns_names(certificate).iter().any(|known| known.eq_ignore_ascii_case(name.as_str()))
}

fn dns_names(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None })
        .collect()
}

/// The `nextUpdate` of a DER-encoded revocation list. Outer `None`: not a list; inner: it names none.
pub fn crl_next_update(der: &[u8]) -> Option<Option<Timestamp>> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    Some(list.next_update().map(|time| Timestamp::from_seconds(time.timestamp())))
}

fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    certificate.basic_constraints().ok()??.value.path_len_constraint
}

fn allows_client_auth(certificate: &X509Certificate<'_>) -> bool {
    let purpose = match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.client_auth || usage.value.any,
        _ => true,
    };
    let signing = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        _ => true,
    };
    purpose && signing
}

fn key_kind(spki: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    const ED25519: &str = "1.3.101.112";
    let oid = || spki.algorithm.algorithm.to_id_string();
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => KeyKind::Rsa(key.key_size()),
        Ok(PublicKey::EC(point)) => KeyKind::Ecdsa(match point.key_size() {
            // The point's coordinates are whole bytes: 66 of them for P-521.
            528 => 521,
            bits => bits,
        }),
        _ if oid() == ED25519 => KeyKind::Ed25519,
        _ => KeyKind::Other(oid()),
    }
}

/// A stranger's text, fit for a log line and a terminal.
fn printable(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
