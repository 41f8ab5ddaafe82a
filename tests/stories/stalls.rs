//! Nobody holds a backend, or memory of ours, by doing nothing.

use std::io;
use std::sync::mpsc;

use crate::support::backend::Conversation;
use crate::support::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get,
};
use crate::support::{Backend, Frames, HostSetup, PATIENCE, Raw, World};

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

/// Begins HTTP/2 with prior knowledge.
fn greet(peer: &mut Conversation) -> io::Result<()> {
    peer.exactly(PREFACE.len())?;
    peer.send([frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat())
}

/// Kind and stream of the next frame.
fn next_frame(peer: &mut Conversation) -> io::Result<(u8, u8)> {
    let header = peer.exactly(9)?;
    peer.exactly(usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]))?;
    Ok((header[3], header[8]))
}

fn http2_world(backend: &Backend) -> World {
    let host = HostSetup::new(HOST).observe("ours").upstream(&backend.url().replace("http:", "h2c:"));
    World::builder().tables("[limits]\nbody_timeout_seconds = 0.5\n").host(host).start()
}

fn half_a_post() -> String {
    format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nhalf")
}

#[test]
fn an_upload_to_an_http2_backend_may_not_pause_for_ever() {
    let (sender, resets) = mpsc::channel();
    let backend = Backend::scripted(move |peer| {
        greet(peer)?;
        while next_frame(peer)? != (RST_STREAM, 1) {}
        sender.send(()).map_err(io::Error::other)?;
        peer.until_closed()
    });
    let world = http2_world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(half_a_post());
    assert_eq!(raw.answer().status, 400);
    resets.recv_timeout(PATIENCE).expect("the backend hears of it");
}

#[test]
fn an_upload_to_an_http2_backend_may_not_pause_for_ever_behind_the_answers_head() {
    let (sender, resets) = mpsc::channel();
    let backend = Backend::scripted(move |peer| {
        greet(peer)?;
        while next_frame(peer)? != (DATA, 1) {}
        peer.send(frame(HEADERS, END_HEADERS, 1, &[0x88]))?;
        while next_frame(peer)? != (RST_STREAM, 1) {}
        sender.send(()).map_err(io::Error::other)?;
        peer.until_closed()
    });
    let world = http2_world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(half_a_post());
    assert_eq!(raw.answer_head().expect("a head").status, 200);
    resets.recv_timeout(PATIENCE).expect("the backend hears of it");
    world.wait_for_metric("originlock_connections_open", 0.0);
}

#[test]
fn an_upload_to_an_http2_backend_ends_with_the_answer() {
    let (sender, frames) = mpsc::channel();
    let backend = Backend::scripted(move |peer| {
        greet(peer)?;
        while next_frame(peer)? != (DATA, 1) {}
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x88]))?;
        loop {
            let next = next_frame(peer)?;
            sender.send(next).map_err(io::Error::other)?;
        }
    });
    let host = HostSetup::new(HOST).observe("ours").upstream(&backend.url().replace("http:", "h2c:"));
    let world = World::with(host);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(half_a_post());
    assert_eq!(raw.answer().status, 200);
    // It may still be taken by whoever closes the connection, and by nobody else.
    let _ = raw.try_send("whole!");
    loop {
        match frames.recv_timeout(PATIENCE).expect("the backend hears of the end") {
            (RST_STREAM, 1) => break,
            (kind, stream) => assert!((kind, stream) != (DATA, 1)),
        }
    }
}
