//! Which host a ClientHello chooses, however it arrives, and what becomes of those that choose none.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use originlock::policy::verdict::{Decision, Reason};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::support::certificates::Shape;
use crate::support::{HostSetup, PATIENCE, Version, World};

const SHOP: &str = "shop.example.com";

fn connect(world: &World) -> TcpStream {
    let socket = TcpStream::connect(world.address()).expect("the listener is there");
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    socket
}

/// All that the server sends until it closes.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("the server closes in good order");
    bytes
}

/// A ClientHello as bytes, with `name` byte for byte in its SNI.
fn hello(world: &World, name: &str) -> Vec<u8> {
    let stand_in = "x".repeat(name.len());
    let server_name = ServerName::try_from(stand_in.clone()).expect("a name");
    let mut tls = ClientConnection::new(Arc::new(world.client(SHOP).config()), server_name).expect("a connection");
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).expect("memory");
    }
    let at = bytes.windows(name.len()).position(|window| window == stand_in.as_bytes()).expect("the name");
    bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

#[test]
fn an_unknown_or_missing_name_is_refused() {
    let world = World::with(HostSetup::new(SHOP));
    for version in Version::BOTH {
        let unknown = world.client("nobody.example").version(version);
        let missing = world.client(SHOP).version(version).without_sni();
        for (client, reason, name) in
            [(unknown, Reason::SniUnknown, Some("nobody.example")), (missing, Reason::SniMissing, None)]
        {
            client.expect_refused("unrecognized_name");
            let outcome = world.next_handshake();
            assert_eq!((outcome.reason, outcome.decision), (reason, Decision::Refuse));
            assert_eq!(outcome.server_name.as_ref().map(|name| name.as_str()), name);
            assert_eq!((outcome.host.as_deref(), outcome.alert), (None, Some("unrecognized_name")));
        }
    }
    for reason in ["sni_unknown", "sni_missing"] {
        let series = format!(
            "originlock_handshakes_total{{host=\"_other\",mode=\"none\",reason=\"{reason}\",resumed=\"false\"}}"
        );
        assert_eq!(world.metric(&series), Some(2.0), "{reason}");
    }
}

#[test]
fn a_default_host_takes_unknown_and_missing_names_under_its_own_policy() {
    let world = World::builder()
        .top(&format!("default_host = {SHOP:?}\n"))
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new("blog.example.com"))
        .start();
    for client in [world.client("nobody.example"), world.client("10.0.0.1").without_sni()] {
        client.expect_refused("certificate_required");
        assert_eq!(world.next_handshake().host.as_deref(), Some(SHOP));
        let (_, answer) = client.presenting(Shape::P256).get().expect("it is let in");
        assert_eq!((answer.status, answer.backend_saw("x-client-verify")), (200, Some("SUCCESS")));
        assert_eq!(world.next_handshake().host.as_deref(), Some(SHOP));
    }
}

#[test]
fn case_and_a_trailing_dot_name_the_same_host() {
    let world = World::with(HostSetup::new(SHOP));
    for name in ["SHOP.Example.COM", "shop.example.com.", "sHOP.eXAMPLE.cOM."] {
        let mut socket = connect(&world);
        socket.write_all(&hello(&world, name)).expect("sent");
        // The server takes its turn, which it does for a host that it knows.
        socket.read_exact(&mut [0; 5]).expect("a ServerHello");
        drop(socket);
        let outcome = world.next_handshake();
        assert_eq!(outcome.host.as_deref(), Some(SHOP), "{name}");
        assert_eq!(outcome.server_name.as_ref().map(|name| name.as_str()), Some(SHOP), "{name}");
    }
}

#[test]
fn a_wildcard_stands_for_one_label_and_gives_way_to_an_exact_name() {
    let wild = HostSetup::new("*.example.com").also("example.org");
    let world = World::builder().host(wild).host(HostSetup::new(SHOP)).start();
    for (name, host) in [
        ("blog.example.com", Some("*.example.com")),
        ("example.org", Some("*.example.com")),
        (SHOP, Some(SHOP)),
        ("example.com", None),
        ("a.blog.example.com", None),
        ("a.shop.example.com", None),
        ("sub.example.org", None),
    ] {
        let result = world.client(name).get();
        let outcome = world.next_handshake();
        assert_eq!(outcome.host.as_deref(), host, "{name}");
        assert_eq!(result.is_ok(), host.is_some(), "{name}");
    }
}

#[test]
fn a_hello_may_come_in_pieces() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    for version in Version::BOTH {
        for bytes in [1, 5, 700] {
            let client = world.client(SHOP).version(version).presenting(Shape::P256).in_pieces_of(bytes);
            client.get().expect("it is let in");
            assert_eq!(world.next_handshake().reason, Reason::Verified, "{bytes}");
        }
    }
}

#[test]
fn plain_http_to_the_port_is_recorded_as_such() {
    let world = World::with(HostSetup::new(SHOP));
    let mut socket = connect(&world);
    socket.write_all(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n").expect("sent");
    let outcome = world.next_handshake();
    assert_eq!((outcome.reason, outcome.alert, outcome.host.as_deref()), (Reason::NotTls, None, None));
}

#[test]
fn a_connection_that_never_speaks_is_no_handshake() {
    let world = World::with(HostSetup::new(SHOP));
    let silent = connect(&world);
    world.wait_for_metric("originlock_connections_open", 1.0);
    drop(silent);
    world.wait_for_metric("originlock_connections_open", 0.0);
    world.client(SHOP).get().expect("it is let in");
    assert_eq!(world.next_handshake().reason, Reason::NoCertificate);
    assert_eq!(world.server().recent().last_sequence(), 1);
}

#[test]
fn a_hello_that_breaks_off_is_recorded_as_the_clients_doing() {
    let world = World::with(HostSetup::new(SHOP));
    let mut socket = connect(&world);
    socket.write_all(&hello(&world, SHOP)[..100]).expect("sent");
    drop(socket);
    let outcome = world.next_handshake();
    assert_eq!((outcome.reason, outcome.decision), (Reason::ClientEof, Decision::Refuse));
}

#[test]
fn a_hello_beyond_the_bound_is_refused() {
    let world = World::builder().tables("[limits]\nclient_hello_bytes = 4096\n").host(HostSetup::new(SHOP)).start();
    let protocols: Vec<String> = (0..100).map(|number| format!("{number:0>100}")).collect();
    let protocols: Vec<&str> = protocols.iter().map(String::as_str).chain(["http/1.1"]).collect();
    let client = world.client(SHOP).alpn(&protocols);
    client.expect_refused("record_overflow");
    let outcome = world.next_handshake();
    assert_eq!((outcome.reason, outcome.alert), (Reason::TooLarge, Some("record_overflow")));
}

#[test]
fn a_client_that_takes_too_long_is_closed() {
    let world =
        World::builder().tables("[limits]\nhandshake_timeout_seconds = 0.2\n").host(HostSetup::new(SHOP)).start();
    let hello = hello(&world, SHOP);
    for (sent, host) in [(&hello[..100], None), (&hello[..], Some(SHOP))] {
        let mut socket = connect(&world);
        socket.write_all(sent).expect("sent");
        let outcome = world.next_handshake();
        assert_eq!((outcome.reason, outcome.host.as_deref()), (Reason::HandshakeTimeout, host));
        rest(socket);
    }
    // One that says nothing at all is closed too, and no handshake.
    assert!(rest(connect(&world)).is_empty());
    assert_eq!(world.server().recent().last_sequence(), 2);
}

#[test]
fn what_begins_like_tls_and_is_none_is_a_protocol_error() {
    let world = World::with(HostSetup::new(SHOP));
    let mut socket = connect(&world);
    socket.write_all(b"\x16\x03\x01\x00\x05hello").expect("sent");
    let outcome = world.next_handshake();
    assert_eq!((outcome.reason, outcome.host.as_deref()), (Reason::ProtocolError, None));
    assert!(outcome.detail.is_some());
    rest(socket);
}

#[test]
fn a_client_that_speaks_no_protocol_of_ours_is_refused() {
    let world = World::with(HostSetup::new(SHOP));
    world.client(SHOP).alpn(&["spdy/1"]).expect_refused("no_application_protocol");
    let outcome = world.next_handshake();
    assert_eq!((outcome.reason, outcome.alert), (Reason::ProtocolError, Some("no_application_protocol")));
    assert_eq!(outcome.host.as_deref(), Some(SHOP));
}
