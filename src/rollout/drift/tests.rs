//! A picture in which all fits, and what is found when one thing in it does not.

use std::time::Duration;

use super::*;
use crate::cloudflare::{
    Association, CertificateId, ConfigRule, DnsRecord, SslMode, Status, UploadedCertificate, Zone, ZoneId,
};
use crate::evidence::report::{FindingWeight, JudgeReport};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

#[derive(Clone)]
struct Picture {
    zone: ZoneFacts,
    host: HostFacts,
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T12:00:00Z").expect("a time")
}

fn sha256(name: &str) -> Fingerprint {
    Fingerprint::of(name.as_bytes())
}

fn certificate(name: &str) -> UploadedCertificate {
    UploadedCertificate {
        id: CertificateId(name.to_owned()),
        status: Status::Active,
        sha256: Some(sha256(name)),
        pem: None,
        expires_on: Some(now().after(DAY * 300)),
        uploaded_on: Some(now().before(DAY)),
    }
}

fn association(name: &str) -> Association {
    Association {
        hostname: "shop.example.com".to_owned(),
        cert_id: Some(CertificateId(name.to_owned())),
        enabled: Some(true),
        status: Status::Active,
        cert_status: Status::Active,
        sha256: Some(sha256(name)),
        expires_on: None,
        updated_at: Some(now().before(DAY)),
    }
}

fn seen(name: &str, reason: Reason, ago: Duration) -> Seen {
    Seen { sha256: sha256(name), reason, last_seen: now().before(ago), handshakes: 5 }
}

fn record(kind: &str, content: &str, proxied: bool) -> DnsRecord {
    DnsRecord { name: "shop.example.com".to_owned(), kind: kind.to_owned(), content: content.to_owned(), proxied }
}

/// An enforced hostname whose certificate came a minute ago.
fn good() -> Picture {
    let zone = Zone {
        id: ZoneId("a".to_owned()),
        name: "example.com".to_owned(),
        status: "active".to_owned(),
        paused: false,
        account: None,
    };
    let zone = ZoneFacts {
        zone,
        token_expires_on: None,
        ssl: Some(SslMode::Strict),
        rules: Vec::new(),
        tls_client_auth: Some(false),
        zone_level: false,
        certificates: vec![certificate("ours")],
        zone_certificates: Vec::new(),
        associations: Some(vec![association("ours")]),
        left_out: Vec::new(),
    };
    let origin = AtOrigin {
        mode: Mode::Enforce,
        trusts_shared_ca: false,
        window: DAY,
        handshakes: 9,
        seen: vec![seen("ours", Reason::Verified, Duration::from_secs(60))],
    };
    let host = HostFacts {
        hostname: Hostname::parse("shop.example.com").expect("a hostname"),
        association: Some(association("ours")),
        certificate: Some(certificate("ours")),
        records: Some(vec![record("A", "203.0.113.7", true)]),
        origin: Some(origin),
        judgement: Some(judged(Reason::Verified)),
    };
    Picture { zone, host }
}

fn judged(reason: Reason) -> JudgeReport {
    let (host, trust_digest) = ("shop.example.com".to_owned(), "d".to_owned());
    JudgeReport { host, mode: Mode::Enforce, sha256: sha256("ours"), reason, next_step: None, trust_digest }
}

/// Kinds and weights: `association_off!` is an alarm.
fn words(change: impl FnOnce(&mut Picture)) -> Vec<String> {
    let mut picture = good();
    change(&mut picture);
    let found = findings(&picture.zone, std::slice::from_ref(&picture.host), now());
    for finding in &found {
        assert!(FindingKind::parse(&finding.kind).is_some(), "{finding:?}");
        assert!(!finding.sentence.is_empty() && !finding.next_step.is_empty(), "{finding:?}");
        assert_eq!(finding.zone, "example.com");
    }
    let mark = |weight| if weight == FindingWeight::Alarm { "!" } else { "" };
    found.iter().map(|finding| format!("{}{}", finding.kind, mark(finding.weight))).collect()
}

fn origin(picture: &mut Picture) -> &mut AtOrigin {
    picture.host.origin.as_mut().expect("an origin")
}

fn written(picture: &mut Picture) -> &mut Association {
    picture.host.association.as_mut().expect("an association")
}

fn observed(picture: &mut Picture) {
    origin(picture).mode = Mode::Observe;
}

#[test]
fn what_fits_is_no_finding() {
    assert_eq!(words(|_| {}), Vec::<String>::new());
}

type Change = fn(&mut Picture);

#[test]
fn each_thing_that_does_not_fit_is_found_with_its_weight() {
    let table: &[(&str, Change, &[&str])] = &[
        ("no association", |p| p.host.association = None, &["association_off!"]),
        ("a void one", |p| written(p).enabled = None, &["association_off!"]),
        ("a disabled one", |p| written(p).enabled = Some(false), &["association_off!"]),
        ("its certificate is not there", |p| p.host.certificate = None, &["association_off!"]),
        (
            "its certificate is being deleted",
            |p| p.host.certificate.as_mut().expect("one").status = Status::PendingDeletion,
            &["association_off!"],
        ),
        ("one that is being deleted", |p| written(p).status = Status::PendingDeletion, &["association_off!"]),
        (
            "none, and not known whether the shared one",
            |p| {
                p.host.association = None;
                p.zone.tls_client_auth = None;
            },
            &["association_off!"],
        ),
        (
            "none, and perhaps the shared one, which is trusted",
            |p| {
                p.host.association = None;
                p.zone.tls_client_auth = None;
                origin(p).trusts_shared_ca = true;
            },
            &[],
        ),
        (
            "the shared certificate instead",
            |p| {
                p.host.association = None;
                p.zone.tls_client_auth = Some(true);
            },
            &["association_off!"],
        ),
        (
            "the shared certificate, and trusted",
            |p| {
                p.host.association = None;
                p.zone.tls_client_auth = Some(true);
                origin(p).trusts_shared_ca = true;
            },
            &[],
        ),
        (
            "the zone's certificate instead, and seen",
            |p| {
                p.host.association = None;
                p.zone.zone_level = true;
                p.zone.zone_certificates = vec![certificate("ours")];
            },
            &[],
        ),
        (
            "nothing, where the origin only observes",
            |p| {
                p.host.association = None;
                observed(p);
            },
            &[],
        ),
        (
            "nothing known of the origin",
            |p| {
                p.host.association = None;
                p.host.origin = None;
                p.host.judgement = None;
            },
            &[],
        ),
        ("an association on its way", |p| written(p).status = Status::PendingDeployment, &["association_pending"]),
        (
            "a certificate on its way",
            |p| {
                p.host.certificate.as_mut().expect("one").status = Status::Initializing;
            },
            &["association_pending"],
        ),
        (
            "an association that timed out",
            |p| written(p).status = Status::DeploymentTimedOut,
            &["deployment_timed_out!"],
        ),
        (
            "the same, observed",
            |p| {
                written(p).status = Status::DeploymentTimedOut;
                observed(p);
            },
            &["deployment_timed_out", "not_enforced"],
        ),
        ("a word that nobody knows", |p| written(p).status = Status::Other("resting".to_owned()), &[]),
        ("judged and refused", |p| p.host.judgement = Some(judged(Reason::UnknownIssuer)), &["judged!"]),
        ("all there, observed", observed, &["not_enforced"]),
        ("all there, off", |p| origin(p).mode = Mode::Off, &["not_enforced"]),
        (
            "observed, not seen yet, nobody came",
            |p| {
                observed(p);
                origin(p).seen.clear();
                origin(p).handshakes = 0;
            },
            &[],
        ),
    ];
    for (what, change, found) in table {
        assert_eq!(words(change), *found, "{what}");
    }
}

#[test]
fn the_way_of_visitors_and_the_zone_are_part_of_it() {
    let rule = |enabled, ssl| ConfigRule {
        description: String::new(),
        expression: "(http.host eq \"shop.example.com\")".to_owned(),
        enabled,
        ssl,
    };
    assert_eq!(words(|p| p.zone.rules = vec![rule(true, SslMode::Flexible)]), ["ssl_mode"]);
    assert_eq!(words(|p| p.zone.rules = vec![rule(false, SslMode::Off), rule(true, SslMode::Full)]), [""; 0]);
    let table: &[(&str, Change, &[&str])] = &[
        ("flexible", |p| p.zone.ssl = Some(SslMode::Flexible), &["ssl_mode!"]),
        (
            "off, observed",
            |p| {
                p.zone.ssl = Some(SslMode::Off);
                observed(p);
            },
            &["ssl_mode", "not_enforced"],
        ),
        ("not known", |p| p.zone.ssl = None, &[]),
        ("paused", |p| p.zone.zone.paused = true, &["zone_paused!"]),
        ("pending", |p| p.zone.zone.status = "pending".to_owned(), &["zone_paused!"]),
        (
            "one of two records is grey",
            |p| {
                p.host.records.as_mut().expect("records").push(record("AAAA", "2001:db8::7", false));
            },
            &["dns_only!"],
        ),
        (
            "text is nobody's way",
            |p| {
                p.host.records.as_mut().expect("records").push(record("TXT", "v=spf1 -all", false));
            },
            &[],
        ),
        (
            "a tunnel",
            |p| {
                p.host.records =
                    Some(vec![record("CNAME", "6ff42ae2-765d-4adf-8112-31c55c1551ef.cfargotunnel.com", true)]);
            },
            &["tunnel!"],
        ),
        (
            "records not looked at",
            |p| {
                p.host.records = None;
                p.zone.left_out = vec![LeftOut { what: "DNS records", permission: "DNS Read" }];
            },
            &["not_checked"],
        ),
        ("a token in its last days", |p| p.zone.token_expires_on = Some(now().after(DAY * 5)), &["token_expiring"]),
        ("a token in its best years", |p| p.zone.token_expires_on = Some(now().after(DAY * 50)), &[]),
        ("a certificate for nothing", |p| p.zone.certificates.push(certificate("idle")), &["certificate_unused"]),
        (
            "one that came just now",
            |p| {
                p.zone.certificates.push(UploadedCertificate { uploaded_on: Some(now()), ..certificate("idle") });
            },
            &[],
        ),
        (
            "one that is going",
            |p| {
                p.zone
                    .certificates
                    .push(UploadedCertificate { status: Status::PendingDeletion, ..certificate("idle") });
            },
            &[],
        ),
        (
            "one perhaps for nothing, where associations cannot be listed",
            |p| {
                p.zone.certificates.push(certificate("idle"));
                p.zone.associations = None;
            },
            &[],
        ),
    ];
    for (what, change, found) in table {
        assert_eq!(words(change), *found, "{what}");
    }
}

#[test]
fn a_certificate_is_told_to_expire_30_days_ahead_and_is_an_alarm_from_3() {
    for (left, found) in [
        (DAY * 31, &[][..]),
        (DAY * 30, &["certificate_expiring"]),
        (DAY * 14, &["certificate_expiring"]),
        (DAY * 3 + HOUR, &["certificate_expiring"]),
        (DAY * 3, &["certificate_expiring!"]),
        (Duration::ZERO, &["certificate_expiring!"]),
    ] {
        let changed = |p: &mut Picture| p.host.certificate.as_mut().expect("one").expires_on = Some(now().after(left));
        assert_eq!(words(changed), found, "{left:?}");
    }
    let expired = |p: &mut Picture| p.host.certificate.as_mut().expect("one").expires_on = Some(now().before(DAY));
    assert_eq!(words(expired), ["certificate_expiring!"]);
}

#[test]
fn what_edges_present_is_compared_with_what_the_api_says() {
    let minutes = |minutes| Duration::from_mins(minutes);
    let (ours, other) = (|ago| seen("ours", Reason::Verified, ago), |reason, ago| seen("other", reason, ago));
    let table = [
        (
            "another lately, refused, ours before it",
            vec![other(Reason::UnknownIssuer, minutes(1)), ours(minutes(9))],
            9,
            &["old_certificate!"][..],
        ),
        (
            "another lately, refused, ours after it",
            vec![ours(minutes(1)), other(Reason::UnknownIssuer, minutes(9))],
            9,
            &["old_certificate"],
        ),
        ("another lately, verified", vec![other(Reason::Verified, minutes(1))], 9, &["old_certificate"]),
        ("another, long ago", vec![ours(minutes(1)), other(Reason::UnknownIssuer, minutes(11))], 9, &[]),
        ("nothing of ours", vec![], 9, &["certificate_unseen!"]),
        ("ours before the window", vec![ours(HOUR * 25)], 9, &["certificate_unseen!"]),
        ("nothing at all", vec![], 0, &[]),
    ];
    for (what, seen, handshakes, found) in table {
        let words = words(|p| {
            origin(p).seen = seen;
            origin(p).handshakes = handshakes;
        });
        assert_eq!(words, found, "{what}");
    }
    let unsettled = words(|p| {
        origin(p).seen = vec![other(Reason::UnknownIssuer, minutes(1))];
        written(p).updated_at = Some(now().before(minutes(2)));
    });
    assert_eq!(unsettled, [""; 0], "edges need a moment after a change");
}

#[test]
fn the_gravest_comes_first_and_words_are_their_own() {
    let words = words(|p| {
        p.host.association = None;
        p.zone.certificates.push(certificate("idle"));
    });
    assert_eq!(words, ["association_off!", "certificate_unused"]);
    for kind in FindingKind::ALL {
        assert_eq!(FindingKind::parse(kind.label()), Some(kind));
    }
}
