//! The policy that judged the handshake is the policy of every request (RFC 9110, section 7.4).

use super::support::frames::{END_STREAM, Outcome, get};
use super::support::{Backend, Frames, HostSetup, Raw, World};

const HOST: &str = "shop.example";
/// Two policies: one of them with two names and a wildcard.
fn world(own: &Backend, other: &Backend) -> World {
    World::builder()
        .host(HostSetup::new(HOST).also("www.shop.example").also("*.cdn.example").upstream(&own.url()))
        .host(HostSetup::new("admin.example").also("*.shop.example").enforce("ours").upstream(&other.url()))
        .start()
}

/// Authorities of another policy, or of none.
const FOREIGN: [&str; 9] = [
    "admin.example",
    "ADMIN.Example",
    "admin.example.",
    "admin.example:443",
    "admin.example:8443",
    "deep.shop.example",
    "nobody.example",
    "192.0.2.1",
    "[2001:db8::1]",
];

/// The connection's own policy, in other words.
const OWN: [&str; 8] = [
    "shop.example",
    "SHOP.example",
    "shop.example.",
    "shop.example:443",
    "shop.example:8443",
    "www.shop.example",
    "a.cdn.example",
    "B.CDN.example.:1",
];

#[test]
fn http1_requests_for_another_policy_are_misdirected() {
    let (own, other) = (Backend::ok(), Backend::ok());
    let world = world(&own, &other);
    let mut raw = Raw::stranger(&world, HOST);
    for host in FOREIGN {
        for request in [
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            format!("GET https://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"),
        ] {
            let answer = raw.ask(&request);
            assert_eq!(answer.status, 421, "{request}: {answer:?}");
            if request.contains("HTTP/1.0") {
                raw = Raw::stranger(&world, HOST);
            }
        }
    }
    for host in OWN {
        assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).status, 200, "{host}");
        let absolute = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(raw.ask(absolute).status, 200, "{host}");
    }
    assert_eq!(other.connections().len(), 0);
    assert_eq!(own.connections().iter().map(|connection| connection.requests()).sum::<usize>(), 2 * OWN.len());
}

#[test]
fn http2_requests_for_another_policy_are_misdirected() {
    let (own, other) = (Backend::ok(), Backend::ok());
    let world = world(&own, &other);
    let mut frames = Frames::stranger(&world, HOST);
    let mut stream = 1;
    let mut ask = |fields: &[(&str, &str)]| {
        stream += 2;
        frames.headers(stream, END_STREAM, fields);
        frames.outcome(stream)
    };
    for host in FOREIGN {
        assert_eq!(ask(&get(host, "/")), Outcome::Status(421), "{host}");
        let without_authority = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", host)];
        assert_eq!(ask(&without_authority), Outcome::Status(421), "{host}");
    }
    for host in OWN {
        assert_eq!(ask(&get(host, "/")), Outcome::Status(200), "{host}");
    }
    assert_eq!(other.connections().len(), 0);
}

#[test]
fn the_hundredth_request_is_looked_at_like_the_first() {
    let (own, other) = (Backend::ok(), Backend::ok());
    let world = world(&own, &other);
    let mut raw = Raw::stranger(&world, HOST);
    let mut frames = Frames::stranger(&world, HOST);
    for at in 0..100 {
        assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status, 200);
        assert_eq!(frames.get(2 * at + 1, HOST, "/"), Outcome::Status(200));
    }
    assert_eq!(raw.ask("GET / HTTP/1.1\r\nHost: admin.example\r\n\r\n").status, 421);
    assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status, 200);
    assert_eq!(frames.get(201, "admin.example", "/"), Outcome::Status(421));
    assert_eq!(frames.get(203, HOST, "/"), Outcome::Status(200));
    assert_eq!(other.connections().len(), 0);
}

#[test]
fn a_certificate_for_one_policy_is_none_for_another() {
    let (own, other) = (Backend::ok(), Backend::ok());
    let world = world(&own, &other);
    let mut raw = Raw::verified(&world, "admin.example");
    assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status, 421);
    assert_eq!(raw.ask("GET / HTTP/1.1\r\nHost: admin.example\r\n\r\n").status, 200);
    assert_eq!(raw.ask("GET / HTTP/1.1\r\nHost: deep.shop.example\r\n\r\n").status, 200);
    assert_eq!(own.connections().len(), 0);
}

#[test]
fn the_body_of_a_misdirected_request_is_no_request() {
    let (own, other) = (Backend::ok(), Backend::ok());
    let world = world(&own, &other);
    let mut raw = Raw::stranger(&world, HOST);
    let body = format!("GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    raw.send(format!("POST / HTTP/1.1\r\nHost: admin.example\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(raw.answer().status, 421);
    raw.try_send(format!("GET /after HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).ok();
    // Either the body was read away and the next request is answered, or the connection has ended.
    let after = raw.rest();
    assert!(!own.text().contains("/smuggled"), "{after:?}");
    assert_eq!(other.connections().len(), 0);
}
