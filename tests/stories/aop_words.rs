//! What `originlock aop` prints: whom it changes, what stands in the way, and commands that can be pasted.

use serde_json::Value;

use crate::cloudflare::Zone;
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};
use crate::support::program::{finish, originlock};

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_plan_begins_with_whom_it_changes_and_ends_with_the_command_that_does_it() {
    let aop = Aop::new();
    let said = aop.run_with_leaf("plan", &[]).expect(0);
    let first = unwrapped(said.split("Checks").next().expect("a beginning"));
    let url = aop.world.server().admin_url().expect("an admin side");
    let proxy = url.trim_end_matches('/');
    assert!(first.starts_with(&format!("proxy {proxy} (--admin says so) · zone {ZONE} ({})", zone().id())), "{first}");
    assert!(first.ends_with(&format!("at {}", aop.fake.base_url())), "{first}");
    let last = said.lines().last().expect("a line").trim();
    let files = aop.leaf_files();
    for words in [
        format!("originlock aop apply {SHOP} {WWW} --zone {ZONE}"),
        format!("--admin {url} --token-file {}", aop.world.path("admin.token").display()),
        format!("--api {}", aop.fake.base_url()),
        format!("--api-token-file {}", aop.path("token").display()),
        format!("--state {}", aop.path("state").display()),
        format!("--certificate {} --key {}", files[0], files[1]),
    ] {
        assert!(last.contains(&words), "{words}: {last}");
    }
}

#[test]
fn a_command_in_a_next_step_repeats_what_the_caller_said() {
    let other = originlock::pki::self_signed(&originlock::pki::LeafOptions::client(
        "theirs",
        crate::support::certificates::good(),
    ));
    let zone = zone().certificate(&other.expect("a leaf")).associated(SHOP, 0, true);
    let hosts = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(hosts.start(), cloudflare().zone(zone).start());
    let said = aop.run_with_leaf("plan", &[]).expect(1);
    let files = aop.leaf_files();
    let begins =
        format!("`originlock aop rotate {SHOP} --certificate {} --key {} --zone {ZONE} --api ", files[0], files[1]);
    let line = said.lines().find(|line| line.contains(&begins)).unwrap_or_else(|| panic!("{begins}: {said}"));
    let url = aop.world.server().admin_url().expect("an admin side");
    let state = format!("--state {}", aop.path("state").display());
    assert!(line.contains(&state) && line.contains(&format!("--admin {url}")), "on one line: {line}");
}

#[test]
fn what_stands_in_the_way_is_what_a_plan_ends_with_and_steps_are_left_out() {
    let hosts = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(hosts.start(), cloudflare().zone(zone().ssl("flexible")).start());
    let said = aop.run_with_leaf("plan", &[]).expect(1);
    let (_, end) = said.split_once("In the way").unwrap_or_else(|| panic!("{said}"));
    assert!(end.contains("✗ ssl_mode") && end.contains("→ set SSL/TLS"), "{end}");
    assert!(unwrapped(end).contains("--force ssl_mode"), "{end}");
    assert!(!said.contains("\nSteps") && !said.contains("originlock aop apply"), "{said}");
}

#[test]
fn force_is_not_offered_where_nothing_could_be_done_anyway() {
    let aop = Aop::new();
    let no_key = aop.path("token");
    let words = ["--certificate", &aop.leaf_files()[0], "--key", &no_key.to_string_lossy()];
    let said = aop.run("plan", &words).expect(1);
    assert!(said.contains("✗ certificate") && !said.contains("--force"), "{said}");
    std::fs::write(aop.path("token"), "cfat_nobodys-0123456789").expect("a file");
    let said = aop.run_with_leaf("plan", &[]).expect(1);
    assert!(said.contains("✗ token") && said.contains("✗ zone") && !said.contains("--force"), "{said}");
    assert!(said.contains("Nothing is changed before these checks hold."), "{said}");
}

#[test]
fn a_hostname_of_another_zone_is_sent_to_its_own() {
    let hosts =
        origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new("www.example.net").observe("ours"));
    let fake = cloudflare().zone(zone()).zone(Zone::new("example.net").proxied("www.example.net", "127.0.0.1"));
    let aop = Aop::with(hosts.start(), fake.start());
    let said = unwrapped(&aop.run_with_leaf("plan", &["www.example.net"]).expect(1));
    assert!(said.contains("www.example.net belongs to zone example.net, not to example.com"), "{said}");
    assert!(said.contains("run this once more for it with --zone example.net"), "{said}");
    assert!(!said.contains("add a proxied record"), "{said}");
}

#[test]
fn a_zone_that_is_written_wrong_is_guessed_by_the_hostname() {
    let aop = Aop::new();
    let files = aop.leaf_files();
    let mut command = originlock(&["aop", "plan", SHOP, "--zone", "exmaple.com", "--certificate", &files[0], "--key"]);
    command.arg(&files[1]).args(["--api", &aop.fake.base_url(), "--api-token-file"]).arg(aop.path("token"));
    command.args(["--admin", aop.world.server().admin_url().expect("an admin side"), "--token-file"]);
    command.arg(aop.world.path("admin.token"));
    let said = unwrapped(&finish(command.spawn().expect("the program starts")).expect(1));
    assert!(said.contains("did you mean --zone example.com?"), "{said}");
}

#[test]
fn a_wildcard_is_not_taken_and_it_is_said_why() {
    let ran = finish(originlock(&["aop", "status", "*.example.com"]).spawn().expect("the program starts"));
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("takes no wildcard") && said.contains("--level zone"), "{said}");
}

#[test]
fn a_program_gets_its_document_when_the_proxy_is_down_too() {
    let aop = Aop::new();
    let files = aop.leaf_files();
    let words = ["--certificate", &files[0], "--key", &files[1], "-o", "json", "--admin", "http://127.0.0.1:1"];
    for verb in ["plan", "apply", "rotate", "rollback"] {
        let mut command = originlock(&["aop", verb, SHOP, "--zone", ZONE]);
        let leafless = verb == "rollback";
        command.args(&words[if leafless { 4 } else { 0 }..]).args(["--api", &aop.fake.base_url(), "--api-token-file"]);
        command.arg(aop.path("token")).arg("--state").arg(aop.path("state"));
        let ran = finish(command.spawn().expect("the program starts"));
        let report: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{verb}: {error}: {ran:?}"));
        assert_eq!((ran.code, report["ended"].as_str()), (1, Some("failed")), "{verb}: {report:#}");
        assert!(report["errors"][0].as_str().is_some_and(|error| error.contains("127.0.0.1:1")), "{verb}: {report:#}");
    }
}

#[test]
fn a_certificate_that_is_still_to_be_made_is_told_without_a_fingerprint_that_will_never_be() {
    let aop = Aop::new();
    let (ca, key) = (aop.path("ca.pem"), aop.path("ca.key"));
    let options = originlock::pki::CaOptions {
        common_name: "mine".to_owned(),
        key_type: originlock::pki::KeyType::P256,
        validity: crate::support::certificates::around(900),
    };
    let (_, issued) = originlock::pki::Ca::create(&options).expect("a CA");
    originlock::pki::files::write_pair(&ca, &key, &issued).expect("files");
    let words = [
        "--issue",
        "--ca-certificate",
        &ca.to_string_lossy(),
        "--ca-key",
        &key.to_string_lossy(),
        "--force",
        "trust=shop.example.com",
        "--force",
        "trust=www.example.com",
    ];
    let said = unwrapped(&aop.run("plan", &words).expect(0));
    assert!(said.contains("will be issued by CN=mine into ./origin-pull-shop.example.com.pem"), "{said}");
    assert!(!said.contains("sha256:"), "{said}");
}

#[test]
fn files_that_others_may_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let aop = Aop::new();
    for name in ["token", "leaf.key"] {
        let set =
            |mode| std::fs::set_permissions(aop.path(name), std::fs::Permissions::from_mode(mode)).expect("a mode");
        set(0o644);
        let ran = aop.run_with_leaf("plan", &[]);
        let advice = format!("chmod 600 {}", aop.path(name).display());
        assert!(ran.code == 0 && ran.stderr.contains(&advice), "{ran:?}");
        set(0o600);
        let ran = aop.run_with_leaf("plan", &[]);
        assert!(!ran.stderr.contains(&advice), "{ran:?}");
    }
}

#[test]
fn whoever_interrupts_is_told_what_is_done_and_how_to_go_on() {
    let aop = Aop::new();
    let files = aop.leaf_files();
    let mut command = aop.program("apply", &["--certificate", &files[0], "--key", &files[1], "--yes"]);
    // Nobody visits, so that it waits.
    let child = command.spawn().expect("the program starts");
    let id = rustix::process::Pid::from_child(&child);
    while aop.fake.count("PATCH", "/zones/*/settings/tls_client_auth") == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("a signal");
    let ran = finish(child);
    let said = unwrapped(&ran.stderr);
    assert_eq!(ran.code, 130, "{ran:?}");
    for words in [
        "interrupted",
        "done: upload example.com",
        "under way: ",
        "the same command goes on",
        "`originlock aop rollback",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
