//! What the backend is told of the way a request came.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer identifier is replaced: it goes into the logs of everyone behind us.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The peer of one connection, and what is written of it, made once.
#[derive(Debug)]
pub struct Peer {
    address: HeaderValue,
    /// The `for=` parameter of RFC 7239, where an IPv6 address stands in quotes and brackets.
    node: String,
    /// The host last written. A connection's requests nearly always name the same one.
    last: RefCell<Option<HostValues>>,
}

#[derive(Clone, Debug)]
struct HostValues {
    host: HeaderValue,
    forwarded: HeaderValue,
}

/// One request's way to us.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    pub peer: &'a Peer,
    /// The authority as received, after it has been checked.
    pub host: &'a str,
    /// Whether the connection proved itself: only then is what it says of the way before us kept.
    pub verified: bool,
}

impl Peer {
    /// Prepares what is written of `peer`. Its port is not told.
    pub fn new(peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical();
        let node = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        Self { address: value(address.to_string()), node, last: RefCell::new(None) }
    }

    /// The peer's address as text.
    pub fn address(&self) -> &str {
        self.address.to_str().unwrap_or_default()
    }

    fn host_values(&self, host: &str) -> HostValues {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some(values) if values.host == host => values.clone(),
            _ => last.insert(HostValues::new(&self.node, host)).clone(),
        }
    }
}

impl HostValues {
    fn new(node: &str, host: &str) -> Self {
        Self { host: value(host.into()), forwarded: value(format!("for={node};host=\"{host}\";proto=https")) }
    }
}

/// Writes `X-Forwarded-For`, `-Host`, `-Proto`, `Forwarded` and `X-Request-ID`.
///
/// From a verified connection they continue what came (Cloudflare knows the visitor's address and scheme, we do not);
/// from any other they start here, as a stranger could write anything.
pub fn write(headers: &mut HeaderMap, forwarding: &Forwarding<'_>) {
    let Forwarding { peer, host, verified } = *forwarding;
    let values = peer.host_values(host);
    match verified {
        true => {
            append(headers, X_FORWARDED_FOR, &peer.address);
            append(headers, FORWARDED, &values.forwarded);
        }
        false => {
            headers.insert(X_FORWARDED_FOR, peer.address.clone());
            headers.insert(FORWARDED, values.forwarded);
        }
    }
    headers.insert(X_FORWARDED_HOST, values.host);
    if !(verified && is_kept(headers, &X_FORWARDED_PROTO, |scheme| matches!(scheme, b"http" | b"https"))) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    if !(verified && is_kept(headers, &X_REQUEST_ID, is_request_id)) {
        headers.insert(X_REQUEST_ID, fresh_request_id());
    }
}

/// Puts `last` at the end of the list that all of the field's values form, as one value: some backends read only one.
fn append(headers: &mut HeaderMap, name: HeaderName, last: &HeaderValue) {
    let mut list = Vec::new();
    for value in headers.get_all(&name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    let joined = match list.is_empty() {
        true => None,
        false => {
            list.extend_from_slice(last.as_bytes());
            HeaderValue::from_maybe_shared(Bytes::from(list)).ok()
        }
    };
    headers.insert(name, joined.unwrap_or_else(|| last.clone()));
}

fn is_kept(headers: &HeaderMap, name: &HeaderName, rule: impl Fn(&[u8]) -> bool) -> bool {
    let mut values = headers.get_all(name).iter();
    matches!((values.next(), values.next()), (Some(only), None) if rule(only.as_bytes()))
}

fn is_request_id(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.iter().all(u8::is_ascii_graphic)
}

/// 128 bits in hexadecimal. It ties log lines together and is no secret: a fast generator per thread, seeded by the
/// operating system, is enough.
fn fresh_request_id() -> HeaderValue {
    thread_local! {
        static STATE: [Cell<u64>; 2] = [(); 2].map(|()| Cell::new(RandomState::new().hash_one(0)));
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut id = [0; 32];
    STATE.with(|state| {
        for (word, digits) in state.iter().zip(id.chunks_mut(16)) {
            let random = split_mix(word);
            for (at, digit) in digits.iter_mut().enumerate() {
                *digit = DIGITS[(random >> (4 * at)) as usize & 0xf];
            }
        }
    });
    HeaderValue::from_bytes(&id).expect("hexadecimal digits are a header value")
}

/// SplitMix64 (Steele, Lea, Flood 2014): a counter and a bijection, so a thread's words do not repeat.
fn split_mix(state: &Cell<u64>) -> u64 {
    let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(next);
    let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An address and a checked authority are visible ASCII; a host that is not is left out.
fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn write_to(fields: &[(&'static str, &'static str)], peer: &str, verified: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let peer = Peer::new(peer.parse().expect("a socket address"));
        write(&mut headers, &Forwarding { peer: &peer, host: "shop.example.com:443", verified });
        headers
    }

    const CAME: [(&str, &str); 7] = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "198.51.100.2"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "other.example"),
        ("forwarded", "for=203.0.113.7"),
        ("forwarded", "for=198.51.100.2"),
        ("x-request-id", "8f3a-1"),
    ];

    #[test]
    fn a_verified_connection_is_continued() {
        let headers = write_to(&CAME, "192.0.2.1:50000", true);
        assert_eq!(headers["x-forwarded-for"], "203.0.113.7, 198.51.100.2, 192.0.2.1");
        assert_eq!(
            headers["forwarded"],
            "for=203.0.113.7, for=198.51.100.2, for=192.0.2.1;host=\"shop.example.com:443\";proto=https"
        );
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-host"], "shop.example.com:443");
        assert_eq!(headers["x-request-id"], "8f3a-1");
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn any_other_connection_starts_anew() {
        for came in [&CAME[..], &[]] {
            let headers = write_to(came, "192.0.2.1:50000", false);
            assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
            assert_eq!(headers["forwarded"], "for=192.0.2.1;host=\"shop.example.com:443\";proto=https");
            assert_eq!(headers["x-forwarded-proto"], "https");
            assert_ne!(headers["x-request-id"], "8f3a-1");
            assert_eq!(headers["x-request-id"].len(), 32);
            assert_eq!(headers.len(), 5);
        }
    }

    #[test]
    fn an_ipv6_peer_stands_in_quotes_and_a_mapped_one_is_ipv4() {
        let headers = write_to(&[], "[2001:db8::1]:443", true);
        assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
        assert_eq!(headers["forwarded"], "for=\"[2001:db8::1]\";host=\"shop.example.com:443\";proto=https");
        assert_eq!(write_to(&[], "[::ffff:192.0.2.1]:443", true)["x-forwarded-for"], "192.0.2.1");
    }

    #[test]
    fn what_a_verified_connection_says_is_kept_only_in_its_right_shape() {
        let long: &'static str = "x".repeat(129).leak();
        for (name, value) in [
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-request-id", ""),
            ("x-request-id", "two words"),
            ("x-request-id", long),
        ] {
            let headers = write_to(&[(name, value)], "192.0.2.1:1", true);
            assert_ne!(headers[name], value, "{name}");
        }
        let two = write_to(&[("x-request-id", "a"), ("x-request-id", "b")], "192.0.2.1:1", true);
        assert_eq!(two.get_all("x-request-id").iter().count(), 1);
        assert_eq!(two["x-request-id"].len(), 32);
    }

    #[test]
    fn a_peer_follows_a_change_of_host() {
        let peer = Peer::new("192.0.2.1:1".parse().expect("a socket address"));
        for host in ["a.example", "a.example", "b.example", "a.example"] {
            let mut headers = HeaderMap::new();
            write(&mut headers, &Forwarding { peer: &peer, host, verified: true });
            assert_eq!(headers["x-forwarded-host"], host);
            assert_eq!(headers["forwarded"], format!("for=192.0.2.1;host=\"{host}\";proto=https"));
        }
    }

    #[test]
    fn request_ids_do_not_repeat() {
        let ids: HashSet<HeaderValue> = (0..1000).map(|_| fresh_request_id()).collect();
        assert_eq!(ids.len(), 1000);
        let elsewhere = std::thread::spawn(fresh_request_id).join().expect("the thread ends");
        assert!(!ids.contains(&elsewhere));
    }
}
