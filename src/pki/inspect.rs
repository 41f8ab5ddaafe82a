//! What a certificate file holds, and which line to write for it.

use std::fmt::{self, Display};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::policy::verdict::Reason;
use crate::x509::{CertificateFields, CertificateSummary, Fingerprint, KeyKind};

/// Cloudflare's shared client-authentication CA, valid until 2029-11-01, by SHA-256.
const CLOUDFLARE_SHARED_CA: &str = "9a1ac2b4be15f9f27eee20a734cba4e9898f61001b3bd7c84b69b56a3e25a2b9";
/// Its predecessor with the same name and key, expired on 2020-01-12.
const CLOUDFLARE_SHARED_CA_2015: &str = "062465eea14401f48be7d9a873f2ee674f96806584225d50c04f761d4480b8ba";

/// Shorter RSA keys are refused.
const MIN_RSA_BITS: usize = 2048;
/// Signatures with MD5 or SHA-1: md5WithRSA, sha1WithRSA, dsa-with-sha1, ecdsa-with-SHA1.
const BROKEN_SIGNATURES: [&str; 4] =
    ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10040.4.3", "1.2.840.10045.4.1"];

/// All that a file says.
#[derive(Debug, Serialize)]
pub struct Inspection {
    pub file: String,
    pub certificates: Vec<CertificateReport>,
    /// Private keys in the file. Only their number is looked at.
    pub private_keys: usize,
}

/// One certificate and what can be done with it.
#[derive(Debug, Serialize)]
pub struct CertificateReport {
    pub sha256: Fingerprint,
    #[serde(flatten)]
    pub fields: Option<FieldsReport>,
    /// What the certificate is good for.
    pub usable: Usable,
    /// The closed word for what a bundle would say, where it would not verify.
    pub reason: Option<Reason>,
    /// Sentences about what will bite.
    pub notes: Vec<String>,
    /// Lines for the configuration file.
    pub config: Vec<String>,
}

/// What a readable certificate says.
#[derive(Debug, Serialize)]
pub struct FieldsReport {
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    pub spki_sha256: Fingerprint,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub validity: ValidityState,
    pub key: String,
    pub version: u32,
    pub is_ca: bool,
    pub self_issued: bool,
    /// Whether its key usages allow client authentication.
    pub client_auth: bool,
}

/// Where now lies in a certificate's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidityState {
    Valid,
    Expired,
    NotYetValid,
}

/// What a certificate is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Usable {
    /// As a CA in a bundle.
    CaBundle,
    /// As a client certificate under a bundle that holds its issuer.
    ClientLeaf,
    /// As a client certificate only if it is pinned.
    PinnedLeaf,
    /// Not for client authentication.
    Nothing,
}

/// Why there is nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{file}: no certificate found, expected PEM with `-----BEGIN CERTIFICATE-----`, or one in DER")]
    NoCertificate { file: String },
    #[error("{file}: the PEM is broken")]
    BrokenPem { file: String, source: rustls::pki_types::pem::Error },
}

/// Reads `bytes`, the content of `file`: PEM with any number of certificates, or one in DER.
pub fn inspect(file: &str, bytes: &[u8], now: Timestamp) -> Result<Inspection, InspectError> {
    let mut certificates = Vec::new();
    let mut private_keys = 0;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|source| InspectError::BrokenPem { file: file.to_owned(), source })?;
        match kind {
            SectionKind::Certificate => certificates.push(report(file, &CertificateDer::from(der), now)),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => private_keys += 1,
            _ => {}
        }
    }
    if certificates.is_empty() {
        let single = report(file, &CertificateDer::from(bytes), now);
        match single.fields {
            Some(_) => certificates.push(single),
            None => return Err(InspectError::NoCertificate { file: file.to_owned() }),
        }
    }
    Ok(Inspection { file: file.to_owned(), certificates, private_keys })
}

fn report(file: &str, der: &CertificateDer<'_>, now: Timestamp) -> CertificateReport {
    let CertificateSummary { fingerprint: sha256, fields } = CertificateSummary::read(der);
    let Some(fields) = fields else {
        let notes = vec![Reason::BadEncoding.explanation().to_owned()];
        let (usable, reason) = (Usable::Nothing, Some(Reason::BadEncoding));
        return CertificateReport { sha256, fields: None, usable, reason, notes, config: Vec::new() };
    };
    let validity = match () {
        () if now > fields.not_after => ValidityState::Expired,
        () if now < fields.not_before => ValidityState::NotYetValid,
        () => ValidityState::Valid,
    };
    let (usable, reason) = match sha256.to_string() == CLOUDFLARE_SHARED_CA_2015 {
        true => (Usable::Nothing, Some(Reason::Expired)),
        false => judge_shape(&fields),
    };
    let mut notes: Vec<String> = reason.map(|reason| reason.explanation().to_owned()).into_iter().collect();
    match validity {
        ValidityState::Valid => {}
        ValidityState::Expired => notes.push(format!("it expired on {}", fields.not_after)),
        ValidityState::NotYetValid => notes.push(format!("it is not valid before {}", fields.not_before)),
    }
    notes.extend(cloudflare_note(sha256).map(str::to_owned));
    let pin = format!("client_auth = {{ mode = \"observe\", pins = [\"sha256:{sha256}\"] }}");
    let config = match usable {
        Usable::CaBundle => {
            if fields.self_issued && cloudflare_note(sha256).is_none() {
                notes.push(format!("presented by a client itself it is `ca_as_leaf`; only a pin lets it in: {pin}"));
            }
            vec![
                "[ca.origin-pull]".to_owned(),
                format!("bundle = [{}]", toml_text(file)),
                "client_auth = { mode = \"observe\", ca = \"origin-pull\" }   # in the [[host]]".to_owned(),
            ]
        }
        Usable::ClientLeaf => {
            notes.push(format!("a bundle with its issuer verifies it: {}", fields.issuer));
            vec![
                "client_auth = { mode = \"observe\", ca = \"NAME-OF-ITS-CA\" }".to_owned(),
                format!("# or pinned: {pin}"),
            ]
        }
        Usable::PinnedLeaf => vec![pin],
        Usable::Nothing => Vec::new(),
    };
    CertificateReport { sha256, fields: Some(FieldsReport::new(fields, validity)), usable, reason, notes, config }
}

/// What the certificate's shape, not its signature, allows.
fn judge_shape(fields: &CertificateFields) -> (Usable, Option<Reason>) {
    match fields {
        CertificateFields { key: KeyKind::Rsa(bits), .. } if *bits < MIN_RSA_BITS => {
            (Usable::Nothing, Some(Reason::WeakKey))
        }
        fields if fields.is_ca => (Usable::CaBundle, None),
        fields if !fields.allows_client_auth => (Usable::Nothing, Some(Reason::WrongPurpose)),
        fields if fields.version < 3 => (Usable::PinnedLeaf, Some(Reason::UnsupportedVersion)),
        fields if BROKEN_SIGNATURES.contains(&fields.signature_oid.as_str()) => {
            (Usable::PinnedLeaf, Some(Reason::UnsupportedAlgorithm))
        }
        // Its issuer is no CA, so that no bundle can hold it.
        fields if fields.self_issued => (Usable::PinnedLeaf, Some(Reason::UnknownIssuer)),
        _ => (Usable::ClientLeaf, None),
    }
}

fn cloudflare_note(sha256: Fingerprint) -> Option<&'static str> {
    match sha256.to_string().as_str() {
        CLOUDFLARE_SHARED_CA => Some(
            "this is Cloudflare's shared CA (global Authenticated Origin Pulls): it proves \"through Cloudflare\", \
             never \"through my account\", because every customer's traffic presents its certificate",
        ),
        CLOUDFLARE_SHARED_CA_2015 => Some(
            "this is the 2015 version of Cloudflare's shared CA; replace it by the current one, which is valid until \
             2029-11-01",
        ),
        _ => None,
    }
}

/// A basic TOML string, whose escapes are those of JSON.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl FieldsReport {
    fn new(fields: CertificateFields, validity: ValidityState) -> Self {
        Self {
            subject: fields.subject,
            issuer: fields.issuer,
            serial: fields.serial,
            spki_sha256: fields.spki_fingerprint,
            not_before: fields.not_before,
            not_after: fields.not_after,
            validity,
            key: fields.key.to_string(),
            version: fields.version,
            is_ca: fields.is_ca,
            self_issued: fields.self_issued,
            client_auth: fields.allows_client_auth,
        }
    }
}

/// For a person at a terminal.
impl Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, certificate) in self.certificates.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{} of {} in {}\n{certificate}", index + 1, self.certificates.len(), self.file)?;
        }
        match self.private_keys {
            0 => Ok(()),
            _ => writeln!(f, "\nThe file also holds a private key, which is not shown; keep such a file at mode 0600."),
        }
    }
}

impl Display for CertificateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fields) = &self.fields {
            let state = match fields.validity {
                ValidityState::Valid => "valid",
                ValidityState::Expired => "EXPIRED",
                ValidityState::NotYetValid => "NOT YET VALID",
            };
            let yes_no = |yes| if yes { "yes" } else { "no" };
            writeln!(f, "  subject      {}", fields.subject)?;
            writeln!(f, "  issuer       {}", fields.issuer)?;
            writeln!(f, "  serial       {}", fields.serial)?;
            writeln!(f, "  validity     {} to {}, {state}", fields.not_before, fields.not_after)?;
            writeln!(f, "  key          {}", fields.key)?;
            writeln!(f, "  version      {}", fields.version)?;
            writeln!(f, "  CA           {}", yes_no(fields.is_ca))?;
            if !fields.is_ca {
                writeln!(f, "  client auth  {}", yes_no(fields.client_auth))?;
            }
            writeln!(f, "  SPKI SHA-256 {}", fields.spki_sha256)?;
        }
        writeln!(f, "  SHA-256      {}", self.sha256)?;
        let usable = match self.usable {
            Usable::CaBundle => "as a CA in a bundle",
            Usable::ClientLeaf => "as a client certificate under a bundle that holds its issuer",
            Usable::PinnedLeaf => "as a client certificate only if it is pinned",
            Usable::Nothing => "not for client authentication",
        };
        match self.reason {
            Some(reason) => writeln!(f, "  usable       {usable} (`{}` under a bundle)", reason.label())?,
            None => writeln!(f, "  usable       {usable}")?,
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  note         {note}"))?;
        if !self.config.is_empty() {
            writeln!(f, "  write")?;
        }
        self.config.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_shared_ca_are_known_by_fingerprint() {
        for (fingerprint, words) in
            [(CLOUDFLARE_SHARED_CA, "every customer"), (CLOUDFLARE_SHARED_CA_2015, "replace it by the current one")]
        {
            let note = Fingerprint::parse(fingerprint).and_then(cloudflare_note).expect("a note");
            assert!(note.contains(words), "{note}");
        }
        assert!(cloudflare_note(Fingerprint::of(b"another")).is_none());
    }
}
