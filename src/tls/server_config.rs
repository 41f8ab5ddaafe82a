//! One host's rustls configuration, built once per policy and chosen after the ClientHello.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{InconsistentKeys, ServerConfig};

use super::policy_digest::PolicyDigest;
use super::tickets::{PolicyTickets, TicketKeys};
use super::verify::PolicyVerifier;
use crate::clock::Clock;
use crate::policy::client_auth::ClientAuth;

/// What all hosts of a process share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub clock: Clock,
    pub ticket_keys: Arc<TicketKeys>,
    provider: Arc<CryptoProvider>,
}

/// A server certificate with its key, checked to belong together.
#[derive(Clone, Debug)]
pub struct ServerCertificate(Arc<CertifiedKey>);

/// Why chain and key make no server certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    #[error("the private key is of a kind that is not supported")]
    UnsupportedKey(#[source] rustls::Error),
    #[error("the certificate cannot be read as X.509")]
    Unreadable(#[source] rustls::Error),
}

impl Shared {
    /// The defaults of this product: modern suites, AES-128-GCM first, X25519MLKEM768 on.
    pub fn new(clock: Clock, ticket_keys: Arc<TicketKeys>) -> Self {
        Self { clock, ticket_keys, provider: Arc::new(provider()) }
    }
}

/// SHA-384 costs more than the longer key gains, so the AES-128 suite leads; the server's order counts.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let name = suite.suite().as_str().unwrap_or_default();
        (!name.starts_with("TLS13"), !name.contains("AES_128"), name.contains("CHACHA"))
    });
    provider
}

impl ServerCertificate {
    /// Pairs a chain (leaf first) with its key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ServerCertificateError> {
        let provider = aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).map_err(ServerCertificateError::UnsupportedKey)?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Self(Arc::new(pair))),
            Err(rustls::Error::InconsistentKeys(_)) => Err(ServerCertificateError::KeyMismatch),
            Err(error) => Err(ServerCertificateError::Unreadable(error)),
        }
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }
}

/// Builds the configuration that serves one policy.
pub fn build(
    shared: &Shared,
    certificate: &ServerCertificate,
    client_auth: &ClientAuth,
    policy: PolicyDigest,
) -> ServerConfig {
    let time = Arc::new(ClockTime(shared.clock.clone()));
    let builder = ServerConfig::builder_with_details(Arc::clone(&shared.provider), time)
        .with_safe_default_protocol_versions()
        .expect("the default suites serve the default versions");
    let builder = match PolicyVerifier::new(client_auth, &shared.clock) {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_client_cert_verifier(WebPkiClientVerifier::no_client_auth()),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&certificate.0))));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    config.ticketer = Arc::new(PolicyTickets::new(&shared.ticket_keys, policy));
    // Sessions live in tickets alone: a table of them would be a second thing to bind to the trust and to bound.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // The edge keeps one session per connection it will open next; a second ticket costs a seal and is not used.
    config.send_tls13_tickets = 1;
    config
}

#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}
