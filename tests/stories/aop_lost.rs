//! Answers get lost, cut, replaced or delivered twice, at every change in turn: the end is the same, and nothing is there
//! twice.

use std::time::Duration;

use originlock::policy::client_auth::Mode;

use crate::cloudflare::{Effect, Fault, Settings, Site};
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};

/// All that the walk changes at Cloudflare, in its order.
const WRITES: [(&str, &str, usize); 4] = [
    ("POST", "/zones/*/origin_tls_client_auth/hostnames/certificates", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 2),
    ("PATCH", "/zones/*/settings/tls_client_auth", 1),
];
/// How often whoever is told to run the same command again does so.
const RUNS: usize = 5;

/// Breaks the answer to each change in turn, and sees to it that the command, run again where it says so, arrives.
fn survives(what: &str, break_it: impl Fn(Site) -> Fault) {
    survives_with(what, |_| {}, break_it);
}

/// The same where Cloudflare has ways of its own.
fn survives_with(what: &str, settings: impl Fn(&mut Settings), break_it: impl Fn(Site) -> Fault) {
    for (method, path, nth) in WRITES {
        let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
        let fault = break_it(Fault::on(method, path).nth(nth));
        let aop =
            Aop::with(origin.start(), cloudflare().zone(zone()).fault(fault).settings(&settings).start()).visited();
        let case = format!("{what}, at {method} {path} number {nth}");
        let ended = (0..RUNS)
            .map(|_| aop.apply(&aop.desired()))
            .find(|outcome| outcome.as_ref().is_ok_and(|outcome| outcome.errors.is_empty()));
        assert!(ended.is_some(), "{case}: it never arrived: {:#?}", aop.apply(&aop.desired()));
        is_whole(&case, &aop);
    }
}

#[track_caller]
fn is_whole(case: &str, aop: &Aop) {
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce), "{case}");
    aop.fake.set(|state| {
        let now = state.now();
        let zone = state.zone(ZONE);
        let ids: Vec<_> = zone.certificates.all().iter().map(|certificate| certificate.id.clone()).collect();
        assert_eq!(ids.len(), 1, "{case}: a certificate is there twice");
        for name in [SHOP, WWW] {
            let effect = zone.associations.effect(name, now).unwrap_or_else(|| panic!("{case}: {name} shows nothing"));
            assert!(effect.cert_id == ids[0] && effect.enabled, "{case}: {effect:?}");
        }
        assert!(zone.tls_client_auth.value(now), "{case}");
    });
}

#[test]
fn the_connection_ends_before_anything_was_done() {
    survives("closed", Site::close);
}

#[test]
fn the_connection_ends_after_it_was_done() {
    survives("applied, then closed", Site::apply_then_close);
}

#[test]
fn it_was_done_and_cannot_be_seen_for_a_while() {
    let behind = |settings: &mut Settings| {
        settings.list_lag = Duration::from_secs(20);
        settings.read_lag = Duration::from_secs(10);
    };
    survives_with("applied, then closed, all reads behind", behind, Site::apply_then_close);
}

#[test]
fn it_was_done_and_the_answer_says_500() {
    survives("applied, then 500", Site::apply_then_500);
}

#[test]
fn it_was_not_done_and_the_answer_is_html_or_nothing() {
    survives("502", |site| site.answer(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>"));
    survives("503", |site| site.answer(503, "text/html", ""));
}

#[test]
fn the_answer_is_cut_off() {
    survives("half of the JSON", |site| site.effect(Effect::CutJson));
    survives("half of the connection", |site| site.effect(Effect::CutConnection));
}

#[test]
fn it_arrives_twice() {
    survives("duplicate", |site| site.effect(Effect::Duplicate));
}

#[test]
fn someone_else_is_in_the_way_for_a_moment() {
    survives("409", |site| {
        site.times(2).answer(409, "application/json", r#"{"success":false,"errors":[],"messages":[]}"#)
    });
}
