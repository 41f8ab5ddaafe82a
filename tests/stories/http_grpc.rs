//! gRPC: both sides stream over HTTP/2 at once, and the status stands in the trailers.

use super::support::frames::{DATA, END_STREAM, HEADERS, Outcome, get};
use super::support::grpc::Grpc;
use super::support::{Frames, HostSetup, Raw, World};

const HOST: &str = "shop.example";

fn world(backend: &Grpc) -> World {
    World::with(HostSetup::new(HOST).observe("ours").upstream(&format!("\"h2c://{}\"", backend.address)))
}

#[test]
fn a_call_streams_both_ways_and_ends_in_its_status() {
    let backend = Grpc::start();
    let world = world(&backend);
    let mut frames = Frames::verified(&world, HOST);
    let fields = [(":method", "POST"), ("content-type", "application/grpc"), ("te", "trailers")];
    for stream in [1, 3] {
        frames.headers(stream, 0, &[&get(HOST, "/echo.Echo/Chat")[1..], &fields].concat());
        assert_eq!(frames.outcome(stream), Outcome::Status(200));
        for message in ["one", "two", "three"] {
            frames.send(DATA, 0, stream, message.as_bytes());
            let echoed = std::iter::from_fn(|| frames.next().ok()).find(|frame| frame.kind == DATA).expect("an echo");
            assert_eq!((echoed.payload, echoed.flags), (message.as_bytes().to_vec(), 0));
        }
        frames.send(DATA, END_STREAM, stream, b"");
        let last = std::iter::from_fn(|| frames.next().ok()).find(|frame| matches!(frame.kind, DATA | HEADERS));
        let last = last.expect("trailers");
        assert_eq!((last.kind, last.flags & END_STREAM), (HEADERS, END_STREAM));
    }
    let seen = backend.seen();
    assert_eq!(seen.len(), 2);
    for parts in seen {
        assert_eq!(parts.uri.authority().map(|authority| authority.as_str()), Some(HOST));
        assert_eq!(parts.uri.path(), "/echo.Echo/Chat");
        for (name, value) in [("te", "trailers"), ("content-type", "application/grpc"), ("x-client-verify", "SUCCESS")]
        {
            assert_eq!(parts.headers[name], value, "{name}");
        }
        assert!(!parts.headers.contains_key("host"));
    }
}

#[test]
fn http1_clients_get_the_status_too() {
    let backend = Grpc::start();
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..2 {
        let answer = raw.ask(format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
        ));
        assert_eq!((answer.status, answer.text(), answer.trailers), (200, "one".into(), "grpc-status: 0\n".into()));
    }
}

#[test]
fn a_call_is_refused_where_the_backend_is_gone() {
    let backend = Grpc::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let dead = World::with(HostSetup::new(HOST).upstream(&format!("\"h2c://{closed}\"")));
    assert_eq!(Frames::stranger(&dead, HOST).get(1, HOST, "/"), Outcome::Status(502));
    let world = world(&backend);
    assert_eq!(Frames::stranger(&world, HOST).get(1, HOST, "/"), Outcome::Status(200));
}
