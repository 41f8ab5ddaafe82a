use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::evidence::tally::{Failure, Outsider, SeenCertificate};
use crate::hostname::HostPattern;
use crate::x509::Fingerprint;

const CF: Network = Network::Cloudflare;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn now() -> Timestamp {
    time("2026-11-23T22:00:00Z")
}

/// `verified` handshakes from as many addresses, with a certificate that is good for a year.
fn verified(verified: u64, edges: u8) -> Evidence {
    let mut evidence = Evidence::default();
    if verified > 0 {
        evidence.handshakes.insert((CF, Reason::Verified), verified);
        evidence.certificates.insert((CF, Fingerprint([1; 32])), certificate("2027-11-23T00:00:00Z"));
    }
    evidence.edges.addresses = (0..edges).map(|at| Ipv4Addr::new(172, 64, 1, at).into()).collect();
    evidence
}

fn certificate(not_after: &str) -> SeenCertificate {
    SeenCertificate {
        subject: "CN=edge".into(),
        issuer: "CN=our CA".into(),
        not_after: time(not_after),
        reason: Reason::Verified,
        first_seen: now(),
        last_seen: now(),
        handshakes: 1,
    }
}

fn failing(mut evidence: Evidence, reason: Reason, number: u64, last: &str) -> Evidence {
    evidence.handshakes.insert((CF, reason), number);
    let peer = SocketAddr::from(([172, 64, 1, 9], 40_000));
    let failure = Failure { at: time(last), peer, server_name: None, certificate: None };
    evidence.failures.insert((CF, reason), FirstAndLast { first: failure.clone(), last: failure });
    evidence
}

fn outsider(handshakes: u64, requests: u64, path: Option<&str>) -> Outsider {
    Outsider {
        handshakes,
        requests,
        first_seen: now(),
        last_seen: now(),
        reason: Reason::NoCertificate,
        last_request: None,
        path: path.map(str::to_owned),
        user_agent: None,
    }
}

fn by_name<const N: usize>(names: [(&str, Evidence); N]) -> BTreeMap<String, Evidence> {
    names.into_iter().map(|(name, evidence)| (name.to_owned(), evidence)).collect()
}

fn judge(gate: Gate, mode: Mode, trust: TrustFacts, by_name: &BTreeMap<String, Evidence>) -> Readiness {
    gate.judge(&Case { host: Some("a.example"), mode, trust, by_name, now: now() })
}

fn observed(by_name: &BTreeMap<String, Evidence>) -> Readiness {
    judge(Gate::default(), Mode::Observe, TrustFacts::default(), by_name)
}

#[test]
fn a_host_that_cloudflare_verifies_on_is_ready() {
    for (verified_handshakes, edges) in [(100, 3), (5000, 200)] {
        let readiness = observed(&by_name([("a.example", verified(verified_handshakes, edges))]));
        assert_eq!(readiness, Readiness { ready: true, shortfalls: vec![], notices: vec![] });
    }
    let two = by_name([("a.example", verified(99, 2)), ("*.a.example", verified(1, 3))]);
    assert!(observed(&two).ready, "handshakes and addresses count over the whole host");
}

type Row = (Gate, Mode, TrustFacts, Evidence, Vec<(ShortfallKind, &'static str)>);

/// One row per sentence: what is the case, and all that is said about it.
#[test]
fn every_shortfall_is_a_sentence_with_numbers() {
    use ShortfallKind::*;
    let good = || verified(186, 3);
    let trust = |ca: Option<&str>, crl: Option<&str>| TrustFacts {
        ca_not_after: ca.map(time),
        crl_next_update: crl.map(time),
        cloudflare_shared_ca: false,
    };
    let old = |not_after| {
        let mut evidence = good();
        evidence.certificates.insert((CF, Fingerprint([2; 32])), certificate(not_after));
        evidence
    };
    let hour = Gate { window: Duration::from_hours(1), handshakes: 1, edge_addresses: 1, ..Gate::default() };
    let lenient = Gate { failing_share: 0.005, ..Gate::default() };
    let none = TrustFacts::default();
    let rows: Vec<Row> = vec![
        (
            Gate::default(),
            Mode::Off,
            none,
            good(),
            vec![(
                NotObserved,
                "the mode is `off`: nobody is asked for a certificate, so there is nothing to go by; observe it first",
            )],
        ),
        (
            Gate::default(),
            Mode::Observe,
            none,
            failing(good(), Reason::NoCertificate, 14, "2026-11-23T10:42:00Z"),
            vec![(
                Failing,
                "14 of 200 handshakes from Cloudflare for www.example.com in the last 24 h brought no certificate; last \
                 at 10:42 UTC from 172.64.1.9",
            )],
        ),
        (
            lenient,
            Mode::Enforce,
            none,
            failing(good(), Reason::ProofFailed, 1, "2026-11-22T23:42:00Z"),
            vec![(
                Failing,
                "1 of 187 handshakes from Cloudflare for www.example.com in the last 24 h did not prove possession of \
                 the certificate's key; last on 2026-11-22 at 23:42 UTC from 172.64.1.9; at most 0.5 % may fail",
            )],
        ),
        (
            hour,
            Mode::Observe,
            none,
            verified(0, 0),
            vec![(TooFewHandshakes, "no handshake from Cloudflare verified in the last hour; at least 1 is needed")],
        ),
        (
            Gate { window: Duration::from_hours(168), ..Gate::default() },
            Mode::Observe,
            none,
            verified(1, 1),
            vec![
                (TooFewHandshakes, "1 handshake from Cloudflare verified in the last 7 days; at least 100 are needed"),
                (
                    TooFewEdges,
                    "verified handshakes came from 1 address of Cloudflare's edge in the last 7 days; at least 3 are \
                     needed",
                ),
            ],
        ),
        (
            Gate::default(),
            Mode::Observe,
            trust(Some("2026-11-25T22:00:01Z"), Some("2026-11-24T01:00:00Z")),
            old("2026-12-01T23:00:00Z"),
            vec![
                (
                    EndsSoon,
                    "the client certificate CN=edge ends on 2026-12-01, in 8 days; it has to be good for 14 days more",
                ),
                (
                    EndsSoon,
                    "the CA that clients are judged by ends on 2026-11-25, in 2 days; it has to be good for 14 days more",
                ),
                (
                    EndsSoon,
                    "a revocation list is due for renewal on 2026-11-24 at 01:00 UTC, in 3 hours; from then on it refuses \
                     everybody",
                ),
            ],
        ),
        (
            Gate { validity: Duration::ZERO, ..Gate::default() },
            Mode::Observe,
            trust(Some("2026-11-23T21:00:00Z"), Some("2026-11-23T21:59:00Z")),
            good(),
            vec![
                (
                    EndsSoon,
                    "the CA that clients are judged by ended on 2026-11-23, 1 hour ago; it has to be good for 0 seconds \
                     more",
                ),
                (
                    EndsSoon,
                    "a revocation list was due for renewal at 21:59 UTC, 1 minute ago, and refuses everybody since",
                ),
            ],
        ),
    ];
    for (gate, mode, trust, evidence, expected) in rows {
        let readiness = judge(gate, mode, trust, &by_name([("www.example.com", evidence)]));
        let said: Vec<_> =
            readiness.shortfalls.iter().map(|shortfall| (shortfall.kind, shortfall.sentence.as_str())).collect();
        assert_eq!(said, expected);
        assert!(!readiness.ready);
    }
}

#[test]
fn every_configured_name_has_to_be_seen_and_the_default_hosts_others_need_not() {
    let names =
        by_name([("a.example", verified(200, 3)), ("*.a.example", verified(0, 0)), (DEFAULT_NAME, verified(0, 0))]);
    let shortfalls = observed(&names).shortfalls;
    let sentence = "no handshake from Cloudflare for *.a.example brought a certificate that verifies in the last 24 h";
    let name = Some("*.a.example".to_owned());
    assert_eq!(shortfalls, [Shortfall { kind: ShortfallKind::NameUnseen, name, sentence: sentence.to_owned() }]);
}

#[test]
fn a_host_whose_name_is_the_word_default_is_a_name_like_any_other() {
    assert!(HostPattern::parse(DEFAULT_NAME).is_err(), "nobody can configure what stands for all other names");
    let names = by_name([("a.example", verified(200, 3)), ("default", verified(0, 0))]);
    let kinds = observed(&names).shortfalls.into_iter().map(|shortfall| (shortfall.kind, shortfall.name));
    assert_eq!(kinds.collect::<Vec<_>>(), [(ShortfallKind::NameUnseen, Some("default".to_owned()))]);
}

#[test]
fn what_asks_the_default_host_for_other_names_is_told_and_does_not_count() {
    let strangers = |evidence: Evidence, name: &str| {
        let mut evidence = failing(evidence, Reason::NoCertificate, 3, "2026-11-23T10:42:00Z");
        for seen in evidence.failures.values_mut() {
            seen.last.server_name = Some(name.to_owned());
        }
        evidence
    };
    let names =
        by_name([("a.example", verified(200, 3)), (DEFAULT_NAME, strangers(verified(1, 1), "attacker.example"))]);
    let readiness = observed(&names);
    assert_eq!(readiness.shortfalls, [], "anyone with a zone of their own can send these");
    let said = "3 of 4 handshakes from Cloudflare that came here as the default host, and asked for none of its names, \
                failed in the last 24 h, the last for attacker.example; they do not count here, and enforcing refuses \
                such handshakes";
    assert_eq!(readiness.notices, [said]);

    // Nor do they make up for what is missing.
    let mut soon = verified(1000, 9);
    soon.certificates.insert((CF, Fingerprint([2; 32])), certificate("2026-11-24T00:00:00Z"));
    let readiness = observed(&by_name([("a.example", verified(99, 2)), (DEFAULT_NAME, soon)]));
    let kinds: Vec<_> = readiness.shortfalls.iter().map(|shortfall| shortfall.kind).collect();
    assert_eq!(kinds, [ShortfallKind::TooFewHandshakes, ShortfallKind::TooFewEdges]);
}

#[test]
fn every_reason_that_fails_has_words_of_its_own() {
    let failing = Reason::HANDSHAKE.into_iter().filter(|reason| Weight::of(*reason) == Weight::Failing);
    let words: BTreeSet<_> = failing.clone().map(what_it_did).collect();
    assert_eq!(words.len(), failing.count());
    assert!(!words.contains(what_it_did(Reason::ClientEof)));
}

#[test]
fn notices_tell_whom_enforcing_cuts_off_and_do_not_stand_in_the_way() {
    let mut one = verified(200, 3);
    let mut other = verified(200, 3);
    one.outsiders.insert("203.0.113.0/24".into(), outsider(41, 40, Some("/wp-login.php")));
    one.outsiders.insert("198.51.100.0/24".into(), outsider(1, 0, None));
    other.outsiders.insert("203.0.113.0/24".into(), outsider(1, 1, Some("/\u{1b}[2J")));
    one.handshakes.insert((CF, Reason::ClientEof), 20);
    one.handshakes.insert((CF, Reason::HandshakeTimeout), 2);
    let trust = TrustFacts {
        cloudflare_shared_ca: true,
        crl_next_update: Some(time("2026-11-30T00:00:00Z")),
        ..TrustFacts::default()
    };
    let names = by_name([("a.example", one), ("b.example", other)]);
    let readiness = judge(Gate::default(), Mode::Observe, trust, &names);
    assert!(readiness.ready, "{readiness:?}");
    assert_eq!(
        readiness.notices,
        [
            "2 networks outside Cloudflare reach this origin without a certificate that verifies, and enforcing will \
                 cut them off: 203.0.113.0/24 (42 handshakes, 41 requests, last for /wp-login.php), 198.51.100.0/24 (1 handshake)",
            "22 of 422 handshakes from Cloudflare in the last 24 h were broken off before a judgement (2 \
             handshake_timeout, 20 client_eof); enforcing does not change that",
            "a revocation list has to be renewed by 2026-11-30, in 6 days; past that, enforcing refuses everybody it \
             speaks for",
            "the trust includes the CA that all of Cloudflare's customers share: every one of them passes, not you alone",
        ]
    );
}

#[test]
fn many_outsiders_are_counted_and_a_few_are_named() {
    let mut evidence = verified(200, 3);
    for at in 0..5 {
        evidence.outsiders.insert(format!("198.51.{at}.0/24"), outsider(at + 1, 0, Some(&"/x".repeat(40))));
    }
    let readiness = judge(Gate::default(), Mode::Enforce, TrustFacts::default(), &by_name([("a.example", evidence)]));
    let [notice] = readiness.notices.try_into().expect("one notice");
    assert!(notice.starts_with("5 networks outside Cloudflare reach this origin"), "{notice}");
    assert!(notice.contains("and are refused: 198.51.4.0/24 (5 handshakes, last for /x/x"), "{notice}");
    assert!(notice.ends_with("x…), and 2 more"), "{notice}");
    let crowd = |at: u8| (format!("198.51.{at}.0/24"), outsider(1, 0, None));
    let crowd = Evidence { outsiders: (0..64).map(crowd).collect(), more_outsiders: true, ..verified(200, 3) };
    let notices = observed(&by_name([("a.example", crowd)])).notices;
    assert!(notices[0].starts_with("at least 64 networks outside Cloudflare reach this origin"), "{notices:?}");
    assert!(notices[0].ends_with(", and at least 61 more"), "{notices:?}");
}

#[test]
fn failures_within_the_allowed_share_are_a_notice_and_others_say_when_they_end() {
    let lenient = Gate { failing_share: 0.01, ..Gate::default() };
    let two = by_name([("a.example", failing(verified(198, 3), Reason::NoCertificate, 2, "2026-11-23T10:42:00Z"))]);
    let readiness = judge(lenient, Mode::Observe, TrustFacts::default(), &two);
    assert!(readiness.ready, "2 of 200 are 1 %");
    let said = "2 of 200 handshakes from Cloudflare for a.example failed in the last 24 h, which the gate allows; \
                enforcing refuses such handshakes";
    assert_eq!(readiness.notices, [said]);
    let three = by_name([("a.example", failing(verified(197, 3), Reason::NoCertificate, 3, "2026-11-23T10:42:00Z"))]);
    let readiness = judge(lenient, Mode::Observe, TrustFacts::default(), &three);
    assert!(!readiness.ready, "3 of 200 are more than 1 %");
    let ends =
        "if no more fail, the last failure from Cloudflare stops counting on 2026-11-24 at 11:42 UTC at the latest";
    let said = format!("{ends}; or judge a shorter window: originlock ready a.example --window 30m");
    assert_eq!(readiness.notices, [said]);
    let short = Gate { window: Duration::from_mins(30), ..lenient };
    let said = judge(short, Mode::Observe, TrustFacts::default(), &three).notices;
    let ends = "if no more fail, the last failure from Cloudflare stops counting at 11:13 UTC at the latest";
    assert_eq!(said, [ends], "it is short already");
    let ends =
        "if no more fail, the last failure from Cloudflare stops counting on 2026-11-24 at 11:42 UTC at the latest";
    let fleet = Case { host: None, mode: Mode::Observe, trust: TrustFacts::default(), by_name: &three, now: now() };
    assert_eq!(lenient.judge(&fleet).notices, [ends], "a fleet counts over the window that is configured");
}

#[test]
fn shares_do_not_round() {
    // 0.29 * 100.0 is 28.999999999999996, and 0.07 * 100.0 is 7.000000000000001.
    for percent in 1..=100_u64 {
        let gate = Gate { failing_share: percent as f64 / 100.0, ..Gate::default() };
        for scale in [1, 7, 1_000_000_007, u64::MAX / 100] {
            assert!(!gate.is_exceeded(percent * scale, 100 * scale), "{percent} %");
            assert!(percent == 100 || gate.is_exceeded(percent * scale + 1, 100 * scale), "{percent} %");
        }
    }
    for share in [f64::NAN, -1.0, 0.0] {
        assert!(Gate { failing_share: share, ..Gate::default() }.is_exceeded(1, u64::MAX), "{share}");
    }
    assert!(!Gate { failing_share: f64::INFINITY, ..Gate::default() }.is_exceeded(5, 5));
}

#[test]
fn what_comes_from_elsewhere_neither_helps_nor_harms() {
    let mut evidence = verified(100, 3);
    evidence.handshakes.insert((Network::Elsewhere, Reason::NoCertificate), 1_000_000);
    assert!(observed(&by_name([("a.example", evidence)])).ready);
    let mut evidence = verified(99, 3);
    evidence.handshakes.insert((Network::Elsewhere, Reason::Verified), 1_000_000);
    assert!(!observed(&by_name([("a.example", evidence)])).ready);
}

#[test]
fn nothing_seen_is_never_ready() {
    let gate = Gate { handshakes: 0, edge_addresses: 0, ..Gate::default() };
    let readiness = judge(gate, Mode::Observe, TrustFacts::default(), &BTreeMap::new());
    assert!(!readiness.ready);
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let reason = proptest::sample::select(Reason::HANDSHAKE.to_vec());
    let network = prop_oneof![3 => Just(CF), 1 => Just(Network::Elsewhere)];
    // Mostly few failures beside many verified ones: the neighbourhood of the gate.
    let counts = proptest::collection::btree_map((network, reason), 0..4_u64, 0..5);
    (counts, 0..60_u64, 0..5_u8).prop_map(|(counts, verified_handshakes, edges)| {
        let mut evidence = verified(verified_handshakes, edges);
        evidence.handshakes.extend(counts);
        evidence
    })
}

fn any_gate() -> impl Strategy<Value = Gate> {
    (0..40_u64, 0..4_u64, prop_oneof![Just(0.0), 0.0..1.0_f64]).prop_map(
        |(handshakes, edge_addresses, failing_share)| Gate {
            handshakes,
            edge_addresses,
            failing_share,
            ..Gate::default()
        },
    )
}

fn count_of(readiness: &Readiness, kind: ShortfallKind) -> usize {
    readiness.shortfalls.iter().filter(|shortfall| shortfall.kind == kind).count()
}

proptest! {
    #[test]
    fn one_more_failure_never_makes_a_host_ready(
        gate in any_gate(),
        names in proptest::collection::btree_map("[a-c]\\.example", any_evidence(), 1..3),
        reason in proptest::sample::select(Reason::HANDSHAKE[1..].to_vec()),
        at in any::<proptest::sample::Index>(),
    ) {
        let before = judge(gate, Mode::Observe, TrustFacts::default(), &names);
        let mut names = names;
        let key = names.keys().nth(at.index(names.len())).expect("a name").clone();
        *names.get_mut(&key).expect("a name").handshakes.entry((CF, reason)).or_default() += 1;
        let after = judge(gate, Mode::Observe, TrustFacts::default(), &names);
        prop_assert!(before.ready || !after.ready, "{before:?} became {after:?}");
    }

    #[test]
    fn one_more_verified_handshake_never_makes_it_worse(
        gate in any_gate(),
        names in proptest::collection::btree_map("[a-c]\\.example", any_evidence(), 1..3),
        at in any::<proptest::sample::Index>(),
    ) {
        let before = judge(gate, Mode::Observe, TrustFacts::default(), &names);
        let mut names = names;
        let key = names.keys().nth(at.index(names.len())).expect("a name").clone();
        *names.get_mut(&key).expect("a name").handshakes.entry((CF, Reason::Verified)).or_default() += 1;
        let after = judge(gate, Mode::Observe, TrustFacts::default(), &names);
        for kind in [ShortfallKind::Failing, ShortfallKind::TooFewHandshakes] {
            prop_assert!(count_of(&after, kind) <= count_of(&before, kind), "{before:?} became {after:?}");
        }
        prop_assert!(!before.ready || after.ready, "{before:?} became {after:?}");
    }

    #[test]
    fn a_stricter_gate_lets_no_more_hosts_pass(
        gate in any_gate(), evidence in any_evidence(), handshakes in 0..10_u64, edges in 0..2_u64, share in 0.0..0.5_f64,
    ) {
        let names = by_name([("a.example", evidence)]);
        let stricter = Gate {
            handshakes: gate.handshakes + handshakes,
            edge_addresses: gate.edge_addresses + edges,
            failing_share: (gate.failing_share - share).max(0.0),
            ..gate
        };
        let ready = |gate| judge(gate, Mode::Observe, TrustFacts::default(), &names).ready;
        prop_assert!(ready(gate) || !ready(stricter));
    }

    #[test]
    fn a_verdict_is_ready_exactly_where_nothing_is_missing(
        gate in any_gate(), evidence in any_evidence(), mode in proptest::sample::select(vec![Mode::Off, Mode::Observe, Mode::Enforce]),
    ) {
        let readiness = judge(gate, mode, TrustFacts::default(), &by_name([("a.example", evidence)]));
        prop_assert_eq!(readiness.ready, readiness.shortfalls.is_empty());
        prop_assert!(!readiness.ready || mode != Mode::Off);
    }
}
