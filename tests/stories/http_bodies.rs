//! Bodies pass as they come, both ways, and end as they ended.

use std::sync::mpsc;

use super::support::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, RST_STREAM, WINDOW_UPDATE, block, get, number,
};
use super::support::{Backend, Frames, HostSetup, Raw, World};

const HOST: &str = "shop.example";
const MEGABYTE: usize = 1 << 20;

fn world(backend: &Backend) -> World {
    World::with(HostSetup::new(HOST).observe("ours").upstream(&backend.url()))
}

fn request(method: &str, fields: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")
}

#[test]
fn an_upload_reaches_the_backend_before_it_is_whole() {
    for (fields, first, second, seen) in [
        ("Transfer-Encoding: chunked\r\n", "5\r\nfirst\r\n", "6\r\nsecond\r\n0\r\n\r\n", "5\r\nfirst\r\n"),
        ("Content-Length: 11\r\n", "first", "second", "\r\n\r\nfirst"),
    ] {
        let backend = Backend::ok();
        let world = world(&backend);
        let mut raw = Raw::stranger(&world, HOST);
        raw.send(request("POST", fields) + first);
        backend.wait_for_text(seen);
        raw.send(second);
        assert_eq!(raw.answer().status, 200);
        assert!(backend.text().contains("second"));
    }
}

#[test]
fn an_http2_upload_reaches_the_backend_before_it_is_whole() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(1, 0, &[&get(HOST, "/")[1..], &[(":method", "POST")]].concat());
    frames.send(DATA, 0, 1, b"first");
    backend.wait_for_text("5\r\nfirst\r\n");
    frames.send(DATA, END_STREAM, 1, b"second");
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    backend.wait_for_text("6\r\nsecond\r\n0\r\n\r\n");
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let backend = Backend::ok();
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..2 {
        raw.send(request("POST", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
        assert_eq!(raw.answer_head().expect("an interim answer").status, 100);
        raw.send("hello");
        assert_eq!(raw.answer().status, 200);
    }
    assert_eq!(backend.text().matches("\r\n\r\nhello").count(), 2);
}

/// Each event is read by the client before the backend makes the next one.
#[test]
fn events_are_passed_on_one_by_one() {
    let (more, next) = mpsc::channel::<()>();
    let next = std::sync::Mutex::new(next);
    let backend = Backend::scripted(move |peer| {
        let next = next.lock().expect("one connection at a time");
        while let Some(request) = peer.request()? {
            assert!(request.starts_with("GET "));
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for event in 0..5 {
                peer.send(format!("9\r\ndata: {event}\n\n\r\n"))?;
                next.recv().map_err(std::io::Error::other)?;
            }
            peer.send("0\r\n\r\n")?;
        }
        Ok(())
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(request("GET", ""));
    for event in 0..5 {
        raw.wait_for(&format!("data: {event}\n\n"));
        more.send(()).expect("a backend");
    }
    raw.wait_for("0\r\n\r\n");
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(1, END_STREAM, &get(HOST, "/"));
    for event in 0..5 {
        let frame = loop {
            let frame = frames.next().expect("an open connection");
            if frame.kind == DATA {
                break frame;
            }
        };
        assert_eq!(frame.payload, format!("data: {event}\n\n").as_bytes());
        more.send(()).expect("a backend");
    }
}

#[test]
fn trailers_pass_both_ways() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: theirs\r\n\r\n",
    );
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    let fields = "Transfer-Encoding: chunked\r\nTrailer: x-sum\r\nTE: trailers\r\n";
    let answer = raw.ask(request("POST", fields) + "2\r\nhi\r\n0\r\nX-Sum: ours\r\n\r\n");
    assert_eq!((answer.text(), answer.trailers), ("ok".into(), "x-sum: theirs\n".into()));
    assert!(backend.text().ends_with("2\r\nhi\r\n0\r\nx-sum: ours\r\n\r\n"), "{}", backend.text());
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(1, 0, &[&get(HOST, "/")[1..], &[(":method", "POST")]].concat());
    frames.send(DATA, 0, 1, b"hi");
    frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-sum", "ours")]));
    assert_eq!(frames.outcome(1), Outcome::Status(200));
    let last = std::iter::from_fn(|| frames.next().ok()).find(|frame| frame.kind == HEADERS).expect("trailers");
    assert_eq!(last.flags & END_STREAM, END_STREAM);
    backend.wait_until("trailers of both", |connections| {
        let all: Vec<u8> = connections.iter().flat_map(|connection| connection.bytes.clone()).collect();
        String::from_utf8_lossy(&all).matches("0\r\nx-sum: ours\r\n\r\n").count() == 2
    });
}

#[test]
fn answers_without_a_body_have_none_and_the_connection_goes_on() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            peer.send(match request.split(' ').next() {
                Some("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                Some("PUT") => "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                Some("GET") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"a\"\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            })?;
        }
        Ok(())
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    let mut frames = Frames::stranger(&world, HOST);
    for (stream, (method, status)) in (1..).step_by(2).zip([("HEAD", 200), ("PUT", 204), ("GET", 304), ("POST", 200)]) {
        let answer = raw.ask(request(method, ""));
        assert_eq!(answer.status, status, "{method}");
        if method == "HEAD" {
            assert_eq!(answer.field("content-length"), Some("1000"));
        }
        if method == "PUT" {
            assert_eq!(answer.field("content-length"), None);
        }
        frames.headers(stream, END_STREAM, &[&get(HOST, "/")[1..], &[(":method", method)]].concat());
        assert_eq!(frames.outcome(stream), Outcome::Status(status), "{method}");
    }
    // One for each of the two clients, which may be another worker's.
    assert!(backend.connections().len() <= 2, "the connections are used again");
}

/// The backend refuses the upload after its head and reads no further.
#[test]
fn an_early_refusal_arrives_although_the_upload_goes_on() {
    let backend = Backend::scripted(|peer| {
        if peer.head()?.is_some() {
            peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")?;
        }
        peer.until_closed()
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(request("POST", &format!("Content-Length: {}\r\n", 8 * MEGABYTE)));
    for _ in 0..8 {
        if raw.try_send(vec![b'x'; 64 * 1024]).is_err() {
            break;
        }
    }
    let answer = raw.answer();
    assert_eq!((answer.status, answer.text()), (413, "too large".to_owned()));
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(1, 0, &[&get(HOST, "/")[1..], &[(":method", "POST")]].concat());
    for _ in 0..3 {
        frames.send(DATA, 0, 1, &[b'x'; 16 * 1024]);
    }
    assert_eq!(frames.outcome(1), Outcome::Status(413));
    backend.wait_for_closed(2);
}

/// 50 MB up and 50 MB down at once, each byte in its place.
#[test]
fn large_bodies_pass_both_ways_over_http1() {
    const SIZE: usize = 50 * MEGABYTE;
    let backend = echo_of(SIZE);
    let world = world(&backend);
    let mut raw = Raw::verified(&world, HOST);
    raw.send(request("POST", &format!("Content-Length: {SIZE}\r\n")));
    let piece = pattern(MEGABYTE);
    for _ in 0..50 {
        raw.send(&piece);
    }
    let mut answer = raw.answer_head().expect("a head");
    assert_eq!(answer.status, 200);
    for at in 0..50 {
        answer.body = raw.exactly(MEGABYTE).expect("all of it");
        assert!(answer.body == piece, "megabyte {at} is another one");
    }
}

#[test]
fn large_bodies_pass_both_ways_over_http2() {
    const SIZE: usize = 50 * MEGABYTE;
    let backend = echo_of(SIZE);
    let world = world(&backend);
    let mut frames = Frames::begin(&world, HOST, true, &[0, 1, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
    frames.send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
    let length = SIZE.to_string();
    frames.headers(1, 0, &[&get(HOST, "/")[1..], &[(":method", "POST"), ("content-length", &length)]].concat());
    let piece = pattern(MEGABYTE);
    let pieces: Vec<&[u8]> = piece.chunks(16 * 1024).collect();
    let (mut stream_window, mut connection_window) = (65_535i64, 65_535i64);
    let mut sent = 0;
    while sent < SIZE / (16 * 1024) {
        while stream_window.min(connection_window) < 16 * 1024 {
            let frame = frames.next().expect("an open connection");
            let number_at = |at: usize| i64::from(number(&frame.payload[at..at + 4]));
            match (frame.kind, frame.stream) {
                (WINDOW_UPDATE, 0) => connection_window += number_at(0),
                (WINDOW_UPDATE, 1) => stream_window += number_at(0),
                (4, _) => {
                    for at in (0..frame.payload.len()).step_by(6).filter(|at| frame.payload[at + 1] == 4) {
                        stream_window += number_at(at + 2) - 65_535;
                    }
                }
                (RST_STREAM | 7, _) => panic!("{frame:?}"),
                _ => {}
            }
        }
        let end = if sent + 1 == SIZE / (16 * 1024) { END_STREAM } else { 0 };
        frames.send(DATA, end, 1, pieces[sent % pieces.len()]);
        stream_window -= 16 * 1024;
        connection_window -= 16 * 1024;
        sent += 1;
    }
    let body = frames.body(1);
    assert_eq!(body.len(), SIZE);
    assert!(body.chunks(MEGABYTE).all(|megabyte| megabyte == piece));
}

/// Reads all of an upload and then sends it back.
fn echo_of(size: usize) -> Backend {
    Backend::scripted(move |peer| {
        while peer.head()?.is_some() {
            let body = peer.exactly(size)?;
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"))?;
            peer.send(body)?;
        }
        Ok(())
    })
}

/// Bytes that are not the same after a shift.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

#[test]
fn an_http10_client_is_answered_in_its_own_way() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n\r\n"));
    let answer = String::from_utf8(raw.rest()).expect("a text");
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let backend = Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()))?;
        }
        Ok(())
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    let requests: String = (0..50)
        .map(|at| match at % 2 {
            0 => format!("GET /{at} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
            _ => format!("POST /{at} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n--"),
        })
        .collect();
    raw.send(requests);
    for at in 0..50 {
        assert_eq!(raw.answer().text(), format!("/{at}"));
    }
    assert_eq!(backend.connections().len(), 1);
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.until_closed()
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(request("GET", ""));
    backend.wait_until("a request", |connections| connections.len() == 1);
    drop(raw);
    backend.wait_for_closed(1);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(request("POST", "Content-Length: 10\r\n") + "half");
    backend.wait_for_text("half");
    drop(raw);
    backend.wait_for_closed(2);
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(1, END_STREAM, &get(HOST, "/reset"));
    backend.wait_for_text("GET /reset ");
    frames.send(RST_STREAM, 0, 1, &8u32.to_be_bytes());
    backend.wait_for_closed(3);
    frames.headers(3, END_STREAM, &get(HOST, "/gone"));
    backend.wait_for_text("GET /gone ");
    drop(frames);
    backend.wait_for_closed(4);
}

/// What the backend did not finish is not finished for the client either.
#[test]
fn an_answer_that_breaks_off_breaks_off_visibly() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        let backend = Backend::scripted(move |peer| {
            peer.request()?;
            peer.send(answer)
        });
        let world = world(&backend);
        let mut raw = Raw::stranger(&world, HOST);
        raw.send(request("GET", ""));
        let head = raw.answer_head().expect("a head");
        assert_eq!(head.status, 200);
        let rest = String::from_utf8(raw.rest()).expect("a text");
        assert!(rest.contains("half") && !rest.contains("0\r\n\r\n") && rest.len() < 10, "{answer}: {rest}");
        let mut frames = Frames::stranger(&world, HOST);
        frames.headers(1, END_STREAM, &get(HOST, "/"));
        // A reset may overtake the head that it makes worthless.
        let outcome = match frames.outcome(1) {
            Outcome::Status(200) => frames.outcome(1),
            outcome => outcome,
        };
        assert!(matches!(outcome, Outcome::Reset(code) if code != 0), "{answer}: {outcome:?}");
    }
}

/// A client that counts would wait for content that never comes, or call the stream broken.
#[test]
fn a_204_reaches_an_http2_client_without_the_length_that_its_backend_gave_it() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    let world = world(&backend);
    let mut frames = Frames::stranger(&world, HOST);
    frames.headers(1, END_STREAM, &get(HOST, "/"));
    let head = std::iter::from_fn(|| frames.next().ok()).find(|frame| frame.kind == HEADERS).expect("an answer");
    // `content-length` is 28 in HPACK's static table, here as a literal without indexing (RFC 7541, section 6.2.2).
    assert!(!head.payload.windows(2).any(|name| name == [0x0f, 28 - 15]), "{head:?}");
}
