//! A head that never became a request is answered, counted for its host, and nothing behind it is read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use originlock::server::Options;
use originlock::server::demo::steps::OFF;
use originlock::server::demo::{Demo, Ports, SITE_CA};
use originlock::upstream::tls::{Roots, client_config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

#[test]
fn a_refused_head_is_counted_by_its_reason() {
    let demo = Demo::start(Ports { tls: 0, admin: 0 }, Options::default()).expect("a demonstration");
    let long = format!("GET / HTTP/1.1\r\nHost: {OFF}\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    for (head, status, reason) in [
        ("GET / HTTP/1.1\nHost: off.localhost\n\n", "400", "malformed_head"),
        ("GET / HTTP/3.0\r\nHost: off.localhost\r\n\r\n", "505", "malformed_head"),
        (long.as_str(), "431", "head_too_large"),
        ("TRACE / HTTP/1.1\r\nHost: off.localhost\r\nConnection: close\r\n\r\n", "405", "bad_method"),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "400", "bad_authority"),
    ] {
        let before = refused(&demo, reason);
        let answer = ask(&demo, head.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{reason}: {answer}");
        assert_eq!(refused(&demo, reason), before + 1, "{reason}");
    }
    let answered = r#"originlock_requests_total{host="off.localhost",status_class="4xx"} 4"#;
    assert!(demo.server().metrics().render().contains(answered));
    demo.end();
}

/// What comes back for `bytes`, up to the connection's end.
fn ask(demo: &Demo, bytes: &[u8]) -> String {
    let roots = vec![CertificateDer::from_pem_file(demo.folder().join(SITE_CA)).expect("a CA")];
    let config = client_config(Roots::Own(roots), None).expect("a client");
    let name = ServerName::try_from(OFF).expect("a name");
    let tls = rustls::ClientConnection::new(Arc::clone(&config), name).expect("a client");
    let socket = TcpStream::connect(demo.address()).expect("a connection");
    let mut stream = rustls::StreamOwned::new(tls, socket);
    // What is too long is not read to its end, and the answer may come before all of it is written.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn refused(demo: &Demo, reason: &str) -> u64 {
    let series = format!(r#"originlock_requests_refused_total{{host="{OFF}",reason="{reason}"}} "#);
    let text = demo.server().metrics().render();
    let value = text.lines().find_map(|line| line.strip_prefix(&series)).expect("the series exists from the start");
    value.parse().expect("a count")
}
