//! End-entity certificates, with knobs enough to make wrong ones for tests.

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RsaKeySize, SerialNumber,
};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::{Issued, KeyType, PkiError, Validity, moment};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// RFC 5280, section 4.1.2.2 allows 20 bytes; 16 random ones never meet again.
const SERIAL_BYTES: usize = 16;

/// What a leaf says.
#[derive(Clone, Debug)]
pub struct LeafOptions {
    pub common_name: String,
    /// DNS names or IP addresses of the subjectAltName extension.
    pub names: Vec<String>,
    pub purpose: Purpose,
    pub key_type: KeyType,
    pub validity: Validity,
    /// CA:TRUE instead of CA:FALSE, the shape of a plain `openssl req -x509`.
    pub is_ca: bool,
}

/// The extended key usage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Client,
    Server,
    /// No extended key usage at all: good for everything.
    Any,
}

impl LeafOptions {
    /// A client certificate as Cloudflare's upload wants it: v3, CA:FALSE, clientAuth.
    pub fn client(common_name: &str, validity: Validity) -> Self {
        Self {
            common_name: common_name.to_owned(),
            names: Vec::new(),
            purpose: Purpose::Client,
            key_type: KeyType::default(),
            validity,
            is_ca: false,
        }
    }

    /// A server certificate for `names`, of which the first is the common name.
    pub fn server(names: &[&str], validity: Validity) -> Self {
        Self {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            purpose: Purpose::Server,
            ..Self::client(names.first().copied().unwrap_or("server"), validity)
        }
    }
}

/// A leaf that its own key signed.
pub fn self_signed(options: &LeafOptions) -> Result<Issued, PkiError> {
    let key = generate(options.key_type)?;
    let params = params(options)?;
    let certificate = params.self_signed(&key)?;
    Ok(issued(&certificate, &params, &key, options.validity.not_after))
}

/// A self-signed server certificate for `names`, for demonstrations and tests.
pub fn server_certificate(names: &[&str], validity: Validity) -> Result<Issued, PkiError> {
    self_signed(&LeafOptions::server(names, validity))
}

/// A leaf that `issuer` signed.
pub(super) fn signed_by(options: &LeafOptions, issuer: &Issuer<'_, KeyPair>) -> Result<Issued, PkiError> {
    signed_for(&generate(options.key_type)?, options, issuer)
}

/// The same for a key that is there.
pub(super) fn signed_for(
    key: &KeyPair,
    options: &LeafOptions,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Issued, PkiError> {
    let params = params(options)?;
    let certificate = params.signed_by(key, issuer)?;
    Ok(issued(&certificate, &params, key, options.validity.not_after))
}

pub(super) fn generate(key_type: KeyType) -> Result<KeyPair, PkiError> {
    Ok(match key_type {
        KeyType::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyType::Ed25519 => return generate_ed25519(),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyType::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
    }?)
}

/// OpenSSL 3.0 reads only the first version of PKCS#8, and `rcgen` writes the second for Ed25519.
fn generate_ed25519() -> Result<KeyPair, PkiError> {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let key = Ed25519KeyPair::generate_pkcs8v1(&random).map_err(|_| PkiError::Random)?;
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(key.as_ref()), &rcgen::PKCS_ED25519)?)
}

/// What CA and leaf have in common.
pub(super) fn base_params(common_name: &str, validity: Validity) -> Result<CertificateParams, PkiError> {
    let mut serial = [0; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| PkiError::Random)?;
    // A serial number is positive and not zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name;
    params.not_before = moment(validity.not_before);
    params.not_after = moment(validity.not_after);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

pub(super) fn issued(
    certificate: &rcgen::Certificate,
    params: &CertificateParams,
    key: &KeyPair,
    not_after: Timestamp,
) -> Issued {
    Issued {
        certificate_pem: certificate.pem(),
        certificate_der: certificate.der().to_vec(),
        key_pem: Secret::new(key.serialize_pem().into_bytes()),
        not_after,
        serial: params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default(),
    }
}

/// What a leaf says.
pub(super) fn params(options: &LeafOptions) -> Result<CertificateParams, PkiError> {
    let mut params = base_params(&options.common_name, options.validity)?;
    for name in &options.names {
        let bad_name = |source| PkiError::BadName { name: name.clone(), source };
        params
            .subject_alt_names
            .append(&mut CertificateParams::new([name.clone()]).map_err(bad_name)?.subject_alt_names);
    }
    params.is_ca = match options.is_ca {
        true => IsCa::Ca(BasicConstraints::Unconstrained),
        false => IsCa::ExplicitNoCa,
    };
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match options.purpose {
        Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Purpose::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Purpose::Any => Vec::new(),
    };
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
