//! Backends that are dead, slow, many, encrypted or confused.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};

use super::support::frames::Outcome;
use super::support::{Backend, Frames, HostSetup, Raw, Shape, World, pki};

const HOST: &str = "shop.example";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// `upstream` is a TOML value.
fn world(upstream: &str) -> World {
    World::with(HostSetup::new(HOST).observe("ours").upstream(upstream))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

fn serve_ok(peer: &mut super::support::backend::Conversation) -> std::io::Result<()> {
    while peer.request()?.is_some() {
        peer.send(OK)?;
    }
    Ok(())
}

#[test]
fn a_dead_backend_is_a_bad_gateway_until_it_lives() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("backend.sock");
    let world = world(&format!("\"unix:{}\"", socket.display()));
    let (mut raw, mut frames) = (Raw::stranger(&world, HOST), Frames::stranger(&world, HOST));
    for stream in [1, 3, 5, 7] {
        assert_eq!(raw.ask(get("/")).status, 502);
        assert_eq!(frames.get(stream, HOST, "/"), Outcome::Status(502));
    }
    // Nothing of the reason is told.
    let answer = raw.ask(get("/"));
    assert!(!answer.text().contains("backend.sock") && !answer.text().contains("No such file"), "{}", answer.text());
    let backend = Backend::unix(&socket, serve_ok);
    assert_eq!(raw.ask(get("/")).status, 200);
    assert_eq!(frames.get(9, HOST, "/"), Outcome::Status(200));
    backend.wait_for_text("GET / HTTP/1.1\r\n");
    // POST with a body: it was not sent anywhere either.
    let post = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(raw.ask(post).status, 200);
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            if request.starts_with("GET /slow") {
                return peer.until_closed();
            }
            peer.send(OK)?;
        }
        Ok(())
    });
    let world = world(&format!("{{ to = {}, response_timeout_seconds = 0.3 }}", backend.url()));
    let (mut raw, mut frames) = (Raw::stranger(&world, HOST), Frames::stranger(&world, HOST));
    for stream in [1, 5] {
        assert_eq!(raw.ask(get("/slow")).status, 504);
        assert_eq!(raw.ask(get("/")).status, 200);
        assert_eq!(frames.get(stream, HOST, "/slow"), Outcome::Status(504));
        assert_eq!(frames.get(stream + 2, HOST, "/"), Outcome::Status(200));
    }
    // Their late answers are nobody's.
    backend.wait_until("the slow ones are closed", |connections| {
        connections
            .iter()
            .filter(|connection| String::from_utf8_lossy(&connection.bytes).contains("/slow"))
            .all(|connection| connection.closed)
    });
}

#[test]
fn requests_take_turns_among_addresses() {
    let backends = [Backend::ok(), Backend::ok(), Backend::ok()];
    let world = world(&format!("[{}, {}, {}]", backends[0].url(), backends[1].url(), backends[2].url()));
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..30 {
        assert_eq!(raw.ask(get("/")).status, 200);
    }
    for backend in &backends {
        assert_eq!(backend.text().matches("GET / HTTP/1.1").count(), 10);
    }
}

#[test]
fn a_dead_address_costs_no_request() {
    let backend = Backend::ok();
    let world = world(&format!("[\"unix:/nonexistent/backend.sock\", {}]", backend.url()));
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..20 {
        assert_eq!(raw.ask(get("/")).status, 200);
        let post = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        assert_eq!(raw.ask(post).status, 200);
    }
    assert_eq!(backend.text().matches("\r\n\r\n2\r\nhi\r\n0\r\n\r\n").count(), 20);
}

/// A backend's certificate for `backend.example`, under the CA of sites.
fn server_config(asks_for_certificate: bool) -> Arc<ServerConfig> {
    let issued = pki().server_certificate(&["backend.example".to_owned()]);
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        let ours = CertificateDer::from_pem_slice(pki().ours.certificate_pem().as_bytes()).expect("a CA");
        roots.add(ours).expect("a usable CA");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from(issued.certificate_der.clone())];
    Arc::new(builder.with_single_cert(chain, key).expect("a configuration"))
}

#[test]
fn an_encrypted_backend_is_verified() {
    let backend = Backend::tls(server_config(false), serve_ok);
    let address = backend.address;
    for (settings, status) in [
        ("ca = \"tls/site-ca.pem\", server_name = \"backend.example\"", 200),
        ("ca = \"ca/ours.pem\", server_name = \"backend.example\"", 502),
        ("ca = \"tls/site-ca.pem\", server_name = \"other.example\"", 502),
        ("ca = \"tls/site-ca.pem\"", 502),
        ("server_name = \"backend.example\"", 502),
    ] {
        let world = world(&format!("{{ to = \"https://{address}\", {settings} }}"));
        let mut raw = Raw::stranger(&world, HOST);
        for _ in 0..2 {
            assert_eq!(raw.ask(get("/")).status, status, "{settings}");
        }
    }
    // Only the first was ever sent a request.
    assert_eq!(backend.text().matches("GET / HTTP/1.1").count(), 2);
}

#[test]
fn an_encrypted_backend_gets_our_certificate_if_it_asks() {
    let backend = Backend::tls(server_config(true), serve_ok);
    let folder = tempfile::tempdir().expect("a folder");
    let credential = pki().credential(Shape::P256);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("client.pem"), credential.chain_pem()).expect("a file");
    std::fs::write(path("client.key"), credential.key_pem()).expect("a file");
    let trusts = "ca = \"tls/site-ca.pem\", server_name = \"backend.example\"";
    let files = format!("chain = {:?}, key = {:?}", path("client.pem"), path("client.key"));
    let address = backend.address;
    let with = world(&format!("{{ to = \"https://{address}\", {trusts}, client_certificate = {{ {files} }} }}"));
    assert_eq!(Raw::stranger(&with, HOST).ask(get("/")).status, 200);
    let without = world(&format!("{{ to = \"https://{address}\", {trusts} }}"));
    assert_eq!(Raw::stranger(&without, HOST).ask(get("/")).status, 502);
}

/// Bytes behind an answer would be taken for the next one's.
#[test]
fn a_connection_with_surplus_bytes_is_not_used_again() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for surplus in [evil, "x", "\r\n", "HTTP/1.1 200"] {
        let backend = Backend::scripted(move |peer| {
            while peer.request()?.is_some() {
                peer.send(format!("{OK}{surplus}"))?;
            }
            Ok(())
        });
        let world = world(&backend.url());
        let mut raw = Raw::stranger(&world, HOST);
        for _ in 0..5 {
            assert_eq!(raw.ask(get("/")).text(), "ok", "{surplus:?}");
        }
        backend.wait_for_closed(5);
        assert!(backend.connections().iter().all(|connection| connection.requests() == 1), "{surplus:?}");
    }
}

/// The answer to HEAD, and a 304, with a body that must not be there.
#[test]
fn a_body_where_none_belongs_is_no_answer() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            peer.send(match request.starts_with("HEAD") {
                true => "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                false => OK,
            })?;
        }
        Ok(())
    });
    let world = world(&backend.url());
    let mut raw = Raw::stranger(&world, HOST);
    assert_eq!(raw.ask(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status, 200);
    assert_eq!(raw.ask(get("/")).text(), "ok");
}

/// Whichever comes first, its words or the request: a connection that speaks unasked serves one request at most.
#[test]
fn what_a_backend_says_unasked_is_nobodys_second_answer() {
    let backend = Backend::scripted(|peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".repeat(2))?;
        peer.until_closed()
    });
    let world = world(&backend.url());
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..10 {
        let answer = raw.ask(get("/"));
        assert!(answer.status == 502 || answer.text() == "evil", "{answer:?}");
    }
    backend.wait_for_closed(10);
    assert!(backend.connections().iter().all(|connection| connection.requests() <= 1));
}

/// The backend closes each connection behind the first answer without having said so.
#[test]
fn a_request_that_was_never_sent_is_sent_on_another_connection() {
    let backend = Backend::scripted(|peer| {
        if peer.request()?.is_some() {
            peer.send(OK)?;
        }
        Ok(())
    });
    let world = world(&backend.url());
    let mut raw = Raw::stranger(&world, HOST);
    let mut lost = 0;
    for _ in 0..50 {
        // A backend that closes at the very moment at which it is asked may cost the request (RFC 9112, section 9.5).
        lost += usize::from(raw.ask(get("/")).status != 200);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(lost, 0);
    assert_eq!(backend.connections().len(), 50);
}

#[test]
fn a_request_that_was_sent_is_not_sent_again() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            if request.contains(" /dies ") {
                return Ok(());
            }
            peer.send(OK)?;
        }
        Ok(())
    });
    let world = world(&format!("[{}, {}]", backend.url(), backend.url().replace("127.0.0.1", "localhost")));
    let mut raw = Raw::stranger(&world, HOST);
    for method in ["GET", "POST", "PUT", "DELETE"] {
        assert_eq!(raw.ask(get("/")).status, 200);
        let request = format!("{method} /dies HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(raw.ask(request).status, 502, "{method}");
        assert_eq!(backend.text().matches(&format!("{method} /dies ")).count(), 1, "{method}");
    }
}

#[test]
fn an_answer_that_is_none_is_a_bad_gateway() {
    let long: &'static str = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(2 << 20)).leak();
    let interim: &'static str = format!("{}{OK}", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).leak();
    for (name, answer) in [
        ("HTTP/0.9", "<html>hello</html>"),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n"),
        ("HTTP/2", "HTTP/2 200 OK\r\n\r\n"),
        ("no status", "HTTP/1.1 OK\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-"),
        ("LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
        ("folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        ("length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("NUL", "HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 0\r\n\r\n"),
        ("too long", long),
        ("interim answers only", interim),
        ("nothing", ""),
    ] {
        let backend = Backend::scripted(move |peer| {
            peer.request()?;
            peer.send(answer)?;
            peer.close_writing();
            peer.until_closed()
        });
        let world = world(&backend.url());
        let mut raw = Raw::stranger(&world, HOST);
        let answer = raw.ask(get("/"));
        assert_eq!(answer.status, 502, "{name}: {answer:?}");
        assert_eq!(Frames::stranger(&world, HOST).get(1, HOST, "/"), Outcome::Status(502), "{name}");
        backend.wait_for_closed(2);
    }
}

#[test]
fn interim_answers_come_before_the_answer() {
    let backend = Backend::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let world = world(&backend.url());
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..3 {
        let mut answer = raw.ask(get("/"));
        while answer.status < 200 {
            answer = raw.answer();
        }
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
    }
}
