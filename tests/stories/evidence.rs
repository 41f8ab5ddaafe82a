//! What handshakes and requests add up to.

use std::time::Duration;

use originlock::evidence::network::Network;
use originlock::evidence::tally::Evidence;
use originlock::policy::verdict::Reason;

use crate::support::certificates::Shape;
use crate::support::{HostSetup, World};

const SHOP: &str = "shop.example.com";
const DAY: Duration = Duration::from_hours(24);

/// What was seen of one configured name of the host called `host` in the last day.
fn seen(world: &World, host: &str, name: &str) -> Evidence {
    let mut evidence = world.server().ledger().evidence(host, DAY, world.clock.now());
    evidence.remove(name).unwrap_or_else(|| panic!("no evidence of {name}: {evidence:?}"))
}

#[test]
fn each_configured_name_has_its_own_counts() {
    let host = HostSetup::new(SHOP).also("*.shop.example.com").observe("ours");
    let world = World::builder().host(host).host(HostSetup::new("off.example.com")).start();
    let present = |name: &str, shape: Shape| {
        world.client(name).presenting(shape).get().expect("it is let in");
        world.next_handshake();
    };
    present(SHOP, Shape::P256);
    present(SHOP, Shape::P256);
    present("a.shop.example.com", Shape::P256);
    present("b.shop.example.com", Shape::UnknownCa);
    present("off.example.com", Shape::P256);
    let shop = seen(&world, SHOP, SHOP);
    assert_eq!(shop.handshakes, [((Network::Elsewhere, Reason::Verified), 2)].into());
    let wildcard = seen(&world, SHOP, "*.shop.example.com");
    assert_eq!(wildcard.count(Network::Elsewhere, Reason::Verified), 1);
    assert_eq!(wildcard.count(Network::Elsewhere, Reason::UnknownIssuer), 1);
    let failure = &wildcard.failures[&(Network::Elsewhere, Reason::UnknownIssuer)];
    assert_eq!(failure.last.server_name.as_deref(), Some("b.shop.example.com"));
    assert!(failure.last.certificate.is_some());
    assert!(world.server().ledger().evidence("off.example.com", DAY, world.clock.now()).is_empty());
}
