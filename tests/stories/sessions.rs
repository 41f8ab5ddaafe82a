//! A session never outlives its trust.

use std::time::Duration;

use originlock::policy::verdict::{Decision, Reason};

use crate::support::certificates::{DAY, LEAF_DAYS};
use crate::support::client::Client;
use crate::support::{HostSetup, Setup, Shape, Version, World, pki};

const SHOP: &str = "shop.example.com";
const BLOG: &str = "blog.example.com";

/// Two hosts that differ in nothing but their names.
fn world() -> World {
    World::builder()
        .ca("other", pki().other.certificate_pem())
        .crl("ours", &pki().empty_crl())
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new(BLOG).enforce("ours"))
        .start()
}

fn edge(world: &World, version: Version) -> Client {
    world.client(SHOP).version(version).presenting(Shape::P256).remembering()
}

/// Connects with a session to offer, and says whether it was resumed. The client is let in either way.
fn is_resumed(world: &World, client: &Client) -> bool {
    let (connection, answer) = client.get().expect("it is let in");
    assert!(connection.offered_session, "the client had a session to offer");
    let outcome = world.next_handshake();
    assert_eq!(outcome.resumed, connection.is_resumed());
    assert_eq!((outcome.reason, outcome.decision), (Reason::Verified, Decision::Admit));
    assert_eq!(answer.backend_saw("x-client-verify"), Some("SUCCESS"));
    assert_eq!(outcome.certificate.as_ref().map(|leaf| leaf.fingerprint), Some(fingerprint(Shape::P256)));
    outcome.resumed
}

fn begin(world: &World, client: &Client) {
    let (connection, _) = client.get().expect("it is let in");
    assert!(!connection.is_resumed());
    world.next_handshake();
}

fn fingerprint(shape: Shape) -> originlock::x509::Fingerprint {
    pki().credential(shape).summary().fingerprint
}

#[test]
fn a_session_resumes_with_the_same_host_and_trust() {
    let world = world();
    for version in Version::BOTH {
        let client = edge(&world, version);
        begin(&world, &client);
        for _ in 0..3 {
            assert!(is_resumed(&world, &client), "{version:?}");
        }
    }
}

#[test]
fn a_ticket_of_another_host_falls_back_to_a_full_handshake() {
    let world = world();
    for version in Version::BOTH {
        let client = edge(&world, version);
        begin(&world, &client);
        assert!(!is_resumed(&world, &client.asking_for(BLOG)), "{version:?}");
    }
}

#[test]
fn a_changed_policy_ends_the_resumption_of_its_sessions() {
    type Change = fn(&mut Setup);
    let changes: [(&str, Change); 6] = [
        ("mode", |setup| setup.host(SHOP).mode = "observe".into()),
        ("a CA more", |setup| setup.ca("ours").bundle.push_str(pki().other.certificate_pem())),
        ("another CRL", |setup| setup.ca("ours").crl = Some(pki().crl())),
        ("no CRL", |setup| setup.ca("ours").crl = None),
        ("pins", |setup| setup.host(SHOP).pins = vec![format!("sha256:{}", fingerprint(Shape::P256))]),
        ("names", |setup| setup.host(SHOP).names.push("www.shop.example.com".into())),
    ];
    for (what, change) in changes {
        for version in Version::BOTH {
            let mut world = world();
            let client = edge(&world, version);
            begin(&world, &client);
            assert!(is_resumed(&world, &client));
            world.change_and_reload(change);
            assert!(!is_resumed(&world, &client), "{what} {version:?}");
            assert!(is_resumed(&world, &client), "{what} {version:?}: a new session begins");
        }
    }
}

#[test]
fn an_unchanged_policy_resumes_after_a_reload() {
    let mut world = world();
    for version in Version::BOTH {
        let client = edge(&world, version);
        begin(&world, &client);
        world.change_and_reload(|setup| setup.host(BLOG).mode = "observe".into());
        assert!(is_resumed(&world, &client), "{version:?}");
        world.change_and_reload(|setup| setup.host(BLOG).mode = "enforce".into());
        assert!(is_resumed(&world, &client), "{version:?}");
    }
}

#[test]
fn a_removed_ca_refuses_the_sessions_of_its_clients() {
    for version in Version::BOTH {
        let mut world = world();
        let client = edge(&world, version);
        begin(&world, &client);
        world.change_and_reload(|setup| setup.ca("ours").bundle = pki().other.certificate_pem().into());
        client.expect_refused("unknown_ca");
        assert_eq!(world.next_handshake().reason, Reason::UnknownIssuer);
    }
}

#[test]
fn an_expired_certificate_ends_its_resumption() {
    for version in Version::BOTH {
        let world = world();
        let client = edge(&world, version);
        // Tickets live for hours, so the session begins shortly before the certificate ends. The list of the revoked
        // is by then long out of date: the host has none.
        let mut world = world;
        world.change_and_reload(|setup| setup.ca("ours").crl = None);
        world.set_clock(DAY * LEAF_DAYS - Duration::from_secs(60));
        begin(&world, &client);
        assert!(is_resumed(&world, &client), "{version:?}");
        world.set_clock(DAY * LEAF_DAYS + Duration::from_secs(1));
        client.expect_refused("certificate_expired");
        let outcome = world.next_handshake();
        assert_eq!((outcome.reason, outcome.resumed), (Reason::Expired, false));
    }
}

#[test]
fn an_expired_certificate_that_is_observed_is_not_told_as_verified() {
    for version in Version::BOTH {
        let world = World::with(HostSetup::new(SHOP).observe("ours"));
        let client = edge(&world, version);
        world.set_clock(DAY * LEAF_DAYS - Duration::from_secs(60));
        begin(&world, &client);
        world.set_clock(DAY * LEAF_DAYS + Duration::from_secs(1));
        for _ in 0..2 {
            let (_, answer) = client.get().expect("it is let in");
            assert_eq!(answer.backend_saw("x-client-verify"), Some("FAILED:expired"), "{version:?}");
            assert_eq!(world.next_handshake().reason, Reason::Expired);
        }
    }
}

#[test]
fn a_forged_proof_never_resumes_as_verified() {
    for version in Version::BOTH {
        let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
        let thief = world.client(SHOP).version(version).presenting(Shape::ForgedProof).remembering();
        for _ in 0..3 {
            let (connection, answer) = thief.get().expect("observe lets it in");
            assert!(!connection.offered_session, "{version:?}: it got no session");
            assert_eq!(answer.backend_saw("x-client-verify"), Some("FAILED:proof_failed"));
            let outcome = world.next_handshake();
            assert_eq!((outcome.reason, outcome.proved, outcome.resumed), (Reason::ProofFailed, false, false));
        }
        world.change_and_reload(|setup| setup.host(SHOP).mode = "enforce".into());
        thief.expect_refused("decrypt_error");
    }
}

#[test]
fn a_ticket_ends_with_its_key() {
    for version in Version::BOTH {
        let world = World::with(HostSetup::new(SHOP).enforce("ours"));
        let client = edge(&world, version);
        begin(&world, &client);
        world.set_clock(Duration::from_secs(13 * 3600));
        assert!(!is_resumed(&world, &client), "{version:?}");
    }
}
