//! A message that two readers could cut differently is refused, and nothing behind its first byte reaches the backend.

use super::support::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, block, get};
use super::support::{Backend, Frames, HostSetup, Raw, World};

const HOST: &str = "shop.example";

fn world(backend: &Backend) -> World {
    World::with(HostSetup::new(HOST).observe("ours").upstream(&backend.url()))
}

/// Another connection's request, which is the last that the backend gets: all others had their chance before.
fn last_request(world: &World, backend: &Backend) {
    let answer = Raw::stranger(world, HOST).ask(format!("GET /last HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(answer.status, 200);
    backend.wait_for_text("GET /last HTTP/1.1\r\n");
}

/// Heads that are refused before a backend is thought of.
const HEADS: [(&str, &str); 52] = [
    (
        "length, then chunked",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked, then length",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    ("two equal lengths", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    (
        "two different lengths",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\nContent-Length: 7\r\n\r\n",
    ),
    ("a list of lengths", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0, 0\r\n\r\n"),
    ("length with a plus", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: +0\r\n\r\n"),
    ("length with a minus", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: -0\r\n\r\n"),
    ("length with a space in it", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0 0\r\n\r\n"),
    ("length in hexadecimal", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0x0\r\n\r\n"),
    ("length of 2^64", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 18446744073709551616\r\n\r\n"),
    (
        "length far beyond",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
    ),
    ("empty length", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length:\r\n\r\n"),
    ("length in words", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: zero\r\n\r\n"),
    ("gzip, chunked", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked, gzip", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    (
        "chunked twice in a list",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("identity", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("empty encoding", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding:\r\n\r\n"),
    (
        "chunked with a parameter",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    ),
    ("quoted chunked", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("xchunked", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (
        "vertical tab before chunked",
        "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    ("chunked in HTTP/1.0", "POST /x HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("lines end in LF", "GET /x HTTP/1.1\nHost: shop.example\n\n"),
    ("one line ends in LF", "GET /x HTTP/1.1\r\nHost: shop.example\nA: b\r\n\r\n"),
    ("head ends in LF LF", "GET /x HTTP/1.1\r\nHost: shop.example\n\n"),
    ("head ends in CRLF LF", "GET /x HTTP/1.1\r\nHost: shop.example\r\n\n"),
    ("CR in a value", "GET /x HTTP/1.1\r\nHost: shop.example\r\nA: b\rC: d\r\n\r\n"),
    ("CR CR LF", "GET /x HTTP/1.1\r\nHost: shop.example\r\r\n\r\n"),
    ("NUL in a value", "GET /x HTTP/1.1\r\nHost: shop.example\r\nA: b\0c\r\n\r\n"),
    ("NUL in a name", "GET /x HTTP/1.1\r\nHost: shop.example\r\nA\0: b\r\n\r\n"),
    ("NUL in the target", "GET /x\0 HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("folded line", "GET /x HTTP/1.1\r\nHost: shop.example\r\nA: b\r\n c\r\n\r\n"),
    ("folded line with a tab", "GET /x HTTP/1.1\r\nHost: shop.example\r\nA: b\r\n\tc\r\n\r\n"),
    ("space before the first field", "GET /x HTTP/1.1\r\n Host: shop.example\r\n\r\n"),
    ("space before the colon", "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length : 4\r\n\r\n"),
    ("tab before the colon", "POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding\t: chunked\r\n\r\n"),
    ("no colon", "GET /x HTTP/1.1\r\nHost: shop.example\r\nA\r\n\r\n"),
    ("no name", "GET /x HTTP/1.1\r\nHost: shop.example\r\n: b\r\n\r\n"),
    ("absolute form with a user", "GET http://me@shop.example/x HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("absolute form of another scheme", "GET ftp://shop.example/x HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("target without slash", "GET x HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("target with a fragment", "GET /x#y HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("star for GET", "GET * HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("two spaces", "GET  /x HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("HTTP/0.9", "GET /x\r\n\r\n"),
    ("HTTP/2 in a line", "GET /x HTTP/2.0\r\nHost: shop.example\r\n\r\n"),
    ("lower-case http", "GET /x http/1.1\r\nHost: shop.example\r\n\r\n"),
    ("preface without ALPN", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("two empty lines first", "\r\n\r\nGET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    ("garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n"),
];

#[test]
fn an_ambiguous_head_is_refused_and_nothing_reaches_the_backend() {
    let backend = Backend::ok();
    let world = world(&backend);
    for (name, bytes) in HEADS {
        let mut raw = Raw::stranger(&world, HOST);
        raw.send(format!("{bytes}GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        let rest = String::from_utf8(raw.rest()).expect("our own words");
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{name}: {rest}");
        assert!(rest.starts_with("HTTP/1.1 4") || rest.starts_with("HTTP/1.1 505"), "{name}: {rest}");
    }
    last_request(&world, &backend);
    assert_eq!(backend.connections().len(), 1, "{}", backend.text());
    assert!(!backend.text().contains("/smuggled") && !backend.text().contains("/x"), "{}", backend.text());
}

/// Requests that name no host, or more than one.
const HOSTS: [(&str, &str); 10] = [
    ("no host", "GET /x HTTP/1.1\r\nA: b\r\n\r\n"),
    ("no host in HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n"),
    ("two equal hosts", "GET /x HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n\r\n"),
    ("two hosts", "GET /x HTTP/1.1\r\nHost: shop.example\r\nHost: other.example\r\n\r\n"),
    ("empty host", "GET /x HTTP/1.1\r\nHost:\r\n\r\n"),
    ("a list of hosts", "GET /x HTTP/1.1\r\nHost: shop.example, shop.example\r\n\r\n"),
    ("host with a user", "GET /x HTTP/1.1\r\nHost: me@shop.example\r\n\r\n"),
    ("host with a path", "GET /x HTTP/1.1\r\nHost: shop.example/x\r\n\r\n"),
    ("host with a bad port", "GET /x HTTP/1.1\r\nHost: shop.example:99999\r\n\r\n"),
    ("absolute form of another host", "GET http://other.example/x HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
];

#[test]
fn a_request_that_does_not_name_one_host_is_refused() {
    let backend = Backend::ok();
    let world = world(&backend);
    for (name, bytes) in HOSTS {
        let answer = Raw::stranger(&world, HOST).ask(bytes);
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
    }
    last_request(&world, &backend);
    assert_eq!(backend.connections().len(), 1, "{}", backend.text());
}

#[test]
fn methods_for_proxies_are_not_served_to_an_origin() {
    let backend = Backend::ok();
    let world = world(&backend);
    for request in [
        "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n",
        "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "CONNECT other.example:25 HTTP/1.1\r\nHost: other.example:25\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ] {
        let answer = Raw::stranger(&world, HOST).ask(request);
        assert!(matches!(answer.status, 400 | 405 | 421), "{request}: {answer:?}");
    }
    last_request(&world, &backend);
    assert_eq!(backend.connections().len(), 1, "{}", backend.text());
}

/// What stands behind `Transfer-Encoding: chunked`, and breaks off there.
const CHUNKS: [(&str, &str); 21] = [
    ("no digits", "\r\nabc\r\n0\r\n\r\n"),
    ("a sign", "+3\r\nabc\r\n0\r\n\r\n"),
    ("a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("a space before", " 3\r\nabc\r\n0\r\n\r\n"),
    ("a space behind", "3 \r\nabc\r\n0\r\n\r\n"),
    ("an underscore", "0_3\r\nabc\r\n0\r\n\r\n"),
    ("more than 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("2^64 - 1 and on", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("size line ends in LF", "3\nabc\r\n0\r\n\r\n"),
    ("size line ends in CR", "3\rabc\r\n0\r\n\r\n"),
    ("chunk ends in LF", "3\r\nabc\n0\r\n\r\n"),
    ("chunk ends in nothing", "3\r\nabc0\r\n\r\n"),
    ("chunk longer than said", "3\r\nabcd\r\n0\r\n\r\n"),
    ("last chunk ends in LF", "3\r\nabc\r\n0\n\r\n"),
    ("extension ends in LF", "3;a=b\nabc\r\n0\r\n\r\n"),
    ("extension with NUL", "3;a=\0b\r\nabc\r\n0\r\n\r\n"),
    ("extension with CR", "3;a=\rb\r\nabc\r\n0\r\n\r\n"),
    ("trailer ends in LF", "3\r\nabc\r\n0\r\nA: b\n\r\n"),
    ("folded trailer", "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n"),
    ("trailer without colon", "3\r\nabc\r\n0\r\nA\r\n\r\n"),
    ("section ends in LF", "3\r\nabc\r\n0\r\n\n"),
];

#[test]
fn a_bad_chunk_ends_the_connection_and_what_follows_is_no_request() {
    let backend = Backend::ok();
    let world = world(&backend);
    for (name, chunks) in CHUNKS {
        let mut raw = Raw::stranger(&world, HOST);
        raw.send(format!(
            "POST /x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        ));
        let rest = String::from_utf8(raw.rest()).expect("our own words");
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 "), "{name}: {rest}");
        assert!(rest.matches("HTTP/1.1 ").count() <= 1, "{name}: {rest}");
    }
    last_request(&world, &backend);
    assert!(!backend.text().contains("/smuggled"), "{}", backend.text());
    // The backend is never told that such a body was whole.
    assert_eq!(backend.text().matches("\r\n0\r\n").count(), 0, "{}", backend.text());
}

#[test]
fn chunk_extensions_end_here_and_have_a_bound() {
    let backend = Backend::ok();
    let world = world(&backend);
    let head = format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let answer = Raw::stranger(&world, HOST).ask(format!("{head}3;ext=\"0\"; b\r\nabc\r\n0;last\r\n\r\n"));
    assert_eq!(answer.status, 200);
    assert!(backend.text().ends_with("3\r\nabc\r\n0\r\n\r\n"), "{}", backend.text());
    let mut raw = Raw::stranger(&world, HOST);
    // Refused before the end of the line has come, however long that takes.
    raw.send(format!("{head}3;{}", "e".repeat(20 * 1024)));
    let rest = String::from_utf8(raw.rest()).expect("our own words");
    assert!(rest.starts_with("HTTP/1.1 400 "), "{rest}");
}

#[test]
fn a_request_behind_a_refused_one_is_not_read() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    assert_eq!(raw.ask(format!("GET /first HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status, 200);
    raw.send(format!("GET /second HTTP/1.1\r\nHost : {HOST}\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(raw.answer().status, 400);
    assert_eq!(raw.rest(), b"");
    last_request(&world, &backend);
    assert!(!backend.text().contains("/smuggled") && !backend.text().contains("/second"));
}

type Fields = &'static [(&'static str, &'static str)];

/// Fields of HEADERS with END_STREAM, each refused.
const FIELDS: [(&str, Fields); 29] = [
    ("no method", &[(":scheme", "https"), (":authority", HOST), (":path", "/x")]),
    ("no scheme", &[(":method", "GET"), (":authority", HOST), (":path", "/x")]),
    ("no path", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST)]),
    ("no authority", &[(":method", "GET"), (":scheme", "https"), (":path", "/x")]),
    ("empty path", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "")]),
    ("path without slash", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "x")]),
    ("path of a query", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "?x")]),
    (
        "path with a host",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "http://other.example/x")],
    ),
    ("path with a space", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x HTTP/1.1")]),
    ("path with CR LF", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x\r\nA: b")]),
    ("star for GET", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "*")]),
    ("method with a space", &[(":method", "GET /x"), (":scheme", "https"), (":authority", HOST), (":path", "/x")]),
    (
        "method twice",
        &[(":method", "GET"), (":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x")],
    ),
    ("path twice", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), (":path", "/x")]),
    (
        "authority twice",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":authority", HOST), (":path", "/x")],
    ),
    (
        "unknown pseudo-header",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), (":x", "y")],
    ),
    (
        "a response's pseudo-header",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), (":status", "200")],
    ),
    (
        "pseudo-header behind a field",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), ("a", "b"), (":path", "/x")],
    ),
    (
        "authority with a user",
        &[(":method", "GET"), (":scheme", "https"), (":authority", "me@shop.example"), (":path", "/x")],
    ),
    (
        "host other than authority",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("host", "other.example")],
    ),
    ("two hosts", &[(":method", "GET"), (":scheme", "https"), (":path", "/x"), ("host", HOST), ("host", HOST)]),
    ("upper-case name", &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("A", "b")]),
    (
        "connection",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("connection", "close")],
    ),
    (
        "transfer-encoding",
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/x"),
            ("transfer-encoding", "chunked"),
        ],
    ),
    (
        "upgrade",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("upgrade", "websocket")],
    ),
    (
        "te other than trailers",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("te", "gzip")],
    ),
    (
        "CR LF in a value",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("a", "b\r\nc: d")],
    ),
    (
        "NUL in a value",
        &[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("a", "b\0c")],
    ),
    (
        "a length without content",
        &[(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/x"), ("content-length", "5")],
    ),
];

#[test]
fn a_malformed_http2_request_is_refused_and_nothing_reaches_the_backend() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut let_through = Vec::new();
    for (name, fields) in FIELDS {
        let mut frames = Frames::stranger(&world, HOST);
        frames.headers(1, END_STREAM, fields);
        let outcome = frames.outcome(1);
        if !outcome.is_refusal() {
            let_through.push((name, outcome));
        }
    }
    last_request(&world, &backend);
    assert!(let_through.is_empty(), "{let_through:?}\n{}", backend.text());
    assert_eq!(backend.connections().len(), 1, "{}", backend.text());
}

#[test]
fn a_malformed_http2_request_leaves_the_connection_to_the_others() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut frames = Frames::stranger(&world, HOST);
    for (stream, (_, fields)) in (1..).step_by(4).zip(FIELDS.iter().filter(|(name, _)| name.starts_with("host"))) {
        frames.headers(stream, END_STREAM, fields);
        assert_eq!(frames.outcome(stream), Outcome::Status(400));
        assert_eq!(frames.get(stream + 2, HOST, "/"), Outcome::Status(200));
    }
}

/// Content that is not as long as its head said: the backend is not told that it was whole.
#[test]
fn http2_content_keeps_its_length_or_the_request_fails() {
    for (name, length, parts) in [
        ("shorter", "5", &["abc"][..]),
        ("shorter in two frames", "5", &["ab", "c"]),
        ("longer", "3", &["abcde"]),
        ("longer in two frames", "3", &["abc", "de"]),
        ("several lengths", "3, 3", &["abc"]),
        ("signed", "+3", &["abc"]),
    ] {
        let backend = Backend::ok();
        let world = world(&backend);
        let mut frames = Frames::stranger(&world, HOST);
        let fields = [&get(HOST, "/x")[1..], &[(":method", "POST"), ("content-length", length)]].concat();
        frames.headers(1, 0, &fields);
        for (at, part) in parts.iter().enumerate() {
            let end = if at + 1 == parts.len() { END_STREAM } else { 0 };
            frames.send(DATA, end, 1, part.as_bytes());
        }
        let outcome = frames.outcome(1);
        assert!(outcome.is_refusal(), "{name}: {outcome:?}");
        last_request(&world, &backend);
        let text = backend.text();
        let whole = text.contains("content-length: 5\r\n\r\nabc") && text.contains("abcde");
        assert!(!whole && !text.contains("abcde"), "{name}: {text}");
    }
}

#[test]
fn two_lengths_of_an_http2_request_are_refused() {
    let backend = Backend::ok();
    let world = world(&backend);
    for lengths in [["3", "3"], ["3", "5"], ["5", "3"]] {
        let mut frames = Frames::stranger(&world, HOST);
        let [first, second] = lengths.map(|length| ("content-length", length));
        frames.headers(1, 0, &[&get(HOST, "/x")[1..], &[(":method", "POST"), first, second]].concat());
        frames.send(DATA, END_STREAM, 1, b"abc");
        let outcome = frames.outcome(1);
        assert!(outcome.is_refusal(), "{lengths:?}: {outcome:?}");
    }
    last_request(&world, &backend);
    assert!(!backend.text().contains("/x"), "{}", backend.text());
}

#[test]
fn frames_out_of_place_end_the_connection() {
    let backend = Backend::ok();
    let world = world(&backend);
    let whole = block(&get(HOST, "/x"));
    type Attack = fn(&mut Frames, &[u8]);
    let attacks: [(&str, Attack); 6] = [
        ("content on a stream that is not open", |frames, _| frames.send(DATA, END_STREAM, 1, b"abc")),
        ("a continuation of nothing", |frames, block| frames.send(CONTINUATION, END_HEADERS, 1, block)),
        ("an even stream", |frames, block| frames.send(HEADERS, END_HEADERS | END_STREAM, 2, block)),
        ("a frame within a block", |frames, block| {
            frames.send(HEADERS, END_STREAM, 1, &block[..4]);
            frames.send(6, 0, 0, &[0; 8]);
        }),
        ("a block that cannot be decoded", |frames, _| frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 20])),
        ("a frame larger than allowed", |frames, _| {
            let _ = frames.raw.try_send(super::support::frames::frame(DATA, 0, 1, &[0; 20_000]));
        }),
    ];
    for (name, attack) in attacks {
        let mut frames = Frames::stranger(&world, HOST);
        attack(&mut frames, &whole);
        let outcome = frames.outcome(1);
        assert!(matches!(outcome, Outcome::GoAway(_) | Outcome::Closed), "{name}: {outcome:?}");
    }
    let mut raw = Raw::open(&world, HOST, world.client(HOST).alpn(&["h2"]).config());
    raw.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert!(!String::from_utf8_lossy(&raw.rest()).contains("HTTP/1.1"));
    last_request(&world, &backend);
    assert!(!backend.text().contains("/x"), "{}", backend.text());
}
