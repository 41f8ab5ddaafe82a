//! Who comes from Cloudflare and is not us: another customer's edge, with the certificate that all customers share.

use crate::cloudflare::{self, Edge, Level, Zone};
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, cloudflare, origin, zone};

/// A name that the zone's owner lets in with Cloudflare's shared certificate alone.
const OPEN: &str = "open.example.com";

#[test]
fn another_customer_is_refused_where_the_hostname_has_its_own_certificate_and_let_in_where_it_has_not() {
    let evil = Zone::new("evil.example").account("Evil").proxied("www.evil.example", "127.0.0.1").tls_client_auth(true);
    let origin = origin()
        .ca("shared", cloudflare::shared_ca_pem())
        .host(HostSetup::new(SHOP).observe("ours"))
        .host(HostSetup::new(WWW).observe("ours"))
        .host(HostSetup::new(OPEN).enforce("shared"));
    let zone = zone().proxied(OPEN, "127.0.0.1");
    let aop = Aop::with(origin.start(), cloudflare().zone(zone).zone(evil).start()).visited();
    let attack = |name: &str, http2: bool| {
        let edge = Edge::of(&aop.fake, aop.world.address()).from("127.0.1.9").asking_for(name);
        let edge = if http2 { edge.http2() } else { edge };
        let visit = edge.start().request("www.evil.example");
        assert_eq!(visit.level, Level::Global);
        (visit.status(), visit.alert().map(str::to_owned))
    };
    assert_eq!(attack(SHOP, false).0, Some(200), "before, everyone is let in");
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    for http2 in [false, true] {
        for name in [SHOP, WWW] {
            assert_eq!(attack(name, http2), (None, Some("UnknownCA".to_owned())), "{name}");
        }
        assert_eq!(
            attack(OPEN, http2),
            (Some(200), None),
            "the shared certificate proves Cloudflare, not the customer"
        );
    }
    assert_eq!(aop.edge.request(SHOP).status(), Some(200), "our own edges");
}
