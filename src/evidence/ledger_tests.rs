//! Accounts: who has one, what it holds, and how large it can become.

use std::net::SocketAddr;

use super::*;
use crate::evidence::recorder::tests::outcome;
use crate::evidence::tally::MAX_EDGES;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Verdict;
use crate::x509::{CertificateFields, CertificateSummary, KeyKind};

pub(crate) const SHOP: &str = "shop.example.com";
pub(crate) const DAY: Duration = Duration::from_hours(24);
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(crate) const OURS: TrustDigest = TrustDigest([1; 32]);

pub(crate) fn subject(names: &[&str], trust: Option<TrustDigest>) -> Subject {
    let patterns = names.iter().map(|name| HostPattern::parse(name).expect("a pattern"));
    Subject { host: names[0].into(), names: patterns.collect(), is_default: false, trust, window: DAY }
}

/// A ledger of one host whose name is [`SHOP`], under [`OURS`].
pub(crate) fn ledger() -> Ledger {
    let ledger = Ledger::default();
    ledger.adopt(&[subject(&[SHOP], Some(OURS))], NOW);
    ledger
}

/// The leaf that the client called `name` presents.
pub(crate) fn certificate(name: &str) -> Arc<CertificateSummary> {
    let fields = CertificateFields {
        subject: format!("CN={name}"),
        issuer: "CN=CA".to_owned(),
        serial: "1".to_owned(),
        not_before: NOW,
        not_after: NOW.after(DAY),
        version: 3,
        is_ca: false,
        has_basic_constraints: true,
        path_length: None,
        allows_client_auth: true,
        self_issued: false,
        key: KeyKind::Ed25519,
        spki_fingerprint: Fingerprint::of(name.as_bytes()),
        spki: Vec::new(),
        subject_der: Vec::new(),
        issuer_der: Vec::new(),
        signature_oid: String::new(),
    };
    Arc::new(CertificateSummary { fingerprint: Fingerprint::of(name.as_bytes()), fields: Some(fields) })
}

/// A handshake with [`SHOP`] from `address`, with the certificate called `name`.
pub(crate) fn presented(address: impl Into<IpAddr>, name: &str, verdict: Verdict) -> HandshakeOutcome {
    HandshakeOutcome {
        at: NOW,
        peer: SocketAddr::new(address.into(), 40_000),
        host: Some(SHOP.into()),
        mode: Some(Mode::Observe),
        trust: Some(OURS),
        verdict,
        reason: verdict.reason(),
        certificate: Some(certificate(name)),
        ..outcome(SHOP)
    }
}

/// An address of Cloudflare's.
pub(crate) fn edge(number: u32) -> [u8; 4] {
    let [_, _, third, fourth] = number.to_be_bytes();
    [172, 64, third, fourth]
}

fn seen(ledger: &Ledger) -> Evidence {
    ledger.evidence(SHOP, DAY, NOW).remove(SHOP).expect("a configured name")
}

#[test]
fn a_flood_of_strangers_fills_one_account_no_further_than_its_bounds() {
    const STRANGERS: u32 = 100_000;
    let ledger = ledger();
    // What matters, before and in the middle of it.
    let good = |number| presented(edge(number), "ours", Verdict::Verified);
    let neighbour = |path: &str| RequestNote {
        at: NOW,
        peer: "198.51.100.9:1".parse().expect("an address"),
        server_name: Some(Hostname::parse(SHOP).expect("a name")),
        trust: OURS,
        reason: Reason::NoCertificate,
        requests: 2,
        path: Some(path.to_owned()),
        user_agent: None,
    };
    ledger.record(&good(0));
    ledger.note(&neighbour("/early"));
    for number in 0..STRANGERS {
        let address = IpAddr::from((0x0100_0000 + number * 256).to_be_bytes());
        ledger.record(&presented(address, &number.to_string(), Verdict::Failed(Reason::UnknownIssuer)));
        ledger.record(&presented(edge(number), &number.to_string(), Verdict::Failed(Reason::BadSignature)));
        ledger.note(&RequestNote { requests: 1, peer: SocketAddr::new(address, 1), ..neighbour("/scan") });
        if number % 100 == 0 {
            ledger.record(&good(number));
        }
    }
    let evidence = seen(&ledger);
    assert_eq!(evidence.count(Network::Elsewhere, Reason::UnknownIssuer), u64::from(STRANGERS));
    assert_eq!(evidence.count(Network::Cloudflare, Reason::BadSignature), u64::from(STRANGERS));
    assert_eq!(evidence.count(Network::Cloudflare, Reason::Verified), 1001);
    assert_eq!((evidence.edges.addresses.len(), evidence.edges.count()), (MAX_EDGES, 256), "at least");
    let kept = |network| evidence.certificates.keys().filter(|(known, _)| *known == network).count();
    assert_eq!((kept(Network::Cloudflare), kept(Network::Elsewhere)), (32, 32));
    let ours = &evidence.certificates[&(Network::Cloudflare, certificate("ours").fingerprint)];
    assert_eq!((ours.handshakes, ours.reason), (1001, Reason::Verified), "never pushed out");
    assert_eq!((evidence.outsiders.len(), evidence.more_outsiders), (64, true), "at least");
    let neighbour = &evidence.outsiders["198.51.100.0/24"];
    assert_eq!((neighbour.requests, neighbour.path.as_deref()), (2, Some("/early")), "who asks more than once stays");
    let failure = &evidence.failures[&(Network::Elsewhere, Reason::UnknownIssuer)];
    assert_eq!(failure.first.at, failure.last.at);
    let copy = serde_json::to_vec(&ledger.all_accounts()[0].entries(NOW)).expect("JSON");
    assert!(copy.len() < 128 * 1024, "{} bytes", copy.len());
}

#[test]
fn only_a_failing_certificate_gives_way_to_another() {
    let ledger = ledger();
    for number in 0..32 {
        ledger.record(&presented(edge(1), &number.to_string(), Verdict::Verified));
    }
    ledger.record(&presented(edge(1), "failing", Verdict::Failed(Reason::Expired)));
    assert!(!seen(&ledger).certificates.contains_key(&(Network::Cloudflare, certificate("failing").fingerprint)));
    let later = HandshakeOutcome { at: NOW.after(DAY / 2), ..presented(edge(1), "33rd", Verdict::Verified) };
    ledger.record(&later);
    let certificates = seen(&ledger).certificates;
    assert_eq!(certificates.len(), 32);
    assert!(certificates.contains_key(&(Network::Cloudflare, certificate("33rd").fingerprint)));
}

#[test]
fn a_certificate_without_proof_of_its_key_is_no_evidence() {
    let ledger = ledger();
    ledger.record(&HandshakeOutcome { proved: false, ..presented(edge(1), "stolen", Verdict::Verified) });
    let evidence = seen(&ledger);
    assert_eq!(evidence.handshakes, [((Network::Cloudflare, Reason::ProofFailed), 1)].into());
    assert_eq!((evidence.edges.count(), evidence.certificates.len()), (0, 0));
}

#[test]
fn what_broke_off_is_counted_and_makes_nobody_an_outsider() {
    let ledger = ledger();
    for reason in [Reason::ClientEof, Reason::HandshakeTimeout, Reason::ProtocolError, Reason::ClientAlert] {
        let broken = HandshakeOutcome { reason, ..presented([198, 51, 100, 1], "x", Verdict::Absent) };
        ledger.record(&HandshakeOutcome { certificate: None, proved: false, ..broken });
    }
    let evidence = seen(&ledger);
    assert_eq!(evidence.handshakes.len(), 4);
    assert_eq!(evidence.failures.len(), 4);
    assert_eq!((evidence.outsiders.len(), evidence.certificates.len()), (0, 0));
}

#[test]
fn a_name_keeps_the_evidence_of_a_few_former_trusts_while_it_has_any() {
    let ledger = ledger();
    let trust = |number| TrustDigest([number; 32]);
    let adopt = |number, now| ledger.adopt(&[subject(&[SHOP], Some(trust(number)))], now);
    for number in 1..=6 {
        adopt(number, NOW);
        ledger
            .record(&HandshakeOutcome { trust: Some(trust(number)), ..presented(edge(1), "ours", Verdict::Verified) });
    }
    assert_eq!(ledger.all_accounts().len(), 4, "the one in force and three former ones");
    for (number, count) in [(3, 1), (6, 1), (2, 0)] {
        adopt(number, NOW);
        assert_eq!(seen(&ledger).count(Network::Cloudflare, Reason::Verified), count, "trust {number}");
    }
    adopt(7, NOW.after(DAY * 8));
    assert_eq!(ledger.all_accounts().len(), 1, "what is empty is not kept");
}

#[test]
fn a_handshake_that_began_under_the_old_trust_counts_there() {
    let ledger = ledger();
    ledger.record(&presented(edge(1), "ours", Verdict::Verified));
    ledger.adopt(&[subject(&[SHOP], Some(TrustDigest([2; 32])))], NOW);
    ledger.record(&presented(edge(1), "ours", Verdict::Verified));
    assert_eq!(seen(&ledger), Evidence::default());
    ledger.adopt(&[subject(&[SHOP], Some(OURS))], NOW);
    assert_eq!(seen(&ledger).count(Network::Cloudflare, Reason::Verified), 2);
}

#[test]
fn evidence_follows_a_name_into_another_host() {
    let ledger = ledger();
    ledger.record(&presented(edge(1), "ours", Verdict::Verified));
    ledger.adopt(&[subject(&["www.example.com", SHOP], Some(OURS))], NOW);
    let evidence = ledger.evidence("www.example.com", DAY, NOW);
    assert_eq!(evidence.keys().collect::<Vec<_>>(), [SHOP, "www.example.com"]);
    assert_eq!(evidence[SHOP].count(Network::Cloudflare, Reason::Verified), 1);
    assert_eq!(ledger.evidence(SHOP, DAY, NOW), BTreeMap::new(), "a host is called by the first of its names");
}

#[test]
fn strangers_without_a_host_are_counted_and_what_cloudflare_asked_for_is_kept() {
    let ledger = ledger();
    let stranger = |address: [u8; 4], name: &str| HandshakeOutcome {
        host: None,
        trust: None,
        reason: Reason::SniUnknown,
        verdict: Verdict::Absent,
        server_name: Hostname::parse(name).ok(),
        ..presented(address, "x", Verdict::Absent)
    };
    for number in 0..1000 {
        ledger.record(&stranger([198, 51, 100, 1], &format!("scan{number}.example")));
    }
    for number in 0..40 {
        ledger.record(&stranger(edge(number), &format!("new{number}.example")));
    }
    ledger.record(&stranger(edge(1), "new20.example"));
    let counts = ledger.strangers(DAY, NOW);
    assert_eq!(counts[&(Network::Elsewhere, Reason::SniUnknown)], 1000);
    assert_eq!(counts[&(Network::Cloudflare, Reason::SniUnknown)], 41);
    let unknown = ledger.unknown_names(NOW);
    assert_eq!((unknown.len(), &*unknown[0].name, unknown[0].handshakes), (32, "new20.example", 2));
    assert!(unknown.iter().all(|unknown| unknown.name.starts_with("new")));
}

#[test]
fn columns_add_up_all_names_by_minute_and_by_hour() {
    let ledger = Ledger::default();
    ledger.adopt(&[subject(&[SHOP, "www.example.com"], Some(OURS))], NOW);
    let name = |text: &str| Hostname::parse(text).ok();
    for (name, minutes) in [(name(SHOP), 0), (name("www.example.com"), 0), (name(SHOP), 90)] {
        let at = NOW.after(Duration::from_mins(minutes));
        let good = presented(edge(1), "ours", Verdict::Verified);
        ledger.record(&HandshakeOutcome { at, server_name: name, ..good });
    }
    let now = NOW.after(Duration::from_mins(95));
    let hour = ledger.columns(SHOP, Span::Hour, now);
    assert_eq!((hour.len(), hour[0].seconds, hour[0].cloudflare[&Reason::Verified]), (1, 60, 1));
    let week = ledger.columns(SHOP, Span::Week, now);
    let counts: Vec<_> = week.iter().map(|column| (column.seconds, column.cloudflare[&Reason::Verified])).collect();
    assert_eq!(counts, [(3600, 2), (3600, 1)]);
    assert!(week[0].from < week[1].from && week[0].elsewhere.is_empty());
}

#[test]
fn a_clock_that_was_ahead_leaves_no_trace_of_it() {
    let ledger = ledger();
    let ahead = NOW.after(DAY * 3650);
    ledger.record(&HandshakeOutcome { at: ahead, ..presented(edge(1), "ours", Verdict::Verified) });
    let absent = HandshakeOutcome { certificate: None, ..presented([198, 51, 100, 1], "x", Verdict::Absent) };
    ledger.record(&HandshakeOutcome { at: ahead, ..absent });
    let evidence = seen(&ledger);
    assert_eq!(evidence.count(Network::Cloudflare, Reason::Verified), 1);
    assert!(evidence.certificates.values().all(|seen| seen.last_seen == NOW));
    assert!(evidence.failures.values().all(|both| both.last.at == NOW));
    assert!(evidence.outsiders.values().all(|outsider| outsider.last_seen == NOW));
    let later = ledger.evidence(SHOP, DAY, NOW.after(DAY * 2)).remove(SHOP).expect("a configured name");
    assert_eq!(later, Evidence::default(), "it passes like everything else");
}

#[test]
fn verified_certificates_are_told_without_the_rest() {
    let ledger = ledger();
    ledger.record(&presented(edge(1), "ours", Verdict::Verified));
    ledger.record(&presented(edge(1), "failing", Verdict::Failed(Reason::Expired)));
    let told = |window, now| ledger.verified_certificates(SHOP, window, now).into_iter().collect::<Vec<_>>();
    assert_eq!(told(DAY, NOW), [certificate("ours").fingerprint]);
    assert!(told(DAY, NOW.after(2 * DAY)).is_empty(), "not within the window");
    assert!(ledger.verified_certificates("nosuch.example", DAY, NOW).is_empty());
}
