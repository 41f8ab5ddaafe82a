//! An open connection does not outlive the trust that let it in, and notices nothing of a reload that leaves it be.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::certificates::{CRL_DAYS, Credential, DAY, LEAF_DAYS, Shape, around, good};
use crate::support::client::{Client, Connection};
use crate::support::http2::Http2;
use crate::support::{HostSetup, Setup, World, pki};

use originlock::pki::{Ca, CaOptions, KeyType, LeafOptions};

const SHOP: &str = "shop.example.com";

/// One open connection of either protocol.
enum Open {
    Http1(Box<Connection>),
    Http2(Box<Http2>),
}

impl Open {
    fn both(client: &Client) -> [Self; 2] {
        let http1 = client.connect().expect("it is let in");
        let http2 = Http2::connect(client).expect("it is let in");
        [Self::Http1(Box::new(http1)), Self::Http2(Box::new(http2))]
    }

    /// Status and body of an answer to a GET.
    fn get(&mut self) -> (u16, String) {
        match self {
            Self::Http1(connection) => {
                let answer = connection.get("/").expect("an answer");
                (answer.status, answer.body)
            }
            Self::Http2(connection) => {
                let answer = connection.get("/").expect("an answer");
                (answer.status, answer.body)
            }
        }
    }

    fn expect_verify(&mut self, expected: &str) {
        let (status, body) = self.get();
        assert_eq!(status, 200);
        assert!(body.contains(&format!("x-client-verify: {expected}\r\n")), "{body}");
    }

    fn expect_misdirected_and_closed(mut self) {
        assert_eq!(self.get().0, 421);
        match self {
            Self::Http1(mut connection) => assert!(connection.ends(), "the server closes"),
            Self::Http2(mut connection) => connection.wait_for_end(),
        }
    }
}

/// Opens both protocols, has them answered, changes the configuration, and gives the connections back.
fn after_reload(world: &mut World, client: &Client, before: &str, change: impl FnOnce(&mut Setup)) -> [Open; 2] {
    let mut open = Open::both(client);
    open.iter_mut().for_each(|connection| connection.expect_verify(before));
    world.change_and_reload(change);
    open
}

#[test]
fn a_removed_ca_ends_its_clients_connections() {
    let mut world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let edge = world.client(SHOP).presenting(Shape::P256);
    let other = pki().other.certificate_pem();
    let open = after_reload(&mut world, &edge, "SUCCESS", |setup| setup.ca("ours").bundle = other.into());
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
    let refused = "originlock_requests_refused_total{host=\"shop.example.com\",reason=\"trust_changed\"}";
    assert_eq!(world.metric(refused), Some(2.0));
}

#[test]
fn a_revoked_certificate_ends_its_connections() {
    let mut world = World::builder().crl("ours", &pki().empty_crl()).host(HostSetup::new(SHOP).enforce("ours")).start();
    let edge = world.client(SHOP).presenting(Shape::Revoked);
    let open = after_reload(&mut world, &edge, "SUCCESS", |setup| setup.ca("ours").crl = Some(pki().crl()));
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
}

#[test]
fn enforcing_ends_the_connections_that_were_only_observed() {
    let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
    let nobody = world.client(SHOP);
    let stranger = world.client(SHOP).presenting(Shape::UnknownCa);
    let thief = world.client(SHOP).presenting(Shape::ForgedProof);
    let edge = world.client(SHOP).presenting(Shape::P256);
    let mut good = Open::both(&edge);
    let mut bad = Vec::new();
    for (client, verify) in [(nobody, "NONE"), (stranger, "FAILED:unknown_issuer"), (thief, "FAILED:proof_failed")] {
        for mut connection in Open::both(&client) {
            connection.expect_verify(verify);
            bad.push(connection);
        }
    }
    world.change_and_reload(|setup| setup.host(SHOP).mode = "enforce".into());
    bad.into_iter().for_each(Open::expect_misdirected_and_closed);
    good.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
}

#[test]
fn a_host_that_leaves_the_configuration_ends_its_connections() {
    let mut world =
        World::builder().host(HostSetup::new(SHOP).enforce("ours")).host(HostSetup::new("blog.example.com")).start();
    let edge = world.client(SHOP).presenting(Shape::P256);
    let open = after_reload(&mut world, &edge, "SUCCESS", |setup| setup.hosts.retain(|host| host.names[0] != SHOP));
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
}

#[test]
fn a_certificate_that_expires_ends_its_connections() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let mut open = Open::both(&world.client(SHOP).presenting(Shape::P256));
    open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
    world.set_clock(DAY * LEAF_DAYS);
    open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
    world.set_clock(DAY * LEAF_DAYS + Duration::from_secs(1));
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
}

#[test]
fn a_certificate_that_expires_under_observe_is_told_as_expired() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    let mut open = Open::both(&world.client(SHOP).presenting(Shape::P256));
    open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
    world.set_clock(DAY * LEAF_DAYS + Duration::from_secs(1));
    open.iter_mut().for_each(|connection| connection.expect_verify("FAILED:expired"));
}

#[test]
fn unchanged_and_growing_trust_leaves_connections_alone() {
    let mut world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let mut open = Open::both(&world.client(SHOP).presenting(Shape::P256));
    let changes: [fn(&mut Setup); 4] = [
        |_| {},
        |setup| setup.ca("ours").bundle.push_str(pki().other.certificate_pem()),
        |setup| setup.hosts.push(HostSetup::new("blog.example.com")),
        |setup| setup.host(SHOP).mode = "observe".into(),
    ];
    for change in changes {
        open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
        world.change_and_reload(change);
        open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
    }
}

#[test]
fn a_ca_that_is_added_verifies_an_observed_connection_from_then_on() {
    let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
    let stranger = world.client(SHOP).presenting(Shape::UnknownCa);
    let mut open = after_reload(&mut world, &stranger, "FAILED:unknown_issuer", |setup| {
        setup.ca("ours").bundle.push_str(pki().other.certificate_pem());
    });
    open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
}

#[test]
fn a_connection_begun_without_client_authentication_ends_when_it_is_enforced() {
    let mut world = World::with(HostSetup::new(SHOP));
    let edge = world.client(SHOP).presenting(Shape::P256);
    let open = after_reload(&mut world, &edge, "NONE", |setup| {
        let host = setup.host(SHOP);
        (host.mode, host.ca) = ("enforce".into(), Some("ours".into()));
    });
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
}

#[test]
fn a_pin_that_is_removed_ends_the_connections_that_rest_on_it() {
    let leaf = pki().other.issue(&LeafOptions::client("pinned", good())).expect("a leaf");
    let credential = Credential::of(&leaf);
    let pin = format!("sha256:{}", credential.summary().fingerprint);
    let mut world = World::with(HostSetup::new(SHOP).mode("enforce").pin(&pin));
    let edge = world.client(SHOP).credential(&credential);
    let open = after_reload(&mut world, &edge, "SUCCESS", |setup| {
        setup.host(SHOP).pins = vec![format!("sha256:{}", pki().credential(Shape::P256).summary().fingerprint)];
    });
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
}

#[test]
fn a_more_specific_host_takes_over_the_connections_of_its_name() {
    let mut world = World::builder()
        .ca("other", pki().other.certificate_pem())
        .host(HostSetup::new("*.example.com").enforce("ours"))
        .start();
    let edge = world.client(SHOP).presenting(Shape::P256);
    let elsewhere = world.client("blog.example.com").presenting(Shape::P256);
    let mut left_alone = Open::both(&elsewhere);
    let open = after_reload(&mut world, &edge, "SUCCESS", |setup| {
        setup.hosts.push(HostSetup::new(SHOP).enforce("other"));
    });
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
    left_alone.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
}

#[test]
fn a_revocation_list_that_runs_out_ends_connections_and_lets_nobody_in() {
    let world = World::builder().crl("ours", &pki().crl()).host(HostSetup::new(SHOP).enforce("ours")).start();
    let edge = world.client(SHOP).presenting(Shape::P256).remembering();
    let mut open = Open::both(&edge);
    open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
    world.set_clock(DAY * CRL_DAYS + Duration::from_secs(1));
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
    edge.expect_refused("unknown_ca");
    let reasons: Vec<_> = (0..3).map(|_| world.next_handshake().reason.label()).collect();
    assert_eq!(reasons, ["verified", "verified", "crl_expired"]);
}

#[test]
fn a_ca_that_expires_ends_the_connections_of_leaves_that_outlive_it() {
    let options = CaOptions { common_name: "short".into(), key_type: KeyType::P256, validity: around(5) };
    let (ca, _) = Ca::create(&options).expect("a CA");
    let credential = Credential::of(&ca.issue(&LeafOptions::client("edge", good())).expect("a leaf"));
    let world = World::builder().ca("short", ca.certificate_pem()).host(HostSetup::new(SHOP).enforce("short")).start();
    let edge = world.client(SHOP).credential(&credential).remembering();
    let mut open = Open::both(&edge);
    world.set_clock(DAY * 5);
    open.iter_mut().for_each(|connection| connection.expect_verify("SUCCESS"));
    world.set_clock(DAY * 5 + Duration::from_secs(1));
    open.into_iter().for_each(Open::expect_misdirected_and_closed);
    edge.expect_refused("certificate_expired");
}

#[test]
fn a_connection_that_was_opened_before_a_reload_is_judged_by_what_is_in_force_after_it() {
    for shape in [None, Some(Shape::P256)] {
        let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
        let client = world.client(SHOP);
        let client = shape.map_or(client.clone(), |shape| client.presenting(shape));
        let socket = TcpStream::connect(world.address()).expect("the listener is there");
        world.wait_for_metric("originlock_connections_open", 1.0);
        world.change_and_reload(|setup| {
            setup.ca("ours").bundle = pki().other.certificate_pem().into();
            setup.host(SHOP).mode = "enforce".into();
        });
        // It may be let in by what was in force when it was opened; nothing is forwarded for it.
        if let Ok(answer) = client.connect_over(socket).and_then(|mut connection| connection.get("/")) {
            assert_eq!(answer.status, 421, "{shape:?}");
        }
    }
}
