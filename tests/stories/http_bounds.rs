//! What one peer can send has a bound, and the others are served meanwhile.

use std::time::{Duration, Instant};

use super::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, Outcome, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, frame, get,
};
use super::support::world::wait_until;
use super::support::{Backend, Frames, HostSetup, Raw, World};

const HOST: &str = "shop.example";
/// A peer that is over its time is ended within a second of it; these leave a slow machine room.
const SOON: Duration = Duration::from_secs(10);

fn world(backend: &Backend, limits: &str) -> World {
    let host = HostSetup::new(HOST).observe("ours").upstream(&backend.url());
    World::builder().host(host).tables(&format!("[limits]\n{limits}\n")).start()
}

fn request(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")
}

/// Someone else, who has done nothing wrong.
fn others_are_served(world: &World) {
    assert_eq!(Raw::verified(world, HOST).ask(request("")).status, 200);
    assert_eq!(Frames::verified(world, HOST).get(1, HOST, "/"), Outcome::Status(200));
}

#[test]
fn headers_as_large_as_the_edge_sends_pass() {
    let backend = Backend::ok();
    let world = world(&backend, "");
    let value = "v".repeat(128 * 1024 - 1024);
    assert_eq!(Raw::verified(&world, HOST).ask(request(&format!("X-Large: {value}\r\n"))).status, 200);
    // As many fields, none of them large.
    let cookies: String = (0..120).map(|at| format!("X-Field-{at}: {}\r\n", "v".repeat(1000))).collect();
    assert_eq!(Raw::verified(&world, HOST).ask(request(&cookies)).status, 200);
    let mut frames = Frames::verified(&world, HOST);
    let names: Vec<String> = (0..8).map(|at| format!("x-large-{at}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &value[..16 * 1000])).collect();
    send_block(&mut frames, 1, END_STREAM, &[&get(HOST, "/")[..], &fields].concat());
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    backend.wait_for_text(&format!("x-large-7: {}\r\n", &value[..16 * 1000]));
}

/// HEADERS, and as many CONTINUATIONs as it takes.
fn send_block(frames: &mut Frames, stream: u32, flags: u8, fields: &[(&str, &str)]) {
    let block = block(fields);
    let parts: Vec<&[u8]> = block.chunks(16 * 1024).collect();
    for (at, part) in parts.iter().enumerate() {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let end = if at + 1 == parts.len() { END_HEADERS } else { 0 };
        frames.send(kind, end | if at == 0 { flags } else { 0 }, stream, part);
    }
}

#[test]
fn headers_over_the_bound_are_refused() {
    let backend = Backend::ok();
    let world = world(&backend, "header_bytes = 8192\nheaders = 20");
    let large = format!("X-Large: {}\r\n", "v".repeat(9000));
    let many: String = (0..30).map(|at| format!("X-Field-{at}: a\r\n")).collect();
    for fields in [&large, &many] {
        let mut raw = Raw::verified(&world, HOST);
        raw.send(request(fields));
        assert_eq!(raw.answer().status, 431, "{}", &fields[..20]);
        assert_eq!(raw.rest(), b"");
    }
    // Also while they have not ended.
    let mut raw = Raw::verified(&world, HOST);
    raw.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Large: {}", "v".repeat(9000)));
    assert_eq!(raw.answer().status, 431);
    let names: Vec<String> = (0..30).map(|at| format!("x-field-{at}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    let value = "v".repeat(9000);
    for fields in [&[("x-large", value.as_str())][..], &many] {
        let mut frames = Frames::verified(&world, HOST);
        send_block(&mut frames, 1, END_STREAM, &[&get(HOST, "/")[..], fields].concat());
        assert_eq!(frames.outcome(1), Outcome::Status(431), "{}", fields[0].0);
    }
    others_are_served(&world);
    assert!(!backend.text().contains("x-large") && !backend.text().contains("x-field"));
}

/// How long it takes until the proxy closes.
fn time_until_closed(raw: &mut Raw) -> Duration {
    let begun = Instant::now();
    raw.rest();
    begun.elapsed()
}

#[test]
fn a_slow_head_is_not_waited_for() {
    let backend = Backend::ok();
    let world = world(&backend, "header_timeout_seconds = 1");
    let mut raw = Raw::verified(&world, HOST);
    raw.send("GET / HTTP/1.1\r\nHost: ");
    assert_eq!(raw.answer().status, 408);
    assert!(time_until_closed(&mut raw) < SOON);
    // Each byte is no new beginning.
    let mut raw = Raw::verified(&world, HOST);
    let begun = Instant::now();
    raw.send("GET / HTTP/1.1\r\nX-Slow: ");
    while raw.try_send("a").is_ok() && begun.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() < SOON, "the head still grows");
    assert_eq!(backend.connections().len(), 0);
}

#[test]
fn a_slow_http2_head_is_not_waited_for() {
    let backend = Backend::ok();
    let world = world(&backend, "header_timeout_seconds = 0.5");
    let whole = block(&get(HOST, "/slow"));
    let half_frame = frame(HEADERS, END_STREAM | END_HEADERS, 3, &whole);
    let endless = frame(HEADERS, END_STREAM, 3, &whole);
    let mut connections: Vec<(&str, Raw)> = Vec::new();
    for (name, beginning) in [
        ("a block without end", &endless[..]),
        ("half a frame", &half_frame[..half_frame.len() - 1]),
        ("a frame's first byte", &[0]),
        ("half a ping", &frame(PING, 0, 0, &[0; 8])[..12]),
    ] {
        // Verified, served, and idle: it could stay for a quarter of an hour.
        let mut frames = Frames::verified(&world, HOST);
        assert_eq!(frames.get(1, HOST, "/"), Outcome::Status(200));
        frames.raw.send(beginning);
        connections.push((name, frames.raw));
    }
    for (name, beginning) in [
        ("half a preface", &PREFACE[..10]),
        ("a preface and nothing", PREFACE),
        ("settings and nothing", &[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
    ] {
        let mut raw = Raw::open(&world, HOST, world.client(HOST).alpn(&["h2"]).config());
        raw.send(beginning);
        connections.push((name, raw));
    }
    // Each CONTINUATION is no new beginning.
    let mut frames = Frames::verified(&world, HOST);
    assert_eq!(frames.get(1, HOST, "/"), Outcome::Status(200));
    frames.raw.send(&endless);
    let begun = Instant::now();
    while frames.raw.try_send(frame(CONTINUATION, 0, 3, &block(&[("a", "b")]))).is_ok() && begun.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() < SOON, "the block still grows");
    for (name, mut raw) in connections {
        assert!(time_until_closed(&mut raw) < SOON, "{name}");
    }
    assert!(!backend.text().contains("/slow"));
}

#[test]
fn a_body_that_stops_is_not_waited_for() {
    let backend = Backend::ok();
    let world = world(&backend, "body_timeout_seconds = 1");
    let begun = Instant::now();
    let mut raw = Raw::verified(&world, HOST);
    raw.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nhalf"));
    let rest = String::from_utf8(raw.rest()).expect("a text");
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 ") || rest.starts_with("HTTP/1.1 408 "), "{rest}");
    let mut frames = Frames::verified(&world, HOST);
    frames.headers(1, 0, &[&get(HOST, "/")[1..], &[(":method", "POST")]].concat());
    frames.send(DATA, 0, 1, b"half");
    let outcome = frames.outcome(1);
    assert!(outcome.is_refusal(), "{outcome:?}");
    assert!(begun.elapsed() < 2 * SOON);
    backend.wait_for_closed(2);
}

#[test]
fn an_idle_stranger_is_sent_away_and_a_verified_connection_stays() {
    let backend = Backend::ok();
    let world = world(&backend, "idle_stranger_seconds = 1");
    let mut verified = (Raw::verified(&world, HOST), Frames::verified(&world, HOST));
    let mut stranger = (Raw::stranger(&world, HOST), Frames::stranger(&world, HOST));
    for (raw, frames) in [(&mut verified.0, &mut verified.1), (&mut stranger.0, &mut stranger.1)] {
        assert_eq!(raw.ask(request("")).status, 200);
        assert_eq!(frames.get(1, HOST, "/"), Outcome::Status(200));
    }
    // They were idle before the verified ones are asked again.
    assert!(time_until_closed(&mut stranger.0) < SOON);
    assert!(time_until_closed(&mut stranger.1.raw) < SOON);
    assert_eq!(verified.0.ask(request("")).status, 200);
    assert_eq!(verified.1.get(3, HOST, "/"), Outcome::Status(200));
}

#[test]
fn a_stranger_who_reads_nothing_does_not_hold_the_backend() {
    let backend = Backend::scripted(|peer| {
        while peer.request()?.is_some() {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20))?;
            for _ in 0..64 {
                peer.send(vec![b'x'; 1 << 20])?;
            }
        }
        Ok(())
    });
    let world = world(&backend, "body_timeout_seconds = 1");
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(request(""));
    backend.wait_until("a request", |connections| connections.len() == 1);
    let begun = Instant::now();
    wait_until("the connection ends", || world.metric("originlock_connections_open") == Some(0.0));
    // An HTTP/2 client whose window is closed, on a connection that is read from.
    let mut frames = Frames::begin(&world, HOST, false, &[0, 4, 0, 0, 0, 0]);
    frames.headers(1, END_STREAM, &get(HOST, "/"));
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    // Its other streams are nobody's fault.
    assert!(matches!(frames.outcome(1), Outcome::Reset(_)));
    backend.wait_for_closed(2);
    assert_eq!(frames.get(3, "nobody.example", "/"), Outcome::Status(421));
    assert!(begun.elapsed() < 2 * SOON);
    drop(raw);
}

#[test]
fn a_full_process_sheds_new_connections() {
    let backend = Backend::ok();
    let world = world(&backend, "connections = 3");
    let mut open: Vec<Raw> = (0..3).map(|_| Raw::verified(&world, HOST)).collect();
    for _ in 0..5 {
        assert!(Raw::try_open(&world, HOST, world.client(HOST).config()).is_err());
    }
    for raw in &mut open {
        assert_eq!(raw.ask(request("")).status, 200);
    }
    open.pop();
    wait_until("a place is free", || Raw::try_open(&world, HOST, world.client(HOST).config()).is_ok());
}

#[test]
fn one_address_has_its_share_of_connections() {
    let backend = Backend::ok();
    let world = world(&backend, "connections = 100\nconnections_per_address = 2");
    let mut open: Vec<Raw> = (0..2).map(|_| Raw::verified(&world, HOST)).collect();
    assert!(Raw::try_open(&world, HOST, world.client(HOST).config()).is_err());
    assert_eq!(open[0].ask(request("")).status, 200);
    open.clear();
    wait_until("a place is free", || Raw::try_open(&world, HOST, world.client(HOST).config()).is_ok());
}

/// Requests that are reset as soon as they are made (CVE-2023-44487).
#[test]
fn a_flood_of_resets_ends_the_connection() {
    let backend = Backend::ok();
    let world = world(&backend, "");
    let mut frames = Frames::stranger(&world, HOST);
    let whole = block(&get(HOST, "/"));
    let mut ended = false;
    for stream in (1..200_000).step_by(2) {
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, &whole);
        both.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        ended |= frames.raw.try_send(both).is_err();
        if ended {
            break;
        }
    }
    assert!(ended || matches!(frames.outcome(0), Outcome::GoAway(_) | Outcome::Closed));
    others_are_served(&world);
}

/// Header blocks without end (CVE-2024-27316).
#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let backend = Backend::ok();
    let world = world(&backend, "");
    for part in [block(&[("a", "b")]), block(&[("a", &"b".repeat(16_000))]), Vec::new()] {
        let mut frames = Frames::stranger(&world, HOST);
        frames.send(HEADERS, END_STREAM, 1, &block(&get(HOST, "/")));
        let continuation = frame(CONTINUATION, 0, 1, &part);
        let ended = (0..100_000).any(|_| frames.raw.try_send(&continuation).is_err());
        assert!(ended || matches!(frames.outcome(1), Outcome::GoAway(_) | Outcome::Closed));
    }
    others_are_served(&world);
}

/// Frames that each ask for an answer, from a peer that reads none.
#[test]
fn a_flood_that_wants_answers_stays_bounded() {
    let backend = Backend::ok();
    let world = world(&backend, "");
    for flood in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])] {
        let mut frames = Frames::stranger(&world, HOST);
        frames.raw.set_patience(Duration::from_millis(500));
        let before = resident_bytes();
        let many = flood.repeat(1000);
        // It is cut off, or nothing more is taken from it.
        let ended = (0..2000).any(|_| frames.raw.try_send(&many).is_err());
        assert!(ended, "the proxy takes two million frames whose answers nobody reads");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes");
    }
    others_are_served(&world);
}

/// Of this process, in which the proxy runs beside the other stories.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[test]
fn streams_over_the_bound_are_refused_and_the_others_go_on() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            if !request.contains("/wait") {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            }
        }
        Ok(())
    });
    let world = world(&backend, "streams = 4");
    let mut frames = Frames::stranger(&world, HOST);
    for stream in (1..=9).step_by(2) {
        frames.headers(stream, END_STREAM, &get(HOST, "/wait"));
    }
    // REFUSED_STREAM: it may be sent again.
    assert_eq!(frames.outcome(9), Outcome::Reset(7));
    frames.send(RST_STREAM, 0, 1, &8u32.to_be_bytes());
    assert_eq!(frames.get(11, HOST, "/"), Outcome::Status(200));
    others_are_served(&world);
}

/// A window that overflows, and a frame that needs none.
#[test]
fn windows_do_not_overflow() {
    let backend = Backend::ok();
    let world = world(&backend, "");
    for (stream, increment) in [(0, 0x7fff_ffff_u32), (0, 0)] {
        let mut frames = Frames::stranger(&world, HOST);
        frames.send(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
        let closed: Option<Frame> = std::iter::from_fn(|| frames.next().ok()).find(|frame| frame.kind == GOAWAY);
        assert!(closed.is_some());
    }
    others_are_served(&world);
}
