//! The probe tells truly whether it was let in, and nothing of it reaches the backend.

use std::net::{IpAddr, Ipv4Addr};

use originlock::hostname::Hostname;
use originlock::pki::{Issued, LeafOptions, self_signed};
use originlock::probe::battery::{Attempt, Finding, essentials};
use originlock::probe::{Answer, Identity, Probe, Probed};

use crate::support::certificates::{good, now};
use crate::support::{HostSetup, PATIENCE, World, pki};

const SHOP: &str = "shop.example.com";

fn probe(world: &World, name: &str, identity: Option<&Identity>) -> Probed {
    let probe = Probe::from(IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("a socket");
    let name = Hostname::parse(name).expect("a hostname");
    probe.handshake(world.address(), &name, identity, PATIENCE).expect("an answer")
}

fn identity(issued: &Issued) -> Identity {
    Identity::from_pem(issued.certificate_pem.as_bytes(), &issued.key_pem).expect("an identity")
}

#[test]
fn a_probe_knows_whether_it_was_let_in_without_asking_for_anything() {
    let options = LeafOptions::client("edge", good());
    let edge = identity(&pki().ours.issue(&options).expect("a leaf"));
    let stranger = identity(&self_signed(&options).expect("a leaf"));
    for (mode, presented, answer, reason) in [
        ("off", None, Answer::Admitted, "no_certificate"),
        ("off", Some(&stranger), Answer::Admitted, "no_certificate"),
        ("observe", None, Answer::Admitted, "no_certificate"),
        ("observe", Some(&stranger), Answer::Admitted, "unknown_issuer"),
        ("observe", Some(&edge), Answer::Admitted, "verified"),
        ("enforce", None, Answer::Refused(Some("certificate_required")), "no_certificate"),
        ("enforce", Some(&stranger), Answer::Refused(Some("unknown_ca")), "unknown_issuer"),
        ("enforce", Some(&edge), Answer::Admitted, "verified"),
    ] {
        let world = World::with(HostSetup::new(SHOP).mode(mode).ca("ours"));
        let probed = probe(&world, SHOP, presented);
        assert_eq!((probed.answer, probed.tls_version), (answer, Some("1.3")), "{mode} {reason}");
        assert_eq!(world.next_handshake().reason.label(), reason, "{mode}");
        let own = world.client(SHOP).presenting(crate::support::Shape::P256).connect().expect("let in");
        assert_eq!(probed.certificate.as_ref(), Some(own.server_certificate()));
        let metrics = world.metrics();
        let requests: Vec<_> = metrics.lines().filter(|line| line.starts_with("originlock_requests_total{")).collect();
        assert!(!requests.is_empty() && requests.iter().all(|line| line.ends_with(" 0")), "{mode}: {requests:?}");
    }
}

#[test]
fn a_probe_of_an_unknown_name_is_told_so() {
    let world = World::with(HostSetup::new(SHOP));
    assert_eq!(probe(&world, "elsewhere.example.com", None).answer, Answer::Refused(Some("unrecognized_name")));
}

#[test]
fn three_attempts_show_whether_enforcing_works() {
    use Attempt::{NoCertificate, OtherCa, RightCertificate};
    let options = LeafOptions::client("edge", good());
    let edge = identity(&pki().ours.issue(&options).expect("a leaf"));
    let stranger = identity(&pki().other.issue(&options).expect("a leaf"));
    let without = "refused with certificate_required";
    for (mode, right, findings) in [
        ("observe", Some(&edge), [(Finding::Hole, "let in"), (Finding::Hole, "let in"), (Finding::Holds, "let in")]),
        (
            "enforce",
            Some(&edge),
            [(Finding::Holds, without), (Finding::Holds, "refused with unknown_ca"), (Finding::Holds, "let in")],
        ),
        (
            "enforce",
            Some(&stranger),
            [
                (Finding::Holds, without),
                (Finding::Holds, "refused with unknown_ca"),
                (Finding::ShutOut, "refused with unknown_ca"),
            ],
        ),
        (
            "enforce",
            None,
            [
                (Finding::Holds, without),
                (Finding::Holds, "refused with unknown_ca"),
                (Finding::Skipped, "no certificate and key are given"),
            ],
        ),
    ] {
        let world = World::with(HostSetup::new(SHOP).mode(mode).ca("ours"));
        let name = Hostname::parse(SHOP).expect("a hostname");
        let tried = essentials(world.address(), &name, right, PATIENCE, now());
        let found: Vec<_> = tried.iter().map(|tried| (tried.finding, tried.detail.as_str())).collect();
        assert_eq!(found, findings, "{mode}");
        let attempts: Vec<_> = tried.iter().map(|tried| tried.attempt).collect();
        assert_eq!(attempts, [NoCertificate, OtherCa, RightCertificate]);
    }
}

#[test]
fn a_refusal_proves_nothing_where_no_certificate_was_shown() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let name = Hostname::parse("elsewhere.example.com").expect("a hostname");
    let tried = essentials(world.address(), &name, None, PATIENCE, now());
    assert!(tried[..2].iter().all(|tried| tried.finding == Finding::Unclear), "{tried:?}");
    assert!(tried[0].detail.contains("unrecognized_name"), "{tried:?}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let tried = essentials(nobody, &name, None, PATIENCE, now());
    assert!(tried[..2].iter().all(|tried| tried.finding == Finding::Unclear), "{tried:?}");
    assert!(tried[0].detail.contains("cannot be reached"), "{tried:?}");
}
