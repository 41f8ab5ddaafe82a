use std::convert::Infallible;

use super::*;
use crate::evidence::readiness::Readiness;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DEMAND: Demand = Demand {
    gate: Gate {
        window: Duration::from_hours(1),
        handshakes: 10,
        edge_addresses: 2,
        failing_share: 0.0,
        validity: Duration::from_hours(24),
    },
    ca: None,
};

/// `metric{label="value"} number`
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (metric, labels) = series.split_once('{').expect("labels");
    let mut read = BTreeMap::from([("__name__".to_owned(), metric.to_owned())]);
    for label in labels.trim_end_matches('}').split(',') {
        let (name, value) = label.split_once('=').expect("a label");
        read.insert(name.to_owned(), value.trim_matches('"').to_owned());
    }
    Sample { labels: read, value: value.parse().expect("a number") }
}

fn view(expected: Option<usize>, text: &str) -> FleetView {
    let samples: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(sample).collect();
    let ask = |metric: &str| {
        let of_metric = samples.iter().filter(|sample| sample.label("__name__") == metric);
        Ok::<_, Infallible>(of_metric.cloned().collect())
    };
    FleetView::of(expected, ask).expect("nothing can fail")
}

/// What one machine says of a host that verified some handshakes, from some addresses.
fn machine(instance: &str, verified: u64, edges: u64) -> String {
    format!(
        r#"originlock_host_mode{{host="a.example",mode="observe",instance="{instance}",job="o"}} 1
        originlock_evidence_window_seconds{{host="a.example",instance="{instance}",job="o"}} 86400
        originlock_evidence_handshakes{{host="a.example",name="a.example",trust="t1",network="cloudflare",reason="verified",instance="{instance}",job="o"}} {verified}
        originlock_evidence_edge_addresses{{host="a.example",trust="t1",instance="{instance}",job="o"}} {edges}
        originlock_evidence_client_certificate_not_after_seconds{{host="a.example",trust="t1",instance="{instance}",job="o"}} 1900000000
        originlock_evidence_handshakes{{host="_other",name="",trust="",network="elsewhere",reason="not_tls",instance="{instance}",job="o"}} 1000
        "#
    )
}

fn judged(expected: Option<usize>, text: &str) -> Readiness {
    view(expected, text).judge("a.example", &DEMAND, NOW).expect("a host").readiness
}

fn said(readiness: &Readiness) -> Vec<(ShortfallKind, &str)> {
    readiness.shortfalls.iter().map(|shortfall| (shortfall.kind, shortfall.sentence.as_str())).collect()
}

#[test]
fn counts_add_up_and_addresses_do_not() {
    let (one, two) = (machine("one:1", 6, 2), machine("two:2", 4, 1));
    let alone = judged(None, &one);
    assert_eq!(
        said(&alone),
        [(
            ShortfallKind::TooFewHandshakes,
            "6 handshakes from Cloudflare verified in the last 24 h; at least 10 are needed"
        )]
    );
    assert_eq!(judged(None, &two).shortfalls.len(), 2);
    let together = view(Some(2), &(one + &two)).judge("a.example", &DEMAND, NOW).expect("a host");
    assert!(together.readiness.ready, "{together:?}");
    assert_eq!((together.evidence.cloudflare.verified, together.evidence.edge_addresses), (10, 2));
    assert_eq!((together.names, together.mode), (vec!["a.example".to_owned()], Mode::Observe));
}

#[test]
fn machines_that_do_not_demand_the_same_are_named() {
    let two = machine("two:2", 10, 2).replace("t1", "t2").replace("observe", "off").replace("86400", "3600");
    let readiness = judged(None, &(machine("one:1", 10, 2) + &two));
    let sentences = [
        "the machines are not in one mode on a.example: mode observe on one:1; mode off on two:2",
        "the machines do not trust the same clients on a.example: trust t1 on one:1; trust t2 on two:2",
        "the machines do not look back equally far on a.example: seconds 3600 on two:2; seconds 86400 on one:1",
    ];
    assert_eq!(said(&readiness), sentences.map(|sentence| (ShortfallKind::FleetDisagrees, sentence)));
    assert!(!readiness.ready);
}

#[test]
fn a_machine_that_is_counted_twice_is_named() {
    let twice = machine("one:1", 6, 2) + &machine("one:1", 6, 2).replace("job=\"o\"", "job=\"p\"");
    let sentence = "one:1 is counted more than once, as {job=\"o\"} and {job=\"p\"}; choose one with --match";
    assert_eq!(said(&judged(None, &twice)), [(ShortfallKind::FleetDisagrees, sentence)]);
}

#[test]
fn a_machine_that_is_missing_is_missed() {
    let one = machine("one:1", 10, 2);
    let sentence = "1 of 2 machines are heard of: one:1";
    assert_eq!(said(&judged(Some(2), &one)), [(ShortfallKind::FleetIncomplete, sentence)]);
    assert!(judged(Some(1), &one).ready);
    assert!(!judged(Some(1), &(one + &machine("two:2", 10, 2))).ready, "another number than was told");
}

#[test]
fn one_machines_failure_is_the_fleets_with_its_time_and_without_an_address() {
    let failed = r#"
        originlock_evidence_handshakes{host="a.example",name="a.example",trust="t1",network="cloudflare",reason="no_certificate",instance="two:2",job="o"} 2
        originlock_evidence_last_failure_timestamp_seconds{host="a.example",name="a.example",network="cloudflare",reason="no_certificate",instance="two:2",job="o"} 1799999940
    "#;
    let readiness = judged(None, &(machine("one:1", 10, 2) + &machine("two:2", 8, 2) + failed));
    let sentence = "2 of 20 handshakes from Cloudflare for a.example in the last 24 h brought no certificate; last at \
                    07:59 UTC";
    assert_eq!(said(&readiness), [(ShortfallKind::Failing, sentence)]);
}

#[test]
fn what_ends_on_one_machine_ends_for_the_fleet() {
    let ends = r#"
        originlock_ca_certificate_not_after_seconds{ca="ours",subject="old",instance="one:1"} 1799000000
        originlock_ca_certificate_not_after_seconds{ca="ours",subject="new",instance="one:1"} 1900000000
        originlock_ca_certificate_not_after_seconds{ca="ours",subject="old",instance="two:2"} 1800000060
        originlock_ca_certificate_not_after_seconds{ca="theirs",subject="x",instance="two:2"} 1
        originlock_crl_next_update_seconds{ca="ours",instance="one:1"} 1800000120
    "#;
    let text = machine("one:1", 10, 2).replace("1900000000", "1800000030") + &machine("two:2", 10, 2) + ends;
    let view = view(None, &text);
    let demand = Demand { ca: Some("ours".to_owned()), ..DEMAND };
    let readiness = view.judge("a.example", &demand, NOW).expect("a host").readiness;
    let said: Vec<_> = said(&readiness).into_iter().map(|(_, sentence)| sentence.split(';').next()).collect();
    assert_eq!(
        said,
        [
            Some("the client certificate in use ends on 2027-01-15, in 30 seconds"),
            Some("the CA that clients are judged by ends on 2027-01-15, in 1 minute"),
            Some("a revocation list is due for renewal at 08:02 UTC, in 2 minutes"),
        ]
    );
}

#[test]
fn a_host_that_nobody_exports_is_none() {
    let view = view(None, &machine("one:1", 1, 1));
    assert!(view.judge("b.example", &DEMAND, NOW).is_none());
    assert_eq!(view.hosts().collect::<Vec<_>>(), ["a.example"]);
}

#[test]
fn a_machine_that_leaves_its_evidence_out_is_named() {
    // As with more hosts than have series of their own.
    let silent: String = machine("two:2", 0, 0).lines().take(2).map(|line| format!("{line}\n")).collect();
    let readiness = judged(Some(2), &(machine("one:1", 10, 2) + &silent));
    let sentence = "two:2 tells nothing of what it saw on a.example: it has more names than limits.per_host_series";
    assert_eq!(said(&readiness), [(ShortfallKind::FleetIncomplete, sentence)]);
    assert!(!readiness.ready);
    let off = silent.replace("observe", "off");
    let kinds = judged(Some(2), &(machine("one:1", 10, 2) + &off)).shortfalls.into_iter().map(|short| short.kind);
    assert_eq!(kinds.collect::<Vec<_>>(), [ShortfallKind::FleetDisagrees], "where it is off there is nothing to tell");
}

#[test]
fn the_default_hosts_other_names_do_not_carry_the_counts_of_the_whole() {
    let default = r#"originlock_evidence_handshakes{host="a.example",name="*",trust="t1",network="cloudflare",reason="verified",instance="one:1",job="o"} 0
        "#;
    let readiness = judged(None, &(machine("one:1", 10, 2) + default));
    assert!(readiness.ready, "{readiness:?}");
}
