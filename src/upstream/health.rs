//! Asks every address now and then, so that a request need not find out.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::body::LocalBody;
use super::client::Client;
use super::spec::UpstreamSpec;

/// One lost answer is not an outage.
const FAILURES_UNTIL_DOWN: u32 = 2;

/// An active check: `GET path`, expecting 2xx or 3xx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HealthCheck {
    pub path: PathAndQuery,
    pub host: HeaderValue,
    pub interval: Duration,
    /// For connection and response head together.
    pub timeout: Duration,
}

/// Checks all addresses every interval, until the upstream is dropped. One task per process and upstream.
pub async fn watch(spec: Weak<UpstreamSpec>) {
    let mut failures = Vec::new();
    loop {
        let interval = {
            let Some(spec) = spec.upgrade() else { return };
            let Some(check) = &spec.health else { return };
            failures.resize(spec.endpoints.len(), 0);
            // A client of its own for every round: a check must show that the address still takes connections.
            let client = Client::new(spec.clone());
            for (index, failures) in failures.iter_mut().enumerate() {
                let healthy = is_healthy(&client, index, check).await;
                *failures = if healthy { 0 } else { *failures + 1 };
                if healthy || *failures >= FAILURES_UNTIL_DOWN {
                    mark(&spec, index, healthy);
                }
            }
            check.interval
        };
        sleep(interval).await;
    }
}

async fn is_healthy(client: &Client, index: usize, check: &HealthCheck) -> bool {
    let mut request = Request::new(LocalBody::from(Bytes::new()));
    *request.uri_mut() = check.path.clone().into();
    let headers = request.headers_mut();
    headers.insert(HOST, check.host.clone());
    headers.insert(USER_AGENT, HeaderValue::from_static("originlock-health"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    match timeout(check.timeout, client.ask(index, request)).await {
        Ok(Ok(response)) => response.status().is_success() || response.status().is_redirection(),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn mark(spec: &Arc<UpstreamSpec>, index: usize, up: bool) {
    let endpoint = &spec.endpoints[index];
    if !endpoint.mark(up) {
        return;
    }
    let (upstream, address) = (&*spec.name, &endpoint.address);
    match up {
        true => info!(originlock.upstream = upstream, server.address = %address, "backend passes its health check"),
        false => warn!(originlock.upstream = upstream, server.address = %address, "backend fails its health check"),
    }
}
