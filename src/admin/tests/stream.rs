//! The live stream of handshakes.

use super::support::HOST;
use super::*;
use crate::secret::TokenDigest;
use crate::snapshot::admin::Proofs;

/// A client of the stream.
struct Watching {
    socket: TcpStream,
    text: String,
}

impl Watching {
    async fn open(admin: &Admin, query: &str, headers: &[&str]) -> Self {
        let mut socket = admin.connect().await;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("GET /api/v1/handshakes/stream{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.expect("a request");
        let mut watching = Self { socket, text: String::new() };
        watching.until(": handshakes as they end").await;
        watching
    }

    /// Reads until `wanted` has come.
    async fn until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            assert!(self.read().await > 0, "{wanted} never came: {}", self.text);
        }
    }

    async fn read(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let read = self.socket.read(&mut bytes);
        let read =
            tokio::time::timeout(Duration::from_secs(30), read).await.expect("something comes").expect("it is read");
        self.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read
    }

    /// The ids of the handshakes that came.
    fn ids(&self) -> Vec<u64> {
        self.text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
    }
}

fn push(admin: &Admin, name: &str) {
    admin.state.recent.push(Arc::new(outcome(name)));
}

#[tokio::test]
async fn handshakes_are_told_as_they_end() {
    let admin = Admin::start().await;
    push(&admin, "before.example");
    let mut watching = Watching::open(&admin, "", &[]).await;
    assert!(watching.text.contains("content-type: text/event-stream\r\n"), "{}", watching.text);
    push(&admin, "after.example");
    watching.until("\nevent: handshake\nid: 2\ndata: {\"sequence\":2,").await;
    assert!(!watching.text.contains("before.example"), "{}", watching.text);
    push(&admin, "again.example");
    watching.until("again.example").await;
    assert_eq!(watching.ids(), [2, 3]);
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_that_is_kept() {
    let admin = Admin::start().await;
    (0..200).for_each(|_| push(&admin, "a.example"));
    let mut watching = Watching::open(&admin, "", &["Last-Event-ID: 50"]).await;
    watching.until("id: 200\n").await;
    assert_eq!(watching.ids(), (51..=200).collect::<Vec<_>>());
    assert!(!watching.text.contains("event: skipped"));
    let mut by_query = Watching::open(&admin, "?after=198", &[]).await;
    by_query.until("id: 200\n").await;
    assert_eq!(by_query.ids(), [199, 200]);
    // Numbers begin anew with each process.
    let mut of_an_earlier_life = Watching::open(&admin, "", &["Last-Event-ID: 4000"]).await;
    of_an_earlier_life.until("id: 200\n").await;
    assert_eq!(of_an_earlier_life.ids().len(), 200);
}

#[tokio::test]
async fn a_flood_is_told_by_its_newest_and_a_number() {
    let admin = Admin::start().await;
    let mut watching = Watching::open(&admin, "", &[]).await;
    // All of them between two looks: nothing else runs on this thread meanwhile.
    (0..1500).for_each(|_| push(&admin, "flood.example"));
    watching.until("id: 1500\n").await;
    let expected: Vec<u64> = (1461..=1500).collect();
    assert_eq!(watching.ids(), expected);
    assert!(watching.text.contains("event: skipped\ndata: {\"skipped\":1460}\n"), "{}", watching.text);
}

#[tokio::test]
async fn a_stream_tells_only_what_is_asked_for() {
    let admin = Admin::start().await;
    let mut watching = Watching::open(&admin, "?host=*.shop.example.com&reason=unknown_issuer", &[]).await;
    for name in ["a.example", HOST, "b.example", HOST] {
        push(&admin, name);
    }
    watching.until("id: 4\n").await;
    assert_eq!(watching.ids(), [2, 4]);
    assert!(!watching.text.contains("skipped"), "{}", watching.text);
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_alive_for_longer_than_any_answer_may_take() {
    let short = Duration::from_millis(300);
    let bounds = Bounds { keep_alive: short, answer: short, ..Bounds::default() };
    let admin = Admin::start_with(AdminState { bounds, ..state() }).await;
    let mut watching = Watching::open(&admin, "", &[]).await;
    watching.until(": still here\n\n").await;
    watching.text.clear();
    watching.until(": still here\n\n").await;
    push(&admin, "late.example");
    watching.until("late.example").await;
}

/// Asks for a stream until there is a place; `meanwhile` is done before each question.
async fn a_place_comes_free(admin: &Admin, meanwhile: impl Fn()) {
    let question = async {
        loop {
            meanwhile();
            tokio::time::sleep(Duration::from_millis(2)).await;
            let mut socket = admin.connect().await;
            let request = b"GET /api/v1/handshakes/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
            socket.write_all(request).await.expect("a request");
            let mut code = [0; 12];
            socket.read_exact(&mut code).await.expect("an answer");
            if code.ends_with(b"200") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), question).await.expect("a place comes free");
}

#[tokio::test]
async fn one_stream_too_many_is_turned_away_until_another_ends() {
    let admin = Admin::start().await;
    let mut open = Vec::new();
    for _ in 0..Bounds::default().streams {
        open.push(Watching::open(&admin, "", &[]).await);
    }
    let answer = admin.get("/api/v1/handshakes/stream").await;
    assert_eq!((status(&answer), &json(&answer)["type"]), ("503", &"overloaded".into()));
    assert_eq!(status(&admin.get("/api/v1/hosts").await), "200", "the rest goes on");
    drop(open.pop());
    a_place_comes_free(&admin, || ()).await;
}

#[tokio::test]
async fn streams_end_with_the_admin_side() {
    let admin = Admin::start().await;
    let mut watching = Watching::open(&admin, "", &[]).await;
    admin.stop.send(()).expect("it listens");
    while watching.read().await > 0 {}
    assert!(watching.text.ends_with("0\r\n\r\n"), "the answer is whole: {:?}", watching.text);
    admin.task.await.expect("it ends");
}

#[tokio::test]
async fn who_takes_nothing_is_let_go() {
    let bounds = Bounds { stall: Duration::from_millis(200), streams: 1, ..Bounds::default() };
    let admin = Admin::start_with(AdminState { bounds, ..state() }).await;
    let unread = Watching::open(&admin, "", &[]).await;
    assert_eq!(status(&admin.get("/api/v1/handshakes/stream").await), "503");
    // What it is sent fills the buffers of its socket and then waits.
    let detail = Some("x".repeat(64 * 1024));
    let large = Arc::new(HandshakeOutcome { detail, ..outcome("a.example") });
    a_place_comes_free(&admin, || admin.state.recent.push(large.clone())).await;
    drop(unread);
}

#[tokio::test]
async fn a_stream_ends_when_its_client_loses_the_right_and_goes_on_while_it_has_it() {
    let token = |text: &str| Proofs { token: Some(TokenDigest::of(text.as_bytes())), ..Proofs::default() };
    let access = Arc::new(std::sync::Mutex::new(Arc::new(AdminAccess::default())));
    let of_admin = access.clone();
    let in_force = Arc::new(move || of_admin.lock().expect("nobody panics").clone());
    let admin = Admin::start_with(AdminState { access: in_force, ..state() }).await;
    let put_in_force = |read| {
        *access.lock().expect("nobody panics") = Arc::new(AdminAccess { read, ..AdminAccess::default() });
    };
    let mut nobody = Watching::open(&admin, "", &[]).await;
    // The same rights, put in force anew.
    put_in_force(Proofs::default());
    push(&admin, "first.example");
    nobody.until("first.example").await;
    put_in_force(token("one-0123456789abcdef"));
    nobody.until("\r\n0\r\n\r\n").await;

    let mut bearer = Watching::open(&admin, "", &["Authorization: Bearer one-0123456789abcdef"]).await;
    push(&admin, "second.example");
    bearer.until("second.example").await;
    put_in_force(token("two-0123456789abcdef"));
    bearer.until("\r\n0\r\n\r\n").await;
    assert_eq!(bearer.ids(), [2], "and not before");
}
