//! From a host's `upstream` to what the workers connect with.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::files::{self, Files};
use crate::config::model::{self, Balance, Placed, Upstream};
use crate::config::problem::Problems;
use crate::upstream::address::{Address, Protocol, Target};
use crate::upstream::tls::{self, Roots};
use crate::upstream::{self, HealthCheck, Timeouts, UpstreamSpec};

/// A check that takes longer has failed, whatever the interval.
const MAX_HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// The upstream's settings as one text: equal settings share connections, counters and health.
pub(super) fn setting(upstream: &Upstream) -> String {
    let Upstream { addresses, balance, connect_timeout, response_timeout, idle_timeout, max_idle, tls, health } =
        upstream;
    let mut text =
        format!("{balance:?} {connect_timeout:?} {response_timeout:?} {idle_timeout:?} {max_idle} {health:?}");
    addresses.iter().for_each(|address| _ = write!(text, " {}", address.value));
    let server_name = tls.server_name.as_ref().map(|name| &name.value);
    let paths = tls.client_certificate.as_ref().map(|pair| (&pair.chain.value, &pair.key.value));
    let ca = tls.ca.as_ref().map(|path| &path.value);
    _ = write!(text, " {server_name:?} {ca:?} {paths:?}");
    text
}

/// Loads what an upstream needs; `None` after a report.
pub(super) fn load(upstream: &Upstream, files: &mut Files, problems: &mut Problems) -> Option<Arc<UpstreamSpec>> {
    let addresses: Vec<_> = upstream.addresses.iter().map(|address| address.value.clone()).collect();
    let name = addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",");
    let mut spec = UpstreamSpec::new(name, addresses);
    spec.policy = match upstream.balance {
        Balance::RoundRobin => upstream::Balance::RoundRobin,
        Balance::LeastConnections => upstream::Balance::LeastConnections,
    };
    spec.timeouts = Timeouts {
        connect: upstream.connect_timeout,
        response_head: upstream.response_timeout,
        idle: upstream.idle_timeout,
    };
    spec.max_idle = upstream.max_idle;
    spec.health = upstream.health.as_ref().and_then(|health| health_check(health, upstream));
    if upstream.addresses.iter().any(|address| address.value.protocol == Protocol::Https) {
        spec.tls = Some(load_tls(upstream, files, problems)?);
        spec.tls_server_name = upstream.tls.server_name.as_ref().map(|name| name.value.clone());
    }
    Some(Arc::new(spec))
}

fn load_tls(upstream: &Upstream, files: &mut Files, problems: &mut Problems) -> Option<Arc<rustls::ClientConfig>> {
    let roots = match &upstream.tls.ca {
        Some(path) => Roots::Own(files.certificates(path, problems)?.to_vec()),
        None => Roots::System,
    };
    let client = match &upstream.tls.client_certificate {
        Some(pair) => {
            let chain = files.certificates(&pair.chain, problems);
            let key = files::private_key(&pair.key, problems);
            Some((chain?.to_vec(), key?))
        }
        None => None,
    };
    match tls::client_config(roots, client) {
        Ok(config) => Some(config),
        Err(error) => {
            let place = blame(upstream)?;
            problems.error(
                &place.place,
                error.to_string(),
                "name the CA that issued the backend's certificate: ca = \"backend-ca.pem\"",
            );
            None
        }
    }
}

fn blame(upstream: &Upstream) -> Option<&Placed<Address>> {
    upstream.addresses.iter().find(|address| address.value.protocol == Protocol::Https)
}

fn health_check(health: &model::Health, upstream: &Upstream) -> Option<HealthCheck> {
    let host = match &upstream.addresses.first()?.value.target {
        Target::Tcp { host, .. } => host.as_str(),
        Target::Unix(_) => "localhost",
    };
    Some(HealthCheck {
        path: PathAndQuery::try_from(health.path.as_str()).ok()?,
        host: HeaderValue::from_str(host).ok()?,
        interval: health.interval,
        timeout: health.interval.min(MAX_HEALTH_TIMEOUT),
    })
}
