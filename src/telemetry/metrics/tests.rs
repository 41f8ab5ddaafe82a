//! What a scrape shows.

use super::*;
use crate::evidence::ledger::Subject;
use crate::evidence::recorder::tests::outcome;
use crate::hostname::HostPattern;
use crate::policy::trust::TrustDigest;
use crate::policy::verdict::Reason;

fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}

#[test]
fn every_series_of_a_configured_host_exists_at_zero() {
    let metrics = Metrics::new(10);
    metrics.host("a.example", Mode::Enforce);
    metrics.host("b.example", Mode::Off);
    metrics.commit_hosts();
    let text = metrics.render();
    for series in [
        r#"originlock_handshakes_total{host="a.example",mode="enforce",reason="revoked",resumed="true"} 0"#,
        r#"originlock_handshakes_total{host="a.example",mode="enforce",reason="client_eof",resumed="false"} 0"#,
        r#"originlock_handshakes_total{host="b.example",mode="off",reason="no_certificate",resumed="false"} 0"#,
        r#"originlock_handshakes_total{host="_other",mode="none",reason="sni_unknown",resumed="false"} 0"#,
        r#"originlock_requests_total{host="a.example",status_class="5xx"} 0"#,
        r#"originlock_requests_refused_total{host="a.example",reason="host_mismatch"} 0"#,
        r#"originlock_requests_refused_total{host="a.example",reason="head_timeout"} 0"#,
        r#"originlock_upstream_errors_total{host="a.example",reason="connect_failed"} 0"#,
        r#"originlock_connections_shed_total{reason="connections"} 0"#,
        r#"originlock_reloads_total{result="failure"} 0"#,
        "originlock_log_dropped_total 0",
        r#"originlock_build_info{version=""#,
        "process_resident_memory_bytes ",
        r#"originlock_handshake_duration_seconds_count{outcome="refuse"} 0"#,
    ] {
        assert!(text.contains(series), "{series} in\n{text}");
    }
    assert_eq!(count(&text, r#"originlock_handshakes_total{host="b.example",mode="off",reason="revoked""#), 0);
    assert_eq!(count(&text, "originlock_client_certificate_not_after_seconds{"), 0, "0 would be an alarm");
}

#[test]
fn help_texts_are_sentences() {
    for line in Metrics::new(1).render().lines().filter(|line| line.starts_with("# HELP")) {
        assert!(line.ends_with('.'), "{line}");
    }
}

#[test]
fn a_handshake_counts_once_and_requests_by_class() {
    let metrics = Metrics::new(10);
    let host = metrics.host("a.example", Mode::Observe);
    metrics.handshake(&outcome("a.example"), Some(&host));
    metrics.handshake(&HandshakeOutcome { resumed: true, ..outcome("a.example") }, Some(&host));
    let stranger = HandshakeOutcome { reason: Reason::SniUnknown, decision: Decision::Refuse, ..outcome("x.example") };
    metrics.handshake(&stranger, None);
    for status in [101, 200, 204, 404, 999, 0] {
        host.request(status);
    }
    host.request_refused(Refusal::MalformedHead);
    let text = metrics.render();
    for series in [
        r#"originlock_handshakes_total{host="a.example",mode="observe",reason="unknown_issuer",resumed="false"} 1"#,
        r#"originlock_handshakes_total{host="a.example",mode="observe",reason="unknown_issuer",resumed="true"} 1"#,
        r#"originlock_handshakes_total{host="_other",mode="none",reason="sni_unknown",resumed="false"} 1"#,
        r#"originlock_handshake_duration_seconds_count{outcome="admit"} 2"#,
        r#"originlock_handshake_duration_seconds_count{outcome="failed"} 1"#,
        r#"originlock_requests_total{host="a.example",status_class="2xx"} 2"#,
        r#"originlock_requests_refused_total{host="a.example",reason="malformed_head"} 1"#,
    ] {
        assert!(text.contains(series), "{series} in\n{text}");
    }
}

#[test]
fn a_reload_removes_what_left_and_keeps_what_stayed() {
    let metrics = Metrics::new(10);
    let moved = metrics.host("moved.example", Mode::Observe);
    let gone = metrics.host("gone.example", Mode::Observe);
    metrics.commit_hosts();
    moved.request(200);
    gone.set_server_certificate_not_after(Timestamp::from_seconds(1));
    metrics.host("moved.example", Mode::Enforce);
    metrics.commit_hosts();
    gone.request_refused(Refusal::BadMethod);
    gone.set_server_certificate_not_after(Timestamp::from_seconds(1));
    let text = metrics.render();
    assert!(!text.contains("gone.example"), "{text}");
    assert_eq!(count(&text, r#"originlock_handshakes_total{host="moved.example",mode="observe""#), 0);
    assert!(count(&text, r#"originlock_handshakes_total{host="moved.example",mode="enforce""#) > 0);
    assert!(text.contains(r#"originlock_requests_total{host="moved.example",status_class="2xx"} 1"#));
}

#[test]
fn a_configuration_that_is_not_taken_leaves_nothing() {
    let metrics = Metrics::new(10);
    metrics.host("a.example", Mode::Observe);
    metrics.commit_hosts();
    metrics.host("a.example", Mode::Enforce);
    metrics.host("b.example", Mode::Enforce);
    metrics.discard_hosts();
    let text = metrics.render();
    assert!(!text.contains("b.example") && !text.contains(r#"mode="enforce""#), "{text}");
    assert!(text.contains(r#"host="a.example",mode="observe""#));
}

#[test]
fn hosts_beyond_the_bound_share_their_series() {
    let metrics = Metrics::new(2);
    for reload in 0..2 {
        for host in 0..5 {
            metrics.host(&format!("h{host}.r{reload}.example"), Mode::Observe).request(200);
        }
        metrics.commit_hosts();
    }
    assert_eq!(metrics.host_overflow(), 3);
    let text = metrics.render();
    assert_eq!(count(&text, "originlock_requests_total{"), 3 * 5);
    assert!(text.contains(r#"originlock_requests_total{host="_rest",status_class="2xx"} 6"#), "{text}");
    assert!(text.contains(r#"host="h1.r1.example""#), "a whole new set of hosts gets the places of the old one");
}

#[test]
fn what_a_reload_says_of_the_trust_replaces_what_was_said() {
    let metrics = Metrics::new(2);
    let not_after = Timestamp::from_seconds(1_888_000_000);
    metrics.set_trust_expiry(&[CaExpiry { ca: "old", subject: "CN=old", not_after }], &[]);
    let lists = [CrlExpiry { ca: "new", next_update: not_after }];
    metrics.set_trust_expiry(&[CaExpiry { ca: "new", subject: "CN=\"new\"", not_after }], &lists);
    metrics.reload_succeeded(2, not_after);
    let text = metrics.render();
    assert!(!text.contains(r#"ca="old""#));
    for series in [
        r#"originlock_ca_certificate_not_after_seconds{ca="new",subject="CN=\"new\""} 1888000000"#,
        r#"originlock_crl_next_update_seconds{ca="new"} 1888000000"#,
        "originlock_config_generation 2",
        "originlock_reload_success 1",
    ] {
        assert!(text.contains(series), "{series} in\n{text}");
    }
}

#[test]
fn evidence_is_shown_for_as_many_names_as_have_room() {
    let metrics = Metrics::new(3);
    let ledger = Arc::new(Ledger::default());
    let now = Timestamp::from_seconds(1_800_000_000);
    let subject = |names: &[&str]| Subject {
        host: names[0].into(),
        names: names.iter().map(|name| HostPattern::parse(name).expect("a pattern")).collect(),
        is_default: false,
        trust: Some(TrustDigest([0xab; 32])),
        window: Duration::from_hours(1),
    };
    let hosts = [subject(&["a.example", "b.example"]), subject(&["c.example", "d.example"]), subject(&["e.example"])];
    ledger.adopt(&hosts, now);
    for host in hosts {
        metrics.host(&host.host, Mode::Observe);
    }
    metrics.commit_hosts();
    metrics.follow(ledger, Clock::manual(now));
    let text = metrics.render();
    let verified = |host: &str, name: &str| {
        let labels = format!("host=\"{host}\",name=\"{name}\",network=\"cloudflare\",reason=\"verified\"");
        text.contains(&format!("originlock_evidence_handshakes{{{labels},trust=\"abababababababab\"}} 0"))
    };
    assert!(verified("a.example", "a.example") && verified("a.example", "b.example"), "{text}");
    assert!(verified("e.example", "e.example"), "it fits where a larger host did not: {text}");
    assert_eq!(count(&text, "originlock_evidence_handshakes{"), 3);
    assert_eq!(count(&text, "originlock_host_mode{"), 3);
    assert_eq!(count(&text, "originlock_evidence_window_seconds{host=\"a.example\"} 3600"), 1);
}

#[test]
fn addresses_that_asked_for_none_of_the_hosts_names_are_not_its_edges() {
    let metrics = Metrics::new(3);
    let ledger = Arc::new(Ledger::default());
    let now = Timestamp::from_seconds(1_800_000_000);
    let trust = Some(TrustDigest([0xab; 32]));
    let subject = Subject {
        host: "a.example".into(),
        names: vec![HostPattern::parse("a.example").expect("a pattern")],
        is_default: true,
        trust,
        window: Duration::from_hours(1),
    };
    ledger.adopt(&[subject], now);
    for (name, address) in [("a.example", "172.64.1.1:1"), ("other.example", "172.64.1.2:1")] {
        let peer = address.parse().expect("an address");
        let verified = HandshakeOutcome { reason: Reason::Verified, trust, peer, at: now, ..outcome(name) };
        ledger.record(&verified);
    }
    metrics.host("a.example", Mode::Observe);
    metrics.commit_hosts();
    metrics.follow(ledger, Clock::manual(now));
    let text = metrics.render();
    assert_eq!(
        count(&text, "originlock_evidence_edge_addresses{host=\"a.example\",trust=\"abababababababab\"} 1"),
        1,
        "{text}"
    );
    assert_eq!(count(&text, "originlock_evidence_handshakes{host=\"a.example\",name=\"*\""), 1, "{text}");
}
