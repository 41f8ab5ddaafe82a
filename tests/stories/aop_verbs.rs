//! `originlock aop plan` and `apply` as a person, and a program, runs them.

use std::fs;

use originlock::pki::files::write_pair;
use originlock::pki::{Ca, CaOptions, KeyType};
use originlock::policy::client_auth::Mode;
use serde_json::Value;

use crate::cloudflare::Token;
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, cloudflare, leaf, origin, zone};
use crate::support::certificates::around;
use crate::support::program::finish;

const CERTIFICATES: &str = "/zones/*/origin_tls_client_auth/hostnames/certificates";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// `text` holds these in this order.
#[track_caller]
fn in_order(text: &str, words: &[&str]) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = text.as_str();
    for word in words {
        let at = rest.find(word).unwrap_or_else(|| panic!("no `{word}` where it belongs: {text}"));
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn one_command_takes_hostnames_from_nothing_to_enforced_visibly() {
    let aop = Aop::new().visited();
    let ran = aop.run_with_leaf("apply", &["--yes", "--settle", "1m"]);
    let stderr = ran.stderr.clone();
    let said = ran.expect(0);
    in_order(
        &said,
        &[
            "Checks",
            "✓ certificate",
            "✓ token",
            "Steps",
            "upload example.com: not at Cloudflare → certificate sha256:",
            "✓ observe shop.example.com: observe",
            "associate shop.example.com: no association → enabled",
            "zone_setting example.com: tls_client_auth is off → tls_client_auth is on",
            "every other proxied hostname of the zone",
            "--skip-zone-setting",
            "enforce shop.example.com: observe → enforce",
            "✓ upload example.com",
            "✓ associate shop.example.com",
            "✓ associate www.example.com",
            "✓ zone_setting example.com: tls_client_auth is on",
            "✓ seen shop.example.com",
            "✓ enforce shop.example.com: enforce",
            "with no certificate: refused with certificate_required (holds)",
            "with the right certificate: let in (holds)",
            "✓ prove shop.example.com",
            "✓ shop.example.com, www.example.com enforced: an admitted handshake proves that a request came through this",
        ],
    );
    assert!(stderr.contains("waited "), "what is waited for is told: {stderr}");
    assert!(!said.contains('\x1b') && !stderr.contains('\x1b'), "no colours where nobody looks");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce));
    let writes = aop.fake.writes();
    // Nobody has to be asked where nothing is changed.
    let again = aop.run_with_leaf("apply", &[]).expect(0);
    assert!(again.contains("Nothing is to be changed."), "{again}");
    assert_eq!(aop.fake.writes(), writes);
    let all = format!("{said}{stderr}{again}");
    let key = fs::read_to_string(aop.path("leaf.key")).expect("a key");
    assert!(!all.contains(key.lines().nth(1).expect("a line")) && !all.contains(&aop.fake.token()));
}

#[test]
fn a_plan_changes_nothing_and_says_what_would_change_and_why() {
    let aop = Aop::new();
    let said = aop.run_with_leaf("plan", &[]).expect(0);
    in_order(
        &said,
        &["Checks", "Steps", "+ upload", "+ associate", "+ zone_setting", "the set-up guide has this step"],
    );
    let short = format!("certificate sha256:{}", &aop.sha256().to_string()[..16]);
    assert!(said.contains(&short), "{short}: {said}");
    let plan = json(&aop.run_with_leaf("plan", &["-o", "json", "--skip-zone-setting"]).expect(0));
    let of_step = |step: &Value| {
        format!("{} {}", step["name"].as_str().expect("a name"), step["state"].as_str().expect("a state"))
    };
    let steps: Vec<_> = plan["steps"].as_array().expect("steps").iter().map(of_step).collect();
    let expected = [
        "upload todo",
        "observe done",
        "observe done",
        "associate todo",
        "associate todo",
        "zone_setting left_out",
        "seen waiting",
        "seen waiting",
        "enforce todo",
        "enforce todo",
        "prove todo",
        "prove todo",
    ];
    assert_eq!(steps, expected);
    assert_eq!((plan["zone"].as_str(), plan["level"].as_str()), (Some("example.com"), Some("hostname")));
    let dry = aop.run_with_leaf("apply", &["--dry-run", "-o", "json"]).expect(0);
    assert_eq!(json(&dry)["steps"].as_array().map(Vec::len), Some(expected.len()));
    assert_eq!(aop.fake.writes(), Vec::<String>::new());
    assert!(!aop.path("state").exists(), "not even a journal is made");
}

#[test]
fn where_nobody_can_be_asked_the_word_has_to_be_given_beforehand() {
    let aop = Aop::new();
    let ran = aop.run_with_leaf("apply", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("--yes"), "{ran:?}");
    assert_eq!(aop.fake.writes(), Vec::<String>::new());
    let ran = aop.run("plan", &[]);
    assert!(ran.code == 1 && ran.stderr.contains("--certificate FILE --key FILE"), "{ran:?}");
}

#[test]
fn checks_that_fail_end_it_before_anything_is_changed() {
    let origin = origin().host(HostSetup::new(SHOP).mode("off").ca("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone().ssl("flexible")).start());
    let said = aop.run_with_leaf("plan", &[]).expect(1);
    in_order(&said, &["✗ ssl_mode", "SSL mode is flexible", "→ set SSL/TLS", "Nothing is changed before", "--force"]);
    let report = json(&aop.run_with_leaf("apply", &["--yes", "-o", "json"]).expect(1));
    assert_eq!(report["ended"], "blocked");
    assert_eq!((aop.fake.writes(), aop.mode(SHOP)), (Vec::new(), Mode::Off));
    aop.run_with_leaf("plan", &["--force", "ssl_mode"]).expect(0);
    let ran = aop.run_with_leaf("plan", &["--force", "everything"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_program_gets_one_document_and_the_exit_code_says_how_it_ended() {
    let aop = Aop::new();
    let report = json(&aop.run_with_leaf("apply", &["--yes", "-o", "json", "--wait", "1s"]).expect(3));
    assert_eq!((report["ended"].as_str(), aop.mode(SHOP)), (Some("not_ready"), Mode::Observe));
    assert!(report["errors"][0].as_str().is_some_and(|error| error.contains("the same command goes on")), "{report:#}");
    let open: Vec<_> =
        report["steps"].as_array().expect("steps").iter().filter(|step| step["state"] != "done").collect();
    let late = |step: &&&Value| ["seen", "enforce", "prove"].iter().any(|name| step["name"] == *name);
    assert_eq!((open.len(), open.iter().filter(late).count()), (6, 6), "all else is done: {report:#}");
    assert_eq!(aop.fake.writes().len(), 4, "{:?}", aop.fake.writes());
    let aop = aop.visited();
    let report = json(&aop.run_with_leaf("apply", &["--yes", "-o", "json", "--settle", "1m"]).expect(0));
    assert_eq!((report["ended"].as_str(), report["errors"].as_array().map(Vec::len)), (Some("done"), Some(0)));
    assert!(report["steps"].as_array().expect("steps").iter().all(|step| step["state"] == "done"), "{report:#}");
}

#[test]
fn what_cloudflare_refuses_is_told_with_what_it_means_and_what_to_do() {
    let fake = cloudflare().zone(zone()).token(Token::read_only("cfat_read-only-0123456789")).start();
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), fake);
    let said = aop.run_with_leaf("apply", &["--yes"]).expect(5);
    in_order(
        &said,
        &[
            "✗ upload the certificate: Cloudflare refused with HTTP 403, code 10000",
            "Zone > SSL and Certificates > Edit",
        ],
    );
    assert!(said.contains("everything done so far stays"), "{said}");
    assert!(aop.fake.requests().iter().all(|request| !(request.is_write() && request.applied)));
}

#[test]
fn without_enforcing_the_walk_ends_before_that_and_goes_on_later() {
    let aop = Aop::new().visited();
    let said = aop.run_with_leaf("apply", &["--yes", "--no-enforce", "--settle", "1m"]).expect(0);
    assert!(said.contains("shown the certificate, and not enforced"), "{said}");
    assert_eq!(aop.mode(SHOP), Mode::Observe);
    let writes = aop.fake.writes();
    aop.run_with_leaf("apply", &["--yes", "--settle", "1m"]).expect(0);
    assert_eq!((aop.mode(SHOP), aop.fake.writes()), (Mode::Enforce, writes));
    let said = aop.run_with_leaf("apply", &["--yes", "--no-enforce"]).expect(0);
    assert!(said.contains("www.example.com enforced:"), "it enforces still: {said}");
}

#[test]
fn a_faster_clock_is_for_servers_on_this_machine() {
    let aop = Aop::new();
    let files = aop.leaf_files();
    let words = ["--certificate", &files[0], "--key", &files[1]];
    let ran = finish(aop.program_at("https://api.example.net", "plan", &words).spawn().expect("the program starts"));
    assert!(ran.code == 1 && ran.stderr.contains("--api-second is for servers on this machine"), "{ran:?}");
}

#[test]
fn a_certificate_can_be_made_on_the_way_and_is_the_same_the_next_time() {
    let options = CaOptions { common_name: "mine".to_owned(), key_type: KeyType::P256, validity: around(900) };
    let (ca, issued) = Ca::create(&options).expect("a CA");
    let origin = origin().ca("mine", ca.certificate_pem());
    let origin = origin.host(HostSetup::new(SHOP).observe("mine")).host(HostSetup::new(WWW).observe("mine"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited();
    let files = ["ca.pem", "ca.key", "out"].map(|name| aop.path(name).to_string_lossy().into_owned());
    write_pair(&aop.path("ca.pem"), &aop.path("ca.key"), &issued).expect("files");
    fs::create_dir(aop.path("out")).expect("a folder");
    let words = ["--issue", "--ca-certificate", &files[0], "--ca-key", &files[1], "--out", &files[2]];
    aop.run("plan", &words).expect(0);
    assert_eq!(fs::read_dir(aop.path("out")).expect("a folder").count(), 0, "a plan writes nothing");
    // A run that was killed between the two files left a key, which the next one takes up.
    let key = aop.path("out").join("origin-pull-shop.example.com.key");
    let left = leaf().key_pem;
    fs::write(&key, left.expose()).expect("a file");
    for _ in 0..2 {
        aop.run("apply", &[&words[..], &["--yes", "--settle", "1m"]].concat()).expect(0);
        assert_eq!(aop.fake.count("POST", CERTIFICATES), 1);
    }
    let mut made: Vec<_> =
        fs::read_dir(aop.path("out")).expect("a folder").map(|file| file.expect("a file").file_name()).collect();
    made.sort();
    assert_eq!(made, ["origin-pull-shop.example.com.key", "origin-pull-shop.example.com.pem"]);
    assert_eq!(fs::read(&key).expect("a file"), left.expose());
    assert_eq!(aop.mode(SHOP), Mode::Enforce);
}

#[test]
fn a_wildcard_is_enforced_only_if_the_operator_says_so() {
    let origin = origin().host(HostSetup::new("*.example.com").observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited();
    let said = aop.run_with_leaf("apply", &["--yes", "--settle", "1m"]).expect(1);
    in_order(&said, &["✗ other_names", "*.example.com", "--force other_names=shop.example.com"]);
    assert_eq!((aop.mode("*.example.com"), aop.fake.writes()), (Mode::Observe, Vec::new()));
    // What one name shows tells nothing of the other, which may come a little later.
    let words = ["--yes", "--settle", "10m", "--force", "other_names=shop.example.com"];
    aop.run_with_leaf("apply", &words).expect(0);
    assert_eq!(aop.mode("*.example.com"), Mode::Enforce);
}

#[test]
fn where_another_user_set_it_up_both_ways_say_that_nothing_is_remembered() {
    let aop = Aop::new().visited();
    aop.run_with_leaf("apply", &["--yes", "--settle", "1m"]).expect(0);
    let remembers = aop.run_with_leaf("plan", &[]).expect(0);
    assert!(!remembers.contains("nothing is remembered"), "{remembers}");
    fs::remove_dir_all(aop.path("state")).expect("a folder");
    let said = aop.run_with_leaf("plan", &[]).expect(0);
    in_order(&said, &["! levels", "nothing is remembered here of what was before", "--state FOLDER"]);
    let said = aop.run("rollback", &["--dry-run"]).expect(0);
    in_order(&said, &["void shop.example.com", "nothing is remembered here of what was before", "--state FOLDER"]);
}

#[test]
fn two_at_once_do_not_get_in_each_others_way() {
    let aop = Aop::new();
    let files = aop.leaf_files();
    let words = ["--certificate", &files[0], "--key", &files[1], "--yes", "--wait", "10m"];
    let mut first = aop.program("apply", &words).spawn().expect("the program starts");
    aop.fake.wait_for_writes(4);
    let second = aop.run("apply", &words);
    assert!(second.code == 1 && second.stderr.contains("another originlock works on this zone"), "{second:?}");
    first.kill().expect("it runs");
    first.wait().expect("it ends");
}
