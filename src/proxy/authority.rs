//! For whom a request is: exactly one authority, or none at all.

use std::net::Ipv6Addr;

use http::header::HOST;
use http::request::Parts;

/// RFC 1035 allows 253 bytes and a trailing dot; whatever is longer names no host.
const MAX_HOST_BYTES: usize = 254;

/// The authority of a request, checked: host and perhaps a port, nothing else. The host's case is as received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authority<'a> {
    text: &'a str,
    host: &'a str,
    port: Option<u16>,
}

/// Why a request has no authority to go by. Each is answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("the request names no host")]
    Missing,
    #[error("the request has several Host fields")]
    Several,
    #[error("the request's target and its Host field disagree")]
    Disagree,
    #[error("the request's host is none")]
    Invalid,
}

impl<'a> Authority<'a> {
    /// Host and port as received.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The host without its port; an IPv6 literal keeps its brackets. Case and trailing dot are as received.
    pub fn host_text(&self) -> &'a str {
        self.host
    }

    /// The port, if one was named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                (&text[..address.len() + 2], after.strip_prefix(':').or((!after.is_empty()).then_some(after)))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (is_name(host).then_some(host)?, Some(port)),
                None => (is_name(text).then_some(text)?, None),
            },
        };
        let port = match port {
            Some(port) => Some(parse_port(port)?),
            None => None,
        };
        Some(Self { text, host, port })
    }
}

/// The one authority that all of the request agrees on.
///
/// HTTP/1.1 has one Host field, and a target in absolute form repeats it (RFC 9112, section 3.2); HTTP/2 has `:authority`,
/// or Host, or both alike (RFC 9113, section 8.3.1). Two that differ are how a request reaches another host's backend.
pub fn authority(parts: &Parts, http2: bool) -> Result<Authority<'_>, AuthorityError> {
    let target = parts.uri.authority().map(|authority| authority.as_str());
    let mut hosts = parts.headers.get_all(HOST).iter();
    let field = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(AuthorityError::Several),
        (Some(value), None) => Some(value.to_str().map_err(|_| AuthorityError::Invalid)?),
        (None, None) => None,
    };
    let text = match (target, field) {
        (Some(target), Some(field)) if !target.eq_ignore_ascii_case(field) => return Err(AuthorityError::Disagree),
        (_, Some(field)) => field,
        (Some(target), None) if http2 => target,
        (_, None) => return Err(AuthorityError::Missing),
    };
    Authority::parse(text).ok_or(AuthorityError::Invalid)
}

/// Letters, digits, `-`, `_` and dots. User names, percent signs, commas and spaces are no part of a host's name.
fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text != "." && text.len() <= MAX_HOST_BYTES && text.bytes().all(known)
}

/// Digits only: `parse` alone would take a sign.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn parts(uri: &str, hosts: &[&[u8]]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_host_field_is_a_name_or_literal_and_perhaps_a_port() {
        for (host, found) in [
            ("shop.example.com", Some(("shop.example.com", None))),
            ("shop.example.com.", Some(("shop.example.com.", None))),
            ("SHOP.Example.com:443", Some(("SHOP.Example.com", Some(443)))),
            ("192.0.2.1:8443", Some(("192.0.2.1", Some(8443)))),
            ("[2001:db8::1]", Some(("[2001:db8::1]", None))),
            ("[2001:db8::1]:443", Some(("[2001:db8::1]", Some(443)))),
            ("a_b.example", Some(("a_b.example", None))),
            ("", None),
            (".", None),
            (":443", None),
            ("a.example:", None),
            ("a.example:+1", None),
            ("a.example:65536", None),
            ("a.example:80:80", None),
            ("a.example,b.example", None),
            ("a.example, b.example", None),
            ("a example", None),
            (" a.example", None),
            ("a.example ", None),
            ("user@a.example", None),
            ("user:pw@a.example", None),
            ("a.example/x", None),
            ("a.example?x", None),
            ("a.example#x", None),
            ("a%2eexample", None),
            ("a\\b", None),
            ("*.example", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[::1]:", None),
            ("[fe80::1%25eth0]", None),
            ("[a.example]", None),
            ("b\u{fc}cher.example", None),
        ] {
            let parts = parts("/", &[host.as_bytes()]);
            let result = authority(&parts, false);
            let expected = found.ok_or(AuthorityError::Invalid);
            assert_eq!(result.map(|authority| (authority.host_text(), authority.port())), expected, "{host:?}");
        }
    }

    #[test]
    fn every_place_that_names_a_host_agrees() {
        use AuthorityError::{Disagree, Invalid, Missing, Several};
        type Case = (&'static str, &'static [&'static [u8]], bool, Result<&'static str, AuthorityError>);
        let cases: [Case; 19] = [
            ("/", &[b"a.example"], false, Ok("a.example")),
            ("/", &[], false, Err(Missing)),
            ("*", &[b"a.example"], false, Ok("a.example")),
            ("/", &[b"a.example", b"a.example"], false, Err(Several)),
            ("/", &[b"a.example", b"b.example"], false, Err(Several)),
            ("http://a.example/", &[b"a.example"], false, Ok("a.example")),
            ("https://A.example/", &[b"a.example"], false, Ok("a.example")),
            ("http://a.example/", &[], false, Err(Missing)),
            ("http://a.example/", &[b"b.example"], false, Err(Disagree)),
            ("http://a.example:80/", &[b"a.example"], false, Err(Disagree)),
            ("http://u@a.example/", &[b"u@a.example"], false, Err(Invalid)),
            ("https://a.example/", &[], true, Ok("a.example")),
            ("https://a.example/", &[b"a.example"], true, Ok("a.example")),
            ("https://a.example/", &[b"b.example"], true, Err(Disagree)),
            ("https://a.example/", &[b"a.example", b"a.example"], true, Err(Several)),
            ("https://u@a.example/", &[], true, Err(Invalid)),
            ("/", &[b"a.example"], true, Ok("a.example")),
            ("/", &[], true, Err(Missing)),
            ("/", &[b"a\xff"], true, Err(Invalid)),
        ];
        for (uri, hosts, http2, expected) in cases {
            let parts = parts(uri, hosts);
            assert_eq!(authority(&parts, http2).map(|found| found.text()), expected, "{uri} {hosts:?} {http2}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_host_holds_nothing_but_host_and_port(text in "[ -~]{0,40}") {
            let parts = parts("/", &[text.as_bytes()]);
            if let Ok(found) = authority(&parts, false) {
                prop_assert_eq!(found.text(), &text);
                prop_assert!(found.text().starts_with(found.host_text()));
                prop_assert!(!text.contains([',', ' ', '@', '/', '%', '"']));
            }
        }
    }
}
