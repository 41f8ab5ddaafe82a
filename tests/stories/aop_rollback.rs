//! The way back: the origin first, then Cloudflare's side to what was there before, whatever gets in between.

use std::process::{Command, Stdio};
use std::time::Duration;

use originlock::hostname::Hostname;
use originlock::policy::client_auth::Mode;
use originlock::rollout::apply::Outcome;
use originlock::rollout::desired::Desired;
use originlock::rollout::rollback::{self, Wanted};
use originlock::rollout::step::{Level, Step, StepName, StepState};
use serde_json::Value;

use crate::cloudflare::{Association, Delay, Effect, Fault, Settings, VoidEcho, VoidRead, Zone};
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, leaf, origin, zone};
use crate::support::{HostSetup, PATIENCE};

fn names(names: &[&str]) -> Vec<Hostname> {
    names.iter().map(|name| Hostname::parse(name).expect("a hostname")).collect()
}

fn both() -> Wanted {
    Wanted {
        level: Level::Hostname,
        hostnames: names(&[SHOP, WWW]),
        keep_certificate: false,
        delete_certificate: false,
        keep_zone_setting: false,
        switch_off: false,
    }
}

/// Both hostnames enforced, in a zone that was like this before.
fn enforced(zone: Zone, change: impl FnOnce(&mut Settings)) -> (Aop, Value) {
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone).settings(change).start()).visited();
    let before = written(&aop);
    let applied = aop.apply(&Desired { replace: true, ..aop.desired() }).expect("it begins");
    assert!(applied.errors.is_empty(), "{applied:#?}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce));
    (aop, before)
}

fn roll_back(aop: &Aop, wanted: &Wanted) -> Outcome {
    roll_back_for(aop, wanted, PATIENCE)
}

fn roll_back_for(aop: &Aop, wanted: &Wanted, limit: Duration) -> Outcome {
    aop.in_context(limit, |context| {
        let plan = rollback::plan(context, wanted).expect("a plan");
        rollback::take(context, wanted, plan)
    })
}

/// What lives at Cloudflare: certificates that are no tombstones, what hostnames show, and the settings.
fn written(aop: &Aop) -> Value {
    aop.fake.set(|state| {
        let now = state.now();
        let zone = state.zone(ZONE);
        let live: Vec<_> = zone.certificates.live(now).map(|certificate| certificate.id.clone()).collect();
        let of_zone: Vec<_> = zone.zone_certificates.live(now).map(|certificate| certificate.id.clone()).collect();
        let shown: Vec<_> = [SHOP, WWW]
            .iter()
            .map(|name| zone.associations.effect(name, now).map(|effect| (effect.cert_id, effect.enabled)))
            .collect();
        serde_json::json!({
            "certificates": live, "zone_certificates": of_zone, "shown": shown,
            "zone_level": zone.switch.value(now), "tls_client_auth": zone.tls_client_auth.value(now),
        })
    })
}

/// It comes to an end, everything is as it was before, nobody was refused meanwhile, and a second run writes nothing.
#[track_caller]
fn comes_back(case: &str, zone: Zone, change: impl FnOnce(&mut Settings)) {
    let (aop, before) = enforced(zone, change);
    let failures = aop.failures();
    let outcome = roll_back(&aop, &both());
    assert!(outcome.errors.is_empty(), "{case}: {outcome:#?}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Observe, Mode::Observe), "{case}");
    assert_eq!(written(&aop), before, "{case}");
    assert_eq!(aop.failures(), failures, "{case}: somebody was refused");
    let writes = aop.fake.writes();
    let again = roll_back(&aop, &both());
    assert!(again.errors.is_empty(), "{case}: {again:#?}");
    let is_open = |step: &Step| matches!(step.state, StepState::Todo | StepState::Waiting | StepState::Failed);
    assert!(!again.steps.iter().any(is_open), "{case}: {again:#?}");
    assert_eq!(aop.fake.writes(), writes, "{case}: the second run writes nothing");
}

#[test]
fn what_was_there_before_is_there_again() {
    let mine = leaf();
    comes_back("nothing", zone(), |_| {});
    comes_back("another certificate", zone().certificate(&mine).associated(SHOP, 0, true), |_| {});
    comes_back("a disabled association", zone().certificate(&mine).associated(SHOP, 0, false), |_| {});
    let zone_level = Zone { zone_switch: true, ..zone().zone_certificate(&mine) };
    comes_back("the zone's own certificate", zone_level, |_| {});
    comes_back("the shared certificate", zone().tls_client_auth(true), |_| {});
}

#[test]
fn however_cloudflare_says_that_an_association_is_void_the_way_back_ends() {
    for (void_read, void_echo) in [
        (VoidRead::NotFound, VoidEcho::Null),
        (VoidRead::Null, VoidEcho::Old),
        (VoidRead::Missing, VoidEcho::False),
        (VoidRead::False, VoidEcho::Old),
    ] {
        comes_back(&format!("{void_read:?} {void_echo:?}"), zone(), |settings| {
            (settings.void_read, settings.void_echo) = (void_read, void_echo);
        });
    }
    comes_back("two minutes and a half", zone(), |settings| settings.void_delay = Delay::seconds(150));
    comes_back("reads that are behind", zone(), |settings| settings.read_lag = Duration::from_secs(20));
    comes_back("lists that are behind", zone(), |settings| settings.list_lag = Duration::from_secs(20));
    comes_back("one change at a time", zone(), |settings| settings.zone_lock = Duration::from_secs(2));
    comes_back("no list of associations", zone(), |settings| settings.list_supported = false);
    comes_back("a slow deletion", zone(), |settings| settings.deletion = Delay::seconds(60));
}

#[test]
fn the_origin_admits_everyone_before_cloudflare_is_touched() {
    let (aop, _) = enforced(zone(), |_| {});
    let writes = aop.fake.writes().len();
    aop.fake.fault(Fault::on("PUT", "/**").always().answer(500, "text/html", ""));
    let outcome = roll_back_for(&aop, &both(), Duration::from_millis(300));
    assert_eq!(outcome.errors.len(), 1, "{outcome:#?}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Observe, Mode::Observe));
    assert_eq!(aop.fake.count("DELETE", "/**"), 0, "what is still shown is not deleted: {:#?}", aop.fake.writes());
    assert!(aop.fake.writes().len() > writes);
    aop.fake.clear_faults();
    assert!(roll_back(&aop, &both()).errors.is_empty());
}

#[test]
fn what_other_hostnames_show_is_not_deleted_and_what_they_need_stays_on() {
    let (aop, _) = enforced(zone(), |_| {});
    let one = Wanted { hostnames: names(&[SHOP]), ..both() };
    let outcome = roll_back(&aop, &one);
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    let state = |name| outcome.steps.iter().find(|step| step.name == name).map(|step| step.state);
    assert_eq!(state(StepName::Delete), Some(StepState::LeftOut));
    assert_eq!(state(StepName::ZoneSetting), Some(StepState::LeftOut));
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Observe, Mode::Enforce));
    let shown: Option<Association> = aop.fake.set(|state| {
        let now = state.now();
        state.zone(ZONE).associations.effect(WWW, now)
    });
    assert!(shown.is_some_and(|shown| shown.enabled));
    // The last one takes everything with it.
    let last = Wanted { hostnames: names(&[WWW]), ..both() };
    assert!(roll_back(&aop, &last).errors.is_empty());
    assert_eq!(
        aop.fake.set(|state| {
            let now = state.now();
            state.zone(ZONE).certificates.live(now).count()
        }),
        0
    );
    assert_eq!(written(&aop)["tls_client_auth"], false);
}

#[test]
fn a_certificate_that_was_not_uploaded_from_here_goes_only_where_that_is_said() {
    let mine = leaf();
    let set_up_elsewhere = zone().certificate(&mine).associated(SHOP, 0, true).associated(WWW, 0, true);
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(set_up_elsewhere).start());
    let live = || {
        aop.fake.set(|state| {
            let now = state.now();
            state.zone(ZONE).certificates.live(now).count()
        })
    };
    assert!(roll_back(&aop, &both()).errors.is_empty());
    assert_eq!((live(), aop.fake.count("DELETE", "/**")), (1, 0));
    let one_more = Aop::with(
        crate::support::aop::origin()
            .host(HostSetup::new(SHOP).observe("ours"))
            .host(HostSetup::new(WWW).observe("ours"))
            .start(),
        cloudflare().zone(zone().certificate(&mine).associated(SHOP, 0, true)).start(),
    );
    assert!(roll_back(&one_more, &Wanted { delete_certificate: true, ..both() }).errors.is_empty());
    assert_eq!(one_more.fake.count("DELETE", "/**"), 1);
}

#[test]
fn the_zones_own_certificate_and_the_shared_one_are_taken_back_too() {
    for (level, leaves) in [(Level::Zone, "zone_level"), (Level::Global, "tls_client_auth")] {
        let (host, shared) = (HostSetup::new(SHOP).observe("ours"), HostSetup::new(WWW).observe("ours"));
        let aop = Aop::with(origin().host(host).host(shared).start(), cloudflare().zone(zone()).start()).visited();
        let before = written(&aop);
        let leaf = aop.desired().leaf.filter(|_| level == Level::Zone);
        let applied = aop.apply_for(
            &Desired { level, leaf, enforce: level == Level::Zone, ..aop.desired() },
            if level == Level::Zone { PATIENCE } else { Duration::from_secs(2) },
        );
        let errors = applied.expect("it begins").errors;
        assert!(level == Level::Global || errors.is_empty(), "{errors:#?}");
        assert_eq!(written(&aop)[leaves], true, "{level:?}");
        let outcome = roll_back(&aop, &Wanted { level, ..both() });
        assert!(outcome.errors.is_empty(), "{level:?}: {outcome:#?}");
        assert_eq!(aop.mode(SHOP), Mode::Observe);
        assert_eq!(written(&aop), before, "{level:?}");
    }
}

#[test]
fn what_nobody_recorded_stays_on_unless_that_is_said() {
    let mine = leaf();
    let on = || Zone { zone_switch: true, ..zone().zone_certificate(&mine).tls_client_auth(true) };
    for (level, leaves) in [(Level::Zone, "zone_level"), (Level::Global, "tls_client_auth")] {
        let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
        let aop = Aop::with(origin.start(), cloudflare().zone(on()).start());
        let left = roll_back(&aop, &Wanted { level, ..both() });
        assert!(left.errors.is_empty(), "{left:#?}");
        assert_eq!((aop.fake.writes(), &written(&aop)[leaves]), (vec![], &Value::Bool(true)), "{level:?}");
        assert!(left.steps.iter().any(|step| step.why.contains("--switch-off")), "{left:#?}");
        let off = roll_back(&aop, &Wanted { level, switch_off: true, ..both() });
        assert!(off.errors.is_empty(), "{off:#?}");
        assert_eq!(written(&aop)[leaves], false, "{level:?}");
    }
}

#[test]
fn what_was_uploaded_for_another_hostname_is_not_deleted_on_the_way_to_it() {
    let aop = Aop::new();
    aop.fake.fault(Fault::on("PUT", "/**").always().answer(500, "text/html", ""));
    let other = Desired { hostnames: names(&[WWW]), ..aop.desired() };
    let interrupted = aop.apply_for(&other, Duration::from_millis(500)).expect("it begins");
    assert!(!interrupted.errors.is_empty(), "{interrupted:#?}");
    aop.fake.clear_faults();
    let outcome = roll_back(&aop, &Wanted { hostnames: names(&[SHOP]), ..both() });
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    assert_eq!(aop.fake.count("DELETE", "/**"), 0, "{outcome:#?}");
    assert!(roll_back(&aop, &Wanted { hostnames: names(&[WWW]), ..both() }).errors.is_empty());
    assert_eq!(aop.fake.count("DELETE", "/**"), 1);
}

#[test]
fn in_an_emergency_the_origin_is_opened_without_cloudflare_and_without_a_token() {
    let (aop, _) = enforced(zone(), |_| {});
    let asked = aop.fake.requests().len();
    std::fs::remove_file(aop.path("token")).expect("it is there");
    let said = aop.run("rollback", &["--origin-only", "--yes"]).expect(0);
    assert!(said.contains("enforce → observe"), "{said}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Observe, Mode::Observe));
    assert_eq!(aop.fake.requests().len(), asked, "Cloudflare is not asked");
}

#[test]
fn while_cloudflares_api_is_down_the_origin_is_opened_and_what_is_left_is_said() {
    let (aop, before) = enforced(zone(), |_| {});
    aop.fake.fault(Fault::anywhere().always().close());
    let said = aop.run("rollback", &["--yes"]).expect(1);
    assert!(said.contains("left to do: void, delete"), "{said}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Observe, Mode::Observe));
    aop.fake.clear_faults();
    let said = aop.run("rollback", &["--yes", "--poll", "20ms", "-o", "json"]).expect(0);
    let report: Value = serde_json::from_str(&said).expect("one document");
    assert_eq!((&report["ended"], &report["left"]), (&"done".into(), &Value::Array(Vec::new())));
    assert_eq!(written(&aop), before);
}

#[test]
fn while_cloudflares_api_hangs_the_origin_is_opened_already() {
    let (aop, _) = enforced(zone(), |_| {});
    let asked = aop.fake.requests().len();
    aop.fake.fault(Fault::anywhere().always().effect(Effect::Hang));
    let mut command = aop.program("rollback", &["--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    aop.fake.wait_until("Cloudflare is asked", |state| state.log.len() > asked);
    let modes = (aop.mode(SHOP), aop.mode(WWW));
    let waits = child.try_wait().expect("it is ours").is_none();
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    assert_eq!((modes, waits), ((Mode::Observe, Mode::Observe), true));
}

#[test]
fn a_dry_run_changes_nothing_and_without_yes_nobody_is_taken_by_surprise() {
    let (aop, _) = enforced(zone(), |_| {});
    let writes = aop.fake.writes();
    let said = aop.run("rollback", &["--dry-run"]).expect(0);
    assert!(said.contains("enforce → observe") && said.contains("void shop.example.com: enabled with"), "{said}");
    // Not even a lock is made.
    let elsewhere = aop.path("elsewhere");
    let dry = aop.program("rollback", &["--dry-run"]);
    let words: Vec<_> = dry.get_args().map(ToOwned::to_owned).collect();
    let words = words.into_iter().map(|word| if word == aop.path("state") { elsewhere.clone().into() } else { word });
    let ran = Command::new(dry.get_program()).args(words.collect::<Vec<std::ffi::OsString>>()).output();
    assert!(ran.expect("it runs").status.success() && !elsewhere.exists());
    aop.run("rollback", &[]).expect(2);
    assert_eq!((aop.fake.writes(), aop.mode(SHOP)), (writes, Mode::Enforce));
}

#[test]
fn a_name_that_nobody_knows_is_told_and_is_no_success() {
    let (aop, _) = enforced(zone(), |_| {});
    let writes = aop.fake.writes();
    let known = aop.program("rollback", &["--yes"]);
    let words = known.get_args().filter(|word| *word != SHOP && *word != WWW);
    let ran = Command::new(known.get_program()).args(words).arg("nope.example.com").output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("nobody knows nope.example.com"), "{said}");
    assert_eq!((aop.fake.writes(), aop.mode(SHOP)), (writes, Mode::Enforce));
}

/// All that the way back changes at Cloudflare.
const WRITES: [(&str, &str); 3] = [
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames"),
    ("PATCH", "/zones/*/settings/tls_client_auth"),
    ("DELETE", "/zones/*/origin_tls_client_auth/hostnames/certificates/*"),
];

#[test]
fn answers_that_get_lost_change_nothing() {
    for (method, path) in WRITES {
        for server_error in [false, true] {
            let case = format!("{method} {path}, server error: {server_error}");
            let (aop, before) = enforced(zone(), |_| {});
            let lost = Fault::on(method, path);
            aop.fake.fault(if server_error { lost.apply_then_500() } else { lost.apply_then_close() });
            let outcome = roll_back(&aop, &both());
            assert!(outcome.errors.is_empty(), "{case}: {outcome:#?}");
            assert_eq!(written(&aop), before, "{case}");
        }
    }
}

#[test]
fn killed_before_and_after_each_change_it_ends_the_same() {
    for (method, path) in WRITES {
        for applied in [false, true] {
            let case = format!("{method} {path}, applied: {applied}");
            let (aop, before) = enforced(zone(), |_| {});
            let already = aop.fake.count(method, path);
            let fault = Fault::on(method, path);
            aop.fake.fault(if applied { fault.applied() } else { fault }.effect(Effect::Hang));
            let mut command = aop.program("rollback", &["--yes", "--poll", "20ms"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
            aop.fake.wait_until(&case, |state| {
                state.log.iter().filter(|request| request.is(method, path)).count() > already
            });
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
            aop.fake.clear_faults();
            aop.run("rollback", &["--yes", "--poll", "20ms"]).expect(0);
            assert_eq!(written(&aop), before, "{case}");
            assert_eq!(aop.mode(SHOP), Mode::Observe, "{case}");
        }
    }
}
