//! The admin side over real sockets.

use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

use super::*;
use crate::evidence::handshake::HandshakeOutcome;
use crate::evidence::recorder::tests::outcome;
use support::{Admin, HOST, exchange, json, state, status};

mod changes;
mod openapi;
mod rights;
mod stream;
mod support;

#[tokio::test]
async fn readiness_follows_the_process_and_health_does_not() {
    let admin = Admin::start().await;
    for (stage, code, word) in [
        (ReadyState::Starting, "503", "starting"),
        (ReadyState::Ready, "200", "ready"),
        (ReadyState::Draining, "503", "draining"),
    ] {
        admin.state.ready.set(stage);
        let answer = admin.get("/readyz").await;
        assert_eq!(status(&answer), code);
        assert!(answer.contains(word), "{answer}");
        assert_eq!(status(&admin.get("/healthz").await), "200");
    }
}

#[tokio::test]
async fn a_rebound_name_reads_nothing() {
    let admin = Admin::start().await;
    for path in ["/", "/metrics", "/healthz", "/api/v1/hosts", "/nowhere"] {
        let answer = admin.ask(&format!("GET {path}"), &["Host: evil.example"], "").await;
        assert_eq!(status(&answer), "403", "{path}");
        assert!(!answer.contains("shop.example.com"));
    }
    assert_eq!(status(&admin.get("/nowhere").await), "404");
}

#[tokio::test]
async fn what_there_is_is_told() {
    let admin = Admin::start().await;
    for name in ["first.example", "second.example", "third.example"] {
        admin.state.recent.push(Arc::new(outcome(name)));
    }
    assert!(admin.get("/metrics").await.contains("originlock_build_info{"));
    let hosts = json(&admin.get("/api/v1/hosts").await);
    assert_eq!(hosts["hosts"][0]["mode"], "observe");
    let host = json(&admin.get("/api/v1/hosts/*.shop.example.com").await);
    assert_eq!((&host["name"], &host["certificates"]), (&"shop.example.com".into(), &serde_json::json!([])));
    let status = json(&admin.get("/api/v1/status").await);
    assert_eq!((&status["generation"], &status["may_change"]), (&7.into(), &false.into()));
    assert_eq!(json(&admin.get("/api/v1/certificates").await)["certificates"], serde_json::json!([]));
    assert_eq!(json(&admin.get("/api/v1/failures?host=shop.example.com").await)["failures"], serde_json::json!([]));
    let answer = json(&admin.get("/api/v1/handshakes?limit=2").await);
    let names: Vec<_> =
        answer["handshakes"].as_array().expect("a list").iter().map(|one| one["host"].clone()).collect();
    assert_eq!(names, ["third.example", "second.example"]);
    let newest = &answer["handshakes"][0];
    assert_eq!((&newest["reason"], &newest["network"]), (&"unknown_issuer".into(), &"cloudflare".into()));
    assert_eq!(newest["explanation"], "no CA of this host's bundle issued the certificate");
    assert_eq!(newest["certificate"], serde_json::Value::Null);
}

#[tokio::test]
async fn handshakes_are_filtered() {
    let admin = Admin::start().await;
    let elsewhere = HandshakeOutcome { peer: "192.0.2.7:4".parse().expect("an address"), ..outcome("b.example") };
    let verified = HandshakeOutcome { reason: crate::policy::verdict::Reason::Verified, ..outcome("shop.example.com") };
    for outcome in [outcome("a.example"), elsewhere, verified] {
        admin.state.recent.push(Arc::new(outcome));
    }
    for (query, sequences) in [
        ("", &[3, 2, 1][..]),
        ("?after=1", &[3, 2]),
        ("?after=3", &[]),
        ("?limit=1", &[3]),
        ("?host=a.example", &[1]),
        ("?host=*.shop.example.com", &[3]),
        ("?host=nobody.example", &[]),
        ("?reason=verified", &[3]),
        ("?network=elsewhere", &[2]),
        ("?network=cloudflare&reason=unknown_issuer", &[1]),
    ] {
        let answer = json(&admin.get(&format!("/api/v1/handshakes{query}")).await);
        let found: Vec<_> =
            answer["handshakes"].as_array().expect("a list").iter().map(|one| one["sequence"].clone()).collect();
        assert_eq!(found, sequences, "{query}");
    }
}

#[tokio::test]
async fn every_mistake_is_told_with_its_remedy() {
    let admin = Admin::start().await;
    for (request, code, kind) in [
        ("GET /nowhere", "404", "unknown_path"),
        ("GET /api/v1/nowhere", "404", "unknown_path"),
        ("GET /api/v1/hosts/nobody.example", "404", "unknown_host"),
        ("GET /api/v1/hosts/%ff", "400", "bad_request"),
        ("GET /api/v1/hosts/%3Cscript%3E", "404", "unknown_host"),
        ("GET /api/v1/failures?host=nobody.example", "404", "unknown_host"),
        ("GET /api/v1/failures?hosts=shop.example.com", "400", "bad_request"),
        ("GET /api/v1/handshakes?limit=many", "400", "bad_request"),
        ("GET /api/v1/handshakes?reason=bad_luck", "400", "bad_request"),
        ("GET /api/v1/handshakes?network=moon", "400", "bad_request"),
        ("GET /api/v1/handshakes/stream?after=-1", "400", "bad_request"),
        ("POST /api/v1/hosts", "405", "wrong_method"),
        ("GET /api/v1/reload", "405", "wrong_method"),
        ("DELETE /api/v1/hosts/shop.example.com", "405", "wrong_method"),
        ("POST /", "405", "wrong_method"),
    ] {
        let answer = admin.ask(request, &[], "").await;
        assert_eq!(status(&answer), code, "{request}: {answer}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{request}: {answer}");
        let problem = json(&answer);
        assert_eq!((&problem["type"], problem["status"].to_string()), (&kind.into(), code.to_owned()), "{request}");
        assert!(problem["next_step"].as_str().is_some_and(|step| !step.is_empty()), "{request}: {answer}");
        assert_eq!(code == "405", answer.contains("\r\nallow: "), "{request}: {answer}");
    }
}

#[tokio::test]
async fn the_page_says_what_it_may_load_and_nothing_of_what_was_seen() {
    let admin = Admin::start().await;
    let hostile = "\"><img src=x onerror=alert(1)>";
    let detail = Some(hostile.to_owned());
    admin.state.recent.push(Arc::new(HandshakeOutcome { detail, ..outcome("shop.example.com") }));
    let page = admin.get("/").await;
    assert_eq!(status(&page), "200");
    assert!(page.contains("content-security-policy: default-src 'none'") && !page.contains("onerror"), "{page}");
    for (path, kind) in [("/", "text/html"), ("/dashboard.css", "text/css"), ("/dashboard.js", "text/javascript")] {
        assert!(admin.get(path).await.contains(kind), "{path}");
    }
    let answer = admin.get("/api/v1/handshakes").await;
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
    assert_eq!(json(&answer)["handshakes"][0]["detail"], hostile);
}

#[tokio::test]
async fn a_socket_file_is_private_replaces_a_stale_one_and_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket that nobody listens on afterwards"));
    let listener = AdminListener::unix(&path).expect("a stale socket is replaced");
    let mode = std::fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let taken = AdminListener::unix(&path).expect_err("a live socket stays");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, state(), async { drop(stopped.await) }));
    let answer =
        exchange(UnixStream::connect(&path).await.expect("a connection"), "GET /healthz", &["Host: whatever"], "")
            .await;
    assert_eq!(status(&answer), "200");
    drop(stop);
    task.await.expect("it ends");
    assert!(!path.exists());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_file_in_the_way_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious");
    std::fs::write(&path, "data").expect("a file");
    assert!(AdminListener::unix(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "data");
}

#[tokio::test]
async fn serving_ends_although_a_client_idles() {
    let admin = Admin::start().await;
    let mut idle = TcpStream::connect(("127.0.0.1", admin.port)).await.expect("a connection");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("a request");
    let mut first = [0; 1];
    idle.read_exact(&mut first).await.expect("an answer");
    admin.stop.send(()).expect("it listens");
    admin.task.await.expect("it ends");
}

#[tokio::test]
async fn one_address_among_others_does_not_take_every_place() {
    let admin = Admin::start_at("0.0.0.0:0", state()).await;
    let mut idle = Vec::new();
    for _ in 0..places::MAX_PER_ADDRESS {
        idle.push(admin.connect().await);
    }
    let mut one_more = admin.connect().await;
    assert_eq!(one_more.read(&mut [0]).await.expect("it is closed"), 0);
    let other = tokio::net::TcpSocket::new_v4().expect("a socket");
    other.bind("127.0.0.2:0".parse().expect("an address")).expect("an address of this machine");
    let other = other.connect(([127, 0, 0, 1], admin.port).into()).await.expect("a connection");
    assert_eq!(status(&exchange(other, "GET /healthz", &[], "").await), "200");
    drop(idle);
    // A place that is given back is there again, sooner or later.
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    loop {
        let mut again = admin.connect().await;
        if again.write_all(request).await.is_ok() && again.read_exact(&mut answer).await.is_ok() {
            break;
        }
    }
    assert!(answer.ends_with(b"200"));
}

/// Scrapes that take their time would hold up the backends' health checks, which share the admin side's thread.
#[test]
fn a_scrape_is_rendered_off_the_admin_sides_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(async {
        let admin = Admin::start().await;
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holder = tokio::task::spawn_blocking(move || held.recv());
        let scrape = admin.get("/metrics");
        let mut scrape = std::pin::pin!(scrape);
        let healthy = async {
            // Each is on a connection of its own, the later one behind the earlier.
            for _ in 0..10 {
                assert_eq!(status(&admin.get("/healthz").await), "200");
            }
        };
        tokio::select! {
            answer = &mut scrape => panic!("rendered on the runtime's thread: {}", status(&answer)),
            () = healthy => {}
        }
        release.send(()).expect("it waits");
        assert!(scrape.await.contains("originlock_build_info"));
        holder.await.expect("it ends").expect("released");
    });
}

#[tokio::test]
async fn a_shorter_window_is_judged_over_and_a_longer_one_refused() {
    let admin = Admin::start().await;
    for (path, answer) in [
        (HOST.to_owned(), Ok(86_400)),
        (format!("{HOST}?window_seconds=1800"), Ok(1800)),
        (format!("{HOST}?window_seconds=86400"), Ok(86_400)),
        (format!("{HOST}?window_seconds=86401"), Err("longer than the configured one")),
        (format!("{HOST}?window_seconds=59"), Err("too short to judge over")),
        (format!("{HOST}?window_seconds=-1"), Err("invalid")),
        (format!("{HOST}?window=60"), Err("unknown field")),
    ] {
        let said = admin.get(&format!("/api/v1/hosts/{path}")).await;
        match answer {
            Ok(seconds) => assert_eq!(json(&said)["evidence"]["window_seconds"], seconds, "{path}"),
            Err(why) => assert!(status(&said) == "400" && said.contains(why), "{path}: {said}"),
        }
    }
    let all = json(&admin.get("/api/v1/hosts?window_seconds=1800").await);
    assert_eq!(all["hosts"][0]["evidence"]["window_seconds"], 1800);
    assert_eq!(status(&admin.get("/api/v1/hosts?window_seconds=1").await), "400");
}
