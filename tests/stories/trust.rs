//! A host's CA bundle is changed in the operator's own file: the new CA beside the old one, the old one out at the end.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use originlock::admin::control::Control;
use originlock::evidence::report::{ModeRequest, ProblemReport, TrustChangeReport, TrustRequest};
use originlock::pki::{Ca, CaOptions, KeyType, LeafOptions, Validity};
use originlock::policy::client_auth::Mode;
use originlock::x509::Fingerprint;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::support::certificates::{from_to, good};
use crate::support::{Api, Document, HostSetup, Log, Shape, World, pki};
use crate::walk::{SHOP, WWW, edge_comes, expect_open, forced, set, world_at_the_edge};

const BUNDLE: &str = "ca/ours.pem";
const SHARED_CA: &str = include_str!("../../certs/cloudflare-origin-pull-ca.pem");

fn ours() -> &'static str {
    pki().ours.certificate_pem()
}

fn other() -> &'static str {
    pki().other.certificate_pem()
}

fn fingerprint(pem: &str) -> Fingerprint {
    Fingerprint::of(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate"))
}

fn add(pem: &str) -> TrustRequest {
    TrustRequest { add: Some(pem.to_owned()), ..TrustRequest::default() }
}

fn remove(pem: &str) -> TrustRequest {
    TrustRequest { remove: vec![fingerprint(pem)], ..TrustRequest::default() }
}

fn change(world: &World, name: &str, request: &TrustRequest) -> Result<TrustChangeReport, Box<ProblemReport>> {
    world.server().walk().change_trust(name, request, "a story")
}

fn text(world: &World, name: &str) -> String {
    fs::read_to_string(world.path(name)).expect("a file")
}

fn generation(world: &World) -> f64 {
    world.metric("originlock_config_generation").expect("a number")
}

/// It is refused, and nothing has changed: neither the file nor what is in force.
fn refusal(world: &World, name: &str, request: &TrustRequest, kind: &str) -> Box<ProblemReport> {
    let (before, number) = (text(world, BUNDLE), generation(world));
    let problem = change(world, name, request).expect_err("it is refused");
    assert_eq!(problem.kind, kind, "{problem:?}");
    assert!(problem.next_step.is_some(), "{problem:?}");
    assert_eq!((text(world, BUNDLE), generation(world)), (before, number), "nothing has changed");
    problem
}

/// A bundle with the operator's own words around the one CA.
fn with_words() -> World {
    let bundle =
        format!("# Our CA, by hand.\r\nsubject=CN = origin-pull CA\n{}\n\n# the end, without a newline", ours());
    World::builder().ca("ours", &bundle).host(HostSetup::new(SHOP).also(WWW).enforce("ours")).start()
}

#[test]
fn a_rotation_lets_both_in_between_and_only_the_new_one_in_the_end() {
    let world = with_words();
    let before = text(&world, BUNDLE);
    let (mut old, _) = world.client(SHOP).presenting(Shape::P256).get().expect("of our CA");
    world.client(SHOP).presenting(Shape::UnknownCa).expect_refused("unknown_ca");
    let report = change(&world, WWW, &add(other())).expect("it is added");
    assert_eq!((report.host.as_str(), report.ca.as_str(), report.applied), (SHOP, "ours", true));
    assert_eq!((report.hosts.as_slice(), report.added), ([SHOP.to_owned()].as_slice(), vec![fingerprint(other())]));
    assert_eq!(report.file, world.path(BUNDLE).display().to_string());
    // The last line gets its end, the new block is written as the file's lines are.
    let both = text(&world, BUNDLE);
    assert_eq!(both, format!("{before}\r\n{}", other().replace('\n', "\r\n")));
    for shape in [Shape::P256, Shape::UnknownCa] {
        world.client(SHOP).presenting(shape).get().expect("both are let in");
    }
    assert_eq!(old.get("/").expect("an answer").status, 200);
    let report = change(&world, SHOP, &remove(ours())).expect("it is removed");
    assert_eq!((report.applied, report.removed), (true, vec![fingerprint(ours())]));
    assert_eq!(text(&world, BUNDLE), both.replacen(ours(), "", 1), "all else stays, byte for byte");
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("the new one is let in");
    world.client(SHOP).presenting(Shape::P256).expect_refused("unknown_ca");
    assert_eq!(old.get("/").expect("an answer").status, 421, "an open connection is judged anew");
}

#[test]
fn asking_again_and_asking_dry_change_nothing() {
    let world = with_words();
    let before = text(&world, BUNDLE);
    let dry = change(&world, SHOP, &TrustRequest { dry_run: true, ..add(other()) }).expect("a plan");
    assert_eq!((dry.applied, dry.added.len(), text(&world, BUNDLE)), (false, 1, before.clone()));
    let refused = TrustRequest { dry_run: true, ..remove(ours()) };
    refusal(&world, SHOP, &refused, "last_ca");
    for request in [add(ours()), remove(other())] {
        let report = change(&world, SHOP, &request).expect("it is so already");
        assert_eq!((report.applied, report.added, report.removed), (false, vec![], vec![]));
    }
    assert_eq!((text(&world, BUNDLE), generation(&world)), (before, 1.0));
    let twice = change(&world, SHOP, &add(&other().repeat(2))).expect("it is added");
    assert_eq!(twice.added.len(), 1);
    assert!(!change(&world, SHOP, &add(other())).expect("it is so already").applied);
    assert_eq!((text(&world, BUNDLE).matches("BEGIN").count(), generation(&world)), (2, 2.0));
}

#[test]
fn evidence_starts_anew_with_another_bundle() {
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    (0..5).for_each(|_| edge_comes(&world, SHOP));
    let seen = || {
        let host = world.server().view().host(SHOP, None).expect("a host").host;
        (host.evidence.cloudflare.verified, host.readiness.ready, host.trust.expect("a trust").digest)
    };
    let (handshakes, ready, digest) = seen();
    assert_eq!((handshakes, ready), (5, true));
    change(&world, SHOP, &add(other())).expect("it is added");
    let (handshakes, ready, after) = seen();
    assert_eq!((handshakes, ready), (0, false));
    assert_ne!(after, digest);
    change(&world, SHOP, &remove(other())).expect("it is removed");
    assert_eq!(seen().2, digest);
}

#[test]
fn a_ca_that_edges_come_with_is_not_taken_from_an_enforced_host() {
    let world = world_at_the_edge(HostSetup::new(SHOP).enforce("ours"));
    let renewed = |common_name: &str| {
        let options = CaOptions { common_name: common_name.into(), key_type: KeyType::P256, validity: good() };
        Ca::create(&options).expect("a CA").0.certificate_pem().to_owned()
    };
    let swap = |pem: &str| TrustRequest { remove: vec![fingerprint(ours())], ..add(pem) };
    edge_comes(&world, SHOP);
    let problem = refusal(&world, SHOP, &swap(other()), "in_use");
    assert_eq!(problem.status, 409);
    assert!(problem.detail.contains(SHOP) && problem.detail.contains("sha256:"), "{problem:?}");
    refusal(&world, SHOP, &TrustRequest { dry_run: true, ..swap(other()) }, "in_use");
    refusal(&world, SHOP, &swap(&renewed("origin-pull CA")), "in_use");
    // A trust that has seen nobody yet: the edges are the same as before it.
    change(&world, SHOP, &add(other())).expect("it is added");
    refusal(&world, SHOP, &remove(ours()), "in_use");
    assert!(change(&world, SHOP, &remove(other())).expect("nobody came with it").applied);
    change(&world, SHOP, &add(other())).expect("it is added");
    // What came longer ago than evidence counts.
    world.set_clock(Duration::from_hours(26));
    assert!(change(&world, SHOP, &remove(ours())).expect("nobody comes with it any more").applied);
}

#[test]
fn a_ca_that_edges_come_with_goes_by_force_and_from_a_host_that_refuses_nobody() {
    Log::capture(|log| {
        let world = world_at_the_edge(HostSetup::new(SHOP).enforce("ours"));
        edge_comes(&world, SHOP);
        let swap = TrustRequest { remove: vec![fingerprint(ours())], force: true, ..add(other()) };
        assert!(change(&world, SHOP, &swap).expect("by force").applied);
        let told = "a CA went by force: edges came with a certificate that is refused from now on";
        let events = log.events();
        let event = events.iter().find(|event| event["message"] == told).expect("an event");
        assert_eq!((event["originlock.host"].as_str(), event["originlock.by"].as_str()), (Some(SHOP), Some("a story")));
    });
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    edge_comes(&world, SHOP);
    let swap = TrustRequest { remove: vec![fingerprint(ours())], ..add(other()) };
    assert!(change(&world, SHOP, &swap).expect("observe refuses nobody").applied);
}

#[test]
fn what_would_shut_everyone_out_or_let_anyone_in_is_refused() {
    let world = World::builder()
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new("pins.example.com").mode("observe").pin(&format!("sha256:{}", "0".repeat(64))))
        .host(HostSetup::new("off.example.com"))
        .start();
    let ca = |validity: Validity| {
        let options = CaOptions { common_name: "old CA".into(), key_type: KeyType::P256, validity };
        Ca::create(&options).expect("a CA").0.certificate_pem().to_owned()
    };
    let ended = ca(from_to(-20, -10));
    let leaf = pki().ours.issue(&LeafOptions::client("leaf", good())).expect("a leaf").certificate_pem;
    let garbage = pki().credential(Shape::Garbage).chain_pem();
    let version_1 = pki().credential(Shape::Version1).chain_pem();
    let key = pki().credential(Shape::P256).key_pem();
    let swap = |pem: &str| TrustRequest { remove: vec![fingerprint(ours())], ..add(pem) };
    for (request, kind) in [
        (remove(ours()), "last_ca"),
        (swap(&ca(from_to(1, 10))), "last_ca"),
        (add(&leaf), "unfit_ca"),
        (add(&version_1), "unfit_ca"),
        (add(&garbage), "unfit_ca"),
        (add(&ended), "unfit_ca"),
        // One bad certificate among good ones is enough.
        (add(&format!("{}{leaf}", other())), "unfit_ca"),
        (add(SHARED_CA), "shared_ca"),
        (swap(ours()), "bad_request"),
        (TrustRequest::default(), "bad_request"),
        (add(""), "bad_request"),
        (add("-----BEGIN CERTIFICATE-----\nMIIB"), "bad_request"),
        (add(&format!("{}{key}", other())), "bad_request"),
    ] {
        let problem = refusal(&world, SHOP, &request, kind);
        assert!(!format!("{problem:?}").contains("PRIVATE KEY"), "{problem:?}");
    }
    refusal(&world, "pins.example.com", &add(other()), "no_bundle");
    refusal(&world, "off.example.com", &add(other()), "no_trust");
    refusal(&world, "nobody.example.com", &add(other()), "unknown_host");
    expect_open(&world, SHOP, false);
}

#[test]
fn a_bundle_that_vouches_for_the_operators_too_is_changed_by_hand() {
    let world = World::builder()
        .admin("address = \"127.0.0.1:0\"\ncertificate = { chain = \"tls/shop.example.com.pem\", key = \"tls/shop.example.com.key\" }\nchange = { ca = \"operators\" }")
        .tables("[ca.operators]\nbundle = [\"ca/link.pem\"]\n")
        .file("ca/link.pem", "")
        .host(HostSetup::new(SHOP).enforce("ours"));
    // The same file under another name.
    let world = world.file("ca/link.pem", ours()).start();
    fs::remove_file(world.path("ca/link.pem")).expect("a file");
    symlink("ours.pem", world.path("ca/link.pem")).expect("a link");
    let problem = refusal(&world, SHOP, &add(other()), "not_editable");
    assert!(problem.detail.contains("who may change here"), "{problem:?}");
}

#[test]
fn a_bundle_in_several_files_is_changed_where_the_certificate_stands() {
    let world = World::builder()
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new(WWW).observe("second"))
        .ca("second", other())
        .start();
    let main = text(&world, "originlock.toml");
    let both = main.replacen("bundle = [\"ca/ours.pem\"]", "bundle = [\"ca/ours.pem\", \"ca/second.pem\"]", 1);
    world.write("originlock.toml", both);
    world.reload().expect("two files");
    let options = CaOptions { common_name: "third CA".into(), key_type: KeyType::P256, validity: good() };
    let third = Ca::create(&options).expect("a CA").0.certificate_pem().to_owned();
    // The second file would be empty, and it is another CA's last.
    refusal(&world, SHOP, &remove(other()), "last_ca");
    let files = TrustRequest { remove: vec![fingerprint(ours()), fingerprint(other())], ..add(&third) };
    refusal(&world, SHOP, &files, "not_editable");
    let report = change(&world, SHOP, &add(&third)).expect("it is added to the first");
    assert_eq!((report.file, report.hosts), (world.path(BUNDLE).display().to_string(), vec![SHOP.to_owned()]));
    change(&world, SHOP, &remove(&third)).expect("it is removed");
    let swap = TrustRequest { remove: vec![fingerprint(other())], ..add(&third) };
    let report = change(&world, SHOP, &swap).expect("it is changed where it stands");
    assert_eq!(report.file, world.path("ca/second.pem").display().to_string());
    assert_eq!(report.hosts, [SHOP, WWW], "whoever shares the file is told");
    assert_eq!(text(&world, "ca/second.pem"), third);
}

#[test]
fn a_link_stays_a_link() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    fs::rename(world.path(BUNDLE), world.path("ca/real.pem")).expect("a file");
    symlink("real.pem", world.path(BUNDLE)).expect("a link");
    change(&world, SHOP, &add(other())).expect("it is added");
    assert_eq!(fs::read_link(world.path(BUNDLE)).expect("a link").to_str(), Some("real.pem"));
    assert_eq!(text(&world, "ca/real.pem"), format!("{}{}", ours(), other()));
}

#[test]
fn nothing_else_comes_into_force_with_it() {
    let world = World::builder()
        .ca("second", other())
        .crl("ours", &pki().crl())
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new(WWW).observe("second"))
        .start();
    let check = |world: &World, file: &str, put: &str, kind: &str, said: &str| {
        let before = text(world, file);
        world.write(file, put);
        let problem = refusal(world, SHOP, &add(other()), kind);
        assert!(problem.detail.contains(said), "{file}: {problem:?}");
        world.write(file, before);
    };
    check(
        &world,
        "ca/second.pem",
        &format!("{}{}", other(), ours()),
        "file_changed",
        "the CA `second` is not what is in",
    );
    check(&world, "ca/ours.crl", &pki().empty_crl(), "file_changed", "the CA `ours` is not what is in force");
    check(&world, BUNDLE, &format!("{}{}", ours(), SHARED_CA), "file_changed", "other certificates than are in force");
    check(&world, BUNDLE, "", "not_editable", "there is no certificate in it");
    check(&world, "ca/second.pem", "nonsense", "bad_configuration", "is as it was, the trust has not changed");
    let open = text(&world, "originlock.toml").replace("\"enforce\"", "\"observe\"");
    check(&world, "originlock.toml", &open, "file_changed", "originlock.toml has changed since it was loaded");
    change(&world, SHOP, &add(other())).expect("all is as it was");
}

#[test]
fn a_process_that_is_killed_in_between_harms_nothing() {
    let mut world = World::with(HostSetup::new(SHOP).enforce("ours"));
    // Killed after the draft: another process of the same number finds it.
    let draft = format!("ca/.ours.pem.{}.new", std::process::id());
    world.write(&draft, "half a certif");
    // Killed after the file, before the reload: whoever asks is told so while the old process lives.
    let meant = format!("{}{}", ours(), other());
    world.write(BUNDLE, &meant);
    refusal(&world, SHOP, &add(other()), "file_changed");
    world.client(SHOP).presenting(Shape::UnknownCa).expect_refused("unknown_ca");
    world.restart();
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("the next start takes it");
    assert!(!change(&world, SHOP, &add(other())).expect("it is so already").applied);
    change(&world, SHOP, &remove(other())).expect("it is removed");
    assert_eq!(text(&world, BUNDLE), ours());
    assert!(!world.path(&draft).exists(), "the draft was taken over");
}

#[test]
fn a_file_that_cannot_be_written_is_told_with_the_change() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    // Where the draft would be written stands something else.
    fs::create_dir(world.path(&format!("ca/.ours.pem.{}.new", std::process::id()))).expect("a folder");
    let problem = refusal(&world, SHOP, &add(other()), "write_failed");
    let added: String = other().lines().map(|line| format!("+{line}\n")).collect();
    assert!(problem.diff.as_ref().is_some_and(|diff| diff.ends_with(&added)), "{problem:?}");
}

#[test]
fn a_host_that_fell_back_in_memory_is_not_enforced_by_another_change() {
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    let request = ModeRequest { confirm_within_seconds: Some(60), ..forced(Mode::Enforce) };
    set(&world, SHOP, &request).expect("it is enforced");
    let file = text(&world, "originlock.toml");
    world.write("originlock.toml", "nonsense");
    world.set_clock(Duration::from_secs(61));
    world.wait_for_metric("originlock_fallbacks_total", 1.0);
    world.write("originlock.toml", file);
    let problem = refusal(&world, SHOP, &add(other()), "file_changed");
    assert!(problem.detail.contains("is in observe, and its file says enforce"), "{problem:?}");
    expect_open(&world, SHOP, true);
}

#[test]
fn who_changed_which_certificates_is_logged() {
    Log::capture(|log| {
        let world = with_words();
        change(&world, SHOP, &add(other())).expect("it is added");
        let events = log.events();
        let event = events
            .iter()
            .find(|event| event["message"].as_str().is_some_and(|message| message.starts_with("CA bundle changed")));
        let event = event.expect("an event");
        assert_eq!((event["originlock.by"].as_str(), event["originlock.ca"].as_str()), (Some("a story"), Some("ours")));
        assert!(event["originlock.added"].to_string().contains(&fingerprint(other()).to_string()), "{event}");
    });
}

#[test]
fn through_the_api_it_takes_the_right_to_change() {
    let world = World::builder()
        .admin("address = \"127.0.0.1:0\"\nchange = { token = \"change.token\" }")
        .file("change.token", "change-0123456789abcdef")
        .host(HostSetup::new(SHOP).enforce("ours"))
        .start();
    let api = Api::of(&world);
    let document = Document(api.json("/api/v1/openapi.json"));
    let bearer = "Authorization: Bearer change-0123456789abcdef";
    let ask = |lines: &[&str], body: &Value| {
        let reply = api.ask(&format!("POST /api/v1/hosts/{SHOP}/trust"), lines, &body.to_string());
        let described = if reply.status == 200 { "TrustChangeReport" } else { "Problem" };
        assert_eq!(document.mistakes(described, &reply.json()), Vec::<String>::new(), "{reply:?}");
        (reply.status, reply.json())
    };
    let body = json!({"add": other()});
    assert_eq!(document.mistakes("TrustRequest", &body), Vec::<String>::new());
    assert_eq!(ask(&[], &body).0, 401);
    for (wrong, status) in [
        (json!({"remove": ["ours"]}), 400),
        (json!({"add": other(), "forced": true}), 400),
        (json!({"add": other().repeat(200)}), 413),
        (json!({"add": SHARED_CA}), 409),
    ] {
        assert_eq!(ask(&[bearer], &wrong).0, status, "{wrong}");
    }
    let (status, report) = ask(&[bearer], &body);
    assert_eq!((status, &report["applied"]), (200, &json!(true)));
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("it is trusted");
}
