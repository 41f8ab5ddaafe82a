//! `originlock status`, `ready` and `explain` as a person runs them against a running proxy.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::time::Duration;

use originlock::evidence::report::{FailureReport, HostReport, OutsiderReport};
use originlock::policy::verdict::Reason;

use crate::support::certificates::Shape;
use crate::support::program::{ask, finish, originlock, run};
use crate::support::world::wait_until;
use crate::support::{HostSetup, World, pki};

const SHOP: &str = "shop.example.com";
const OUTSIDE: &str = "127.0.2.7";
/// 127.0.1.0/24 plays Cloudflare's edge, and little is asked of it.
const TABLES: &str =
    "[evidence]\ncloudflare_ranges = \"ranges.txt\"\n[readiness]\nhandshakes = 3\nedge_addresses = 2\n";

fn world() -> World {
    builder().start()
}

fn builder() -> crate::support::world::Builder {
    let host = HostSetup::new(SHOP).also("*.shop.example.com").observe("ours");
    World::builder().file("ranges.txt", "127.0.1.0/24\n").tables(TABLES).host(host)
}

/// A handshake of Cloudflare's that verifies, counted.
fn verified(world: &World, name: &str, edge: &str) {
    world.client(name).presenting(Shape::P256).from(edge).get().expect("it is let in");
    world.next_handshake();
}

fn make_ready(world: &World) {
    for (name, edge) in [(SHOP, "127.0.1.1"), (SHOP, "127.0.1.2"), ("a.shop.example.com", "127.0.1.2")] {
        verified(world, name, edge);
    }
}

#[test]
fn ready_says_what_is_missing_until_nothing_is() {
    let world = world();
    verified(&world, SHOP, "127.0.1.1");
    world.client(SHOP).from("127.0.1.9").get().expect("it is let in");
    world.next_handshake();
    let said = ask(&world, &["ready", SHOP]).expect(3);
    assert!(said.starts_with(&format!("✗ {SHOP} is not ready\n")), "{said}");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "1 of 2 handshakes from Cloudflare for shop.example.com in the last 24 h brought no certificate; last ",
        "UTC from 127.0.1.9",
        "no handshake from Cloudflare for *.shop.example.com brought a certificate that verifies in the last 24 h",
        "1 handshake from Cloudflare verified in the last 24 h; at least 3 are needed",
        "verified handshakes came from 1 address of Cloudflare's edge in the last 24 h; at least 2 are needed",
        "if no more fail, the last failure from Cloudflare stops counting on ",
    ] {
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
    // A day later the failure is forgotten.
    world.set_clock(Duration::from_hours(25));
    make_ready(&world);
    let said = ask(&world, &["ready", "*.shop.example.com"]).expect(0);
    let proof = "3 handshakes from 2 addresses of Cloudflare's edge verified in the last 24 h";
    assert_eq!(said, format!("✓ {SHOP} is ready to be enforced\n  · {proof}\n"));
}

#[test]
fn ready_in_json_is_the_report_of_the_api() {
    let world = world();
    let said = ask(&world, &["ready", SHOP, "-o", "json"]).expect(3);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["ready"], false);
    let host: HostReport = serde_json::from_value(said["hosts"][0].clone()).expect("a report");
    assert_eq!((host.name.as_str(), host.readiness.shortfalls.len()), (SHOP, 1));
}

#[test]
fn waiting_ends_as_soon_as_the_host_is_ready() {
    let world = world();
    let url = world.server().admin_url().expect("an admin side");
    let mut child = originlock(&["ready", SHOP, "--wait", "10m", "--admin", url]).spawn().expect("the program starts");
    let mut progress = BufReader::new(child.stderr.take().expect("its standard error"));
    let mut line = String::new();
    progress.read_line(&mut line).expect("it says that it waits");
    assert!(
        line.starts_with("waited 0 s of 10 min: shop.example.com: no handshake from Cloudflare verified"),
        "{line}"
    );
    make_ready(&world);
    let said = finish(child).expect(0);
    assert!(said.starts_with(&format!("✓ {SHOP} is ready")), "{said}");
}

#[test]
fn waiting_outlasts_a_restart_of_the_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("unix:{}", folder.path().join("admin.sock").display());
    let mut world = builder().admin(&format!("address = \"{address}\"")).start();
    let mut child =
        originlock(&["ready", SHOP, "--wait", "10m", "--admin", &address]).spawn().expect("the program starts");
    let mut progress = BufReader::new(child.stderr.take().expect("its standard error")).lines();
    let mut says = |word: &str| progress.any(|line| line.is_ok_and(|line| line.contains(word)));
    assert!(says("no handshake"), "it waits");
    let server = world.take_server();
    server.drain();
    server.join();
    assert!(says("no answer, asking again"), "it waits on");
    world.start_again();
    make_ready(&world);
    finish(child).expect(0);
}

#[test]
fn waiting_ends_when_the_time_is_up() {
    let world = world();
    let ran = ask(&world, &["ready", SHOP, "--wait", "1s"]);
    assert!(ran.stderr.starts_with("waited 0 s of 1 s: "), "{ran:?}");
    assert!(ran.expect(3).starts_with("✗ "));
}

#[test]
fn a_host_that_is_not_there_is_an_error_at_once() {
    let world = world();
    let ran = ask(&world, &["ready", "other.example.com", "--wait", "10m"]);
    assert!(ran.stderr.contains("other.example.com"), "{ran:?}");
    let command =
        format!("`originlock status --admin {}` lists the names", world.server().admin_url().expect("an admin side"));
    assert!(ran.stderr.contains(&command) && !ran.stderr.contains("GET /api"), "{ran:?}");
    assert_eq!(ran.code, 1);
}

#[test]
fn status_shows_every_host_in_a_line_and_below_it_what_is_wrong() {
    let off = HostSetup::new("off.example.com");
    let world = builder().host(off).host(HostSetup::new("api.example.com").enforce("ours")).start();
    make_ready(&world);
    world.client("unknown.example.com").from("127.0.1.1").expect_refused("unrecognized_name");
    world.next_handshake();
    let said = ask(&world, &["status"]).expect(0);
    let rows: Vec<Vec<&str>> = said.lines().take(4).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["HOST", "MODE", "VERDICT", "VERIFIED"]);
    assert_eq!(rows[1][..7], [SHOP, "(+1)", "observe", "ready", "3", "0", "2"]);
    assert_eq!(rows[2][..4], ["off.example.com", "off", "-", "0"]);
    assert_eq!(rows[3][..4], ["api.example.com", "enforce", "ok", "0"]);
    assert!(!said.contains("\napi.example.com\n"), "it is enforced, and nobody is refused: {said}");
    assert!(said.contains("! 1 handshake from Cloudflare asked for unknown.example.com, which no host"), "{said}");
    assert!(said.contains(concat!("originlock ", env!("CARGO_PKG_VERSION"), " · up ")), "{said}");
    assert!(!said.contains('\x1b'), "no colours where nobody looks");

    let json = ask(&world, &["status", "-o", "json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let hosts: Vec<HostReport> = serde_json::from_value(json["hosts"].clone()).expect("reports");
    assert_eq!(hosts.iter().map(|host| host.readiness.ready).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(json["process"]["unknown_names"][0]["name"], "unknown.example.com");
}

#[test]
fn status_of_an_enforced_host_says_who_is_refused() {
    let world = builder().host(HostSetup::new("api.example.com").enforce("ours")).start();
    world.client("api.example.com").from("127.0.1.9").expect_refused("certificate_required");
    world.next_handshake();
    let said = ask(&world, &["status"]).expect(0);
    let row: Vec<_> = said.lines().nth(2).expect("a row").split_whitespace().collect();
    assert_eq!(row[..6], ["api.example.com", "enforce", "1", "refused", "0", "1"]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("api.example.com · 1 of 1 handshake from Cloudflare for api.example.com in the"), "{said}");
    let (_, of_enforced) = said.rsplit_once("api.example.com ·").expect("a list");
    assert!(!of_enforced.contains("are needed") && !said.contains("--window"), "readiness is behind it: {said}");
}

#[test]
fn a_host_that_failed_and_is_mended_is_ready_over_a_shorter_window() {
    let world = world();
    world.client(SHOP).from("127.0.1.9").get().expect("it is let in");
    world.next_handshake();
    world.set_clock(Duration::from_hours(2));
    make_ready(&world);
    let said = ask(&world, &["ready", SHOP]).expect(3).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("or judge a shorter window: originlock ready shop.example.com --window 30m"), "{said}");

    let said = ask(&world, &["ready", SHOP, "--window", "30m"]).expect(0);
    let proof = "3 handshakes from 2 addresses of Cloudflare's edge verified in the last 30 min";
    let judged = "judged over the last 30 min instead of the last 24 h";
    assert_eq!(said, format!("✓ {SHOP} is ready to be enforced\n  · {proof}\n  ! {judged}\n"));
    // It is the same gate.
    world.set_clock(Duration::from_hours(3));
    let said = ask(&world, &["ready", SHOP, "--window", "30m"]).expect(3);
    assert!(said.contains("no handshake from Cloudflare verified in the last 30 min; at least 3 are needed"), "{said}");

    for (window, why) in [("2d", "a window of 172800 s is longer than"), ("59s", "too short to judge over")] {
        let ran = ask(&world, &["ready", SHOP, "--window", window]);
        assert!(ran.code == 1 && ran.stderr.contains(why), "{ran:?}");
    }
    let ran = run(&["ready", SHOP, "--window", "30m", "--prometheus", "http://127.0.0.1:1"]);
    assert!(ran.code == 1 && ran.stderr.contains("--window is for one proxy"), "{ran:?}");
}

#[test]
fn explain_names_the_cause_the_next_step_and_the_certificate() {
    let world = world();
    for client in [
        world.client(SHOP).from("127.0.1.1"),
        world.client("a.shop.example.com").presenting(Shape::UnknownCa).from("127.0.1.2"),
        world.client(SHOP).presenting(Shape::SameNameCa).from(OUTSIDE),
    ] {
        client.get().expect("it is let in");
        world.next_handshake();
    }
    let said = ask(&world, &["explain"]).expect(0);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "shop.example.com no_certificate 1 handshake from Cloudflare presented no certificate: Authenticated Origin Pulls \
         is not on, or not yet active, for shop.example.com Next: upload a client certificate",
        "shop.example.com unknown_issuer 1 handshake from Cloudflare presented a certificate that no CA of this host \
         issued; its issuer is CN=other CA Next: compare the issuer",
        "from 127.0.1.2 for a.shop.example.com",
        "issued by CN=other CA sha256 ",
        "shop.example.com bad_signature 1 handshake from elsewhere not Cloudflare: presented",
    ] {
        assert!(flat.contains(part), "{part}: {said}");
    }
    assert!(flat.find("bad_signature") > flat.find("no_certificate"), "Cloudflare's come first: {said}");
    let json = ask(&world, &["explain", SHOP, "-o", "json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let failures: Vec<FailureReport> = serde_json::from_value(json["failures"].clone()).expect("reports");
    assert_eq!(failures.len(), 3);
    let outsiders: Vec<OutsiderReport> = serde_json::from_value(json["outsiders"].clone()).expect("reports");
    assert_eq!((outsiders[0].network.as_str(), outsiders[0].reason), ("127.0.2.0/24", Reason::BadSignature));
    assert_eq!(ask(&world, &["explain", "none.example.com"]).code, 1);
}

#[test]
fn certificates_are_called_by_the_names_that_the_operator_gave_them() {
    let sha256 = originlock::x509::Fingerprint::of(&pki().credential(Shape::UnknownCa).chain[0]);
    let known = format!("[known_certificates]\n\"zone-level certificate\" = \"sha256:{sha256}\"\n");
    let world = builder()
        .tables(&known)
        .host(HostSetup::new("b.example.com").observe("other"))
        .ca("other", pki().other.certificate_pem())
        .start();
    let presenting = |name: &str, shape| {
        world.client(name).presenting(shape).from("127.0.1.1").get().expect("it is let in");
        world.next_handshake();
    };
    presenting(SHOP, Shape::UnknownCa);
    presenting(SHOP, Shape::P256);
    presenting("b.example.com", Shape::P256);
    let said = ask(&world, &["explain"]).expect(0);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("presented the certificate known here as `zone-level certificate`, which no CA"), "{said}");
    assert!(flat.contains("presented the client certificate of shop.example.com, which no CA"), "{said}");
    assert!(flat.contains("known as zone-level certificate"), "{said}");
}

#[test]
fn what_strangers_write_does_not_reach_the_terminal_as_it_is() {
    let world = world();
    let mut connection = world.client(SHOP).from(OUTSIDE).connect().expect("it is let in");
    let request = format!("GET /x HTTP/1.1\r\nHost: {SHOP}\r\nUser-Agent: a\u{202e}b\u{9b}2J\r\n\r\n");
    connection.send(request.as_bytes()).expect("sent");
    connection.answer().expect("an answer");
    let outsiders = || {
        let said = ask(&world, &["explain", SHOP]).expect(0);
        said.lines().find(|line| line.starts_with("127.0.2.0/24")).map(str::to_owned).unwrap_or_default()
    };
    wait_until("the request is noted", || outsiders().contains("/x"));
    let line = outsiders();
    assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
}

#[test]
fn an_admin_side_that_is_not_there_is_named_with_the_way_to_another() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin.sock");
    let url = format!("http://{free}");
    for (flag, variable, tried, why) in [
        (Some(url.clone()), None, url.clone(), "--admin says so"),
        (None, Some(url.clone()), url.clone(), "ORIGINLOCK_ADMIN says so"),
        (Some(format!("unix:{}", socket.display())), None, format!("unix:{}", socket.display()), "--admin says so"),
    ] {
        let mut command = originlock(&["status"]);
        command.args(flag.iter().flat_map(|url| ["--admin", url])).envs(variable.map(|url| ("ORIGINLOCK_ADMIN", url)));
        let ran = finish(command.spawn().expect("the program starts"));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.starts_with(&format!("originlock: {tried} cannot be reached: ")), "{ran:?}");
        assert!(ran.stderr.contains(why) && ran.stderr.contains("Point elsewhere with --admin URL"), "{ran:?}");
    }
    let ran = run(&["status", "--admin", "127.0.0.1:9090"]);
    assert!(ran.stderr.contains("--admin is no address: write http://HOST:PORT"), "{ran:?}");
    assert_eq!(run(&["ready"]).code, 2, "whom?");
}

#[test]
fn the_configuration_says_where_the_admin_side_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin.sock");
    let world = builder().admin(&format!("address = \"unix:{}\"", socket.display())).start();
    let config = world.path("originlock.toml");
    let config = config.to_str().expect("a path");
    let said = run(&["status", "-c", config]).expect(0);
    assert!(said.contains(SHOP), "{said}");
    drop(world);
    fs::write(folder.path().join("broken.toml"), "nonsense").expect("a file");
    let broken = folder.path().join("broken.toml");
    let broken = broken.to_str().expect("a path");
    let ran = run(&["status", "-c", broken]);
    assert!(ran.stderr.contains(&format!("{broken} cannot be used; `originlock check -c")), "{ran:?}");
}

#[test]
fn the_configurations_token_is_shown_where_the_configuration_says_and_nowhere_else() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let site = pki().server_certificate(&["admin.example".to_owned()]);
    let key = String::from_utf8(site.key_pem.expose().to_vec()).expect("PEM");
    let admin = format!(
        "address = \"{free}\"\nhostnames = [\"admin.example\"]\ncertificate = {{ chain = \"admin.pem\", key = \
         \"admin.key\" }}\nread = {{ token = \"read.token\" }}\n"
    );
    let token = "a-token-that-nobody-guesses-0123456789";
    let world = builder()
        .file("admin.pem", &site.certificate_pem)
        .file("admin.key", &key)
        .file("read.token", &format!("{token}\n"))
        .admin(&admin)
        .start();
    let [config, ca] = ["originlock.toml", "tls/site-ca.pem"].map(|name| world.path(name));
    let [config, ca] = [&config, &ca].map(|path| path.to_str().expect("a path"));
    assert!(run(&["status", "-c", config, "--ca", ca]).expect(0).contains(SHOP));

    let ran = run(&["status", "-c", config]);
    assert!(ran.stderr.contains(&format!("https://admin.example:{} at {free}: no TLS", free.port())), "{ran:?}");
    let ran = run(&["status", "-c", config, "--ca", ca, "--admin", &format!("https://{free}")]);
    assert!(ran.stderr.contains("no TLS connection comes about"), "another name: {ran:?}");

    world.write("wrong.token", "another-token-that-nobody-guesses-01234");
    let wrong = world.path("wrong.token");
    let ran = run(&["status", "-c", config, "--ca", ca, "--token-file", wrong.to_str().expect("a path")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("token") && !ran.stderr.contains(token), "{ran:?}");

    // Somebody who listens elsewhere is not told the secret.
    let thief = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", thief.local_addr().expect("an address"));
    let child = originlock(&["status", "-c", config, "--admin", &url]).spawn().expect("the program starts");
    let (stream, _) = thief.accept().expect("a connection");
    let mut head = String::new();
    let mut lines = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).expect("a line") > 0 {}
    assert!(head.starts_with("GET /api/v1/") && !head.to_lowercase().contains("authorization"), "{head}");
    drop(lines);
    assert_eq!(finish(child).code, 1);
}
