//! TLS towards an `https://` backend: always verified.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Whom to trust as a backend.
pub enum Roots {
    /// These certificates alone.
    Own(Vec<CertificateDer<'static>>),
    /// The operating system's.
    System,
}

/// Why a backend could not be spoken to over TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no usable CA certificate for the backend")]
    NoRoots,
    #[error("the client certificate for the backend cannot be used")]
    ClientCertificate(#[source] rustls::Error),
}

/// Prepares TLS towards a backend, with a client certificate where it asks for one.
pub fn client_config(
    roots: Roots,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    let certificates = match roots {
        Roots::Own(certificates) => certificates,
        Roots::System => rustls_native_certs::load_native_certs().certs,
    };
    let (usable, _) = store.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err(TlsError::NoRoots);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the default suites serve the default versions")
        .with_root_certificates(store);
    let config = match client {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(TlsError::ClientCertificate)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
