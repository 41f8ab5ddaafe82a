//! Whatever Cloudflare's ways are where nobody outside knows them, the walk ends the same.

use std::time::Duration;

use originlock::policy::client_auth::Mode;
use originlock::rollout::error::RolloutError;
use originlock::rollout::step::{StepName, StepState};
use serde_json::Value;

use crate::cloudflare::{Delay, FinalNewline, Outcome, Settings};
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};

const CERTIFICATES: &str = "/zones/*/origin_tls_client_auth/hostnames/certificates";

fn aop(change: impl FnOnce(&mut Settings)) -> Aop {
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    Aop::with(origin.start(), cloudflare().zone(zone()).settings(change).start())
}

/// Both hostnames are enforced, and one certificate, uploaded once, is shown for both.
#[track_caller]
fn arrives(case: &str, change: impl FnOnce(&mut Settings)) {
    let aop = aop(change).visited();
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    assert!(outcome.errors.is_empty(), "{case}: {outcome:#?}");
    is_set_up(case, &aop);
}

#[track_caller]
fn is_set_up(case: &str, aop: &Aop) {
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce), "{case}");
    let applied = aop.fake.requests();
    let uploads = applied.iter().filter(|request| request.applied && request.is("POST", CERTIFICATES)).count();
    let (live, shown) = aop.fake.set(|state| {
        let now = state.now();
        let zone = state.zone(ZONE);
        let live: Vec<_> = zone.certificates.live(now).map(|certificate| certificate.id.clone()).collect();
        let shown = [SHOP, WWW].map(|name| zone.associations.effect(name, now).map(|effect| effect.cert_id));
        (live, shown)
    });
    assert_eq!((uploads, live.len()), (1, 1), "{case}: {:#?}", aop.fake.writes());
    assert_eq!(shown, [(); 2].map(|()| live.first().cloned()), "{case}");
}

#[test]
fn certificates_come_slowly_late_or_written_differently() {
    arrives("a slow deployment", |settings| {
        settings.initializing = Delay::between(5, 20);
        settings.deployment = Delay::between(20, 60);
    });
    arrives("a list that is behind", |settings| settings.list_lag = Duration::from_secs(20));
    arrives("a list without tombstones", |settings| settings.list_tombstones = false);
    arrives("no final newline", |settings| settings.final_newline = FinalNewline::Dropped);
    arrives("one newline more", |settings| settings.final_newline = FinalNewline::Added);
    arrives("reads that are behind", |settings| settings.read_lag = Duration::from_secs(10));
}

#[test]
fn associations_come_slowly_late_or_among_others() {
    arrives("a slow association", |settings| settings.assoc_delay = Delay::between(20, 60));
    arrives("all others come along", |settings| settings.put_echo_all = true);
    arrives("the answer in another order", |settings| settings.put_reversed = true);
    arrives("no list of associations", |settings| settings.list_supported = false);
    arrives("item by item", |settings| settings.put_atomic = false);
    arrives("what is there is deployed again", |settings| settings.put_same_redeploys = true);
}

#[test]
fn a_zone_that_makes_one_change_at_a_time_is_waited_for() {
    arrives("two seconds for each", |settings| settings.zone_lock = Duration::from_secs(2));
    arrives("a minute for each", |settings| settings.zone_lock = Duration::from_secs(60));
}

#[test]
fn what_no_waiting_brings_about_ends_with_what_to_do() {
    for (outcome, says) in [
        (Outcome::TimesOut, "deployment_timed_out"),
        (Outcome::Hangs, "pending_deployment"),
        (Outcome::Becomes("quarantined".to_owned()), "quarantined"),
    ] {
        let aop = aop(|settings| {
            settings.uploads.insert(1, outcome.clone());
        });
        let ended = aop.apply_for(&aop.desired(), Duration::from_millis(300)).expect("it begins");
        let failed = ended.steps.iter().find(|step| step.state == StepState::Failed).expect("a step that failed");
        assert_eq!(failed.name, StepName::Upload, "{outcome:?}");
        let [RolloutError::TimedOut { .. } | RolloutError::GaveUp { .. }] = ended.errors.as_slice() else {
            panic!("{outcome:?}: {:#?}", ended.errors)
        };
        let error = ended.errors[0].to_string();
        assert!(error.contains(says) && error.contains("; "), "{outcome:?}: {error}");
        assert_eq!((aop.mode(SHOP), aop.fake.count("PUT", "/**")), (Mode::Observe, 0), "{outcome:?}");
    }
}

#[test]
fn an_association_that_never_becomes_active_is_not_enforced() {
    for (outcome, says) in [(Outcome::TimesOut, "deployment_timed_out"), (Outcome::Hangs, "pending_deployment")] {
        let aop = aop(|settings| {
            settings.associations.insert(1, outcome.clone());
        });
        let ended = aop.apply_for(&aop.desired(), Duration::from_millis(300)).expect("it begins");
        let failed: Vec<_> = ended.steps.iter().filter(|step| step.state == StepState::Failed).collect();
        assert_eq!(failed.first().map(|step| step.name), Some(StepName::Associate), "{ended:#?}");
        let error = ended.errors[0].to_string();
        assert!(error.contains(says), "{outcome:?}: {error}");
        assert_eq!(aop.mode(SHOP), Mode::Observe, "{outcome:?}");
    }
}

#[test]
fn what_was_not_asked_for_stays_as_it_was() {
    let mine = crate::support::aop::leaf();
    let zone = zone().proxied("other.example.com", "127.0.0.1").certificate(&mine).zone_certificate(&mine);
    let zone = zone.associated("other.example.com", 0, false);
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone).start()).visited();
    let before = aop.fake.picture();
    let mut desired = aop.desired();
    desired.zone_setting = false;
    let outcome = aop.apply(&desired).expect("it begins");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    let after = aop.fake.picture();
    let untouched = |picture: &Value| {
        let zone = picture["zones"].as_object().and_then(|zones| zones.values().next()).expect("a zone").clone();
        ["ssl", "tls_client_auth", "zone_switch", "zone_certificates"]
            .map(|name| zone[name].clone())
            .to_vec()
            .into_iter()
            .chain([zone["associations"]["other.example.com"].clone(), zone["certificates"][0].clone()])
            .collect::<Vec<_>>()
    };
    assert_eq!(untouched(&before), untouched(&after));
    assert_eq!(aop.fake.count("PATCH", "/**"), 0);
}
