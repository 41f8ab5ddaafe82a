//! What keeps web pages away from the admin side: the Host check, and headers that bind our own page.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::listener::AdminListener;
use super::problem::Problem;

/// Our page needs its own style, its own script and its own origin; it is never a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                                       connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                                       frame-ancestors 'none'";

/// The Host values that mean this listener. `None`: a Unix socket, which no web page can reach.
#[derive(Clone, Debug)]
pub(super) struct KnownHosts(Option<Arc<SocketAddr>>);

impl KnownHosts {
    pub(super) fn of(listener: &AdminListener) -> Self {
        Self(listener.local_address().map(Arc::new))
    }

    /// A page of a stranger's site whose name was rebound to our address still sends that name. So the loopback names
    /// pass with any port (a forwarded port has another one), the bound address with its own, and nothing else.
    fn knows(&self, host: &str) -> bool {
        let Some(bound) = self.0.as_deref() else { return true };
        let (name, port) = split_port(host);
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let Ok(address) = name.parse::<IpAddr>() else { return false };
        let is_bound = bound.ip().is_unspecified() || bound.ip() == address;
        address.is_loopback() || (is_bound && port.unwrap_or(80) == bound.port())
    }
}

/// Refuses requests that were meant for another host (DNS rebinding).
pub(super) async fn check_host(State(known): State<KnownHosts>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    if host.is_some_and(|host| known.knows(host)) {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::FORBIDDEN,
        "wrong_host",
        "meant for another host",
        "the Host header names neither the admin address nor localhost",
        "ask by the address that is written under [admin], or by localhost",
    )
    .into_response()
}

/// Adds what every answer carries.
pub(super) async fn add_headers(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `name:port`, `[v6]:port`, or either without a port. A port that is none makes the name unknown.
fn split_port(host: &str) -> (&str, Option<u16>) {
    let (name, rest) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match host.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    match rest.map(str::parse) {
        None => (name, None),
        Some(Ok(port)) => (name, Some(port)),
        Some(Err(_)) => ("", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bound_address_and_loopback_are_known() {
        for (bound, host, known) in [
            ("127.0.0.1:9090", "127.0.0.1:9090", true),
            ("127.0.0.1:9090", "localhost:9090", true),
            ("127.0.0.1:9090", "LOCALHOST:18080", true),
            ("127.0.0.1:9090", "[::1]:9090", true),
            ("127.0.0.1:9090", "evil.example:9090", false),
            ("127.0.0.1:9090", "localhost.evil.example:9090", false),
            ("127.0.0.1:9090", "127.0.0.1.evil.example", false),
            ("127.0.0.1:9090", "10.0.0.5:9090", false),
            ("127.0.0.1:9090", "localhost:http", false),
            ("127.0.0.1:9090", "", false),
            ("10.0.0.5:9090", "10.0.0.5:9090", true),
            ("10.0.0.5:9090", "10.0.0.5", false),
            ("0.0.0.0:9090", "10.0.0.5:9090", true),
            ("0.0.0.0:9090", "evil.example:9090", false),
            ("[::]:9090", "[2001:db8::1]:9090", true),
        ] {
            let known_hosts = KnownHosts(Some(Arc::new(bound.parse().expect("an address"))));
            assert_eq!(known_hosts.knows(host), known, "{host} at {bound}");
        }
        assert!(KnownHosts(None).knows("anything"));
    }
}
