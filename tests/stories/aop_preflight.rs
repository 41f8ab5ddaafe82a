//! Before anything is changed: what stands in the way is found, named, and told with what to do about it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use originlock::hostname::Hostname;
use originlock::pki::{Issued, KeyType, LeafOptions, Purpose, self_signed};
use originlock::rollout::desired::{Desired, Force};
use originlock::rollout::leaf::Leaf;
use originlock::rollout::preflight::CHECKS;
use originlock::rollout::step::{Check, CheckVerdict, Level, StepName};
use originlock::secret::Secret;

use crate::cloudflare::{Permission, Token, Zone};
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, leaf, origin, zone};
use crate::support::certificates::{from_to, good, now};
use crate::support::{HostSetup, pki};

fn with(fake: crate::cloudflare::Builder) -> Aop {
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    Aop::with(origin.start(), fake.start())
}

/// The names of the checks that stand in the way, and all that is said of them.
fn failed(checks: &[Check]) -> (Vec<&'static str>, String) {
    let failed: Vec<_> = checks.iter().filter(|check| check.verdict == CheckVerdict::Fails).collect();
    assert!(failed.iter().all(|check| !check.next_step.is_empty()), "{failed:#?}");
    let mut names: Vec<_> = failed.iter().map(|check| check.name).collect();
    names.dedup();
    (names, failed.iter().map(|check| format!("{}: {}\n", check.found, check.next_step)).collect())
}

#[track_caller]
fn refuses(what: &str, aop: &Aop, names: &[&str], says: &str) {
    let preflight = aop.preflight(&aop.desired(), Some(ZONE));
    let (found, told) = failed(&preflight.checks);
    assert_eq!(found, names, "{what}: {told}");
    assert!(told.contains(says), "{what}: {told}");
    assert!(!preflight.is_passed(), "{what}");
    assert_eq!(aop.fake.writes(), Vec::<String>::new(), "{what}");
}

#[test]
fn all_is_well_where_all_is_well() {
    let aop = with(cloudflare().zone(zone()));
    let preflight = aop.preflight(&aop.desired(), None);
    assert!(preflight.is_passed(), "{:#?}", preflight.checks);
    let holds = |check: &&Check| check.verdict != CheckVerdict::Holds;
    assert_eq!(preflight.checks.iter().find(holds), None);
    let names: Vec<_> = preflight.checks.iter().map(|check| check.name).collect();
    assert!(names.iter().all(|name| CHECKS.contains(name)), "{names:?}");
    assert_eq!(preflight.zone.map(|zone| zone.name).as_deref(), Some(ZONE), "found by the hostnames");
    let by_id = aop.preflight(&aop.desired(), Some(&zone().id()));
    assert_eq!(by_id.zone.map(|zone| zone.name).as_deref(), Some(ZONE));
}

#[test]
fn a_mode_that_shows_no_certificate_is_in_the_way() {
    for mode in ["off", "flexible"] {
        refuses(mode, &with(cloudflare().zone(zone().ssl(mode))), &["ssl_mode"], &format!("SSL mode is {mode}"));
    }
    let rule = |ssl, enabled| with(cloudflare().zone(zone().rule("http.host eq \"shop.example.com\"", ssl, enabled)));
    refuses("a weaker rule", &rule("flexible", true), &["config_rules"], "the expression is not evaluated");
    for aop in [rule("flexible", false), rule("strict", true)] {
        assert!(aop.preflight(&aop.desired(), None).is_passed());
    }
    for mode in ["full", "strict", "origin_pull"] {
        let aop = with(cloudflare().zone(zone().ssl(mode)));
        assert!(aop.preflight(&aop.desired(), None).is_passed(), "{mode}");
    }
}

#[test]
fn a_name_that_visitors_do_not_reach_through_an_edge_is_in_the_way() {
    let of_shop = |zone: Zone| with(cloudflare().zone(zone.proxied(WWW, "127.0.0.1")));
    let zone = || Zone::new(ZONE);
    refuses("grey", &of_shop(zone().dns_only(SHOP, "127.0.0.1")), &["dns"], "DNS only");
    let mixed = zone().proxied(SHOP, "127.0.0.1").dns_only(SHOP, "127.0.0.1");
    refuses("mixed", &of_shop(mixed), &["dns"], "some records of shop.example.com are DNS only");
    refuses("tunnel", &of_shop(zone().tunnel(SHOP)), &["dns"], "Cloudflare Tunnel");
    refuses("none", &of_shop(zone()), &["dns"], "no DNS record for shop.example.com");
    let aop = of_shop(zone().proxied("*.example.com", "127.0.0.1"));
    assert!(aop.preflight(&aop.desired(), None).is_passed(), "a wildcard will do");
    let aop = of_shop(zone().proxied(SHOP, "198.51.100.7"));
    let preflight = aop.preflight(&aop.desired(), None);
    let elsewhere = preflight.checks.iter().find(|check| check.name == "dns_address").expect("a check");
    assert_eq!(elsewhere.verdict, CheckVerdict::Warning, "{elsewhere:?}");
    assert!(elsewhere.found.contains("198.51.100.7") && preflight.is_passed(), "{elsewhere:?}");
}

#[test]
fn a_zone_that_cloudflare_does_not_serve_is_in_the_way() {
    refuses("paused", &with(cloudflare().zone(zone().paused())), &["zone"], "paused");
    refuses("pending", &with(cloudflare().zone(zone().status("pending"))), &["zone"], "pending");
    let aop = with(cloudflare().zone(zone()).zone(zone().account("Another").status("pending")));
    assert!(aop.preflight(&aop.desired(), None).is_passed(), "the active one is meant");
    let twice = with(cloudflare().zone(zone()).zone(zone().account("Another")));
    refuses("two of one name", &twice, &["zone"], "several zones");
    let hidden = cloudflare().zone(zone()).token(Token::full("cfat_of-elsewhere-0123").for_zones(&["example.net"]));
    refuses("a zone that the token does not see", &with(hidden), &["zone"], "Zone > Zone > Read");
}

#[test]
fn a_permission_that_the_token_lacks_is_named() {
    for (permission, name, checks) in [
        (Permission::SslRead, "Zone > SSL and Certificates > Read", &["token", "levels"][..]),
        (Permission::ZoneSettingsRead, "Zone > Zone Settings > Read", &["token", "ssl_mode"]),
        (Permission::DnsRead, "Zone > DNS > Read", &["token", "dns"]),
        (Permission::ConfigRead, "Zone > Config Rules > Read", &["token", "config_rules"]),
    ] {
        let writes = [
            (Permission::SslRead, Permission::SslWrite),
            (Permission::ZoneSettingsRead, Permission::ZoneSettingsWrite),
        ];
        let mut token = Token::full("cfat_less-0123456789").without(permission);
        for (_, write) in writes.into_iter().filter(|(read, _)| *read == permission) {
            token = token.without(write);
        }
        let aop = with(cloudflare().zone(zone()).token(token));
        refuses(name, &aop, checks, &format!("the token lacks the permission `{name}`"));
    }
}

#[test]
fn a_token_that_is_over_is_told_from_one_that_lacks_something() {
    let expired = Token::full("cfat_old-0123456789").expires(now().before(Duration::from_hours(48)));
    for token in [expired, Token::full("cfat_off-0123456789").disabled()] {
        let aop = with(cloudflare().zone(zone()).token(token));
        let (names, told) = failed(&aop.preflight(&aop.desired(), Some(ZONE)).checks);
        assert!(names.contains(&"token") && told.contains("10000"), "{names:?}: {told}");
    }
    let of_account = Token::full("cfat_account-0123456789").of_account("Example Account");
    let aop = with(cloudflare().zone(zone()).token(of_account));
    let preflight = aop.preflight(&aop.desired(), None);
    assert!(preflight.is_passed(), "an account's own token is as good: {:#?}", preflight.checks);
}

#[test]
fn what_is_there_already_is_shown_and_not_replaced_unasked() {
    let theirs = leaf();
    let aop = with(cloudflare().zone(zone().certificate(&theirs).associated(SHOP, 0, true).tls_client_auth(true)));
    refuses("another certificate", &aop, &["replaces"], "`originlock aop rotate shop.example.com`");
    let preflight = aop.preflight(&aop.desired(), None);
    let levels = preflight.checks.iter().find(|check| check.name == "replaces").expect("a check");
    assert!(levels.found.contains("zone: off; global: on"), "side by side: {levels:?}");
    let mut desired = aop.desired();
    desired.replace = true;
    assert!(aop.preflight(&desired, None).is_passed());
    let full = (0..10).fold(zone(), |zone, _| zone.certificate(&leaf()));
    refuses("ten certificates", &with(cloudflare().zone(full)), &["room"], "10 certificates");
}

#[test]
fn an_origin_that_does_not_know_the_name_or_the_ca_is_in_the_way() {
    let fake = || cloudflare().zone(zone()).start();
    let one = origin().host(HostSetup::new(SHOP).observe("ours"));
    refuses("unknown", &Aop::with(one.start(), fake()), &["origin"], "no host for www.example.com");
    let other = origin().ca("other", pki().other.certificate_pem());
    let other = other.host(HostSetup::new(SHOP).observe("other")).host(HostSetup::new(WWW).observe("ours"));
    refuses("another CA", &Aop::with(other.start(), fake()), &["trust"], "unknown_issuer");
    let off = origin().host(HostSetup::new(SHOP)).host(HostSetup::new(WWW).observe("ours"));
    refuses("no CA at all", &Aop::with(off.start(), fake()), &["origin"], "cannot be observed");
    let wild = origin().host(HostSetup::new("*.example.com").observe("ours"));
    let aop = Aop::with(wild.start(), fake());
    let desired = Desired { enforce: false, ..aop.desired() };
    assert!(aop.preflight(&desired, None).is_passed(), "a wildcard takes both in");
}

#[test]
fn names_that_enforcing_reaches_and_nobody_named_are_in_the_way() {
    let fake = || cloudflare().zone(zone()).start();
    let wild = origin().host(HostSetup::new("*.example.com").observe("ours"));
    let aop = Aop::with(wild.start(), fake());
    refuses("a wildcard", &aop, &["other_names"], "reaches *.example.com as well");
    let preflight = aop.preflight(&aop.desired(), None);
    let told = preflight.checks.iter().filter(|check| check.name == "other_names").count();
    assert_eq!(told, 1, "once for each host");
    let several = origin().host(HostSetup::new(SHOP).also(WWW).also("old.example.com").observe("ours"));
    refuses("several names", &Aop::with(several.start(), fake()), &["other_names"], "reaches old.example.com as well");
    let named = origin().host(HostSetup::new(SHOP).also(WWW).observe("ours"));
    let aop = Aop::with(named.start(), fake());
    assert!(aop.preflight(&aop.desired(), None).is_passed(), "all of them are named");
    let enforced = origin().host(HostSetup::new("*.example.com").enforce("ours"));
    let aop = Aop::with(enforced.start(), fake());
    assert!(aop.preflight(&aop.desired(), None).is_passed(), "nothing changes for the others");
}

#[test]
fn a_certificate_that_cannot_work_goes_nowhere() {
    let pair = |issued: Issued| (issued.certificate_pem, issued.key_pem);
    let of = |options: &LeafOptions| pair(pki().ours.issue(options).expect("a leaf"));
    let client = || LeafOptions::client("edge", good());
    let (good_leaf, other) = (leaf().certificate_pem, leaf().key_pem);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let (weak, weak_key) = pki().weak_rsa();
    let ca = self_signed(&LeafOptions { is_ca: true, ..client() }).expect("a CA");
    let aop = with(cloudflare().zone(zone()));
    let look = |(certificate, key): (String, Secret)| {
        let mut desired = aop.desired();
        desired.leaf = Some(Leaf::from_pem(certificate.as_bytes(), key).expect("a certificate"));
        aop.preflight(&desired, None)
    };
    for (what, leaf, says) in [
        ("a CA", pair(ca), "CA:TRUE"),
        (
            "for servers",
            of(&LeafOptions { purpose: Purpose::Server, ..client() }),
            "do not allow client authentication",
        ),
        ("expired", of(&LeafOptions::client("edge", from_to(-9, -3))), "it expired on"),
        ("not yet", of(&LeafOptions::client("edge", from_to(3, 9))), "it is not valid before"),
        ("another key", (good_leaf.clone(), other), "belongs to another certificate"),
        ("no key", (good_leaf.clone(), Secret::new(b"nothing".to_vec())), "there is no private key"),
        ("an encrypted key", (good_leaf, Secret::new(encrypted.into())), "encrypted with a passphrase"),
        ("a weak key", (weak, Secret::new(weak_key.into_bytes())), "has 1024 bits"),
    ] {
        let (names, told) = failed(&look(leaf).checks);
        assert!(
            names.iter().any(|name| name.starts_with("certificate")) && told.contains(says),
            "{what}: {names:?}: {told}"
        );
    }
    let unproven = LeafOptions { key_type: KeyType::Ed25519, ..client() };
    for (what, leaf, says) in [
        ("ends soon", of(&LeafOptions::client("edge", from_to(-2, 10))), "it ends soon"),
        ("unproven", of(&unproven), "whether Cloudflare takes that is not known"),
    ] {
        let preflight = look(leaf);
        let check = preflight.checks.iter().find(|check| check.name.starts_with("certificate_")).expect("a check");
        assert_eq!(check.verdict, CheckVerdict::Warning, "{what}: {check:?}");
        assert!(check.found.contains(says) && preflight.is_passed(), "{what}: {check:?}");
    }
    assert_eq!(aop.fake.writes(), Vec::<String>::new());
}

#[test]
fn a_check_is_overruled_by_its_name_and_no_other_is() {
    let aop = with(cloudflare().zone(zone().ssl("flexible").rule("true", "off", true)));
    let mut desired = aop.desired();
    desired.force = vec![Force::parse("ssl_mode")];
    assert_eq!(failed(&aop.preflight(&desired, None).checks).0, ["config_rules"]);
    desired.force.push(Force::parse("config_rules=example.com"));
    let preflight = aop.preflight(&desired, None);
    assert!(preflight.is_passed());
    let forced = preflight.checks.iter().filter(|check| check.verdict == CheckVerdict::Forced).count();
    assert_eq!(forced, 2);
    // What is not there cannot be forced.
    desired.hostnames = vec![Hostname::parse("shop.example.net").expect("a hostname")];
    desired.force = CHECKS.iter().map(|check| Force::parse(check)).collect();
    assert!(!aop.preflight(&desired, Some("example.net")).is_passed());
}

#[test]
fn a_word_overrules_one_subject_and_no_other() {
    let grey = Zone::new(ZONE).dns_only(SHOP, "127.0.0.1").dns_only(WWW, "127.0.0.1");
    let aop = with(cloudflare().zone(grey));
    let mut desired = aop.desired();
    desired.force = vec![Force::parse("dns")];
    assert!(!aop.preflight(&desired, None).is_passed(), "which of the two is meant has to be said");
    desired.force = vec![Force::parse("dns=shop.example.com")];
    let (_, told) = failed(&aop.preflight(&desired, None).checks);
    assert!(told.contains(WWW) && !told.contains(SHOP), "{told}");
    desired.force.push(Force::parse("dns=www.example.com"));
    assert!(aop.preflight(&desired, None).is_passed());
}

#[test]
fn what_cloudflare_refuses_for_sure_is_not_overruled() {
    let aop = with(cloudflare().zone(zone()));
    let mut desired = aop.desired();
    desired.leaf = Some(Leaf::from_pem(leaf().certificate_pem.as_bytes(), leaf().key_pem).expect("a certificate"));
    desired.force = CHECKS.iter().map(|check| Force::parse(check)).collect();
    assert_eq!(failed(&aop.preflight(&desired, None).checks).0, ["certificate"], "another's key");
}

#[test]
fn the_zones_own_certificate_is_not_replaced_unasked() {
    let aop = with(cloudflare().zone(Zone { zone_switch: true, ..zone().zone_certificate(&leaf()) }));
    let mut desired = Desired { level: Level::Zone, ..aop.desired() };
    let (names, told) = failed(&aop.preflight(&desired, None).checks);
    assert!(names == ["replaces"] && told.contains("takes its place on all hostnames"), "{names:?}: {told}");
    desired.force = vec![Force::parse("levels"), Force::parse("replaces")];
    assert!(!aop.preflight(&desired, None).is_passed(), "only --replace replaces");
    desired.replace = true;
    assert!(aop.preflight(&desired, None).is_passed());
    let aop = with(cloudflare().zone(zone().certificate(&leaf()).associated(SHOP, 0, true)));
    let (names, told) = failed(&aop.preflight(&Desired { level: Level::Zone, ..aop.desired() }, None).checks);
    assert!(names == ["levels"] && told.contains("wins over the wanted level"), "{names:?}: {told}");
}

/// What people have from other tools: PKCS#1 and SEC 1, and the curve of Cloudflare's own example.
#[test]
fn keys_in_older_formats_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let openssl = |words: &[&str]| {
        let ran = Command::new("openssl").args(words).current_dir(folder.path()).output().expect("openssl runs");
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let aop = with(cloudflare().zone(zone()));
    for (kind, option) in [("rsa:2048", None), ("ec", Some("P-256")), ("ec", Some("P-521"))] {
        let option = option.map(|curve| format!("ec_paramgen_curve:{curve}"));
        let mut words = vec!["req", "-x509", "-nodes", "-newkey", kind, "-keyout", "key", "-out", "certificate"];
        words.extend(["-subj", "/CN=edge", "-days", "90", "-addext", "basicConstraints=critical,CA:FALSE"]);
        words.extend(option.iter().flat_map(|option| ["-pkeyopt", option]));
        openssl(&words);
        openssl(&["pkey", "-in", "key", "-traditional", "-out", "old"]);
        let read = |name: &str| fs::read(folder.path().join(name)).expect("a file");
        assert!(String::from_utf8_lossy(&read("old")).contains(if option.is_some() {
            "EC PRIVATE"
        } else {
            "RSA PRIVATE"
        }));
        for key in ["key", "old"] {
            let leaf = Leaf::from_pem(&read("certificate"), Secret::new(read(key))).expect("a certificate");
            let preflight = aop.preflight(&Desired { leaf: Some(leaf), ..aop.desired() }, None);
            let check = preflight.checks.iter().find(|check| check.name == "certificate").expect("a check");
            assert_eq!(check.verdict, CheckVerdict::Holds, "{kind} {option:?} {key}: {check:?}");
        }
    }
}

#[test]
fn every_check_and_step_has_its_place_in_the_reference() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/aop.md")).expect("the page");
    let steps = [
        StepName::Upload,
        StepName::Observe,
        StepName::ZoneSetting,
        StepName::ZoneLevel,
        StepName::Associate,
        StepName::PostQuantum,
        StepName::Seen,
        StepName::Enforce,
        StepName::Prove,
    ];
    for word in CHECKS.into_iter().chain(steps.map(StepName::label)) {
        assert!(page.contains(&format!("\n| `{word}` |")), "{word}");
    }
}
