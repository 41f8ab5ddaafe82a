//! A new certificate takes the old one's place under live traffic, and nobody is refused meanwhile.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use originlock::hostname::Hostname;
use originlock::pki::files::write_pair;
use originlock::pki::{Issued, LeafOptions};
use originlock::policy::client_auth::Mode;
use originlock::rollout::apply::Outcome;
use originlock::rollout::desired::Desired;
use originlock::rollout::error::RolloutError;
use originlock::rollout::leaf::Leaf;
use originlock::rollout::rotate::{self, Wanted};
use originlock::rollout::step::{Level, Step, StepName, StepState};
use originlock::x509::Fingerprint;

use crate::cloudflare::{Delay, Edge, Effect, Fault, Settings, Visiting};
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, leaf, origin, zone};
use crate::support::certificates::good;
use crate::support::{HostSetup, PATIENCE, pki};

/// By the origin's clock, which passes a thousand times as fast.
const SETTLE: Duration = Duration::from_secs(600);

/// Both hostnames enforced and visited.
fn enforced(change: impl FnOnce(&mut Settings)) -> Aop {
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).settings(change).start()).visited();
    let applied = aop.apply(&aop.desired()).expect("it begins");
    assert!(applied.errors.is_empty(), "{applied:#?}");
    aop
}

fn of_another_ca() -> Issued {
    pki().other.issue(&LeafOptions::client("the next origin pull", good())).expect("a leaf")
}

fn wanted(new: &Issued) -> Wanted {
    let leaf = Leaf::from_pem(new.certificate_pem.as_bytes(), new.key_pem.clone()).expect("a leaf");
    Wanted {
        level: Level::Hostname,
        hostnames: [SHOP, WWW].iter().map(|name| Hostname::parse(name).expect("a hostname")).collect(),
        leaf,
        add_ca: None,
        keep_old_ca: false,
        drain: Duration::ZERO,
    }
}

fn rotate(aop: &Aop, wanted: &Wanted, settle: Duration, limit: Duration) -> Result<Outcome, RolloutError> {
    aop.in_context(limit, |context| {
        context.patience.settle = settle;
        let plan = rotate::plan(context, wanted)?;
        Ok(rotate::take(context, wanted, plan))
    })
}

fn sha256(issued: &Issued) -> Fingerprint {
    Fingerprint::of(&issued.certificate_der)
}

/// Fingerprints of the certificates that live at Cloudflare, of one collection.
fn live(aop: &Aop, level: Level) -> Vec<Fingerprint> {
    aop.fake.set(|state| {
        let now = state.now();
        let zone = state.zone(ZONE);
        let collection = if level == Level::Zone { &zone.zone_certificates } else { &zone.certificates };
        collection.live(now).map(|certificate| Fingerprint::of(&certificate.described.der)).collect()
    })
}

/// What the edges of the story present for a hostname now, on new connections.
fn presented(aop: &Aop, hostname: &str) -> Vec<Option<Fingerprint>> {
    aop.edge.request_from_everywhere(hostname).into_iter().map(|visit| visit.presented).collect()
}

fn state_of(steps: &[Step], name: StepName) -> Option<StepState> {
    steps.iter().find(|step| step.name == name).map(|step| step.state)
}

/// The new one is shown alone and is the only one left, and a second run changes nothing.
#[track_caller]
fn is_rotated(case: &str, aop: &Aop, new: &Issued, wanted: &Wanted) {
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce), "{case}");
    assert_eq!(live(aop, wanted.level), [sha256(new)], "{case}: {:#?}", aop.fake.writes());
    for hostname in [SHOP, WWW] {
        assert_eq!(presented(aop, hostname), [Some(sha256(new)); 2], "{case}");
    }
    let writes = aop.fake.writes();
    let again = rotate(aop, wanted, Duration::ZERO, PATIENCE).expect("a plan");
    assert!(again.errors.is_empty(), "{case}: {again:#?}");
    assert!(again.steps.iter().all(|step| step.state == StepState::Done), "{case}: {again:#?}");
    assert_eq!(aop.fake.writes(), writes, "{case}: the second run writes nothing");
}

#[track_caller]
fn rotates(case: &str, change: impl FnOnce(&mut Settings)) {
    let aop = enforced(change);
    let new = leaf();
    let outcome = rotate(&aop, &wanted(&new), SETTLE, PATIENCE).expect("a plan");
    assert!(outcome.errors.is_empty(), "{case}: {outcome:#?}");
    is_rotated(case, &aop, &new, &wanted(&new));
    assert_eq!(aop.failures(), [""; 0], "{case}: somebody was refused");
}

#[test]
fn no_request_fails_and_the_old_certificate_goes_last_whatever_cloudflares_ways_are() {
    rotates("as usual", |_| {});
    rotates("one change at a time", |settings| settings.zone_lock = Duration::from_secs(2));
    rotates("reads that are behind", |settings| settings.read_lag = Duration::from_secs(20));
    rotates("lists that are behind", |settings| settings.list_lag = Duration::from_secs(20));
    rotates("a slow association", |settings| settings.assoc_delay = Delay::between(20, 60));
    rotates("no list of associations", |settings| settings.list_supported = false);
    rotates("all others come along", |settings| settings.put_echo_all = true);
    rotates("a slow deletion", |settings| settings.deletion = Delay::seconds(60));
}

#[test]
fn data_centres_that_are_late_and_connections_that_stay_open_are_waited_for() {
    let aop = enforced(|_| {});
    // Two seconds of the machine's time behind.
    let late = Edge::of(&aop.fake, aop.world.address()).from("127.0.1.3").behind("127.0.1.4", Duration::from_secs(100));
    let late = late.requests_per_connection(5).start();
    let visiting: Vec<Visiting> =
        [SHOP, WWW].iter().map(|name| late.keep_visiting(name, Duration::from_millis(10))).collect();
    visiting.iter().for_each(|visiting| visiting.wait_for(Some(sha256(&aop.leaf))));
    // Whatever it showed of the time before the set-up.
    let already: Vec<_> = visiting.iter().map(|visiting| visiting.counts().failures.len()).collect();
    let new = of_another_ca();
    let add_ca = Some(pki().other.certificate_pem().to_owned());
    let wanted = Wanted { add_ca, drain: SETTLE * 3, ..wanted(&new) };
    let outcome = rotate(&aop, &wanted, SETTLE * 2, PATIENCE).expect("a plan");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    for hostname in [SHOP, WWW] {
        late.close_connections();
        for visit in late.request_from_everywhere(hostname) {
            assert_eq!(visit.presented, Some(sha256(&new)), "it was deleted while an edge showed it");
        }
    }
    let counts = visiting.iter().zip(already).map(|(visiting, already)| visiting.counts().failures.split_off(already));
    let failures: Vec<_> = counts.flatten().collect();
    assert_eq!((failures, aop.failures()), (vec![], vec![]), "somebody was refused");
    is_rotated("late", &aop, &new, &wanted);
    // What nothing needs is not trusted any more.
    let bundle = fs::read_to_string(aop.world.path("ca/ours.pem")).expect("a bundle");
    assert!(bundle.contains(pki().other.certificate_pem().trim()), "{bundle}");
    assert!(!bundle.contains(pki().ours.certificate_pem().trim()), "{bundle}");
    assert_eq!(state_of(&outcome.steps, StepName::Distrust), Some(StepState::Done));
}

#[test]
fn a_certificate_that_the_origin_would_refuse_is_not_even_uploaded() {
    let aop = enforced(|_| {});
    let writes = aop.fake.writes();
    let new = of_another_ca();
    let error = rotate(&aop, &wanted(&new), SETTLE, PATIENCE).expect_err("it is refused").to_string();
    assert!(error.contains("unknown_issuer") && error.contains("--add-ca"), "{error}");
    let wrong_ca = Some(pki().site.certificate_pem().to_owned());
    let outcome = rotate(&aop, &Wanted { add_ca: wrong_ca, ..wanted(&new) }, SETTLE, PATIENCE).expect("a plan");
    assert!(matches!(outcome.errors.as_slice(), [RolloutError::Unsafe { .. }]), "{outcome:#?}");
    assert_eq!(aop.fake.writes(), writes);
}

#[test]
fn what_edges_showed_a_moment_ago_is_not_deleted() {
    let (old, new) = (leaf(), leaf());
    let zone = zone().certificate(&old).associated(SHOP, 0, true).associated(WWW, 0, true);
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    // The origin's clock stands still: whatever was seen was seen a moment ago.
    let aop = Aop::with(origin.start(), cloudflare().zone(zone).start());
    let visiting = [SHOP, WWW].map(|name| aop.edge.keep_visiting(name, Duration::from_millis(10)));
    visiting.iter().for_each(|visiting| visiting.wait_for(Some(sha256(&old))));
    let outcome = rotate(&aop, &wanted(&new), Duration::from_secs(1), Duration::from_secs(5)).expect("a plan");
    let [RolloutError::TimedOut { step: StepName::Unseen, .. }] = outcome.errors.as_slice() else {
        panic!("{:#?}", outcome.errors)
    };
    assert_eq!(state_of(&outcome.steps, StepName::Seen), Some(StepState::Done));
    assert_eq!((live(&aop, Level::Hostname).len(), aop.fake.count("DELETE", "/**")), (2, 0));
}

#[test]
fn what_other_hostnames_show_stays() {
    let aop = enforced(|_| {});
    let new = leaf();
    let one = Wanted { hostnames: vec![Hostname::parse(SHOP).expect("a hostname")], ..wanted(&new) };
    let outcome = rotate(&aop, &one, SETTLE, PATIENCE).expect("a plan");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    assert_eq!(state_of(&outcome.steps, StepName::Delete), Some(StepState::LeftOut));
    assert_eq!((live(&aop, Level::Hostname).len(), aop.fake.count("DELETE", "/**")), (2, 0));
    assert_eq!(
        (presented(&aop, SHOP), presented(&aop, WWW)),
        (vec![Some(sha256(&new)); 2], vec![Some(sha256(&aop.leaf)); 2])
    );
    // The other one follows, and takes the old certificate with it.
    let both = rotate(&aop, &wanted(&new), SETTLE, PATIENCE).expect("a plan");
    assert!(both.errors.is_empty(), "{both:#?}");
    is_rotated("one after the other", &aop, &new, &wanted(&new));
}

#[test]
fn the_zones_own_certificate_is_replaced_too() {
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited();
    let applied = aop.apply(&Desired { level: Level::Zone, ..aop.desired() }).expect("it begins");
    assert!(applied.errors.is_empty(), "{applied:#?}");
    let new = leaf();
    let wanted = Wanted { level: Level::Zone, ..wanted(&new) };
    let outcome = rotate(&aop, &wanted, SETTLE, PATIENCE).expect("a plan");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    is_rotated("zone", &aop, &new, &wanted);
    assert_eq!(aop.failures(), [""; 0]);
}

#[test]
fn nothing_to_rotate_is_said() {
    let aop = Aop::new();
    let error = rotate(&aop, &wanted(&leaf()), SETTLE, PATIENCE).expect_err("nothing is there").to_string();
    assert!(error.contains("shows no certificate of its own") && error.contains("aop apply"), "{error}");
    assert_eq!(aop.fake.writes(), [""; 0]);
}

/// All that a rotation changes at Cloudflare, in its order; the first of each was the set-up's.
const WRITES: [(&str, &str, usize); 4] = [
    ("POST", "/zones/*/origin_tls_client_auth/hostnames/certificates", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 2),
    ("DELETE", "/zones/*/origin_tls_client_auth/hostnames/certificates/*", 1),
];

#[test]
fn answers_that_get_lost_change_nothing() {
    for (method, path, nth) in WRITES {
        for server_error in [false, true] {
            let case = format!("{method} {path} number {nth}, server error: {server_error}");
            let aop = enforced(|_| {});
            let lost = Fault::on(method, path).nth(nth);
            aop.fake.fault(if server_error { lost.apply_then_500() } else { lost.apply_then_close() });
            let new = leaf();
            let outcome = rotate(&aop, &wanted(&new), SETTLE, PATIENCE).expect("a plan");
            assert!(outcome.errors.is_empty(), "{case}: {outcome:#?}");
            is_rotated(&case, &aop, &new, &wanted(&new));
            assert_eq!(aop.failures(), [""; 0], "{case}: somebody was refused");
        }
    }
}

fn start(aop: &Aop) -> Child {
    let path = |name| aop.path(name).to_string_lossy().into_owned();
    let (certificate, key) = (path("new.pem"), path("new.key"));
    let words = ["--certificate", &certificate, "--key", &key, "--yes", "--settle", "60s", "--poll", "20ms"];
    let mut command = aop.program("rotate", &words);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

#[test]
fn killed_before_and_after_each_change_it_ends_the_same() {
    for (method, path, nth) in WRITES {
        for applied in [false, true] {
            let case = format!("{method} {path} number {nth}, applied: {applied}");
            let aop = enforced(|_| {});
            let new = leaf();
            write_pair(&aop.path("new.pem"), &aop.path("new.key"), &new).expect("files");
            let already = aop.fake.count(method, path);
            let fault = Fault::on(method, path).nth(nth);
            aop.fake.fault(if applied { fault.applied() } else { fault }.effect(Effect::Hang));
            let mut child = start(&aop);
            aop.fake.wait_until(&case, |state| {
                state.log.iter().filter(|request| request.is(method, path)).count() >= already + nth
            });
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
            aop.fake.clear_faults();
            let ended = start(&aop).wait().expect("it ends");
            assert_eq!(ended.code(), Some(0), "{case}");
            is_rotated(&case, &aop, &new, &wanted(&new));
            assert_eq!(aop.failures(), [""; 0], "{case}: somebody was refused");
        }
    }
}
