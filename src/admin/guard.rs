//! What keeps web pages away from the admin side: the checks of Host and Origin, and headers that bind our own page.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{App, rights};
use crate::hostname::Hostname;
use crate::snapshot::admin::AdminAccess;
use crate::telemetry::metrics::AdminDenial;

/// Our page needs its own style, its own script and its own origin; it is never a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                                       connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                                       frame-ancestors 'none'";

/// Where a listener is bound. `None`: a Unix socket, which no web page can reach.
pub(super) type Bound = Option<Arc<SocketAddr>>;

/// Refuses requests that were meant for another host (DNS rebinding).
pub(super) async fn check_host(State((app, bound)): State<(App, Bound)>, request: Request, next: Next) -> Response {
    let known =
        bound.is_none_or(|bound| host(request.headers()).is_some_and(|host| knows(&bound, &(app.access)(), host)));
    match known {
        true => next.run(request).await,
        false => rights::deny(&app, AdminDenial::WrongHost),
    }
}

/// Whether a browser sent it on behalf of a page of another origin. A browser says so; what is no browser says nothing.
pub(super) fn is_cross_site(headers: &HeaderMap, tls: bool) -> bool {
    let scheme = if tls { "https" } else { "http" };
    let is_ours = |origin: &HeaderValue| {
        let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix(scheme)?.strip_prefix("://"));
        authority.zip(host(headers)).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    };
    let from_elsewhere = |site: &HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
    !headers.get_all(header::ORIGIN).iter().all(is_ours) || headers.get_all("sec-fetch-site").iter().any(from_elsewhere)
}

/// The one Host of a request.
fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

/// A page of a stranger's site whose name was rebound to our address still sends that name. So the loopback names pass
/// with any port (a forwarded port has another one), the bound address with its own, names that are ours, and nothing else.
fn knows(bound: &SocketAddr, access: &AdminAccess, host: &str) -> bool {
    let (name, port) = split_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(address) = name.parse::<IpAddr>() else {
        return Hostname::parse(name).is_ok_and(|name| access.knows(&name));
    };
    let default_port = if access.tls.is_some() { 443 } else { 80 };
    let is_bound = bound.ip().is_unspecified() || bound.ip() == address;
    address.is_loopback() || (is_bound && port.unwrap_or(default_port) == bound.port())
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
            ("10.0.0.5:9090", "originlock.internal", true),
            ("127.0.0.1:9090", "Originlock.Internal:18080", true),
            ("10.0.0.5:9090", "a.originlock.internal:9090", false),
        ] {
            let hostnames = vec![Hostname::parse("originlock.internal").expect("a hostname")];
            let access = AdminAccess { hostnames, ..AdminAccess::default() };
            let bound: SocketAddr = bound.parse().expect("an address");
            assert_eq!(knows(&bound, &access, host), known, "{host} at {bound}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_known_by_what_its_browser_says() {
        for (tls, lines, cross_site) in [
            (false, &[][..], false),
            (false, &[("origin", "http://localhost:9090")], false),
            (false, &[("origin", "http://LOCALHOST:9090")], false),
            (true, &[("origin", "https://localhost:9090")], false),
            (false, &[("origin", "https://localhost:9090")], true),
            (true, &[("origin", "http://localhost:9090")], true),
            (false, &[("origin", "http://localhost:3000")], true),
            (false, &[("origin", "http://localhost")], true),
            (false, &[("origin", "http://evil.example")], true),
            (false, &[("origin", "null")], true),
            (false, &[("origin", "")], true),
            (false, &[("origin", "http://localhost:9090"), ("origin", "http://evil.example")], true),
            (false, &[("sec-fetch-site", "same-origin")], false),
            (false, &[("sec-fetch-site", "none")], false),
            (false, &[("sec-fetch-site", "same-site")], true),
            (false, &[("sec-fetch-site", "cross-site")], true),
            (false, &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:9090")], true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("localhost:9090"));
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_cross_site(&headers, tls), cross_site, "{lines:?}");
        }
    }
}
