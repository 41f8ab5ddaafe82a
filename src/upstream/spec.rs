//! What an upstream is, as every worker sees it.

use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::balance::{Balance, Endpoint};
use super::health::HealthCheck;
use crate::http1::HeadLimits;

/// One configured upstream; shared between workers, replaced as a whole on reload.
#[derive(Debug)]
pub struct UpstreamSpec {
    pub name: Arc<str>,
    pub policy: Balance,
    /// Roots and client certificate for `https://`; ALPN is set by the client.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The name asked for and verified, where it is not the address's host.
    pub tls_server_name: Option<String>,
    pub timeouts: Timeouts,
    /// Idle connections kept, per worker and address.
    pub max_idle: usize,
    /// What a response head and trailers may measure.
    pub response_limits: HeadLimits,
    pub health: Option<HealthCheck>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// How long to wait for a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For name, TCP and TLS together.
    pub connect: Duration,
    /// For the response head, while the backend has all of the request that the client has sent.
    pub response_head: Duration,
    /// Until an unused connection is closed.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            // Cloudflare's edge gives up after 100 s by default and after 6000 s at most.
            response_head: Duration::from_secs(100),
            // Below the 5 s after which Node and others close: a request must not meet the closing connection.
            idle: Duration::from_secs(4),
        }
    }
}

impl UpstreamSpec {
    /// An upstream with the default settings, to be adjusted before it is shared.
    pub fn new(name: impl Into<Arc<str>>, addresses: Vec<Address>) -> Self {
        Self {
            name: name.into(),
            policy: Balance::RoundRobin,
            tls: None,
            tls_server_name: None,
            timeouts: Timeouts::default(),
            max_idle: 128,
            response_limits: HeadLimits { bytes: 256 * 1024, headers: 256 },
            health: None,
            endpoints: addresses.into_iter().map(Endpoint::new).collect(),
        }
    }

    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.endpoints.iter().map(|endpoint| &endpoint.address)
    }

    /// Each address and whether requests go there at present.
    pub fn standings(&self) -> impl Iterator<Item = (&Address, bool)> {
        let now = std::time::Instant::now();
        self.endpoints.iter().map(move |endpoint| (&endpoint.address, endpoint.is_usable(now)))
    }
}
