//! Header fields that belong to one connection and end here (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::strip::remove_where;

/// Fields that `Connection` cannot take away: without them the message would be another one, framed or routed otherwise.
const NOT_A_CONNECTION_OPTION: [HeaderName; 3] = [HOST, CONTENT_LENGTH, TRAILER];

/// Removes what ends here from a request. Ours are written afterwards, so `Connection: client-cert` cannot strip them.
///
/// `te: trailers` stays, alone and in this form: gRPC needs it, and HTTP/2 allows it (RFC 9113, section 8.2.2).
/// Whoever writes an HTTP/1.1 request with it adds `Connection: te`. `Trailer` stays, as trailers are forwarded.
pub fn strip_request(headers: &mut HeaderMap) {
    let trailers = headers.get_all(TE).iter().any(|value| tokens(value).any(|token| is(token, "trailers")));
    strip(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes what ends here from a response, `Trailer` excepted. The caller of an upgrade writes its `Connection` anew.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers);
}

/// The one protocol that an HTTP/1.1 request asks to switch to; ask before [`strip_request`].
///
/// Only when `Connection` lists `upgrade`, and `Upgrade` is a single protocol. `h2c` is none of them: it would open a
/// second HTTP past every check made here, and a client with TLS has ALPN for it (RFC 9113, section 3.1).
pub fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(UPGRADE).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let listed = headers.get_all(CONNECTION).iter().any(|value| tokens(value).any(|token| is(token, "upgrade")));
    let mut protocols = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let (protocol, None) = (protocols.next()?, protocols.next()) else { return None };
    let acceptable = is_protocol(protocol) && !is(protocol, "h2c");
    (listed && acceptable).then(|| HeaderValue::from_bytes(protocol).ok()).flatten()
}

fn strip(headers: &mut HeaderMap) {
    let more: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().skip(1).cloned().collect();
    if let Some(first) = headers.remove(CONNECTION) {
        for value in std::iter::once(first).chain(more) {
            tokens(&value).for_each(|option| strip_option(headers, option));
        }
    }
    remove_where(headers, is_hop_by_hop);
}

fn strip_option(headers: &mut HeaderMap, option: &[u8]) {
    if is(option, "keep-alive") || is(option, "close") {
        return;
    }
    let Ok(name) = HeaderName::from_bytes(option) else { return };
    if !NOT_A_CONNECTION_OPTION.contains(&name) {
        headers.remove(name);
    }
}

/// `proxy` is no field of HTTP, but CGI makes it `HTTP_PROXY`, which clients in the backend obey ("httpoxy").
/// Credentials for a proxy are meant for the one that answered 407, and none behind it (RFC 9110, section 11.7).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "proxy-authentication-info"
    )
}

/// The members of a comma-separated list; empty ones are left out (RFC 9110, section 5.6.1).
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

fn is(token: &[u8], word: &str) -> bool {
    token.eq_ignore_ascii_case(word.as_bytes())
}

/// `name[/version]` (RFC 9110, section 7.8), both tokens.
fn is_protocol(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'/');
    let is_token = |part: &[u8]| HeaderName::from_bytes(part).is_ok();
    let (name, version, rest) = (parts.next(), parts.next(), parts.next());
    name.is_some_and(is_token) && version.is_none_or(is_token) && rest.is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
                (name, HeaderValue::from_str(value).expect("a header value"))
            })
            .collect()
    }

    fn appended(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in map(fields).iter() {
            headers.append(name, value.clone());
        }
        headers
    }

    #[test]
    fn what_belongs_to_the_connection_ends_here() {
        let mut headers = appended(&[
            ("connection", "x-one, Close"),
            ("connection", ", X-Two,,bad name,"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
            ("proxy", "http://evil.example"),
            ("proxy-authorization", "Basic Zm9vOmJhcg=="),
            ("trailer", "grpc-status"),
        ]);
        strip_request(&mut headers);
        assert_eq!(headers, map(&[("x-three", "3"), ("trailer", "grpc-status")]));
    }

    #[test]
    fn connection_cannot_take_away_what_frames_or_routes_the_message() {
        let mut headers =
            map(&[("connection", "host, content-length"), ("host", "a.example"), ("content-length", "3")]);
        strip_request(&mut headers);
        assert_eq!(headers, map(&[("host", "a.example"), ("content-length", "3")]));
    }

    #[test]
    fn of_te_only_trailers_passes() {
        for (te, kept) in [
            ("trailers", true),
            ("Trailers", true),
            ("deflate, trailers", true),
            ("deflate", false),
            ("trailers;q=0.5", false),
            ("", false),
        ] {
            let mut headers = map(&[("te", te), ("connection", "te")]);
            strip_request(&mut headers);
            assert_eq!(headers.get(TE).is_some_and(|value| value == "trailers"), kept, "{te:?}");
            assert_eq!(headers.len(), usize::from(kept), "{te:?}");
        }
    }

    #[test]
    fn a_response_loses_the_same_fields() {
        let mut headers = map(&[
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("proxy-authenticate", "Basic"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("trailer", "x-sum"),
        ]);
        strip_response(&mut headers);
        assert_eq!(headers, map(&[("trailer", "x-sum")]));
    }

    #[test]
    fn an_upgrade_is_one_named_protocol_that_connection_lists() {
        for (connection, upgrades, wanted) in [
            ("Upgrade", &["websocket"][..], Some("websocket")),
            ("keep-alive, upgrade", &[" WebSocket "], Some("WebSocket")),
            ("upgrade", &["foo/2"], Some("foo/2")),
            ("upgrade", &["h2c"], None),
            ("upgrade", &["H2C"], None),
            ("upgrade", &["websocket, h2c"], None),
            ("upgrade", &["websocket", "h2c"], None),
            ("upgrade", &["websocket,"], None),
            ("upgrade", &[""], None),
            ("upgrade", &["a/b/c"], None),
            ("upgrade", &["web socket"], None),
            ("keep-alive", &["websocket"], None),
            ("upgrade", &[], None),
        ] {
            let mut headers = map(&[("connection", connection)]);
            for value in upgrades {
                headers.append(UPGRADE, HeaderValue::from_static(value));
            }
            let found = wanted_upgrade(&headers);
            assert_eq!(found.as_ref().map(|value| value.as_bytes()), wanted.map(str::as_bytes), "{upgrades:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_connection_names_stays(names in proptest::collection::vec("[a-zA-Z_.-]{1,12}", 0..6)) {
            let mut headers = HeaderMap::new();
            for name in &names {
                headers.append(HeaderName::from_bytes(name.as_bytes()).expect("a header name"), HeaderValue::from_static("v"));
            }
            headers.append(CONNECTION, HeaderValue::from_str(&names.join(" ,")).expect("a header value"));
            headers.remove(TRAILER);
            headers.remove(HOST);
            strip_request(&mut headers);
            prop_assert!(headers.is_empty(), "{headers:?}");
        }
    }
}
