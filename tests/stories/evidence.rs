//! What handshakes and requests add up to.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use std::{fs, thread};

use originlock::evidence::network::Network;
use originlock::evidence::tally::Evidence;
use originlock::policy::verdict::Reason;

use crate::support::certificates::Shape;
use crate::support::world::{Builder, wait_until};
use crate::support::{Client, HostSetup, World, pki};

const SHOP: &str = "shop.example.com";
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// 127.0.1.0/24 plays Cloudflare's edge.
const EDGE: &str = "127.0.1.1";
const OUTSIDE: &str = "127.0.2.7";

const TABLE: &str = "[evidence]\ncloudflare_ranges = \"ranges.txt\"\nfile = \"state/evidence.json\"\n";

fn builder() -> Builder {
    World::builder().file("ranges.txt", "127.0.1.0/24 # the edge\n").file("state/.keep", "").tables(TABLE)
}

fn world() -> World {
    builder().host(HostSetup::new(SHOP).observe("ours")).start()
}

/// A client at the edge with the right certificate.
fn edge(world: &World) -> Client {
    world.client(SHOP).presenting(Shape::P256).from(EDGE)
}

/// Goes through a handshake and a request, and waits until the handshake is counted.
fn visit(world: &World, client: &Client) {
    client.get().expect("it is let in");
    world.next_handshake();
}

/// What was seen of one configured name of the host called `host`.
fn seen_within(world: &World, host: &str, name: &str, window: Duration) -> Evidence {
    let mut evidence = world.server().ledger().evidence(host, window, world.clock.now());
    evidence.remove(name).unwrap_or_else(|| panic!("no evidence of {name}: {evidence:?}"))
}

fn seen(world: &World) -> Evidence {
    seen_within(world, SHOP, SHOP, DAY)
}

fn verified(world: &World) -> u64 {
    seen(world).count(Network::Cloudflare, Reason::Verified)
}

#[test]
fn each_configured_name_has_its_own_counts() {
    let host = HostSetup::new(SHOP).also("*.shop.example.com").observe("ours");
    let world = World::builder().host(host).host(HostSetup::new("off.example.com")).start();
    let present = |name: &str, shape: Shape| visit(&world, &world.client(name).presenting(shape));
    present(SHOP, Shape::P256);
    present(SHOP, Shape::P256);
    present("a.shop.example.com", Shape::P256);
    present("b.shop.example.com", Shape::UnknownCa);
    present("off.example.com", Shape::P256);
    assert_eq!(seen(&world).handshakes, [((Network::Elsewhere, Reason::Verified), 2)].into());
    let wildcard = seen_within(&world, SHOP, "*.shop.example.com", DAY);
    assert_eq!(wildcard.count(Network::Elsewhere, Reason::Verified), 1);
    assert_eq!(wildcard.count(Network::Elsewhere, Reason::UnknownIssuer), 1);
    let failure = &wildcard.failures[&(Network::Elsewhere, Reason::UnknownIssuer)];
    assert_eq!(failure.last.server_name.as_deref(), Some("b.shop.example.com"));
    let certificate = failure.last.certificate.as_ref().expect("the certificate that failed");
    assert_eq!(certificate.issuer, "CN=other CA");
    assert!(world.server().ledger().evidence("off.example.com", DAY, world.clock.now()).is_empty());
}

#[test]
fn names_that_only_the_default_host_takes_count_as_default() {
    let host = HostSetup::new(SHOP).observe("ours");
    let world = World::builder().host(host).top(&format!("default_host = \"{SHOP}\"\n")).start();
    let names = || world.server().ledger().evidence(SHOP, DAY, world.clock.now()).into_keys().collect::<Vec<_>>();
    assert_eq!(names(), [SHOP], "a name that nobody has to ask for is not missing");
    visit(&world, &world.client(SHOP).without_sni().presenting(Shape::P256));
    assert_eq!(names(), ["*", SHOP]);
    assert_eq!(seen_within(&world, SHOP, "*", DAY).count(Network::Elsewhere, Reason::Verified), 1);
}

#[test]
fn what_comes_from_cloudflare_is_told_apart_from_the_rest() {
    let world = world();
    for address in ["127.0.1.1", "127.0.1.2", "127.0.1.2"] {
        visit(&world, &edge(&world).from(address));
    }
    visit(&world, &world.client(SHOP).from("127.0.1.3"));
    visit(&world, &edge(&world).from(OUTSIDE));
    visit(&world, &world.client(SHOP).presenting(Shape::UnknownCa).from(OUTSIDE));
    let evidence = seen(&world);
    let counts = [
        ((Network::Cloudflare, Reason::Verified), 3),
        ((Network::Cloudflare, Reason::NoCertificate), 1),
        ((Network::Elsewhere, Reason::Verified), 1),
        ((Network::Elsewhere, Reason::UnknownIssuer), 1),
    ];
    assert_eq!(evidence.handshakes, counts.into());
    let edges: Vec<IpAddr> = evidence.edges.addresses.iter().copied().collect();
    assert_eq!(edges, [IpAddr::from([127, 0, 1, 1]), IpAddr::from([127, 0, 1, 2])], "only those that verified");
    let certificates: Vec<_> =
        evidence.certificates.iter().map(|((network, _), seen)| (*network, seen.reason, seen.handshakes)).collect();
    assert_eq!(certificates.len(), 3);
    assert!(certificates.contains(&(Network::Cloudflare, Reason::Verified, 3)));
    assert!(certificates.contains(&(Network::Elsewhere, Reason::UnknownIssuer, 1)));
    assert_eq!(evidence.outsiders.keys().collect::<Vec<_>>(), ["127.0.2.0/24"]);
    assert_eq!(evidence.outsiders["127.0.2.0/24"].handshakes, 1, "the one that did not verify");
}

#[test]
fn outsiders_show_path_and_user_agent_without_the_query() {
    let world = world();
    let mut connection = world.client(SHOP).from(OUTSIDE).connect().expect("it is let in");
    let request = format!("GET /admin?token=secret HTTP/1.1\r\nHost: {SHOP}\r\nUser-Agent: probe/1.0\r\n\r\n");
    connection.send(request.as_bytes()).expect("sent");
    connection.answer().expect("an answer");
    // An edge that is misconfigured, and a client elsewhere that proves itself: neither is an outsider.
    visit(&world, &world.client(SHOP).from(EDGE));
    visit(&world, &edge(&world).from(OUTSIDE));
    let outsider = || seen(&world).outsiders.remove("127.0.2.0/24").filter(|outsider| outsider.requests > 0);
    wait_until("the request is noted", || outsider().is_some());
    let outsider = outsider().expect("it stays");
    assert_eq!((outsider.handshakes, outsider.requests), (1, 1));
    assert_eq!(outsider.path.as_deref(), Some("/admin"));
    assert_eq!(outsider.user_agent.as_deref(), Some("probe/1.0"));
    wait_until("all requests are noted", || {
        seen(&world).requests == [(Network::Cloudflare, 1), (Network::Elsewhere, 2)].into()
    });
    assert_eq!(seen(&world).outsiders.len(), 1);
}

#[test]
fn requests_are_counted_whole_although_they_are_told_now_and_then() {
    let world = world();
    let mut connection = edge(&world).connect().expect("it is let in");
    for _ in 0..20 {
        connection.get("/").expect("an answer");
    }
    let requests = || seen(&world).requests.get(&Network::Cloudflare).copied().unwrap_or(0);
    wait_until("the first one is noted at once", || requests() >= 1);
    drop(connection);
    wait_until("the rest is noted at the connection's end", || requests() == 20);
}

#[test]
fn a_window_slides_and_forgets_nothing_early() {
    let world = world();
    visit(&world, &world.client(SHOP).from(EDGE));
    let counted = |window| seen_within(&world, SHOP, SHOP, window).count(Network::Cloudflare, Reason::NoCertificate);
    for (passed, window, count) in [
        (HOUR, HOUR, 1),
        (HOUR + Duration::from_secs(60), HOUR, 0),
        (HOUR + Duration::from_secs(60), DAY, 1),
        (DAY, DAY, 1),
        (DAY + HOUR, DAY, 0),
        (DAY * 7, DAY * 7, 1),
        (DAY * 7 + HOUR, DAY * 7, 0),
        // Back again: a clock that was wrong for a while costs nothing.
        (HOUR, HOUR, 1),
    ] {
        world.set_clock(passed);
        assert_eq!(counted(window), count, "{passed:?} later, within {window:?}");
    }
}

#[test]
fn a_new_ca_starts_from_zero_and_the_old_one_finds_its_evidence() {
    let mut world = world();
    visit(&world, &edge(&world));
    assert_eq!(verified(&world), 1);
    world.change_and_reload(|setup| setup.ca("ours").bundle = pki().other.certificate_pem().into());
    assert_eq!(seen(&world), Evidence::default());
    visit(&world, &edge(&world));
    assert_eq!(seen(&world).count(Network::Cloudflare, Reason::UnknownIssuer), 1);
    world.change_and_reload(|setup| setup.ca("ours").bundle = pki().ours.certificate_pem().into());
    assert_eq!(seen(&world).handshakes, [((Network::Cloudflare, Reason::Verified), 1)].into());
}

#[test]
fn evidence_goes_on_from_observe_to_enforce_and_back_from_off() {
    let mut world = world();
    for mode in ["observe", "enforce", "off", "observe"] {
        world.change_and_reload(|setup| {
            *setup.host(SHOP) = match mode {
                "off" => HostSetup::new(SHOP),
                mode => HostSetup::new(SHOP).mode(mode).ca("ours"),
            };
        });
        visit(&world, &edge(&world));
    }
    assert_eq!(verified(&world), 3, "one under each mode that judges");
}

#[test]
fn a_restart_keeps_the_evidence() {
    let mut world = world();
    for client in [edge(&world), world.client(SHOP).from(EDGE), world.client(SHOP).from(OUTSIDE)] {
        visit(&world, &client);
    }
    world.client("unknown.example.com").from(EDGE).expect_refused("unrecognized_name");
    world.next_handshake();
    wait_until("the requests are noted", || seen(&world).requests.values().sum::<u64>() == 3);
    let (before, unknown) = (seen(&world), world.server().ledger().unknown_names(world.clock.now()));
    assert_eq!((unknown.len(), unknown[0].name.as_str()), (1, "unknown.example.com"));
    world.restart();
    assert_eq!(seen(&world), before);
    assert_eq!(world.server().ledger().unknown_names(world.clock.now()), unknown);
    let file = world.path("state/evidence.json");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    visit(&world, &edge(&world));
    assert_eq!(verified(&world), 2, "it goes on");
    assert_eq!(fs::read_dir(world.path("state")).expect("the folder").count(), 2, "nothing is left lying about");
}

#[test]
fn evidence_is_saved_when_draining_begins() {
    let mut world = world();
    visit(&world, &edge(&world));
    let (file, server) = (world.path("state/evidence.json"), world.take_server());
    assert!(!file.exists());
    server.drain();
    wait_until("it is saved before the end", || file.exists());
    server.join();
}

#[test]
fn a_file_that_cannot_be_used_is_set_aside() {
    let mut world = world();
    let whole = {
        visit(&world, &edge(&world));
        world.restart();
        fs::read_to_string(world.path("state/evidence.json")).expect("the file")
    };
    let other_format = whole.replace("\"format\":1", "\"format\":2");
    for (number, broken) in ["", "{}", &whole[..whole.len() / 2], "\u{0}\u{1}", &other_format].into_iter().enumerate() {
        world.clock.advance(Duration::from_secs(1));
        let server = world.take_server();
        server.drain();
        server.join();
        world.write("state/evidence.json", broken);
        world.start_again();
        assert_eq!(verified(&world), 0, "{broken:?}");
        let aside = format!("evidence.json.bad-{}", world.clock.now().seconds());
        assert_eq!(fs::read_to_string(world.path(&format!("state/{aside}"))).expect("set aside"), broken);
        let kept = fs::read_dir(world.path("state")).expect("the folder").flatten();
        let kept = kept.filter(|entry| entry.file_name().to_string_lossy().contains(".bad-")).count();
        assert_eq!(kept, (number + 1).min(3), "a few are kept");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_no_reason_to_stop() {
    let mut world = world();
    fs::remove_dir_all(world.path("state")).expect("the folder");
    visit(&world, &edge(&world));
    let failures = "originlock_evidence_saves_total{result=\"failure\"}";
    assert_eq!(world.metric(failures), Some(0.0));
    let server = world.take_server();
    server.drain();
    let metrics = server.metrics().clone();
    server.join();
    let line = format!("{failures} 0");
    assert!(!metrics.render().contains(&line), "the failure is counted");
}

#[test]
fn a_bad_list_of_ranges_keeps_the_old_one() {
    let mut world = world();
    for (bad, said) in [
        ("", "it names no range"),
        ("127.0.1.0/24\n0.0.0.0/0\n", "line 2: `0.0.0.0/0` takes in far more than Cloudflare"),
        ("127.0.1.0/24\nnonsense\n", "line 2: `nonsense` is no range"),
    ] {
        world.write("ranges.txt", bad);
        let error = world.reload().expect_err(bad);
        let config = fs::read_to_string(world.path("originlock.toml")).expect("the configuration");
        let line = config.lines().position(|line| line.contains("cloudflare_ranges")).expect("the line") + 1;
        assert!(error.contains(said) && error.contains(&format!("originlock.toml:{line}")), "{bad:?}: {error}");
    }
    visit(&world, &edge(&world));
    assert_eq!(verified(&world), 1, "the old list is in force");
    world.change(|setup| {
        setup.files.insert("ranges.txt".into(), "127.0.2.0/24\n".into());
    });
    world.reload().expect("a good list");
    visit(&world, &edge(&world).from(OUTSIDE));
    visit(&world, &edge(&world));
    assert_eq!(verified(&world), 2, "the new one");
    assert_eq!(seen(&world).count(Network::Elsewhere, Reason::Verified), 1);
    assert_eq!(world.server().ledger().networks().ranges, 1);
}

#[test]
fn the_proxys_own_connections_are_told_but_not_counted() {
    let world = world();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 1, 9], 0)).into()).expect("an address of this machine");
    let own = socket.local_addr().expect("bound").as_socket().expect("an address");
    world.server().expect_own(own);
    socket.connect(&world.address().into()).expect("the listener is there");
    world.client(SHOP).connect_over(socket.into()).expect("let in").get("/").expect("an answer");
    let outcome = world.next_handshake();
    assert!(outcome.own && outcome.reason == Reason::NoCertificate, "{outcome:?}");
    visit(&world, &world.client(SHOP).from("127.0.1.9"));
    wait_until("the other's request is noted", || seen(&world).requests == [(Network::Cloudflare, 1)].into());
    assert_eq!(seen(&world).count(Network::Cloudflare, Reason::NoCertificate), 1);
    let series = "originlock_handshakes_total{host=\"shop.example.com\",mode=\"observe\",reason=\"no_certificate\",\
                  resumed=\"false\"}";
    assert_eq!(world.metric(series), Some(1.0));
}

#[test]
fn the_gauges_say_what_the_ledger_says() {
    let mut world = world();
    let handshakes = |trust: &str, network: &str, reason: &str| {
        format!(
            "originlock_evidence_handshakes{{host=\"{SHOP}\",name=\"{SHOP}\",network=\"{network}\",reason=\"{reason}\",\
             trust=\"{trust}\"}}"
        )
    };
    let digest =
        |world: &World| world.server().ledger().scope(SHOP).expect("a trust").trust.to_string()[..16].to_owned();
    let trust = digest(&world);
    assert_eq!(world.metric(&handshakes(&trust, "cloudflare", "verified")), Some(0.0));
    assert_eq!(world.metric(&handshakes(&trust, "cloudflare", "no_certificate")), None);
    for address in ["127.0.1.1", "127.0.1.2"] {
        visit(&world, &edge(&world).from(address));
    }
    visit(&world, &world.client(SHOP).from(EDGE));
    world.client("unknown.example.com").from(EDGE).expect_refused("unrecognized_name");
    world.next_handshake();
    assert_eq!(world.metric(&handshakes(&trust, "cloudflare", "verified")), Some(2.0));
    assert_eq!(world.metric(&handshakes(&trust, "cloudflare", "no_certificate")), Some(1.0));
    let of_host = |name: &str| format!("originlock_{name}{{host=\"{SHOP}\",trust=\"{trust}\"}}");
    assert_eq!(world.metric(&of_host("evidence_edge_addresses")), Some(2.0));
    let not_after = pki().credential(Shape::P256).fields().not_after;
    let ends = world.metric(&of_host("evidence_client_certificate_not_after_seconds"));
    assert_eq!(ends, Some(not_after.seconds() as f64));
    let failed = format!(
        "originlock_evidence_last_failure_timestamp_seconds{{host=\"{SHOP}\",name=\"{SHOP}\",network=\"cloudflare\",\
         reason=\"no_certificate\"}}"
    );
    assert_eq!(world.metric(&failed), Some(world.clock.now().seconds() as f64));
    let window = format!("originlock_evidence_window_seconds{{host=\"{SHOP}\"}}");
    assert_eq!(world.metric(&window), Some(86_400.0));
    assert_eq!(world.metric(&format!("originlock_host_mode{{host=\"{SHOP}\",mode=\"observe\"}}")), Some(1.0));
    let unknown = "originlock_evidence_handshakes{host=\"_other\",name=\"\",network=\"cloudflare\",\
                   reason=\"sni_unknown\",trust=\"\"}";
    assert_eq!(world.metric(unknown), Some(1.0));
    world.change_and_reload(|setup| {
        setup.ca("ours").bundle = pki().other.certificate_pem().into();
        setup.host(SHOP).mode = "enforce".into();
    });
    assert_eq!(world.metric(&handshakes(&trust, "cloudflare", "verified")), None, "of the old trust");
    assert_eq!(world.metric(&handshakes(&digest(&world), "cloudflare", "verified")), Some(0.0));
    assert_eq!(world.metric(&format!("originlock_host_mode{{host=\"{SHOP}\",mode=\"observe\"}}")), None);
}

#[test]
fn counts_are_exact_under_a_crowd_although_the_log_loses_lines() {
    let world = builder()
        .host(HostSetup::new(SHOP).observe("ours"))
        .tables("save_seconds = 1\n[limits]\nlog_queue = 1\n")
        .start();
    let crowd: Vec<_> = (1..=8)
        .map(|number| {
            let client = edge(&world).from(&format!("127.0.1.{number}"));
            thread::spawn(move || (0..25).for_each(|_| drop(client.get().expect("it is let in"))))
        })
        .collect();
    crowd.into_iter().for_each(|thread| thread.join().expect("the client ends"));
    wait_until("everything is counted", || verified(&world) == 200);
    wait_until("every request is noted", || seen(&world).requests == [(Network::Cloudflare, 200)].into());
    assert_eq!(seen(&world).edges.count(), 8);
}
