//! Leaves of a CA that only has the name of another one: what somebody makes who knows a CA's name and not its key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, SigningKey};

use super::leaf::{base_params, generate, issued, params};
use super::{Issued, KeyType, LeafOptions, PkiError};
use crate::x509::CertificateSummary;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// `[0]` around the version.
const VERSION: u8 = 0xa0;
/// RFC 7468.
const PEM_COLUMNS: usize = 64;

/// A leaf that names `issuer` (DER of a distinguished name, taken over byte for byte), signed by a key that nobody knows.
///
/// # Errors
/// `issuer` is no DER of a distinguished name.
pub fn namesake(issuer: &[u8], options: &LeafOptions) -> Result<Issued, PkiError> {
    if Tlv::read(issuer).is_none_or(|name| name.tag != SEQUENCE || !name.rest.is_empty()) {
        return Err(PkiError::IssuerUnreadable);
    }
    let ca_key = generate(KeyType::P256)?;
    let ca = Issuer::new(base_params("any name", options.validity)?, &ca_key);
    let (key, mut params) = (generate(options.key_type)?, params(options)?);
    // It would give away that the CA's key is another one.
    params.use_authority_key_identifier_extension = false;
    let certificate = params.signed_by(&key, &ca)?;
    let mut issued = issued(&certificate, &params, &key, options.validity.not_after);
    issued.certificate_der = renamed(&issued.certificate_der, issuer, &ca_key)?.ok_or(PkiError::IssuerUnreadable)?;
    issued.certificate_pem = pem(&issued.certificate_der);
    Ok(issued)
}

/// The DER of a distinguished name from its text: `CN=origin-pull CA, O=Example, C=DE`.
///
/// # Errors
/// An attribute other than CN, O, OU, L, ST and C, or a text with `\`, `"` or `+`, which mean more than they say.
pub fn distinguished_name(text: &str) -> Result<Vec<u8>, PkiError> {
    let wrong = || PkiError::NameText { text: text.to_owned() };
    if text.contains(['\\', '"', '+']) {
        return Err(wrong());
    }
    let mut name = DistinguishedName::new();
    for part in text.split(',') {
        let (kind, value) = part.split_once('=').ok_or_else(wrong)?;
        let (kind, value) = (attribute(kind.trim()).ok_or_else(wrong)?, value.trim());
        if value.is_empty() || name.get(&kind).is_some() {
            return Err(wrong());
        }
        let value = match kind {
            DnType::CountryName => DnValue::PrintableString(value.try_into().map_err(|_| wrong())?),
            _ => DnValue::Utf8String(value.to_owned()),
        };
        name.push(kind, value);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::ExplicitNoCa;
    let certificate = params.self_signed(&generate(KeyType::P256)?)?;
    let summary = CertificateSummary::read(certificate.der());
    Ok(summary.fields.ok_or_else(wrong)?.subject_der)
}

fn attribute(kind: &str) -> Option<DnType> {
    Some(match kind.to_ascii_uppercase().as_str() {
        "CN" => DnType::CommonName,
        "O" => DnType::OrganizationName,
        "OU" => DnType::OrganizationalUnitName,
        "L" => DnType::LocalityName,
        "ST" => DnType::StateOrProvinceName,
        "C" => DnType::CountryName,
        _ => return None,
    })
}

/// `certificate` with another issuer's name (RFC 5280, section 4.1), signed anew.
fn renamed(certificate: &[u8], issuer: &[u8], key: &impl SigningKey) -> Result<Option<Vec<u8>>, PkiError> {
    let Some((algorithm, tbs)) = with_issuer(certificate, issuer) else { return Ok(None) };
    let signature = key.sign(&tbs)?;
    let bits = tlv(BIT_STRING, &[&[0], &signature[..]].concat());
    Ok(Some(tlv(SEQUENCE, &[&tbs[..], algorithm, &bits].concat())))
}

/// The signature's algorithm and the part that is signed, with another issuer's name.
fn with_issuer<'a>(certificate: &'a [u8], issuer: &[u8]) -> Option<(&'a [u8], Vec<u8>)> {
    let body = Tlv::read(certificate)?.content;
    let tbs = Tlv::read(body)?;
    let algorithm = Tlv::read(tbs.rest)?.whole;
    let version = Tlv::read(tbs.content).filter(|part| part.tag == VERSION)?;
    let serial = Tlv::read(version.rest).filter(|part| part.tag == INTEGER)?;
    let signature = Tlv::read(serial.rest)?;
    let old_issuer = Tlv::read(signature.rest)?;
    let before = &tbs.content[..tbs.content.len() - signature.rest.len()];
    Some((algorithm, tlv(SEQUENCE, &[before, issuer, old_issuer.rest].concat())))
}

/// One element of DER, and what comes behind it.
struct Tlv<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Tlv<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, &first) = (bytes.first()?, bytes.get(1)?);
        let (head, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x83 => {
                let digits = usize::from(first & 0x7f);
                let length = bytes.get(2..2 + digits)?.iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit));
                (2 + digits, length)
            }
            _ => return None,
        };
        let content = bytes.get(head..head.checked_add(length)?)?;
        Some(Self { tag, content, whole: &bytes[..head + length], rest: &bytes[head + length..] })
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|digit| **digit == 0).count()..];
    let mut bytes = vec![tag];
    match content.len() {
        0..0x80 => bytes.push(length[length.len() - 1]),
        _ => {
            bytes.push(0x80 | digits.len().to_be_bytes()[size_of::<usize>() - 1]);
            bytes.extend(digits);
        }
    }
    bytes.extend(content);
    bytes
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(PEM_COLUMNS).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::clock::Clock;
    use crate::pki::{Ca, CaOptions, Validity};

    #[test]
    fn a_namesake_has_the_name_and_not_the_key() {
        let validity = Validity::days(Clock::System.now(), 30);
        let long = "a very long name ".repeat(20);
        for common_name in ["origin-pull CA", "ümlaut, \"quoted\" + more", &long] {
            let options = CaOptions { common_name: common_name.into(), key_type: KeyType::P384, validity };
            let (ca, _) = Ca::create(&options).expect("a CA");
            let real = ca.certificate().fields.as_ref().expect("fields");
            let issued = namesake(&real.subject_der, &LeafOptions::client("edge", validity)).expect("a leaf");
            let leaf = CertificateSummary::read(&CertificateDer::from(issued.certificate_der.clone()));
            let fields = leaf.fields.expect("it can be read");
            assert_eq!(fields.issuer_der, real.subject_der);
            assert!(fields.allows_client_auth && !fields.is_ca, "{fields:?}");
        }
        for wrong in [&b""[..], b"\x30", b"\x30\x01", b"\x02\x01\x00", b"\x30\x00\x00", b"\x30\x85aaaaaaaaaa"] {
            namesake(wrong, &LeafOptions::client("edge", validity)).expect_err("no name");
        }
    }

    #[test]
    fn a_name_is_read_from_its_text() {
        let validity = Validity::days(Clock::System.now(), 30);
        let options = CaOptions { common_name: "origin-pull CA".into(), key_type: KeyType::P256, validity };
        let (ca, _) = Ca::create(&options).expect("a CA");
        let real = &ca.certificate().fields.as_ref().expect("fields").subject_der;
        assert_eq!(&distinguished_name("CN=origin-pull CA").expect("a name"), real);
        distinguished_name("C=DE, O=Example GmbH ,cn = x").expect("a name");
        for wrong in ["", "origin-pull CA", "CN=", "CN=a,CN=b", "X=a", "CN=a\\,b", "C=\u{fc}", "CN=a+O=b"] {
            distinguished_name(wrong).expect_err(wrong);
        }
    }
}
