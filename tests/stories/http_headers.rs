//! What the backend is told is ours, whatever a client says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::support::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, block, get};
use super::support::{Backend, Frames, HostSetup, Raw, Shape, World, pki};

const HOST: &str = "shop.example";

fn world(backend: &Backend) -> World {
    World::with(HostSetup::new(HOST).observe("ours").upstream(&backend.url()))
}

/// The values of a field in the last head that a backend got.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let head = text.rsplit_once("HTTP/1.1\r\n").expect("a request").1;
    let fields = head.split("\r\n\r\n").next().expect("a head").split("\r\n");
    fields
        .filter_map(|line| line.split_once(": "))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn the_backend_receives_exactly_this() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut raw = Raw::verified(&world, HOST);
    let answer = raw.ask(format!(
        "POST /a/%2e%2E/b?c=d&e HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: edge\r\nCF-Connecting-IP: 203.0.113.7\r\n\
         CF-Ray: 8f3a\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Request-ID: 8f3a-1\r\n\
         Accept: a\r\nAccept: b\r\nConnection: keep-alive, x-hop\r\nX-Hop: gone\r\nKeep-Alive: 5\r\n\
         Content-Length: 5\r\n\r\nhello"
    ));
    assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
    let certificate = STANDARD.encode(&pki().credential(Shape::P256).chain[0]);
    let expected = format!(
        "POST /a/%2e%2E/b?c=d&e HTTP/1.1\r\n\
         host: {HOST}\r\n\
         user-agent: edge\r\n\
         cf-connecting-ip: 203.0.113.7\r\n\
         cf-ray: 8f3a\r\n\
         x-forwarded-for: 203.0.113.7, 127.0.0.1\r\n\
         x-forwarded-proto: https\r\n\
         x-request-id: 8f3a-1\r\n\
         accept: a\r\n\
         accept: b\r\n\
         forwarded: for=127.0.0.1;host=\"{HOST}\";proto=https\r\n\
         x-forwarded-host: {HOST}\r\n\
         x-client-verify: SUCCESS\r\n\
         client-cert: :{certificate}:\r\n\
         content-length: 5\r\n\
         \r\n\
         hello"
    );
    // The order of fields with different names means nothing; the bytes of each line do.
    assert_eq!(sorted(&backend.text()), sorted(&expected));
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split("\r\n").collect();
    lines[1..].sort_unstable();
    lines
}

/// Claims of identity, under every name and spelling.
const CLAIMS: [&str; 27] = [
    "X-Client-Verify",
    "x-client-verify",
    "X_Client_Verify",
    "X-Client_Verify",
    "x.client.verify",
    "Client-Cert",
    "Client_Cert",
    "Client-Cert-Chain",
    "CLIENT_CERT_CHAIN",
    "X-Client-Cert",
    "X-Client-DN",
    "X_SSL_Client_Verify",
    "X-SSL-Client-Cert",
    "X-SSL-Cert",
    "X_SSL_Cert",
    "X-SSL-Subject",
    "X-SSL-Subject-DN",
    "X-SSL-Issuer",
    "X-SSL-Client-S-DN",
    "SSL-Client-Cert",
    "X-Forwarded-Client-Cert",
    "X_Forwarded_Client_Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-Amzn-Mtls-Clientcert",
    "X-ARR-ClientCert",
    "X-Originlock-Verdict",
];

#[test]
fn a_claim_of_identity_never_arrives() {
    let backend = Backend::ok();
    let world = world(&backend);
    let claims: String = CLAIMS.iter().map(|name| format!("{name}: forged\r\n")).collect();
    for (mut raw, verify, certificates) in
        [(Raw::stranger(&world, HOST), "NONE", 0), (Raw::verified(&world, HOST), "SUCCESS", 1)]
    {
        assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{claims}\r\n")).status, 200);
        let text = backend.text();
        assert!(!text.contains("forged"), "{text}");
        assert_eq!(values(&text, "x-client-verify"), [verify]);
        assert_eq!(values(&text, "client-cert").len(), certificates);
    }
    let mut frames = Frames::stranger(&world, HOST);
    let lower: Vec<String> = CLAIMS.iter().map(|name| name.to_ascii_lowercase()).collect();
    let fields: Vec<(&str, &str)> = lower.iter().map(|name| (name.as_str(), "forged")).collect();
    frames.headers(1, END_STREAM, &[&get(HOST, "/")[..], &fields].concat());
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    assert!(!backend.text().contains("forged"), "{}", backend.text());
}

#[test]
fn trailers_make_no_claims() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut raw = Raw::verified(&world, HOST);
    let claims: String = CLAIMS.iter().map(|name| format!("{name}: forged\r\n")).collect();
    let answer = raw.ask(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\n{claims}\
         CF-Connecting-IP: forged\r\nX-Forwarded-For: forged\r\nContent-Length: 7\r\nHost: forged\r\n\
         Transfer-Encoding: forged\r\nAuthorization: forged\r\nX-Request-ID: forged\r\nX-Sum: kept\r\n\r\n"
    ));
    assert_eq!(answer.status, 200);
    let text = backend.text();
    assert!(text.ends_with("3\r\nabc\r\n0\r\nx-sum: kept\r\n\r\n"), "{text}");
    let mut frames = Frames::verified(&world, HOST);
    frames.headers(1, 0, &[&get(HOST, "/")[1..], &[(":method", "POST")]].concat());
    frames.send(DATA, 0, 1, b"abc");
    let trailers = [("client-cert", "forged"), ("x_client_verify", "forged"), ("cf-ray", "forged"), ("x-sum", "kept")];
    frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&trailers));
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    let text = backend.text();
    assert!(text.ends_with("3\r\nabc\r\n0\r\nx-sum: kept\r\n\r\n") && !text.contains("forged"), "{text}");
}

#[test]
fn connection_cannot_strip_what_is_ours() {
    let backend = Backend::ok();
    let world = world(&backend);
    let answer = Raw::verified(&world, HOST).ask(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\nX-Own: a\r\nCookie: b\r\n\
         Connection: Client-Cert, X-Client-Verify, x-forwarded-for, X-Forwarded-Proto, forwarded\r\n\
         Connection: x-request-id, host, content-length, transfer-encoding, x-own, close\r\n\r\nok"
    ));
    assert_eq!(answer.status, 200);
    let text = backend.text();
    for name in ["client-cert", "x-client-verify", "x-forwarded-for", "x-forwarded-proto", "forwarded", "x-request-id"]
    {
        assert_eq!(values(&text, name).len(), 1, "{name}: {text}");
    }
    assert_eq!(values(&text, "host"), [HOST]);
    assert_eq!(values(&text, "content-length"), ["2"]);
    assert_eq!(values(&text, "cookie"), ["b"]);
    for name in ["x-own", "connection"] {
        assert!(values(&text, name).is_empty(), "{name}: {text}");
    }
}

#[test]
fn every_verdict_is_told() {
    let backend = Backend::ok();
    let world = world(&backend);
    for (shape, verify) in [
        (None, "NONE"),
        (Some(Shape::P256), "SUCCESS"),
        (Some(Shape::UnknownCa), "FAILED:unknown_issuer"),
        (Some(Shape::Expired), "FAILED:expired"),
    ] {
        let client = world.client(HOST);
        let client = match shape {
            Some(shape) => client.presenting(shape),
            None => client,
        };
        let mut raw = Raw::open(&world, HOST, client.config());
        for _ in 0..2 {
            assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status, 200);
            let text = backend.text();
            assert_eq!(values(&text, "x-client-verify"), [verify]);
            assert_eq!(values(&text, "client-cert").len(), usize::from(verify == "SUCCESS"), "{text}");
        }
    }
}

#[test]
fn only_a_verified_connection_speaks_for_the_visitor() {
    let backend = Backend::ok();
    let world = world(&backend);
    let said = "CF-Connecting-IP: 203.0.113.7\r\nCF-Ray: a\r\nTrue-Client-IP: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n\
                X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\nForwarded: for=203.0.113.7\r\n\
                X-Forwarded-Port: 1\r\nX-Request-ID: theirs\r\n";
    let spelled = "CF_Connecting_IP: 203.0.113.7\r\nX_Forwarded_For: 203.0.113.7\r\nContent_Length: 7\r\n\
                   Transfer_Encoding: chunked\r\nX_Request_ID: theirs\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{said}{spelled}\r\n");
    assert_eq!(Raw::stranger(&world, HOST).ask(&request).status, 200);
    let text = backend.text();
    assert!(!text.contains("203.0.113.7") && !text.contains("theirs"), "{text}");
    assert_eq!(values(&text, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&text, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&text, "x-request-id")[0].len(), 32);
    assert_eq!(Raw::verified(&world, HOST).ask(&request).status, 200);
    let text = backend.text();
    for (name, value) in [
        ("cf-connecting-ip", "203.0.113.7"),
        ("true-client-ip", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", HOST),
        ("x-request-id", "theirs"),
    ] {
        assert_eq!(values(&text, name), [value], "{name}: {text}");
    }
    assert!(!text.contains('_'), "{text}");
}

#[test]
fn what_ends_here_does_not_go_on() {
    let backend = Backend::ok();
    let world = world(&backend);
    let answer = Raw::verified(&world, HOST).ask(format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nProxy: http://evil.example\r\nProxy-Authorization: a\r\nProxy-Connection: b\r\n\
         Keep-Alive: c\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: d\r\nConnection: Upgrade, HTTP2-Settings, TE\r\n\r\n"
    ));
    assert_eq!(answer.status, 200);
    let text = backend.text();
    for name in ["proxy", "proxy-authorization", "proxy-connection", "keep-alive", "upgrade", "http2-settings"] {
        assert!(values(&text, name).is_empty(), "{name}: {text}");
    }
    assert_eq!(values(&text, "te"), ["trailers"]);
    assert_eq!(values(&text, "connection"), ["te"]);
}

#[test]
fn an_answers_own_connection_ends_here_too() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: a\r\nKeep-Alive: b\r\nX-Kept: c\r\nSet-Cookie: d=1\r\n\
         Set-Cookie: e=2\r\nUpgrade: h2\r\ncontent-length: 0\r\n\r\n",
    );
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..2 {
        let answer = raw.ask(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        let expected =
            "HTTP/1.1 200 OK\r\nx-kept: c\r\nset-cookie: d=1\r\nset-cookie: e=2\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(sorted(&answer.head), sorted(expected));
    }
}

#[test]
fn cookies_of_http2_arrive_in_one_field() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(
        1,
        END_STREAM,
        &[&get(HOST, "/")[..], &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]].concat(),
    );
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    assert_eq!(values(&backend.text(), "cookie"), ["a=1; b=2; c=3"]);
}
