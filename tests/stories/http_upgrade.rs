//! A connection becomes another protocol's only if the client asked for it and the backend agreed to just that.

use super::support::{Backend, HostSetup, Raw, World};

const HOST: &str = "shop.example";
const WEBSOCKET: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn world(backend: &Backend) -> World {
    World::with(HostSetup::new(HOST).observe("ours").upstream(&backend.url()))
}

fn upgrade_to(protocol: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

#[test]
fn a_websocket_echoes_both_ways() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        // The first words of the new protocol come with the answer's head.
        peer.send(format!("{WEBSOCKET}hello"))?;
        peer.echo()
    });
    let world = world(&backend);
    let mut raw = Raw::verified(&world, HOST);
    // And the client's first words with the request, before it knows that it may.
    raw.send(upgrade_to("websocket") + "early");
    let head = raw.answer_head().expect("a head");
    assert_eq!(head.status, 101, "{head:?}");
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("connection"), Some("upgrade"));
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(raw.exactly(10).expect("an echo"), b"helloearly");
    for at in 0..100u8 {
        let message = vec![at; usize::from(at) * 500 + 1];
        raw.send(&message);
        assert_eq!(raw.exactly(message.len()).expect("an echo"), message);
    }
    let text = backend.text();
    assert!(text.contains("connection: upgrade\r\n") && text.contains("upgrade: websocket\r\n"), "{}", &text[..600]);
    assert!(text.contains("x-client-verify: SUCCESS\r\n"));
    drop(raw);
    backend.wait_for_closed(1);
}

#[test]
fn a_backend_that_ends_a_tunnel_ends_it_for_the_client() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.send(format!("{WEBSOCKET}bye"))
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(upgrade_to("websocket"));
    assert_eq!(raw.answer_head().expect("a head").status, 101);
    assert_eq!(raw.rest(), b"bye");
}

#[test]
fn no_byte_passes_a_tunnel_after_the_trust_it_was_opened_under() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.send(WEBSOCKET)?;
        peer.echo()
    });
    let mut world = world(&backend);
    let open = |mut raw: Raw| {
        raw.send(upgrade_to("websocket"));
        assert_eq!(raw.answer_head().expect("a head").status, 101);
        raw
    };
    let (mut stranger, mut verified) = (open(Raw::stranger(&world, HOST)), open(Raw::verified(&world, HOST)));
    world.change_and_reload(|setup| setup.host(HOST).mode = "enforce".into());
    stranger.send("secret");
    assert_eq!(stranger.rest(), b"");
    verified.send("welcome");
    assert_eq!(verified.exactly(7).expect("an echo"), b"welcome");
    assert!(!backend.text().contains("secret"));
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    let backend = Backend::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    for _ in 0..2 {
        let answer = raw.ask(upgrade_to("websocket"));
        assert_eq!((answer.status, answer.text()), (403, "no".to_owned()));
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_bad_gateway() {
    let plain = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let without_connection = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n\r\n");
    let in_http10 = format!("GET / HTTP/1.0\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    for (name, request, answer) in [
        ("not asked for", &plain, WEBSOCKET),
        ("not listed in Connection", &without_connection, WEBSOCKET),
        ("asked for in HTTP/1.0", &in_http10, WEBSOCKET),
        ("another protocol", &upgrade_to("chat"), WEBSOCKET),
        ("h2c", &upgrade_to("h2c"), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        (
            "two protocols",
            &upgrade_to("websocket"),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, chat\r\n\r\n",
        ),
        ("no protocol", &upgrade_to("websocket"), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"),
        ("no Connection", &upgrade_to("websocket"), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    ] {
        let backend = Backend::answering(answer);
        let world = world(&backend);
        let mut raw = Raw::stranger(&world, HOST);
        let answer = raw.ask(request);
        assert_eq!(answer.status, 502, "{name}: {answer:?}");
        // What the backend might say next is nobody's answer.
        backend.wait_for_closed(1);
    }
}

#[test]
fn a_tunnel_does_not_open_over_an_unfinished_request() {
    let backend = Backend::scripted(|peer| {
        peer.head()?;
        peer.send(WEBSOCKET)?;
        peer.until_closed()
    });
    let world = world(&backend);
    let mut raw = Raw::stranger(&world, HOST);
    raw.send(upgrade_to("websocket").replace("\r\n\r\n", "\r\nContent-Length: 10\r\n\r\nhalf"));
    assert_eq!(raw.answer().status, 502);
    backend.wait_for_closed(1);
}

#[test]
fn an_upgrade_to_h2c_is_not_passed_on() {
    let backend = Backend::ok();
    let world = world(&backend);
    for protocol in ["h2c", "H2C", "websocket, h2c", "h2c, websocket"] {
        let answer = Raw::stranger(&world, HOST).ask(upgrade_to(protocol));
        assert_eq!(answer.status, 200);
    }
    assert!(!backend.text().to_ascii_lowercase().contains("upgrade:"), "{}", backend.text());
}
