//! The walk takes hostnames from nothing to enforced, in the safe order, and a second walk changes nothing.

use std::time::Duration;

use originlock::policy::client_auth::Mode;
use originlock::rollout::apply::Outcome;
use originlock::rollout::error::RolloutError;
use originlock::rollout::step::{Level, Step, StepName, StepState};

use crate::cloudflare::{self, Edge, Fault, Token};
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};

fn states(steps: &[Step]) -> Vec<(StepName, &str, StepState)> {
    steps.iter().map(|step| (step.name, step.subject.as_str(), step.state)).collect()
}

#[track_caller]
fn arrived(outcome: &Outcome) {
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    let open = |step: &&Step| !matches!(step.state, StepState::Done | StepState::LeftOut);
    assert_eq!(outcome.steps.iter().find(open), None, "{:#?}", states(&outcome.steps));
}

#[test]
fn hostnames_go_from_nothing_to_enforced_and_a_second_run_writes_nothing() {
    let aop = Aop::new().visited();
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce));
    let lines: Vec<_> = aop.fake.writes().iter().map(|line| line.replace(&zone().id(), "ZONE")).collect();
    let expected = [
        "POST /zones/ZONE/origin_tls_client_auth/hostnames/certificates",
        "PUT /zones/ZONE/origin_tls_client_auth/hostnames",
        "PUT /zones/ZONE/origin_tls_client_auth/hostnames",
        // Behind the associations, so that these hostnames never show the shared certificate.
        "PATCH /zones/ZONE/settings/tls_client_auth",
    ];
    assert_eq!(lines, expected);
    assert_eq!(aop.failures(), Vec::<String>::new(), "nobody was turned away on the way");
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    assert_eq!(aop.fake.writes().len(), expected.len(), "a second run writes nothing");
}

#[test]
fn a_host_that_is_off_is_observed_before_anything_is_associated() {
    let origin = origin().host(HostSetup::new(SHOP).mode("off").ca("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited();
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    assert_eq!(aop.mode(SHOP), Mode::Enforce);
}

#[test]
fn a_certificate_that_the_origin_would_refuse_is_not_associated() {
    let origin = origin().ca("other", crate::support::pki().other.certificate_pem());
    let origin = origin.host(HostSetup::new(SHOP).mode("off").ca("other")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited();
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    let [RolloutError::Unsafe { what, .. }] = outcome.errors.as_slice() else { panic!("{outcome:#?}") };
    assert!(what.contains("unknown_issuer"), "{what}");
    assert_eq!((aop.mode(SHOP), aop.fake.count("PUT", "/**")), (Mode::Observe, 0));
}

#[test]
fn nothing_is_enforced_before_the_certificate_was_seen() {
    let aop = Aop::new();
    let outcome = aop.apply_for(&aop.desired(), Duration::from_secs(1)).expect("it begins");
    let [RolloutError::TimedOut { step: StepName::Seen, .. }, RolloutError::TimedOut { step: StepName::Seen, .. }] =
        outcome.errors.as_slice()
    else {
        panic!("{outcome:#?}")
    };
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Observe, Mode::Observe));
    // The same again goes on from there.
    let (writes, aop) = (aop.fake.writes(), aop.visited());
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    assert_eq!((aop.mode(SHOP), aop.fake.writes()), (Mode::Enforce, writes));
}

#[test]
fn a_hostname_that_nobody_visits_holds_up_no_other() {
    let aop = Aop::new().visited_at(&[WWW]);
    let outcome = aop.apply_for(&aop.desired(), Duration::from_secs(3)).expect("it begins");
    let [RolloutError::TimedOut { subject, .. }] = outcome.errors.as_slice() else { panic!("{outcome:#?}") };
    assert_eq!((subject.as_str(), aop.mode(SHOP), aop.mode(WWW)), (SHOP, Mode::Observe, Mode::Enforce));
}

#[test]
fn what_cloudflare_refuses_on_the_way_leaves_the_origin_open() {
    let fault = Fault::on("PUT", "/zones/*/origin_tls_client_auth/hostnames").always();
    let body = r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[]}"#;
    let fake = cloudflare().zone(zone()).fault(fault.answer(403, "application/json", body)).start();
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), fake).visited();
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    let [RolloutError::Cloudflare(error)] = outcome.errors.as_slice() else { panic!("{outcome:#?}") };
    assert!(error.next_step().contains("SSL and Certificates > Edit"), "{}", error.next_step());
    assert_eq!(aop.mode(SHOP), Mode::Observe);
    aop.fake.clear_faults();
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    assert_eq!(aop.fake.count("POST", "/zones/*/origin_tls_client_auth/hostnames/certificates"), 1);
}

#[test]
fn a_token_that_may_only_read_changes_nothing_anywhere() {
    let fake = cloudflare().zone(zone()).token(Token::read_only("cfat_read-only-0123456789")).start();
    let origin = origin().host(HostSetup::new(SHOP).mode("off").ca("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), fake).visited();
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    let [RolloutError::Cloudflare(_)] = outcome.errors.as_slice() else { panic!("{outcome:#?}") };
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Off, Mode::Observe), "nothing is changed before the upload");
}

#[test]
fn a_host_with_several_names_waits_for_each_of_them() {
    let origin = origin().host(HostSetup::new(SHOP).also(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited_at(&[SHOP]);
    let outcome = aop.apply_for(&aop.desired(), Duration::from_secs(2)).expect("it begins");
    assert_eq!(outcome.errors.len(), 1, "{outcome:#?}");
    assert_eq!(aop.mode(SHOP), Mode::Observe);
    let aop = aop.visited();
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    assert_eq!(aop.mode(SHOP), Mode::Enforce);
}

#[test]
fn the_zones_own_certificate_and_the_shared_one_go_the_same_way() {
    let aop = Aop::new().visited();
    let mut desired = aop.desired();
    desired.level = Level::Zone;
    desired.zone_setting = false;
    arrived(&aop.apply(&desired).expect("it begins"));
    assert_eq!((aop.mode(SHOP), aop.fake.count("PUT", "/zones/*/origin_tls_client_auth/settings")), (Mode::Enforce, 1));
    assert_eq!(aop.fake.writes().len(), 2, "{:?}", aop.fake.writes());

    let origin = origin().ca("shared", cloudflare::shared_ca_pem());
    let origin = origin.host(HostSetup::new(SHOP).observe("shared")).host(HostSetup::new(WWW).observe("shared"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone()).start()).visited();
    let mut desired = aop.desired();
    (desired.level, desired.leaf) = (Level::Global, None);
    arrived(&aop.apply(&desired).expect("it begins"));
    assert_eq!((aop.mode(SHOP), aop.fake.writes().len()), (Mode::Enforce, 1), "the setting alone");
}

#[test]
fn a_connection_from_before_ends_when_its_host_enforces_and_the_next_one_is_let_in() {
    let aop = Aop::new();
    let kept = Edge::of(&aop.fake, aop.world.address()).from("127.0.1.9").requests_per_connection(1000).start();
    let before = kept.request(SHOP);
    assert_eq!((before.status(), before.is_fresh, before.presented), (Some(200), true, None), "{before:?}");
    let aop = aop.visited();
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    let next = kept.request(SHOP);
    assert_eq!((next.status(), next.is_fresh), (Some(421), false), "it carries no certificate: {next:?}");
    let after = kept.request(SHOP);
    assert_eq!((after.status(), after.is_fresh), (Some(200), true), "{after:?}");
    assert_eq!(after.presented, Some(aop.sha256()));
}

#[test]
fn what_verified_before_the_shared_certificate_was_switched_on_counts_for_nothing() {
    let origin = origin().ca("shared", cloudflare::shared_ca_pem());
    let origin = origin.host(HostSetup::new(SHOP).observe("shared")).host(HostSetup::new(WWW).observe("shared"));
    let aop = Aop::with(origin.start(), cloudflare().zone(zone().tls_client_auth(true)).start());
    for name in [SHOP, WWW] {
        let visit = aop.edge.request(name);
        assert!(visit.status() == Some(200) && visit.presented.is_some(), "{visit:?}");
    }
    let id = originlock::cloudflare::ZoneId(zone().id());
    aop.api().set_tls_client_auth(&id, false).expect("switched off");
    aop.world.clock.advance(Duration::from_mins(1));
    let mut desired = aop.desired();
    (desired.level, desired.leaf) = (Level::Global, None);
    let outcome = aop.apply_for(&desired, Duration::from_secs(1)).expect("it begins");
    let is_seen = |error: &RolloutError| matches!(error, RolloutError::TimedOut { step: StepName::Seen, .. });
    assert!(outcome.errors.len() == 2 && outcome.errors.iter().all(is_seen), "{outcome:#?}");
}

#[test]
fn what_was_there_before_is_written_down_before_the_first_change() {
    let theirs = crate::support::aop::leaf();
    let fake = cloudflare().zone(zone().certificate(&theirs).associated(SHOP, 0, false)).start();
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let aop = Aop::with(origin.start(), fake).visited();
    arrived(&aop.apply(&aop.desired()).expect("it begins"));
    let journal = std::fs::read_to_string(aop.path("state").join(format!("aop-{}.json", zone().id()))).expect("a file");
    let journal: serde_json::Value = serde_json::from_str(&journal).expect("JSON");
    assert_eq!(journal["before"][SHOP]["association"]["enabled"], false, "{journal:#}");
    assert_eq!(journal["before"][WWW]["association"], serde_json::Value::Null);
    assert_eq!(journal["zone_before"]["tls_client_auth"], false);
    let text = journal.to_string();
    assert!(!text.contains("PRIVATE KEY") && !text.contains(&aop.fake.token()), "{text}");
}

#[test]
fn post_quantum_key_agreement_is_set_where_it_is_asked_for() {
    let aop = Aop::new().visited();
    let mut desired = aop.desired();
    desired.post_quantum = Some(originlock::cloudflare::PostQuantum::Preferred);
    arrived(&aop.apply(&desired).expect("it begins"));
    let value = aop.fake.set(|state| {
        let now = state.now();
        state.zone(ZONE).post_quantum.at(now).cloned()
    });
    assert_eq!(value.as_deref(), Some("preferred"));
    assert_eq!(aop.fake.writes().len(), 5);
}
