//! The files that a configuration names: certificates, keys, revocation lists. Each is read once per build.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::config::model::Placed;
use crate::config::problem::Problems;
use crate::evidence::network::Networks;
use crate::secret::{Secret, TokenDigest};

/// No bundle, chain or key comes near this; a revocation list may.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
const READABLE_BY_OTHERS: u32 = 0o007;

/// Reads files and reports what is wrong at the place where the path was written.
#[derive(Default)]
pub(super) struct Files {
    certificates: HashMap<PathBuf, Option<Arc<[CertificateDer<'static>]>>>,
}

impl Files {
    /// All certificates of a PEM file; `None` after a report. A file that several hosts name is reported once.
    pub(super) fn certificates(
        &mut self,
        path: &Placed<PathBuf>,
        problems: &mut Problems,
    ) -> Option<Arc<[CertificateDer<'static>]>> {
        if let Some(known) = self.certificates.get(&path.value) {
            return known.clone();
        }
        let read = read_certificates(path, problems);
        self.certificates.insert(path.value.clone(), read.clone());
        read
    }
}

fn read_certificates(path: &Placed<PathBuf>, problems: &mut Problems) -> Option<Arc<[CertificateDer<'static>]>> {
    let bytes = read(path, problems)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let shown = path.value.display();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Some(certificates.into()),
        Ok(_) => {
            let message = format!("{shown}: no certificate found, expected PEM");
            problems.error(&path.place, message, not_a_certificate(&bytes));
            None
        }
        Err(error) => {
            let message = format!("{shown}: the PEM is broken: {error}");
            problems.error(&path.place, message, "copy the file again; a line may be missing at its end");
            None
        }
    }
}

fn not_a_certificate(bytes: &[u8]) -> &'static str {
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    if has(b"PRIVATE KEY-----") {
        "this is a private key; name the file with the certificate"
    } else if has(b"CERTIFICATE REQUEST-----") {
        "this is a certificate signing request; name the certificate that was issued for it"
    } else if bytes.first() == Some(&0x30) {
        "this looks like DER; convert it: openssl x509 -inform der -in FILE -out FILE.pem"
    } else {
        "name a file with at least one -----BEGIN CERTIFICATE----- block"
    }
}

/// The private key of a PEM file; `None` after a report.
pub(super) fn private_key(path: &Placed<PathBuf>, problems: &mut Problems) -> Option<PrivateKeyDer<'static>> {
    let bytes = read(path, problems)?;
    let shown = path.value.display();
    warn_if_readable_by_others(
        path,
        &format!("{shown}: every user of this machine may read the private key"),
        problems,
    );
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Some(key),
        Err(_) if bytes.windows(9).any(|window| window == b"ENCRYPTED") => {
            let message = format!("{shown}: the private key is encrypted");
            problems.error(
                &path.place,
                message,
                "store it decrypted and readable by this service alone: openssl pkey -in FILE -out FILE.key",
            );
            None
        }
        Err(_) => {
            let message = format!("{shown}: no private key found, expected PEM");
            problems.error(&path.place, message, "name a file with a PKCS#8, PKCS#1 or SEC1 private key");
            None
        }
    }
}

/// Shorter tokens could be guessed.
const MIN_TOKEN_CHARS: usize = 16;
const TOKEN_HELP: &str = "make one: (umask 077; openssl rand -hex 32 > FILE)";

/// The digest of the bearer token in a file; `None` after a report.
pub(super) fn token(path: &Placed<PathBuf>, problems: &mut Problems) -> Option<TokenDigest> {
    let bytes = Secret::new(read(path, problems)?);
    let shown = path.value.display();
    warn_if_readable_by_others(path, &format!("{shown}: every user of this machine may read the token"), problems);
    let token = bytes.expose().trim_ascii();
    if !token.iter().all(u8::is_ascii_graphic) {
        problems.error(&path.place, format!("{shown}: a token is one line without spaces"), TOKEN_HELP);
        return None;
    }
    if token.len() < MIN_TOKEN_CHARS {
        let message = format!("{shown}: the token has fewer than {MIN_TOKEN_CHARS} characters, it could be guessed");
        problems.error(&path.place, message, TOKEN_HELP);
        return None;
    }
    Some(TokenDigest::of(token))
}

/// Looks at the file of a token that is read later, and by others: nobody is kept from serving by it.
pub(super) fn later_token(path: &Placed<PathBuf>, problems: &mut Problems) {
    let shown = path.value.display();
    if let Err(error) = fs::metadata(&path.value) {
        let message = format!("{shown}: cannot be read: {error}; Cloudflare's side is not looked at without it");
        problems.warning(&path.place, message, "put a token that may only read there; it is looked for at each look");
        return;
    }
    warn_if_readable_by_others(path, &format!("{shown}: every user of this machine may read the token"), problems);
}

/// The revocation lists of a file, PEM or DER; `None` after a report.
pub(super) fn revocation_lists(path: &Placed<PathBuf>, problems: &mut Problems) -> Option<Vec<Vec<u8>>> {
    let bytes = read(path, problems)?;
    if !bytes.starts_with(b"-----") && bytes.first() == Some(&0x30) {
        return Some(vec![bytes]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Some(lists.into_iter().map(|list| list.to_vec()).collect()),
        Ok(_) | Err(_) => {
            let message = format!("{}: no certificate revocation list found", path.value.display());
            problems.error(&path.place, message, "name a CRL in PEM (-----BEGIN X509 CRL-----) or DER");
            None
        }
    }
}

/// The ranges of a file; `None` after a report.
pub(super) fn ranges(path: &Placed<PathBuf>, problems: &mut Problems) -> Option<Networks> {
    let bytes = read(path, problems)?;
    let shown = path.value.display().to_string();
    match Networks::parse(&String::from_utf8_lossy(&bytes), &shown) {
        Ok(networks) => Some(networks),
        Err(error) => {
            let help = "save the answer of https://api.cloudflare.com/client/v4/ips, or write one range per line, such as \
                        173.245.48.0/20; without this key the shipped ranges count";
            problems.error(&path.place, format!("{shown}: {error}"), help);
            None
        }
    }
}

fn read(path: &Placed<PathBuf>, problems: &mut Problems) -> Option<Vec<u8>> {
    match read_bounded(&path.value) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("{}: cannot be read: {error}", path.value.display());
            problems.error(
                &path.place,
                message,
                "correct the path or the file's permissions; paths are relative to this file",
            );
            None
        }
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other("the file is larger than 256 MiB"));
    }
    fs::read(path)
}

fn warn_if_readable_by_others(path: &Placed<PathBuf>, message: &str, problems: &mut Problems) {
    let Ok(metadata) = fs::metadata(&path.value) else { return };
    if metadata.permissions().mode() & READABLE_BY_OTHERS != 0 {
        problems.warning(&path.place, message, format!("chmod 600 {}", path.value.display()));
    }
}
