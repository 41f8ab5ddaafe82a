//! The admin side: what it tells, and whom.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use originlock::clock::Timestamp;
use originlock::evidence::network::Network;
use originlock::evidence::readiness::{Readiness, Shortfall, ShortfallKind};
use originlock::evidence::report::{
    CheckReport, ModeReport, ModeRequest, OutsiderReport, ProblemReport, ReloadReport, SourceReport,
};
use originlock::pki::LeafOptions;
use originlock::policy::client_auth::Mode;
use originlock::policy::verdict::Reason;
use serde_json::{Value, json};

use crate::support::certificates::{Credential, good};
use crate::support::world::Builder;
use crate::support::{Api, Client, Document, HostSetup, Log, Reply, Shape, World, pki};

const SHOP: &str = "shop.example.com";
const READ: &str = "read-0123456789abcdef";
const CHANGE: &str = "change-0123456789abcdef";
/// 127.0.1.0/24 plays Cloudflare's edge.
const EDGE: &str = "127.0.1.1";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn builder() -> Builder {
    World::builder()
        .host(HostSetup::new(SHOP).also("*.shop.example.com").observe("ours"))
        .file("ranges.txt", "127.0.1.0/24\n")
        .file("read.token", &format!("{READ}\n"))
        .file("change.token", CHANGE)
        .tables("[evidence]\ncloudflare_ranges = \"ranges.txt\"\n")
}

fn with_tokens() -> World {
    builder()
        .admin("address = \"127.0.0.1:0\"\nread = { token = \"read.token\" }\nchange = { token = \"change.token\" }")
        .start()
}

/// The OpenAPI document that `api` serves.
fn document(api: &Api) -> Document {
    Document(api.json("/api/v1/openapi.json"))
}

#[test]
fn every_answer_is_what_the_openapi_document_says() {
    let world = builder().host(HostSetup::new("off.example.com")).start();
    let visit = |client: Client| {
        // Some are refused for their name; all are recorded.
        let _ = client.get();
        world.next_handshake();
    };
    visit(world.client(SHOP).presenting(Shape::P256).from(EDGE));
    visit(world.client(SHOP).presenting(Shape::UnknownCa).from(EDGE));
    visit(world.client("a.shop.example.com"));
    visit(world.client("off.example.com"));
    visit(world.client("forgotten.example.com").from(EDGE));
    let api = Api::of(&world);
    let document = document(&api);
    for (route, path) in [
        ("/api/v1/status", "/api/v1/status".to_owned()),
        ("/api/v1/hosts", "/api/v1/hosts".to_owned()),
        ("/api/v1/hosts/{name}", format!("/api/v1/hosts/{SHOP}")),
        ("/api/v1/hosts/{name}", "/api/v1/hosts/off.example.com".to_owned()),
        ("/api/v1/handshakes", "/api/v1/handshakes".to_owned()),
        ("/api/v1/certificates", "/api/v1/certificates".to_owned()),
        ("/api/v1/failures", "/api/v1/failures".to_owned()),
    ] {
        let schema = document.answer("get", route).expect("an answer is described");
        assert_eq!(document.mistakes(schema, &api.json(&path)), Vec::<String>::new(), "{path}");
    }
    let problem = api.get("/api/v1/hosts/nobody.example.com");
    assert_eq!((problem.status, document.mistakes("Problem", &problem.json())), (404, Vec::new()));
    for (schema, value) in samples() {
        assert_eq!(document.mistakes(schema, &value), Vec::<String>::new(), "{schema}");
    }
    // The check itself finds what is not described, missing or wrong.
    for wrong in [json!({}), json!({"file": "f", "line": "7"}), json!({"file": "f", "line": 7, "column": 1})] {
        assert!(!document.mistakes("Source", &wrong).is_empty(), "{wrong}");
    }
}

/// Reports that this world does not come to.
fn samples() -> Vec<(&'static str, Value)> {
    let at = Timestamp::from_seconds(1_800_000_000);
    let source = SourceReport { file: "o.toml".into(), line: 7 };
    let shortfall = |kind| Shortfall { kind, name: Some(SHOP.into()), sentence: "1 of 2".into() };
    let kinds = [
        ShortfallKind::NotObserved,
        ShortfallKind::Failing,
        ShortfallKind::TooFewHandshakes,
        ShortfallKind::TooFewEdges,
        ShortfallKind::NameUnseen,
        ShortfallKind::EndsSoon,
        ShortfallKind::FleetDisagrees,
        ShortfallKind::FleetIncomplete,
    ];
    let shortfalls = kinds.map(shortfall).into();
    let readiness = Readiness { ready: false, shortfalls, notices: vec!["one".into()] };
    let check =
        CheckReport { what: "as nobody".into(), expected: "let in".into(), got: "let in".into(), passed: Some(true) };
    let mode = ModeReport {
        host: SHOP.into(),
        names: vec![SHOP.into()],
        from: Mode::Observe,
        to: Mode::Enforce,
        source: source.clone(),
        diff: "-a\n+b\n".into(),
        applied: true,
        forced: true,
        readiness: readiness.clone(),
        checks: vec![check],
        confirm_by: Some(at),
    };
    let problem = ProblemReport {
        kind: "not_ready".into(),
        title: "not ready".into(),
        status: 409,
        detail: "…".into(),
        next_step: None,
        readiness: Some(readiness),
        diff: Some("-a\n+b\n".into()),
        source: Some(source),
    };
    let outsider = OutsiderReport {
        network: "203.0.113.0/24".into(),
        handshakes: 1,
        requests: 1,
        first_seen: at,
        last_seen: Timestamp::MAX,
        reason: Reason::NoCertificate,
        path: Some("/".into()),
        user_agent: None,
    };
    let request = ModeRequest {
        mode: Mode::Off,
        force: true,
        dry_run: true,
        confirm_within_seconds: Some(600),
        window_seconds: Some(3600),
    };
    let reload = ReloadReport { generation: 2, warnings: vec!["w".into()] };
    let reasons: BTreeMap<Reason, u64> = Reason::HANDSHAKE.into_iter().chain(Reason::REQUEST).zip(1..).collect();
    let column = json!({"from": at, "seconds": 60, "cloudflare": reasons, "elsewhere": {}});
    vec![
        ("ModeReport", json!(mode)),
        ("Problem", json!(problem)),
        ("Outsider", json!(outsider)),
        ("ModeRequest", json!(request)),
        ("ReloadReport", json!(reload)),
        ("Column", column),
        ("Network", json!(Network::Elsewhere)),
    ]
}

#[test]
fn what_was_seen_is_told() {
    let world = builder().start();
    for _ in 0..3 {
        world.client(SHOP).presenting(Shape::P256).from(EDGE).get().expect("it is let in");
        world.next_handshake();
    }
    world.client("a.shop.example.com").presenting(Shape::UnknownCa).get().expect("it is let in");
    world.next_handshake();
    let api = Api::of(&world);
    let hosts = api.json("/api/v1/hosts");
    let host = &hosts["hosts"][0];
    assert_eq!((&host["mode"], &host["trust"]["ca"]), (&json!("observe"), &json!(["ours"])));
    assert_eq!(host["evidence"]["cloudflare"]["by_reason"], json!({"verified": 3}));
    assert_eq!(host["evidence"]["elsewhere"]["by_reason"], json!({"unknown_issuer": 1}));
    assert_eq!(host["evidence"]["edge_addresses"], 1);
    assert_eq!(host["readiness"]["ready"], false, "100 handshakes are needed");
    let source = host["source"]["file"].as_str().expect("a file");
    let line = usize::try_from(host["source"]["line"].as_u64().expect("a line")).expect("a small number");
    let text = std::fs::read_to_string(source).expect("the configuration");
    assert!(text.lines().nth(line - 1).is_some_and(|line| line.contains("mode = \"observe\"")), "{source}:{line}");
    // By any of its names, the wildcard spelled out; by nothing that a wildcard merely covers.
    let detail = api.json("/api/v1/hosts/*.shop.example.com");
    assert_eq!((&detail["name"], &detail["evidence"]), (&json!(SHOP), &host["evidence"]));
    assert_eq!(detail["by_name"]["*.shop.example.com"]["elsewhere"]["handshakes"], 1);
    assert_eq!(detail["last_hour"][0]["cloudflare"], json!({"verified": 3}));
    let roles: Vec<_> = detail["certificates"].as_array().expect("a list").iter().map(|one| &one["role"]).collect();
    assert!(["client", "server", "ca"].iter().all(|role| roles.contains(&&json!(role))), "{roles:?}");
    assert_eq!(detail["failures"][0]["reason"], "unknown_issuer");
    assert_eq!(api.get("/api/v1/hosts/a.shop.example.com").status, 404);
    let failures = api.json("/api/v1/failures?host=*.shop.example.com");
    assert_eq!(failures["failures"].as_array().map(Vec::len), Some(1), "{failures}");
    let handshakes = api.json("/api/v1/handshakes?network=elsewhere");
    assert_eq!(handshakes["handshakes"][0]["server_address"], "a.shop.example.com");
    let status = api.json("/api/v1/status");
    let listeners = json!([world.address().to_string()]);
    assert_eq!((&status["listeners"], &status["networks"]["ranges"]), (&listeners, &json!(1)));
}

#[test]
fn a_certificate_text_arrives_as_text() {
    let hostile = "<script>alert(1)</script>\" onmouseover=\"";
    let issued = pki().ours.issue(&LeafOptions::client(hostile, good())).expect("a leaf");
    let world = builder().start();
    world.client(SHOP).credential(&Credential::of(&issued)).from(EDGE).get().expect("it is let in");
    world.next_handshake();
    let api = Api::of(&world);
    let (handshakes, host) = (api.get("/api/v1/handshakes"), api.get(&format!("/api/v1/hosts/{SHOP}")));
    for reply in [&handshakes, &host] {
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    let shown = handshakes.json()["handshakes"][0]["certificate"]["subject"].clone();
    let certificates = host.json()["certificates"].clone();
    let kept = certificates.as_array().expect("a list").iter().find(|one| one["role"] == "client").expect("it came");
    for subject in [&shown, &kept["subject"]] {
        assert!(subject.as_str().is_some_and(|subject| subject.contains("<script>alert(1)</script>")), "{subject}");
    }
}

#[test]
fn changing_over_tcp_needs_its_proof_and_a_socket_file_is_one() {
    let world = builder().start();
    let api = Api::of(&world);
    assert_eq!(api.json("/api/v1/status")["may_change"], false);
    let refused = api.ask("POST /api/v1/reload", &[], "");
    assert_eq!((refused.status, &refused.json()["type"]), (403, &json!("forbidden")));
    assert!(refused.json()["next_step"].as_str().is_some_and(|step| step.contains("change = { token")), "{refused:?}");
    drop(world);
    Log::capture(|log| {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("admin.sock");
        let world = builder().admin(&format!("address = \"unix:{}\"", socket.display())).start();
        let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let status = curl(&world, &["--unix-socket", &socket.to_string_lossy(), "http://localhost/api/v1/status"]);
        assert_eq!((status.status, &status.json()["may_change"]), (200, &json!(true)));
        let json = ["--header", "Content-Type: application/json", "--data", "{}"];
        let url = ["--unix-socket", &*socket.to_string_lossy(), "http://localhost/api/v1/reload"];
        let reload = curl(&world, &[json.as_slice(), &url].concat());
        assert_eq!((reload.status, &reload.json()["generation"]), (200, &json!(2)));
        let events = log.events();
        let told = events.iter().find(|event| event["originlock.config.generation"] == 2).expect("an event");
        let uid = std::fs::metadata(&socket).map(|file| std::os::unix::fs::MetadataExt::uid(&file)).expect("an owner");
        assert_eq!(told["originlock.by"], format!("unix socket uid {uid}"));
    });
}

#[test]
fn each_token_gives_its_right_and_a_reload_changes_both_or_neither() {
    Log::capture(|log| {
        let mut world = with_tokens();
        let api = Api::of(&world);
        let (read, change) = (bearer(READ), bearer(CHANGE));
        for path in ["/healthz", "/readyz", "/", "/dashboard.css"] {
            assert_eq!(api.get(path).status, 200, "{path} asks for nothing");
        }
        for (lines, reading, changing) in [
            (&[][..], 401, 401),
            (&[&*read], 200, 403),
            (&[&*change], 200, 200),
            (&["Authorization: Bearer wrong-0123456789abcdef"], 401, 401),
        ] {
            assert_eq!(api.ask("GET /metrics", lines, "").status, reading, "{lines:?}");
            assert_eq!(api.ask("GET /api/v1/hosts", lines, "").status, reading, "{lines:?}");
            assert_eq!(api.ask("POST /api/v1/reload", lines, "{}").status, changing, "{lines:?}");
        }
        let short = bearer("too-short");
        world.write("read.token", "read-of-tomorrow-0123");
        world.write("change.token", "too-short");
        let problems = world.reload().expect_err("a token that could be guessed");
        assert!(
            problems.contains("fewer than 16 characters") && problems.contains("openssl rand -hex 32"),
            "{problems}"
        );
        assert!(!problems.contains("too-short"), "{problems}");
        assert_eq!(api.ask("GET /api/v1/hosts", &[&read], "").status, 200, "the old one stays");
        assert_eq!(api.ask("GET /api/v1/hosts", &[&short], "").status, 401);
        world.change(|setup| {
            setup.files.insert("read.token".into(), "read-of-tomorrow-0123".into());
            setup.files.insert("change.token".into(), "change-of-tomorrow-0123".into());
        });
        world.reload().expect("both are good");
        assert_eq!(api.ask("GET /api/v1/hosts", &[&read], "").status, 401);
        assert_eq!(api.ask("GET /api/v1/hosts", &[&bearer("read-of-tomorrow-0123")], "").status, 200);
        let (denied, text) = (world.metrics(), log.text());
        assert!(denied.contains("originlock_admin_denied_total{reason=\"wrong_token\"} 5\n"), "{denied}");
        assert!(text.contains("token from 127.0.0.1"), "who reloaded is in the log");
        assert!(!text.contains(READ) && !text.contains(CHANGE) && !text.contains("wrong-0123"), "no token is");
    });
}

/// A world whose admin side other machines reach: readers by token, changers by certificate.
fn reachable() -> World {
    let names = ["originlock.example", "*.operators.example"].map(str::to_owned);
    let issued = pki().server_certificate(&names);
    builder()
        .crl("ours", &pki().empty_crl())
        .file("tls/admin.pem", &issued.certificate_pem)
        .file("tls/admin.key", std::str::from_utf8(issued.key_pem.expose()).expect("PEM"))
        .admin(
            "address = \"0.0.0.0:0\"\ncertificate = { chain = \"tls/admin.pem\", key = \"tls/admin.key\" }\n\
             read = { token = \"read.token\" }\nchange = { ca = \"ours\" }",
        )
        .start()
}

/// A client of the admin side over TLS.
fn operator(world: &World) -> Client {
    let port = Api::of(world).address.port();
    Client::new(([127, 0, 0, 1], port).into(), "originlock.example")
}

#[test]
fn from_other_machines_nobody_reads_without_a_proof_and_curl_has_both_kinds() {
    let world = reachable();
    assert!(world.server().admin_url().is_some_and(|url| url.starts_with("https://0.0.0.0:")));
    let port = Api::of(&world).address.port();
    let url = |path: &str| format!("https://originlock.example:{port}{path}");
    let resolve = format!("originlock.example:{port}:127.0.0.1");
    let base = ["--cacert", "tls/site-ca.pem", "--resolve", &resolve];
    let json = ["--header", "Content-Type: application/json", "--data", "{}"];
    let (read, credential) = (bearer(READ), pki().credential(Shape::P256));
    world.write("client.pem", credential.chain_pem());
    world.write("client.key", credential.key_pem());
    let stranger = pki().credential(Shape::UnknownCa);
    world.write("stranger.pem", stranger.chain_pem());
    world.write("stranger.key", stranger.key_pem());
    let ours = ["--cert", "client.pem", "--key", "client.key"];
    let strange = ["--cert", "stranger.pem", "--key", "stranger.key"];
    let token = ["--header", &*read];
    for (proof, reading, changing) in [(&[][..], 401, 401), (&token, 200, 403), (&ours, 200, 200), (&strange, 401, 401)]
    {
        let hosts = curl(&world, &[&base, proof, &[&*url("/api/v1/hosts")]].concat());
        assert_eq!(hosts.status, reading, "{proof:?}: {hosts:?}");
        let reload = curl(&world, &[&base, proof, &json, &[&*url("/api/v1/reload")]].concat());
        assert_eq!(reload.status, changing, "{proof:?}: {reload:?}");
    }
    assert_eq!(curl(&world, &[&base[..], &[&*url("/healthz")]].concat()).status, 200, "health asks for nothing");
    for (host, expected) in [("originlock.example", 200), ("a.operators.example", 403), ("evil.example", 403)] {
        let answer = curl(&world, &[&base[..], &["--header", &format!("Host: {host}"), &*url("/healthz")]].concat());
        assert_eq!(answer.status, expected, "{host}: what a wildcard covers may be somebody else's");
    }
    // Plain HTTP to it is no HTTP.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).expect("the admin side");
    std::io::Write::write_all(&mut plain, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_certificate_without_its_key_proves_nothing() {
    let world = reachable();
    for (shape, status) in [(Shape::P256, 200), (Shape::ForgedProof, 401), (Shape::Expired, 401)] {
        let (_, answer) = Client::new(operator(&world).address, "originlock.example")
            .presenting(shape)
            .connect()
            .and_then(|mut connection| {
                let answer = connection.get("/api/v1/hosts")?;
                Ok((connection, answer))
            })
            .expect("everyone is heard");
        assert_eq!(answer.status, status, "{shape:?}");
    }
}

#[test]
fn a_right_ends_on_a_living_connection_with_the_reload_that_revokes_it() {
    let mut world = reachable();
    let client = operator(&world).presenting(Shape::Revoked).remembering();
    let mut connection = client.connect().expect("everyone is heard");
    assert_eq!(connection.get("/api/v1/hosts").expect("an answer").status, 200, "not yet");
    world.change_and_reload(|setup| setup.ca("ours").crl = Some(pki().crl()));
    assert_eq!(connection.get("/api/v1/hosts").expect("an answer").status, 401);
    let mut resumed = client.connect().expect("everyone is heard");
    assert_eq!(resumed.get("/api/v1/hosts").expect("an answer").status, 401);
}

#[test]
fn a_rebound_name_and_a_page_of_another_site_get_nothing() {
    let world = reachable();
    let client = operator(&world).presenting(Shape::P256);
    let ask = |lines: &str| {
        let mut connection = client.connect().expect("everyone is heard");
        connection.send(format!("GET /api/v1/hosts HTTP/1.1\r\n{lines}\r\n").as_bytes()).expect("sent");
        connection.answer().expect("an answer").status
    };
    let port = client.address.port();
    for (lines, status) in [
        ("Host: originlock.example\r\n".to_owned(), 200),
        (format!("Host: 127.0.0.1:{port}\r\n"), 200),
        (format!("Host: 10.9.8.7:{port}\r\n"), 200),
        ("Host: evil.example\r\n".to_owned(), 403),
        ("Host: 10.9.8.7:1\r\n".to_owned(), 403),
        ("Host: originlock.example\r\nOrigin: https://originlock.example\r\n".to_owned(), 200),
        ("Host: originlock.example\r\nOrigin: http://originlock.example\r\n".to_owned(), 403),
        ("Host: originlock.example\r\nOrigin: https://evil.example\r\n".to_owned(), 403),
        ("Host: originlock.example\r\nSec-Fetch-Site: cross-site\r\n".to_owned(), 403),
    ] {
        assert_eq!(ask(&lines), status, "{lines:?}");
    }
}

/// The stream of handshakes, event by event.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(api: &Api, query: &str, lines: &[&str]) -> Self {
        let socket = api.open(&format!("GET /api/v1/handshakes/stream{query}"), lines, "");
        let mut stream = Self(BufReader::new(socket));
        while !stream.line().expect("a stream").starts_with(": ") {}
        stream
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("the stream goes on");
        (read > 0).then_some(line)
    }

    /// The next handshake: its id and what it says.
    fn handshake(&mut self) -> (u64, Value) {
        let mut id = 0;
        loop {
            let line = self.line().expect("a handshake");
            if let Some(number) = line.strip_prefix("id: ") {
                id = number.trim().parse().expect("a number");
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (id, serde_json::from_str(data).expect("JSON"));
            }
        }
    }
}

#[test]
fn handshakes_are_streamed_resumed_and_ended_with_the_process() {
    let mut world = builder().start();
    let visit = |world: &World| {
        world.client(SHOP).presenting(Shape::UnknownCa).get().expect("it is let in");
        world.next_handshake();
    };
    visit(&world);
    let api = Api::of(&world);
    let document = document(&api);
    let mut stream = Stream::open(&api, "", &[]);
    visit(&world);
    let (id, handshake) = stream.handshake();
    assert_eq!((id, &handshake["sequence"]), (2, &json!(2)), "the first one was before");
    assert_eq!((&handshake["reason"], &handshake["host"]), (&json!("unknown_issuer"), &json!(SHOP)));
    assert_eq!(document.mistakes("Handshake", &handshake), Vec::<String>::new());
    drop(stream);
    visit(&world);
    visit(&world);
    let mut again = Stream::open(&api, "", &["Last-Event-ID: 2"]);
    assert_eq!((again.handshake().0, again.handshake().0), (3, 4), "nothing is missed");
    let server = world.take_server();
    server.drain();
    server.join();
    while let Some(line) = again.line() {
        assert!(!line.starts_with("event:"), "{line}");
    }
}

#[test]
fn a_mode_is_changed_through_the_api_as_the_document_says() {
    let world = with_tokens();
    let api = Api::of(&world);
    let change = bearer(CHANGE);
    let document = Document(api.ask("GET /api/v1/openapi.json", &[&change], "").json());
    let ask = |route: &str, name: &str, body: &str| {
        let path = route.replace("{name}", name);
        let reply = api.ask(&format!("POST {path}"), &[&change], body);
        let described = if reply.status == 200 { document.answer("post", route).expect("a schema") } else { "Problem" };
        assert_eq!(document.mistakes(described, &reply.json()), Vec::<String>::new(), "{reply:?}");
        reply
    };
    let mode = "/api/v1/hosts/{name}/mode";
    let refused = ask(mode, SHOP, r#"{"mode": "enforce"}"#);
    assert_eq!((refused.status, &refused.json()["type"]), (409, &json!("not_ready")));
    let unknown = ask(mode, "nobody.example.com", r#"{"mode": "observe"}"#);
    assert_eq!((unknown.status, &unknown.json()["type"]), (404, &json!("unknown_host")));
    let planned = ask(mode, SHOP, r#"{"mode": "enforce", "force": true, "dry_run": true}"#).json();
    assert_eq!((&planned["applied"], &planned["to"]), (&json!(false), &json!("enforce")));
    world.client(SHOP).get().expect("nothing has changed");
    let done =
        ask(mode, "*.shop.example.com", r#"{"mode": "enforce", "force": true, "confirm_within_seconds": 600}"#).json();
    assert_eq!((&done["host"], &done["applied"], &done["forced"]), (&json!(SHOP), &json!(true), &json!(true)));
    assert!(done["checks"].as_array().is_some_and(|checks| !checks.is_empty()), "{done}");
    world.client(SHOP).expect_refused("certificate_required");
    let waiting = api.ask(&format!("GET /api/v1/hosts/{SHOP}"), &[&change], "").json();
    assert_eq!(waiting["confirm_by"], done["confirm_by"]);
    let confirm = "/api/v1/hosts/{name}/confirm";
    assert_eq!(ask(confirm, SHOP, "").json()["confirm_by"], Value::Null);
    assert_eq!(ask(confirm, SHOP, "").json()["type"], "nothing_to_confirm");
    let reloaded = ask("/api/v1/reload", "", "{}").json();
    assert_eq!(reloaded["generation"], 3);
    world.write("originlock.toml", "workers = \"many\"");
    let broken = ask("/api/v1/reload", "", "{}");
    assert_eq!((broken.status, &broken.json()["type"]), (422, &json!("bad_configuration")));
}

#[test]
fn a_token_that_others_may_read_is_warned_of() {
    let world = with_tokens();
    let path = world.path("change.token");
    let open = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    open(0o604);
    let change = bearer(CHANGE);
    let warnings = Api::of(&world).ask("POST /api/v1/reload", &[&change], "{}").json();
    assert!(warnings["warnings"].to_string().contains("every user of this machine may read the token"), "{warnings}");
    open(0o600);
    let warnings = Api::of(&world).ask("POST /api/v1/reload", &[&change], "{}").json();
    assert!(!warnings["warnings"].to_string().contains("change.token"), "{warnings}");
}

/// Runs curl in the world's folder.
fn curl(world: &World, arguments: &[&str]) -> Reply {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--http1.1", "--include", "--max-time", "30"])
        .args(arguments)
        .current_dir(world.path(""))
        .output()
        .expect("curl is installed; tests/run installs it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    Reply::parse(&String::from_utf8_lossy(&output.stdout))
}
