//! The admin side over real sockets.

use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::clock::Timestamp;
use crate::evidence::handshake::HandshakeOutcome;
use crate::evidence::recorder::tests::outcome;

fn state() -> AdminState {
    let host = HostView {
        names: vec!["shop.example.com".into(), "<script>alert(1)</script>".into()],
        mode: "observe",
        ca: vec!["our-ca".into()],
        pins: 1,
        ca_not_after: Some(Timestamp::from_seconds(1_800_000_000)),
        certificate_not_after: Some(Timestamp::from_seconds(1_900_000_000)),
        upstream: vec!["http://127.0.0.1:8080".into()],
    };
    AdminState {
        metrics: Metrics::new(10),
        recent: Arc::default(),
        hosts: Arc::new(move || vec![host.clone()]),
        ready: Arc::default(),
        clock: Clock::manual(Timestamp::from_seconds(1_800_000_001)),
    }
}

struct Admin {
    port: u16,
    state: AdminState,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Admin {
    async fn start() -> Self {
        let listener = AdminListener::tcp("127.0.0.1:0".parse().expect("an address")).await.expect("a listener");
        let port = listener.local_address().expect("an address").port();
        let (state, (stop, stopped)) = (state(), oneshot::channel::<()>());
        let task = tokio::spawn(serve(listener, state.clone(), async { drop(stopped.await) }));
        Self { port, state, stop, task }
    }

    async fn get(&self, path: &str) -> String {
        self.get_as("localhost", path).await
    }

    async fn get_as(&self, host: &str, path: &str) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        exchange(stream, host, path).await
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

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
        let answer = admin.get_as("evil.example", path).await;
        assert_eq!(status(&answer), "403", "{path}");
        assert!(!answer.contains("shop.example.com"));
    }
    assert_eq!(status(&admin.get("/nowhere").await), "404");
}

#[tokio::test]
async fn metrics_hosts_and_handshakes_are_served() {
    let admin = Admin::start().await;
    for name in ["first.example", "second.example", "third.example"] {
        admin.state.recent.push(Arc::new(outcome(name)));
    }
    assert!(admin.get("/metrics").await.contains("originlock_build_info{"));
    let hosts = admin.get("/api/v1/hosts").await;
    assert!(hosts.contains(r#""mode":"observe","ca":["our-ca"]"#), "{hosts}");
    let answer = admin.get("/api/v1/handshakes?limit=2").await;
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let names: Vec<_> = json["handshakes"].as_array().expect("a list").iter().map(|one| one["host"].clone()).collect();
    assert_eq!(names, ["third.example", "second.example"]);
    assert_eq!(json["handshakes"][0]["reason"], "unknown_issuer");
    assert_eq!(json["handshakes"][0]["certificate"], serde_json::Value::Null);
    assert_eq!(status(&admin.get("/api/v1/handshakes?limit=many").await), "400");
}

#[tokio::test]
async fn the_page_escapes_what_strangers_say() {
    let admin = Admin::start().await;
    let hostile = "\"><img src=x onerror=alert(1)>";
    let detail = Some(hostile.to_owned());
    admin.state.recent.push(Arc::new(HandshakeOutcome { detail, ..outcome("shop.example.com") }));
    let page = admin.get("/").await;
    assert_eq!(status(&page), "200");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("&quot;&gt;&lt;img"), "{page}");
    assert!(page.contains("2027-01-15 (expired)") && page.contains("2030-03-17"), "{page}");
    for (path, kind) in [("/dashboard.css", "text/css"), ("/dashboard.js", "text/javascript")] {
        assert!(admin.get(path).await.contains(kind), "{path}");
    }
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
    let answer = exchange(UnixStream::connect(&path).await.expect("a connection"), "whatever", "/healthz").await;
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
