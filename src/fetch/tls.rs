//! Whom to trust as an `https://` server, and who to be there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Files for TLS, all optional.
#[derive(Clone, Default, Debug)]
pub struct TlsFiles {
    /// PEM bundle that the server's certificate must chain to. `None`: the system's roots.
    pub ca: Option<PathBuf>,
    /// The client certificate's chain and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why a file cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("{path}: cannot be read")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: no {what} found, expected PEM")]
    Empty { path: PathBuf, what: &'static str },
    #[error("{path}: cannot be used as client certificate with its key")]
    Client { path: PathBuf, source: rustls::Error },
    #[error("this system has no root certificates; name a CA file")]
    NoRoots,
}

impl TlsFiles {
    pub(super) fn load(&self) -> Result<Arc<ClientConfig>, TlsFileError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the default suites serve the default versions")
            .with_root_certificates(self.roots()?);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key_file = || TlsFileError::Empty { path: key.clone(), what: "private key" };
                let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| key_file())?;
                let failed = |source| TlsFileError::Client { path: chain.clone(), source };
                builder.with_client_auth_cert(certificates(chain)?, private).map_err(failed)?
            }
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsFileError> {
        let mut store = RootCertStore::empty();
        let (usable, empty) = match &self.ca {
            Some(path) => {
                let (usable, _) = store.add_parsable_certificates(certificates(path)?);
                (usable, TlsFileError::Empty { path: path.clone(), what: "usable CA certificate" })
            }
            None => {
                let roots = rustls_native_certs::load_native_certs().certs;
                (store.add_parsable_certificates(roots).0, TlsFileError::NoRoots)
            }
        };
        if usable == 0 { Err(empty) } else { Ok(store) }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsFileError::Empty { path: path.to_owned(), what: "certificate" })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|source| TlsFileError::Read { path: path.to_owned(), source })
}
