//! `originlock enforce`, `observe`, `confirm` and `reload` as a person runs them against a running proxy.

use std::fs;
use std::time::Duration;

use originlock::evidence::report::{HostReport, ModeReport, ProblemReport, ReloadReport};
use originlock::pki::LeafOptions;
use originlock::pki::files::write_pair;
use originlock::policy::client_auth::Mode;

use crate::support::certificates::good;
use crate::support::program::{Ran, run};
use crate::support::{HostSetup, Shape, World, pki};

const SHOP: &str = "shop.example.com";
const WWW: &str = "www.shop.example.com";
const TOKEN: &str = "a token of the story's own";

/// The tests' own address counts as Cloudflare's edge, and little evidence is enough.
fn world() -> World {
    World::builder()
        .file("edge.txt", "127.0.0.1\n")
        .file("admin.token", &TOKEN.replace(' ', "-"))
        .admin("address = \"127.0.0.1:0\"\nchange = { token = \"admin.token\" }")
        .tables("[evidence]\ncloudflare_ranges = \"edge.txt\"\n[readiness]\nhandshakes = 2\nedge_addresses = 1\n")
        .host(HostSetup::new(SHOP).also(WWW).observe("ours"))
        .start()
}

/// Runs a verb against `world`, with the token that lets it change something.
fn ask(world: &World, words: &[&str]) -> Ran {
    let (url, token) = (world.server().admin_url().expect("an admin side"), world.path("admin.token"));
    run(&[words, &["--admin", url, "--token-file", &token.to_string_lossy()]].concat())
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn config(world: &World) -> String {
    fs::read_to_string(world.path("originlock.toml")).expect("the configuration")
}

fn make_ready(world: &World) {
    for name in [SHOP, WWW] {
        world.client(name).presenting(Shape::P256).get().expect("the edge is let in");
        world.next_handshake();
    }
}

#[test]
fn a_host_goes_to_enforce_and_back_and_every_step_is_told() {
    let world = world();
    let said = ask(&world, &["enforce", WWW]).expect(3);
    assert!(said.starts_with("✗ shop.example.com is not ready\n"), "{said}");
    let next = "`originlock explain shop.example.com` says why handshakes fail,";
    assert!(said.contains(next) && said.contains("--force"), "{said}");
    let problem: ProblemReport = json(&ask(&world, &["enforce", WWW, "-o", "json"]).expect(3));
    assert!(problem.kind == "not_ready" && !problem.readiness.expect("why").shortfalls.is_empty());

    make_ready(&world);
    let said = ask(&world, &["enforce", WWW, "--confirm-within", "10m"]).expect(0);
    let lines: Vec<_> = said.lines().collect();
    let line = config(&world).lines().position(|line| line.contains("mode = ")).expect("a mode") + 1;
    let changed = format!("  ✓ changed {}, line {line}", world.path("originlock.toml").display());
    let expected = [
        "shop.example.com, www.shop.example.com  observe → enforce",
        "  ✓ ready",
        &changed,
        "  ✓ reloaded",
        "  ✓ shop.example.com without a certificate: refused with certificate_required",
        "  ✓ shop.example.com with a stranger's certificate: refused with unknown_ca",
        "  ✓ www.shop.example.com without a certificate: refused with certificate_required",
        "  ✓ www.shop.example.com with a stranger's certificate: refused with unknown_ca",
        "  · the next handshake from Cloudflare: none yet after 3 s; the edge keeps its connections",
    ];
    assert_eq!(lines.get(..9), Some(&expected[..]), "{said}");
    assert!(lines[9].starts_with("  ! falls back to observe at 20"), "{said}");
    let confirm = lines[10].trim_start().strip_prefix("originlock ").expect("a command to copy");
    let (url, token) = (world.server().admin_url().expect("an admin side"), world.path("admin.token"));
    let same_proxy = format!("confirm shop.example.com --admin {url} --token-file {}", token.display());
    assert_eq!(confirm, same_proxy, "to be copied, it has to ask the same proxy");

    let confirmed: HostReport = json(&ask(&world, &["confirm", WWW, "-o", "json"]).expect(0));
    assert_eq!((confirmed.mode, confirmed.confirm_by), (Mode::Enforce, None));
    let again = ask(&world, &["confirm", WWW]);
    assert!(again.code == 1 && again.stderr.contains("nothing to confirm"), "{again:?}");

    let report: ModeReport = json(&ask(&world, &["observe", SHOP, "-o", "json"]).expect(0));
    assert_eq!((report.from, report.to, report.applied), (Mode::Enforce, Mode::Observe, true));
    world.client(SHOP).get().expect("everyone is let in");
}

#[test]
fn a_host_that_failed_and_is_mended_is_enforced_without_force() {
    let world = world();
    world.client(SHOP).get().expect("everyone is let in");
    world.next_handshake();
    world.set_clock(Duration::from_hours(2));
    make_ready(&world);
    ask(&world, &["enforce", SHOP]).expect(3);
    let said = ask(&world, &["enforce", SHOP, "--window", "1m", "--print"]).expect(0);
    assert!(said.contains("+client_auth = { mode = \"enforce\""), "{said}");
    let said = ask(&world, &["enforce", SHOP, "--window", "2d"]);
    assert!(said.code == 1 && said.stderr.contains("is longer than the configured one"), "{said:?}");
    let said = ask(&world, &["enforce", SHOP, "--window", "30m"]).expect(0);
    assert!(said.contains("  ✓ ready\n  ! judged over the last 30 min instead of the last 24 h\n"), "{said}");
    world.client(SHOP).expect_refused("certificate_required");
}

#[test]
fn the_edges_own_certificate_is_tried_where_one_is_given() {
    let world = world();
    let edge = pki().ours.issue(&LeafOptions::client("edge", good())).expect("a leaf");
    let other = pki().other.issue(&LeafOptions::client("other", good())).expect("a leaf");
    let [edge, other] = [("edge", edge), ("other", other)].map(|(name, issued)| {
        let files = [world.path(&format!("{name}.pem")), world.path(&format!("{name}.key"))];
        write_pair(&files[0], &files[1], &issued).expect("files");
        files.map(|file| file.to_string_lossy().into_owned())
    });
    let with = |[chain, key]: &[String; 2]| {
        ask(&world, &["enforce", SHOP, "--force", "--edge-certificate", chain, "--edge-key", key])
    };
    let said = with(&edge).expect(0);
    assert!(said.contains("  ✓ shop.example.com with the given certificate: let in\n"), "{said}");
    let said = with(&other).expect(1);
    assert!(said.starts_with("shop.example.com, www.shop.example.com  is enforced already\n"), "{said}");
    assert!(said.contains("  ✗ shop.example.com with the given certificate: refused with unknown_ca"), "{said}");
    let missing = with(&["nosuch.pem".to_owned(), edge[1].clone()]);
    assert!(missing.code == 1 && missing.stderr.contains("nosuch.pem cannot be read"), "{missing:?}");
}

#[test]
fn the_change_is_only_printed_where_that_is_asked_for() {
    let world = world();
    let before = config(&world);
    let file = world.path("originlock.toml").to_string_lossy().into_owned();
    // Of the running proxy, and of a file without asking anybody.
    let of_proxy = ask(&world, &["enforce", SHOP, "--print"]).expect(0);
    let of_file = run(&["enforce", WWW, "--print", "-c", &file]).expect(0);
    assert_eq!(of_proxy, of_file);
    assert!(of_file.starts_with(&format!("--- {file}\n+++ {file}\n@@ -")), "{of_file}");
    assert!(of_file.contains("\n+client_auth = { mode = \"enforce\""), "{of_file}");
    assert_eq!(run(&["observe", SHOP, "--print", "-c", &file]).expect(0), "", "it is so already");
    let unknown = run(&["enforce", "nosuch.example.com", "--print", "-c", &file]);
    assert!(unknown.code == 1 && unknown.stderr.contains("has the name `nosuch.example.com`"), "{unknown:?}");
    assert_eq!(config(&world), before);
}

#[test]
fn a_reload_says_what_came_of_it() {
    let world = world();
    let said = ask(&world, &["reload"]).expect(0);
    assert!(said.starts_with("  ✓ reloaded: configuration number 2 is in force\n"), "{said}");
    assert!(said.contains("every user of this machine may"), "what will bite is said: {said}");
    let report: ReloadReport = json(&ask(&world, &["reload", "-o", "json"]).expect(0));
    assert!(report.generation == 3 && !report.warnings.is_empty(), "{report:?}");
    world.write("ca/ours.pem", "nonsense");
    let refused = ask(&world, &["reload"]);
    assert!(refused.code == 78 && refused.stderr.contains("no certificate found"), "{refused:?}");
    let url = world.server().admin_url().expect("an admin side");
    let denied = run(&["reload", "--admin", url]);
    assert!(denied.code == 1 && denied.stderr.contains("--token-file"), "{denied:?}");
    let unknown = ask(&world, &["enforce", "nosuch.example.com"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("`originlock status` lists the names"), "{unknown:?}");
}
