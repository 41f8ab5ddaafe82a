//! One group of hostnames, ready to serve.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::model::Dialect;
use crate::config::problem::Place;
use crate::evidence::readiness::Gate;
use crate::hostname::HostPattern;
use crate::policy::client_auth::{ClientAuth, Mode};
use crate::telemetry::metrics::HostMetrics;
use crate::tls::policy_digest::PolicyDigest;
use crate::tls::server_config::ServerCertificate;
use crate::upstream::UpstreamSpec;

/// All that a group of hostnames demands and where its requests go.
#[derive(Clone, Debug)]
pub struct Host {
    /// The first of its names: what log and metric call it.
    pub name: Arc<str>,
    pub names: Vec<HostPattern>,
    pub client_auth: ClientAuth,
    /// The mode as it is written. Another one is in force after a fall back that could not be written.
    pub written_mode: Mode,
    /// Where it is written.
    pub mode_place: Place,
    /// What sessions are bound to.
    pub digest: PolicyDigest,
    pub certificate: ServerCertificate,
    /// Built for `client_auth`.
    pub tls: Arc<ServerConfig>,
    pub upstream: Arc<UpstreamSpec>,
    /// Other proxies' identity headers that the backend wants.
    pub dialects: Vec<Dialect>,
    /// What has to be seen before it is called ready.
    pub gate: Gate,
    pub metrics: Arc<HostMetrics>,
}
