use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::cloudflare::{Association, Setting, UploadedCertificate};
use crate::pki::{LeafOptions, Validity, self_signed};
use crate::rollout::leaf::Leaf;
use crate::rollout::seen::Host;

const SHOP: &str = "shop.example.com";
const WWW: &str = "www.example.com";
const SEEN_AT: &str = "2026-11-20T10:00:00Z";

fn leaf() -> Leaf {
    let validity = Validity::days(Timestamp::from_seconds(1_800_000_000), 30);
    let issued = self_signed(&LeafOptions::client("edge", validity)).expect("a certificate");
    Leaf::from_pem(issued.certificate_pem.as_bytes(), issued.key_pem).expect("a leaf")
}

fn desired() -> Desired {
    Desired {
        level: Level::Hostname,
        hostnames: [SHOP, WWW].iter().map(|name| Hostname::parse(name).expect("a hostname")).collect(),
        leaf: Some(leaf()),
        zone_setting: true,
        post_quantum: None,
        enforce: true,
        replace: false,
        window: None,
        origin_address: None,
        force: Vec::new(),
    }
}

fn certificate(status: Status) -> UploadedCertificate {
    UploadedCertificate { status, ..serde_json::from_value(json!({ "id": "ours" })).expect("a certificate") }
}

fn association(id: &str, enabled: bool, status: Status) -> Association {
    let read = json!({ "hostname": SHOP, "cert_id": id, "enabled": enabled });
    Association { status, ..serde_json::from_value(read).expect("an association") }
}

/// A host of the origin's; `seen`: the certificate that Cloudflare presented for it.
fn host(name: &str, names: &[&str], mode: &str, seen: Option<(Fingerprint, &str)>) -> Host {
    let certificates: Vec<Value> = seen
        .into_iter()
        .map(|(sha256, reason)| {
            let times = json!({ "first_seen": SEEN_AT, "last_seen": SEEN_AT, "handshakes": 1 });
            let by_name: BTreeMap<_, _> = names.iter().map(|name| (*name, times.clone())).collect();
            json!({
                "role": "client", "host": name, "sha256": sha256, "subject": "", "issuer": "", "not_after": SEEN_AT,
                "known_as": null,
                "seen": {
                    "network": "cloudflare", "reason": reason, "first_seen": SEEN_AT, "last_seen": SEEN_AT,
                    "handshakes": 1, "by_name": by_name,
                },
            })
        })
        .collect();
    let network = json!({ "handshakes": 0, "verified": 0, "requests": 0, "by_reason": {} });
    let evidence = json!({
        "window_seconds": 60, "cloudflare": network, "elsewhere": network, "edge_addresses": 0, "last_verified": null,
    });
    let detail = json!({
        "name": names[0], "names": names, "mode": mode, "trust": null, "certificate_not_after": null, "upstream": [],
        "source": null, "confirm_by": null, "readiness": { "ready": false, "shortfalls": [], "notices": [] },
        "evidence": evidence, "last_hour": [], "last_week": [], "by_name": {}, "certificates": certificates,
        "failures": [], "outsiders": [],
    });
    Host { configured: name.to_owned(), detail: serde_json::from_value(detail).expect("a host") }
}

fn observed() -> Observed {
    let status = json!({
        "at": SEEN_AT, "version": "0", "started_at": SEEN_AT, "generation": 1, "config": "", "listeners": [],
        "networks": { "source": "shipped", "dated": null, "ranges": 1 }, "evidence_file": null, "unknown_names": [],
        "may_change": true,
    });
    let hostnames = [SHOP, WWW].map(|name| {
        let observed = ObservedHostname { association: None, host: Some(host(name, &[name], "off", None)) };
        (Hostname::parse(name).expect("a hostname"), observed)
    });
    Observed {
        zone: "example.com".to_owned(),
        status: serde_json::from_value(status).expect("a status"),
        tls_client_auth: Some(Setting { value: "off".to_owned(), editable: true }),
        zone_level: Some(false),
        post_quantum: None,
        certificate: None,
        hostnames: hostnames.into_iter().collect(),
    }
}

/// `name subject: state` of all steps.
fn told(desired: &Desired, observed: &Observed, done: &Done) -> Vec<String> {
    let line = |step: &Step| {
        let state = serde_json::to_value(step.state).expect("a word");
        format!("{} {}: {}", step.name.label(), step.subject, state.as_str().unwrap_or_default())
    };
    steps(desired, observed, done).iter().map(line).collect()
}

fn state_of(name: StepName, subject: &str, desired: &Desired, observed: &Observed, done: &Done) -> StepState {
    let steps = steps(desired, observed, done);
    let step = steps.iter().find(|step| step.name == name && step.subject == subject);
    step.unwrap_or_else(|| panic!("no step {name:?} of {subject}")).state
}

#[test]
fn from_nothing_everything_is_to_be_done_in_the_safe_order() {
    let expected = [
        "upload example.com: todo",
        "observe shop.example.com: todo",
        "observe www.example.com: todo",
        "associate shop.example.com: todo",
        "associate www.example.com: todo",
        "zone_setting example.com: todo",
        "seen shop.example.com: waiting",
        "seen www.example.com: waiting",
        "enforce shop.example.com: todo",
        "enforce www.example.com: todo",
        "prove shop.example.com: todo",
        "prove www.example.com: todo",
    ];
    assert_eq!(told(&desired(), &observed(), &Done::default()), expected);
}

#[test]
fn what_is_not_wanted_is_left_out_and_shown() {
    let desired = Desired { zone_setting: false, enforce: false, ..desired() };
    let told = told(&desired, &observed(), &Done::default());
    let left_out: Vec<_> = told.iter().filter(|line| line.ends_with("left_out")).collect();
    let expected = [
        "zone_setting example.com: left_out",
        "enforce shop.example.com: left_out",
        "enforce www.example.com: left_out",
        "prove shop.example.com: left_out",
        "prove www.example.com: left_out",
    ];
    assert_eq!(left_out, expected);
}

#[test]
fn each_status_of_the_certificate_has_its_state() {
    let states = [
        (Status::Active, StepState::Done),
        (Status::Initializing, StepState::Waiting),
        (Status::PendingDeployment, StepState::Waiting),
        (Status::Other("new".to_owned()), StepState::Waiting),
        (Status::DeploymentTimedOut, StepState::Todo),
        (Status::PendingDeletion, StepState::Todo),
        (Status::Deleted, StepState::Todo),
        (Status::DeletionTimedOut, StepState::Todo),
    ];
    for (status, state) in states {
        let observed = Observed { certificate: Some(certificate(status.clone())), ..observed() };
        assert_eq!(
            state_of(StepName::Upload, "example.com", &desired(), &observed, &Done::default()),
            state,
            "{status}"
        );
    }
}

#[test]
fn an_association_is_done_when_it_is_active_with_the_right_certificate() {
    let cases = [
        (None, StepState::Todo),
        (Some(association("ours", true, Status::Active)), StepState::Done),
        (Some(association("ours", true, Status::PendingDeployment)), StepState::Waiting),
        (Some(association("ours", true, Status::DeploymentTimedOut)), StepState::Todo),
        (Some(association("ours", true, Status::PendingDeletion)), StepState::Todo),
        (Some(association("ours", false, Status::Active)), StepState::Todo),
        (Some(association("theirs", true, Status::Active)), StepState::Todo),
    ];
    for (association, state) in cases {
        let mut observed = Observed { certificate: Some(certificate(Status::Active)), ..observed() };
        let case = format!("{association:?}");
        observed.hostnames.get_mut(SHOP).expect("a hostname").association = association;
        assert_eq!(state_of(StepName::Associate, SHOP, &desired(), &observed, &Done::default()), state, "{case}");
    }
}

#[test]
fn a_sighting_counts_if_it_verifies_and_came_after_the_association() {
    let desired = desired();
    let sha256 = desired.leaf.as_ref().expect("a leaf").sha256();
    let at = Timestamp::parse(SEEN_AT).expect("a time");
    let minute = std::time::Duration::from_mins(1);
    let other = Fingerprint::of(b"another");
    for (seen, associated, since, state) in [
        (Some((sha256, "verified")), true, None, StepState::Done),
        (Some((sha256, "verified")), true, Some(at), StepState::Done),
        (Some((sha256, "verified")), true, Some(at.after(minute)), StepState::Waiting),
        (Some((sha256, "verified")), false, None, StepState::Waiting),
        (Some((sha256, "unknown_issuer")), true, None, StepState::Waiting),
        (Some((other, "verified")), true, None, StepState::Waiting),
        (None, true, None, StepState::Waiting),
    ] {
        let mut observed = Observed { certificate: Some(certificate(Status::Active)), ..observed() };
        let of_shop = observed.hostnames.get_mut(SHOP).expect("a hostname");
        of_shop.host = Some(host(SHOP, &[SHOP], "observe", seen));
        of_shop.association = associated.then(|| association("ours", true, Status::Active));
        let mut done = Done::default();
        if let Some(since) = since {
            done.associated(&desired.hostnames[0], since);
        }
        let case = format!("{seen:?}, associated: {associated}, since {since:?}");
        assert_eq!(state_of(StepName::Seen, SHOP, &desired, &observed, &done), state, "{case}");
    }
}

#[test]
fn hostnames_of_one_host_are_observed_and_enforced_together() {
    let mut observed = observed();
    for name in [SHOP, WWW] {
        let host = host(name, &[SHOP, WWW, "old.example.com"], "observe", None);
        observed.hostnames.get_mut(name).expect("a hostname").host = Some(host);
    }
    let steps = steps(&desired(), &observed, &Done::default());
    let of = |name: StepName| steps.iter().filter(|step| step.name == name).collect::<Vec<_>>();
    let [enforce] = of(StepName::Enforce)[..] else { panic!("{steps:#?}") };
    assert_eq!((enforce.subject.as_str(), of(StepName::Observe).len(), of(StepName::Seen).len()), (SHOP, 1, 2));
    assert!(enforce.why.contains("with it old.example.com"), "who else it hits is told: {}", enforce.why);
}

#[test]
fn a_wildcard_that_is_enforced_with_a_hostname_is_told() {
    let mut observed = observed();
    observed.hostnames.get_mut(SHOP).expect("a hostname").host =
        Some(host("*.example.com", &["*.example.com"], "observe", None));
    let steps = steps(&desired(), &observed, &Done::default());
    let enforce = steps.iter().find(|step| step.name == StepName::Enforce && step.subject == SHOP).expect("a step");
    assert!(enforce.why.contains("with it *.example.com"), "{}", enforce.why);
}

#[test]
fn the_other_levels_have_their_own_switch_and_no_association() {
    let zone = told(&Desired { level: Level::Zone, ..desired() }, &observed(), &Done::default());
    assert!(zone.contains(&"zone_level example.com: todo".to_owned()), "{zone:#?}");
    let global = told(&Desired { level: Level::Global, leaf: None, ..desired() }, &observed(), &Done::default());
    assert_eq!(global[0], "observe shop.example.com: todo", "{global:#?}");
    assert!(zone.iter().chain(&global).all(|line| !line.starts_with("associate")), "{zone:#?} {global:#?}");
}
