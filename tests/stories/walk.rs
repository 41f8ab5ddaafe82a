//! The walk: a host's mode is changed in the operator's own file, looked at, and taken back where it has to be.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use originlock::admin::control::Control;
use originlock::evidence::readiness::ShortfallKind;
use originlock::evidence::report::{ModeReport, ModeRequest, ProblemReport};
use originlock::policy::client_auth::Mode;

use crate::support::world::wait_until;
use crate::support::{HostSetup, Log, Shape, World, pki};

pub(super) const SHOP: &str = "shop.example.com";
pub(super) const WWW: &str = "www.shop.example.com";
const WILD: &str = "*.shop.example.com";

pub(super) fn request(mode: Mode) -> ModeRequest {
    ModeRequest { mode, force: false, dry_run: false, confirm_within_seconds: None, window_seconds: None }
}

pub(super) fn forced(mode: Mode) -> ModeRequest {
    ModeRequest { force: true, ..request(mode) }
}

pub(super) fn set(world: &World, name: &str, request: &ModeRequest) -> Result<ModeReport, Box<ProblemReport>> {
    world.server().walk().set_mode(name, request, "a story")
}

pub(super) fn config(world: &World) -> String {
    fs::read_to_string(world.path("originlock.toml")).expect("the configuration")
}

/// `name` lets a client without a certificate in, or not.
pub(super) fn expect_open(world: &World, name: &str, open: bool) {
    match open {
        true => drop(world.client(name).get().expect("let in")),
        false => world.client(name).expect_refused("certificate_required"),
    }
}

pub(super) fn refusal(world: &World, name: &str, request: &ModeRequest, kind: &str) -> Box<ProblemReport> {
    let before = config(world);
    let problem = set(world, name, request).expect_err("it is refused");
    assert_eq!(problem.kind, kind, "{problem:?}");
    assert!(problem.next_step.is_some(), "{problem:?}");
    assert_eq!(config(world), before, "nothing is written");
    problem
}

#[test]
fn a_host_that_is_not_ready_is_not_enforced() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    let problem = refusal(&world, SHOP, &request(Mode::Enforce), "not_ready");
    assert_eq!((problem.status, problem.readiness.map(|readiness| readiness.ready)), (409, Some(false)));
    expect_open(&world, SHOP, true);
}

#[test]
fn by_force_it_is_enforced_and_opened_again_with_one_word_changed_in_the_file() {
    let world = World::builder()
        .top("# The operator's own words.\n")
        .host(HostSetup::new(SHOP).also(WWW).also(WILD).observe("ours"))
        .host(HostSetup::new("blog.example.com").observe("ours"))
        .start();
    let before = config(&world);
    for (name, mode, open) in [(WWW, Mode::Enforce, false), (WILD, Mode::Observe, true), (SHOP, Mode::Off, true)] {
        let text = config(&world);
        let report = set(&world, name, &forced(mode)).expect("it is done");
        assert_eq!((report.host.as_str(), report.names.join(" ")), (SHOP, format!("{SHOP} {WWW} {WILD}")));
        assert_eq!((report.to, report.applied, report.forced), (mode, true, mode == Mode::Enforce));
        assert_eq!(report.source.file, world.path("originlock.toml").display().to_string());
        let written = |text: &str| text.lines().nth(report.source.line - 1).expect("a line").to_owned();
        assert!(
            report.diff.contains(&format!("-{}\n+{}\n", written(&text), written(&config(&world)))),
            "{}",
            report.diff
        );
        let checked: Vec<_> = report.checks.iter().map(|check| (check.what.as_str(), check.got.as_str())).collect();
        assert!(report.checks.iter().all(|check| !check.failed()), "{checked:?}");
        let below = "originlock-self-check.shop.example.com";
        let names = [SHOP, WWW, below];
        for asked in names {
            let (who, got) = (
                format!("{asked} without a certificate"),
                if open { "let in" } else { "refused with certificate_required" },
            );
            assert!(checked.contains(&(who.as_str(), got)), "{checked:?}");
            let who = format!("{asked} with a stranger's certificate");
            assert_eq!(checked.contains(&(who.as_str(), "refused with unknown_ca")), !open, "{checked:?}");
            expect_open(&world, asked, open);
        }
        world.client(SHOP).presenting(Shape::P256).get().expect("the edge is let in");
        expect_open(&world, "blog.example.com", true);
    }
    let mode = |mode: &str| format!("client_auth = {{ mode = \"{mode}\", ca = \"ours\"");
    assert_eq!(config(&world), before.replacen(&mode("observe"), &mode("off"), 1));
}

#[test]
fn what_is_so_already_is_left_and_looked_at() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let before = config(&world);
    refusal(&world, SHOP, &within(600), "enforced_already");
    let report = set(&world, SHOP, &request(Mode::Enforce)).expect("it is so already");
    assert_eq!((report.applied, report.forced, report.diff.as_str()), (false, false, ""));
    assert!(report.checks.len() > 2 && report.checks.iter().all(|check| !check.failed()), "{:?}", report.checks);
    assert_eq!((config(&world), world.metric("originlock_config_generation")), (before, Some(1.0)));
}

#[test]
fn a_dry_run_tells_the_change_and_makes_none() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    let before = config(&world);
    let report = set(&world, SHOP, &ModeRequest { dry_run: true, ..request(Mode::Enforce) }).expect("a diff");
    assert!(report.diff.contains("+client_auth = { mode = \"enforce\"") && !report.applied, "{report:?}");
    assert_eq!((config(&world), report.checks.len(), report.readiness.ready), (before, 0, false));
    expect_open(&world, SHOP, true);
}

#[test]
fn a_reload_that_is_refused_brings_the_old_text_back() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    world.write("ca/ours.pem", "nonsense");
    let problem = refusal(&world, SHOP, &forced(Mode::Enforce), "bad_configuration");
    assert!(problem.detail.contains("is as it was, the mode has not changed"), "{}", problem.detail);
    assert!(problem.detail.contains("no certificate found"), "{}", problem.detail);
    expect_open(&world, SHOP, true);
    world.write("ca/ours.pem", pki().ours.certificate_pem());
    set(&world, SHOP, &forced(Mode::Enforce)).expect("it is mended");
    expect_open(&world, SHOP, false);
}

#[test]
fn a_configuration_that_has_changed_on_the_disk_is_reloaded_first() {
    let world = World::builder()
        .top("include = [\"hosts.d/*.toml\"]\n")
        .host(HostSetup::new(SHOP).observe("ours"))
        .file("hosts.d/other.toml", "")
        .start();
    world.write("hosts.d/other.toml", "# half done");
    let problem = refusal(&world, SHOP, &forced(Mode::Enforce), "file_changed");
    assert!(problem.detail.contains("hosts.d/other.toml has changed"), "{}", problem.detail);
    world.reload().expect("a comment");
    world.write("originlock.toml", format!("{}# mine\n", config(&world)));
    let problem = refusal(&world, SHOP, &forced(Mode::Enforce), "file_changed");
    assert!(problem.detail.contains("originlock.toml has changed"), "{}", problem.detail);
    world.reload().expect("a comment");
    set(&world, SHOP, &forced(Mode::Enforce)).expect("it is what is in force");
    assert!(config(&world).ends_with("# mine\n"));
}

#[test]
fn an_included_file_behind_a_link_is_the_one_that_changes() {
    let host = "# The shop's own file.\r\n[[host]]\r\nnames = [\"shop.example.com\"]\r\n\
                certificate = { chain = \"../tls/blog.example.com.pem\", key = \"../tls/blog.example.com.key\" }\r\n\
                upstream = \"http://127.0.0.1:1\"\r\n[host.client_auth]\r\nca = 'ours' # why\r\nmode = 'observe'\r\n";
    let world = World::builder()
        .top("include = [\"hosts.d/*.toml\"]\n")
        .host(HostSetup::new("blog.example.com"))
        .file("hosts.d/keep", "")
        .start();
    let main = config(&world);
    world.write("kept/shop.toml", host);
    symlink("../kept/shop.toml", world.path("hosts.d/shop.toml")).expect("a link");
    world.reload().expect("a host more");
    let report = set(&world, SHOP, &forced(Mode::Enforce)).expect("it is done");
    assert_eq!((report.source.file, report.source.line), (world.path("hosts.d/shop.toml").display().to_string(), 8));
    assert!(fs::symlink_metadata(world.path("hosts.d/shop.toml")).expect("a link").is_symlink());
    let text = fs::read_to_string(world.path("kept/shop.toml")).expect("the target");
    assert_eq!((text, config(&world)), (host.replace("'observe'", "'enforce'"), main));
    expect_open(&world, SHOP, false);
}

#[test]
fn what_cannot_be_done_is_refused_with_what_to_do() {
    let world = World::builder().host(HostSetup::new(SHOP).also(WILD)).host(HostSetup::new("api.example.com")).start();
    let problem = refusal(&world, "nosuch.example.com", &forced(Mode::Enforce), "unknown_host");
    assert!(problem.detail.contains("nosuch.example.com"), "{problem:?}");
    let problem = refusal(&world, "EU.shop.example.com", &forced(Mode::Enforce), "unknown_host");
    assert_eq!(problem.next_step.as_deref(), Some("name `*.shop.example.com`"));
    let problem = refusal(&world, SHOP, &request(Mode::Observe), "no_trust");
    assert_eq!(problem.next_step.as_deref(), Some("write client_auth = { mode = \"observe\", ca = \"ours\" }"));
    let within = |mode, seconds| ModeRequest { confirm_within_seconds: Some(seconds), ..forced(mode) };
    for nonsense in [within(Mode::Observe, 600), within(Mode::Enforce, 1), within(Mode::Enforce, 90_000)] {
        refusal(&world, SHOP, &nonsense, "bad_request");
    }
}

#[test]
fn many_who_change_at_once_come_one_after_the_other() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    let walk = world.server().walk();
    thread::scope(|scope| {
        for mode in [Mode::Enforce, Mode::Observe, Mode::Off, Mode::Observe] {
            scope.spawn(move || walk.set_mode(SHOP, &forced(mode), "a story").expect("its turn comes"));
            scope.spawn(move || walk.reload("a story").expect("whatever is written is good"));
        }
    });
    let mode = world.server().walk().set_mode(SHOP, &ModeRequest { dry_run: true, ..forced(Mode::Off) }, "a story");
    let in_force = mode.expect("a diff").from.label();
    assert!(config(&world).contains(&format!("mode = {in_force:?}")), "file and force agree: {in_force}");
}

pub(super) fn within(seconds: u64) -> ModeRequest {
    ModeRequest { confirm_within_seconds: Some(seconds), ..forced(Mode::Enforce) }
}

/// The tests' own address counts as Cloudflare's edge, and little evidence is enough.
pub(super) fn world_at_the_edge(host: HostSetup) -> World {
    let tables = "[evidence]\ncloudflare_ranges = \"edge.txt\"\n[readiness]\nhandshakes = 5\nedge_addresses = 1\n";
    World::builder().file("edge.txt", "127.0.0.1\n").tables(tables).host(host).start()
}

/// Cloudflare asks for `name`, and is let in by its certificate.
pub(super) fn edge_comes(world: &World, name: &str) {
    world.client(name).presenting(Shape::P256).get().expect("the edge is let in");
    world.next_handshake();
}

#[test]
fn a_host_turns_ready_and_is_enforced_and_old_connections_are_judged_anew() {
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    let (mut nobody, _) = world.client("blog.example.com").asking_for(SHOP).get().expect("observe lets everyone in");
    let (mut edge, _) = world.client(SHOP).presenting(Shape::P256).get().expect("the edge is let in");
    (0..2).for_each(|_| drop(world.next_handshake()));
    let problem = refusal(&world, SHOP, &request(Mode::Enforce), "not_ready");
    let kinds: Vec<_> = problem.readiness.expect("why").shortfalls.iter().map(|shortfall| shortfall.kind).collect();
    assert_eq!(kinds, [ShortfallKind::Failing, ShortfallKind::TooFewHandshakes], "{}", problem.detail);
    assert!(problem.detail.contains("1 of 2 handshakes from Cloudflare"), "{}", problem.detail);
    // A day later the one without a certificate is out of sight.
    world.set_clock(Duration::from_hours(26));
    (0..5).for_each(|_| edge_comes(&world, SHOP));
    let report = set(&world, SHOP, &request(Mode::Enforce)).expect("it is ready");
    assert_eq!((report.applied, report.forced, report.readiness.ready), (true, false, true));
    assert!(report.checks.iter().all(|check| !check.failed()), "{:?}", report.checks);
    expect_open(&world, SHOP, false);
    assert_eq!(nobody.get("/").expect("an answer").status, 421);
    assert_eq!(edge.get("/").expect("an answer").status, 200);
    edge_comes(&world, SHOP);
}

#[test]
fn the_proxys_own_connections_are_no_evidence() {
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    (0..5).for_each(|_| edge_comes(&world, SHOP));
    let seen = || world.server().ledger().evidence(SHOP, Duration::from_hours(24), world.clock.now());
    wait_until("the requests are counted", || seen()[SHOP].requests.values().sum::<u64>() == 5);
    let before = seen();
    set(&world, SHOP, &request(Mode::Observe)).expect("it is so already, and looked at");
    assert_eq!(world.next_handshake().reason.label(), "no_certificate", "it is told");
    assert_eq!(seen(), before, "and not counted");
    let report = set(&world, SHOP, &request(Mode::Enforce)).expect("it stays ready");
    assert_eq!(report.confirm_by, None);
    assert_eq!(seen(), before);
}

#[test]
fn force_and_opening_are_logged_as_warnings_with_who_asked() {
    Log::capture(|log| {
        let world = World::with(HostSetup::new(SHOP).observe("ours"));
        for mode in [Mode::Enforce, Mode::Observe] {
            set(&world, SHOP, &forced(mode)).expect("it is done");
        }
        let events = log.events();
        let changes: Vec<_> = events
            .iter()
            .filter(|event| event["message"].as_str().is_some_and(|message| message.starts_with("mode changed")))
            .map(|event| {
                let fields = ["level", "message", "originlock.host", "originlock.mode", "originlock.by"];
                fields.map(|field| event[field].as_str().expect(field).to_owned())
            })
            .collect();
        assert_eq!(
            changes,
            [
                ["WARN", "mode changed by force: the host is not ready", SHOP, "enforce", "a story"],
                ["WARN", "mode changed", SHOP, "observe", "a story"],
            ]
        );
    });
}

#[test]
fn a_trust_that_nobody_has_seen_does_not_come_into_force_with_a_mode() {
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    (0..5).for_each(|_| edge_comes(&world, SHOP));
    // A rotation that is half done: the file is there, the reload is not.
    world.write("ca/ours.pem", pki().other.certificate_pem());
    let problem = refusal(&world, SHOP, &request(Mode::Enforce), "file_changed");
    assert!(problem.detail.contains("what `shop.example.com` trusts is not what is in force"), "{problem:?}");
    assert!(problem.detail.ends_with("originlock.toml is as it was, the mode has not changed"), "{problem:?}");
    world.write("ca/ours.pem", pki().ours.certificate_pem());
    world.write("edge.txt", "127.0.0.2\n");
    let problem = refusal(&world, SHOP, &request(Mode::Enforce), "file_changed");
    assert!(problem.detail.contains("the ranges that count as Cloudflare's have changed"), "{problem:?}");
    assert_eq!(world.metric("originlock_config_generation"), Some(1.0), "nothing came into force");
    assert_eq!(world.metric("originlock_host_mode{host=\"shop.example.com\",mode=\"enforce\"}"), None);
    world.write("edge.txt", "127.0.0.1\n");
    set(&world, SHOP, &request(Mode::Enforce)).expect("it is ready");
    edge_comes(&world, SHOP);
}

#[test]
fn a_file_that_is_not_in_force_stays_so_when_a_mode_changes() {
    let world = World::builder()
        .top("include = [\"hosts.d/*.toml\"]\n")
        .host(HostSetup::new(SHOP).observe("ours"))
        .file("hosts.d/old.toml", "# empty\n")
        .start();
    world.write("hosts.d/new.toml", "# not yet\n");
    let problem = refusal(&world, SHOP, &forced(Mode::Enforce), "file_changed");
    assert!(problem.detail.contains("hosts.d/new.toml is new and not in force"), "{problem:?}");
    fs::remove_file(world.path("hosts.d/new.toml")).expect("a file");
    fs::remove_file(world.path("hosts.d/old.toml")).expect("a file");
    let problem = refusal(&world, SHOP, &forced(Mode::Enforce), "file_changed");
    assert!(problem.detail.contains("hosts.d/old.toml is gone and still in force"), "{problem:?}");
    expect_open(&world, SHOP, true);
}
