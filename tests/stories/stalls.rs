//! Nobody holds a backend, or memory of ours, by doing nothing.

use crate::support::frames::{DATA, END_STREAM, HEADERS, Outcome, RST_STREAM, SETTINGS, WINDOW_UPDATE, get};
use crate::support::{Backend, Frames, HostSetup, World};

const HOST: &str = "shop.example";
const MEGABYTE: usize = 1 << 20;
/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, section 6.5.2).
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
const LARGE_WINDOW: [u8; 6] = [0, 4, 0x7f, 0xff, 0xff, 0xff];

fn world(backend: &Backend) -> World {
    let host = HostSetup::new(HOST).observe("ours").upstream(&backend.url());
    World::builder().tables("[limits]\nbody_timeout_seconds = 0.5\n").host(host).start()
}

/// Events that come when they come at `/events`, elsewhere a large object.
fn backend() -> Backend {
    Backend::scripted(|peer| {
        while let Some(head) = peer.head()? {
            if head.starts_with("GET /events ") {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")?;
                return peer.until_closed();
            }
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * MEGABYTE))?;
            for _ in 0..64 {
                peer.send(vec![0; MEGABYTE])?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_stream_whose_client_gives_it_no_window_is_reset_and_the_others_go_on() {
    let backend = backend();
    let world = world(&backend);
    let mut frames = Frames::begin(&world, HOST, false, &NO_WINDOW);
    let streams = [1, 3, 5, 7];
    streams.into_iter().for_each(|stream| frames.headers(stream, END_STREAM, &get(HOST, "/large")));
    let mut reset = Vec::new();
    while reset.len() < streams.len() {
        let frame = frames.next().expect("an open connection");
        assert_ne!(frame.kind, DATA);
        if frame.kind == RST_STREAM {
            reset.push(frame.stream);
        }
    }
    // The connection goes on for those who read.
    frames.send(SETTINGS, 0, 0, &LARGE_WINDOW);
    frames.headers(9, END_STREAM, &get(HOST, "/events"));
    assert_eq!(frames.outcome(9), Outcome::Status(200));
}

#[test]
fn a_stream_that_waits_for_its_backend_is_left_alone() {
    let backend = backend();
    let world = world(&backend);
    let mut frames = Frames::begin(&world, HOST, false, &LARGE_WINDOW);
    frames.headers(1, END_STREAM, &get(HOST, "/events"));
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    // Another one that began later and is not taken shows that the time has passed.
    frames.send(SETTINGS, 0, 0, &NO_WINDOW);
    frames.headers(3, END_STREAM, &get(HOST, "/large"));
    let first = loop {
        let frame = frames.next().expect("an open connection");
        if matches!(frame.kind, RST_STREAM) {
            break frame.stream;
        }
        assert!(frame.kind != HEADERS || frame.stream == 3);
    };
    assert_eq!(first, 3);
}

#[test]
fn a_connection_that_reads_nothing_ends_although_one_of_its_streams_waits_for_events() {
    let backend = backend();
    let world = world(&backend);
    let mut frames = Frames::begin(&world, HOST, false, &LARGE_WINDOW);
    // The connection's own window is opened too (RFC 9113, section 6.9).
    frames.send(WINDOW_UPDATE, 0, 0, &0x7000_0000u32.to_be_bytes());
    frames.headers(1, END_STREAM, &get(HOST, "/events"));
    for stream in [3, 5, 7] {
        frames.headers(stream, END_STREAM, &get(HOST, "/large"));
    }
    backend.wait_until("four requests", |connections| connections.len() == 4);
    world.wait_for_metric("originlock_connections_open", 0.0);
    drop(frames);
}
