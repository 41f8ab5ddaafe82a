//! A private CA: it signs leaves and revocation lists, and no further CAs.

use rcgen::{
    BasicConstraints, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::leaf::{base_params, generate, issued, signed_by, signed_for};
use super::{Issued, KeyType, LeafOptions, PkiError, Validity, moment};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::x509::CertificateSummary;

/// What a new CA says.
#[derive(Clone, Debug)]
pub struct CaOptions {
    pub common_name: String,
    pub key_type: KeyType,
    pub validity: Validity,
}

/// A CA that can sign.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate: CertificateSummary,
}

impl Ca {
    /// Makes a CA. Two of the same name have different keys: what happens when a CA is "renewed" carelessly.
    pub fn create(options: &CaOptions) -> Result<(Self, Issued), PkiError> {
        let key = generate(options.key_type)?;
        let mut params = base_params(&options.common_name, options.validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let issued = issued(&certificate, &params, &key, options.validity.not_after);
        let ca = Self {
            issuer: Issuer::new(params, key),
            certificate_pem: issued.certificate_pem.clone(),
            certificate: CertificateSummary::read(certificate.der()),
        };
        Ok((ca, issued))
    }

    /// Takes up a CA from its certificate and key, both PEM.
    pub fn load(certificate_pem: &[u8], key_pem: &Secret) -> Result<Self, PkiError> {
        let der = CertificateDer::from_pem_slice(certificate_pem).map_err(|_| PkiError::CaUnreadable)?;
        let certificate = CertificateSummary::read(&der);
        let fields = certificate.fields.as_ref().ok_or(PkiError::CaUnreadable)?;
        let subject = || fields.subject.clone();
        if !fields.is_ca {
            return Err(PkiError::NotACa { subject: subject() });
        }
        let key_text = std::str::from_utf8(key_pem.expose())
            .map_err(|_| PkiError::KeyUnreadable(rcgen::Error::CouldNotParseKeyPair))?;
        let key = KeyPair::from_pem(key_text).map_err(PkiError::KeyUnreadable)?;
        if key.subject_public_key_info() != fields.spki {
            return Err(PkiError::KeyMismatch { subject: subject() });
        }
        let certificate_pem = String::from_utf8_lossy(certificate_pem).into_owned();
        let issuer =
            Issuer::from_ca_cert_der(&der, key).map_err(|_| PkiError::NameNotRepeatable { subject: subject() })?;
        Ok(Self { issuer, certificate_pem, certificate })
    }

    /// A leaf that this CA signs, with a fresh key.
    pub fn issue(&self, options: &LeafOptions) -> Result<Issued, PkiError> {
        self.checked(signed_by(options, &self.issuer)?)
    }

    /// The same for a key that is there, PEM.
    pub fn issue_for(&self, key_pem: &Secret, options: &LeafOptions) -> Result<Issued, PkiError> {
        let key_text = std::str::from_utf8(key_pem.expose())
            .map_err(|_| PkiError::LeafKeyUnreadable(rcgen::Error::CouldNotParseKeyPair))?;
        let key = KeyPair::from_pem(key_text).map_err(PkiError::LeafKeyUnreadable)?;
        self.checked(signed_for(&key, options, &self.issuer)?)
    }

    fn checked(&self, issued: Issued) -> Result<Issued, PkiError> {
        // Names with repeated or several-valued parts come out changed, and no verifier would find their CA.
        let leaf = CertificateSummary::read(&CertificateDer::from(issued.certificate_der.as_slice()));
        let repeated = match (&leaf.fields, &self.certificate.fields) {
            (Some(leaf), Some(ca)) => leaf.issuer_der == ca.subject_der,
            _ => false,
        };
        match repeated {
            true => Ok(issued),
            false => Err(PkiError::NameNotRepeatable { subject: self.certificate.subject().to_owned() }),
        }
    }

    /// A certificate revocation list in PEM that names `revoked`.
    pub fn revocation_list(&self, revoked: &[&Issued], number: u64, validity: Validity) -> Result<String, PkiError> {
        let entry = |issued: &&Issued| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&issued.serial),
            revocation_time: moment(validity.not_before),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: moment(validity.not_before),
            next_update: moment(validity.not_after),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    /// The CA's certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What the CA's certificate says.
    pub fn certificate(&self) -> &CertificateSummary {
        &self.certificate
    }

    /// When the CA's certificate ends; leaves that live longer would fail with it.
    pub fn not_after(&self) -> Timestamp {
        self.certificate.fields.as_ref().map_or(Timestamp::MAX, |fields| fields.not_after)
    }
}
