//! The configuration as types. Whoever holds a [`Config`] need not check again what the parser checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::problem::{Place, SourceFile};
use crate::evidence::readiness::Gate;
use crate::fetch::Endpoint;
use crate::hostname::{HostPattern, Hostname};
use crate::policy::client_auth::Mode;
use crate::upstream::address::Address;
use crate::x509::Fingerprint;

/// A value and where it was written, so that a later stage can point at the same place.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// All that the main file and its included files say. Paths are resolved against the file that names them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The main file first, then the included ones in the order they were read.
    pub sources: Vec<Arc<SourceFile>>,
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// Never empty.
    pub listeners: Vec<Listener>,
    /// `None`: switched off.
    pub admin: Option<Admin>,
    pub log: Log,
    pub limits: Limits,
    pub evidence: Evidence,
    /// `None`: Cloudflare's side is not looked at.
    pub cloudflare: Option<CloudflareWatch>,
    pub shutdown: Shutdown,
    /// Certificates that an explanation is to recognise: what each is called, and what it is.
    pub known_certificates: Vec<(String, Placed<KnownCertificate>)>,
    /// By the name that hosts use.
    pub cas: BTreeMap<String, Placed<Ca>>,
    /// Never empty; no two hosts share a name.
    pub hosts: Vec<Placed<Host>>,
    /// Whose policy a client without SNI, or with an unknown one, gets. One of the hosts' names. `None`: refused.
    pub default_host: Option<Placed<Hostname>>,
}

/// One socket that the edge connects to.
#[derive(Clone, Debug)]
pub struct Listener {
    pub address: Placed<SocketAddr>,
}

/// Where metrics, health and the admin API answer, and to whom.
#[derive(Clone, Debug)]
pub struct Admin {
    pub address: Placed<AdminAddress>,
    /// Names by which it may be asked, beside its address and those of its certificate.
    pub hostnames: Vec<Placed<Hostname>>,
    /// `None`: without TLS.
    pub certificate: Option<CertificateFiles>,
    /// What lets someone read. Empty only at an address that other machines do not reach.
    pub read: AdminProofs,
    /// What lets someone change, and read. Empty: over TCP nobody may change anything.
    pub change: AdminProofs,
}

/// An address of the admin side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdminAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Proofs of a right; each of them is enough.
#[derive(Clone, Default, Debug)]
pub struct AdminProofs {
    /// A file that holds a bearer token.
    pub token: Option<Placed<PathBuf>>,
    /// A key of [`Config::cas`]: a client certificate that it vouches for.
    pub ca: Option<Placed<String>>,
}

impl AdminProofs {
    /// Whether nothing is a proof.
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.ca.is_none()
    }

    /// Where they are written.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.token.iter().map(|token| &token.place).chain(self.ca.iter().map(|ca| &ca.place))
    }
}

/// A named set of certificate authorities.
#[derive(Clone, Debug)]
pub struct Ca {
    /// PEM files; several while rotating. Never empty.
    pub bundle: Vec<Placed<PathBuf>>,
    /// Revocation lists, PEM or DER.
    pub crl: Vec<Placed<PathBuf>>,
}

/// What one group of hostnames shares.
#[derive(Clone, Debug)]
pub struct Host {
    /// Never empty.
    pub names: Vec<Placed<HostPattern>>,
    pub certificate: CertificateFiles,
    pub client_auth: ClientAuth,
    pub upstream: Upstream,
    /// What has to be seen before it is called ready.
    pub gate: Gate,
    /// How else, beside RFC 9440 and `X-Client-Verify`, the backend is told who the client is.
    pub identity_headers: Vec<Dialect>,
}

/// A certificate chain, leaf first, and the leaf's private key, both PEM.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub chain: Placed<PathBuf>,
    pub key: Placed<PathBuf>,
}

/// What is demanded of a client's certificate. `ca` and `pins` together narrow: both must hold.
/// In `observe` and `enforce` at least one of them is given.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    pub mode: Placed<Mode>,
    /// A key of [`Config::cas`].
    pub ca: Option<Placed<String>>,
    pub pins: Vec<Placed<Pin>>,
}

/// One certificate, or one key, named exactly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pin {
    /// `sha256:HEX`, of the certificate's DER.
    Certificate(Fingerprint),
    /// `spki-sha256:HEX`, of its SubjectPublicKeyInfo: survives a renewal with the same key.
    PublicKey(Fingerprint),
    /// A PEM file whose certificates are pinned.
    File(PathBuf),
}

/// A certificate that the operator has a name for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KnownCertificate {
    /// `sha256:HEX`, of its DER.
    Fingerprint(Fingerprint),
    /// A PEM file; all its certificates are meant.
    File(PathBuf),
}

/// Another proxy's way of telling a backend about the client's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// Envoy: `X-Forwarded-Client-Cert`.
    Envoy,
    /// nginx as commonly configured: `X-SSL-Client-*`.
    Nginx,
    /// Traefik: `X-Forwarded-Tls-Client-Cert*`.
    Traefik,
    /// AWS Application Load Balancer: `X-Amzn-Mtls-*`.
    Alb,
}

/// Where a host's requests go. The client's `Host` is passed on as it came.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Never empty.
    pub addresses: Vec<Placed<Address>>,
    pub balance: Balance,
    pub connect_timeout: Duration,
    /// From the request's last byte to the response's head. `None`: as long as the backend likes.
    pub response_timeout: Option<Duration>,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Unused connections kept per address and worker.
    pub max_idle: usize,
    pub tls: UpstreamTls,
    /// `None`: only failed connects tell that an address is down.
    pub health: Option<Health>,
}

/// Which of several addresses gets the next request.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Balance {
    #[default]
    RoundRobin,
    LeastConnections,
}

/// For `https://` addresses only.
#[derive(Clone, Default, Debug)]
pub struct UpstreamTls {
    /// PEM bundle that the backend's certificate must chain to. `None`: the system's roots.
    pub ca: Option<Placed<PathBuf>>,
    /// The name asked for and verified. `None`: the address's host.
    pub server_name: Option<Placed<String>>,
    pub client_certificate: Option<CertificateFiles>,
}

/// An active check: `GET path` every `interval`; 2xx and 3xx are healthy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    pub path: String,
    pub interval: Duration,
}

/// How events are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    pub format: LogFormat,
    /// A filter directive, such as `info` or `originlock=debug`; the log's own module judges it.
    pub level: String,
    pub place: Option<Place>,
}

/// The shape of one event.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum LogFormat {
    /// `Human` on a terminal, else `Json`.
    #[default]
    Auto,
    Json,
    Human,
}

/// The bound on everything a stranger can send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From accept to the end of the TLS handshake. At most [`Limits::MAX_HANDSHAKE`].
    pub handshake: Duration,
    /// All of a ClientHello.
    pub client_hello_bytes: usize,
    /// Certificates in a client's chain, the leaf included.
    pub chain_length: usize,
    /// One certificate of a client's chain.
    pub certificate_bytes: usize,
    /// All of a request's head.
    pub header_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// For a whole request head, HEADERS and CONTINUATION frames included.
    pub header_timeout: Duration,
    /// The longest pause within a request body.
    pub body_timeout: Duration,
    /// Keep-alive idle time of a connection whose client proved itself.
    pub idle_verified: Duration,
    /// Keep-alive idle time of any other connection.
    pub idle_stranger: Duration,
    /// Concurrent HTTP/2 streams of one connection.
    pub streams: u32,
    /// HTTP/2 streams that were reset and not yet cleared away, of one connection.
    pub resets: usize,
    /// Open connections; 0: from the file descriptor limit.
    pub connections: usize,
    /// Open connections from one address; 0: no bound.
    pub connections_per_address: usize,
    /// Log events waiting to be written; what comes on top is dropped and counted.
    pub log_queue: usize,
    /// Hosts with metric series of their own; the rest are summed.
    pub per_host_series: usize,
}

/// What was seen, how it is told apart and where it survives a restart.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The ranges that count as Cloudflare's. `None`: the shipped ones.
    pub cloudflare_ranges: Option<Placed<PathBuf>>,
    /// `None`: where the service manager says, or nowhere.
    pub file: Option<Placed<PathBuf>>,
    /// How often the file is written, if anything changed.
    pub save: Duration,
}

/// The look at Cloudflare's side now and then.
#[derive(Clone, Debug)]
pub struct CloudflareWatch {
    /// Names of zones, or their ids. Never empty.
    pub zones: Vec<Placed<String>>,
    /// Read at each look, so that it can be renewed.
    pub token: Placed<TokenSource>,
    /// From one look to the next.
    pub every: Duration,
    /// `None`: Cloudflare's own.
    pub api: Option<Placed<Endpoint>>,
    /// PEM bundle that the API's certificate must chain to. `None`: the system's roots.
    pub ca: Option<Placed<PathBuf>>,
}

/// Where a token lies. Never the token itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenSource {
    File(PathBuf),
    /// `credential:NAME`: in the folder that systemd gives the service.
    Credential(String),
}

/// The end of the process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shutdown {
    /// How long running requests may go on after the first SIGTERM.
    pub drain: Duration,
}

impl Limits {
    /// A handshake that takes longer holds a socket for a stranger, not for Cloudflare.
    pub const MAX_HANDSHAKE: Duration = Duration::from_secs(30);
}

impl Health {
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            client_hello_bytes: 16 * 1024,
            chain_length: 10,
            certificate_bytes: 16 * 1024,
            header_bytes: 160 * 1024,
            headers: 256,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            idle_verified: Duration::from_secs(930),
            idle_stranger: Duration::from_secs(75),
            streams: 128,
            resets: 128,
            connections: 0,
            connections_per_address: 0,
            log_queue: 8192,
            per_host_series: 1000,
        }
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self { cloudflare_ranges: None, file: None, save: Duration::from_secs(60) }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Duration::from_secs(30) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned(), place: None }
    }
}

impl Upstream {
    /// An upstream with every setting at its default.
    pub fn to(addresses: Vec<Placed<Address>>) -> Self {
        Self {
            addresses,
            balance: Balance::default(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: None,
            // Node.js closes an idle connection after 5 s; going first avoids writing into one that is closing.
            idle_timeout: Duration::from_secs(4),
            max_idle: 64,
            tls: UpstreamTls::default(),
            health: None,
        }
    }
}
