//! TLS towards the origin.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::Ways;
use super::presents::Presents;

/// What the edge begins a handshake with. No session is ever resumed: every connection shows its certificate.
pub fn config(ways: &Ways, presents: &Presents) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ways.version.map_or_else(|| rustls::ALL_VERSIONS.to_vec(), |version| vec![version]);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(ways, presents, provider)?);
    let mut config = match &presents.credential {
        None => builder.with_no_client_auth(),
        Some(credential) => {
            let key = PrivateKeyDer::from_pem_slice(credential.key_pem.expose());
            let key = key.map_err(|_| rustls::Error::General("the key cannot be read".to_owned()))?;
            builder.with_client_auth_cert(vec![CertificateDer::from(credential.certificate.clone())], key)?
        }
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = match ways.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

fn verifier(
    ways: &Ways,
    presents: &Presents,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    if !presents.is_strict {
        return Ok(Arc::new(AnyServer(provider)));
    }
    let roots = ways.roots.clone().unwrap_or_else(|| Arc::new(RootCertStore::empty()));
    let built = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
    match built {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(rustls::Error::General(format!("mode strict without any root to trust: {error}"))),
    }
}

/// Mode `full`: encrypted to whoever answers.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
