//! The edges present what Cloudflare would: per association, zone and shared certificate, each data centre in its time.

use std::time::Duration;

use originlock::pki::{Issued, LeafOptions};
use originlock::x509::Fingerprint;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::cloudflare::{self, Association, Edge, Fake, FakeClock, Level, Zone};
use crate::support::certificates::{good, now};
use crate::support::{HostSetup, World, pki};

const SHOP: &str = "shop.example.com";

fn world() -> World {
    World::builder()
        .ca("shared", cloudflare::shared_ca_pem())
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new("open.example.com").observe("ours"))
        .host(HostSetup::new("all.example.com").enforce("shared"))
        .start()
}

fn leaf() -> Issued {
    pki().ours.issue(&LeafOptions::client(SHOP, good())).expect("a leaf")
}

fn zone() -> Zone {
    Zone::new("example.com").proxied("*.example.com", "198.51.100.4").proxied(SHOP, "198.51.100.4")
}

fn fake(zone: Zone) -> Fake {
    Fake::builder().zone(zone).clock(FakeClock::Manual).starting(now()).start()
}

fn sha256(issued: &Issued) -> Option<Fingerprint> {
    Some(Fingerprint::of(&issued.certificate_der))
}

#[test]
fn each_level_gives_way_to_the_one_above() {
    let (world, of_host, of_zone) = (world(), leaf(), leaf());
    let fake = fake(zone().certificate(&of_host).associated(SHOP, 0, true).zone_certificate(&of_zone));
    let edge = Edge::of(&fake, world.address()).requests_per_connection(1).start();
    let visit = edge.request(SHOP);
    assert_eq!((visit.level, visit.presented, visit.status()), (Level::Hostname, sha256(&of_host), Some(200)));
    assert_eq!(edge.request("open.example.com").level, Level::Nothing);
    let cert_id = fake.set(|state| {
        let now = state.now();
        state.zone("example.com").switch.change(now, true);
        state.zone("example.com").tls_client_auth.change(now, true);
        state.zone("example.com").certificates.all()[0].id.clone()
    });
    assert_eq!(edge.request("open.example.com").presented, sha256(&of_zone));
    let write = |effect| {
        fake.set(|state| {
            let now = state.now();
            state.zone("example.com").associations.set(SHOP, effect, now);
        })
    };
    write(Some(Association { cert_id, enabled: false }));
    let refused = edge.request(SHOP);
    assert_eq!((refused.level, refused.alert()), (Level::Nothing, Some("CertificateRequired")), "{refused:?}");
    fake.settings(|settings| settings.disabled_suppresses_global = false);
    assert_eq!(edge.request(SHOP).level, Level::Global);
    write(None);
    assert_eq!(edge.request(SHOP).level, Level::Zone);
    fake.set(|state| {
        let now = state.now();
        state.zone("example.com").switch.change(now, false);
    });
    assert_eq!(edge.request("all.example.com").status(), Some(200), "the shared one");
    assert_eq!(edge.request(SHOP).alert(), Some("UnknownCA"));
}

#[test]
fn some_hostnames_are_not_visited_by_an_edge_or_not_with_tls() {
    let world = world();
    let zone = zone().dns_only("grey.example.com", "198.51.100.4").tunnel("tunnel.example.com");
    let zone = zone.rule("http.host eq \"plain.example.com\"", "flexible", true).tls_client_auth(true);
    let fake = fake(zone);
    let edge = Edge::of(&fake, world.address()).plain_origin(world.echo.address).asking_for(SHOP).start();
    for (hostname, level, presents) in [
        ("grey.example.com", Level::Direct, false),
        ("tunnel.example.com", Level::Elsewhere, false),
        ("nosuch.elsewhere.example", Level::Elsewhere, false),
        ("plain.example.com", Level::Plain, false),
        ("other.example.com", Level::Global, true),
    ] {
        let visit = edge.request(hostname);
        assert_eq!((visit.level, visit.presented.is_some()), (level, presents), "{visit:?}");
    }
    assert_eq!(edge.request("plain.example.com").status(), Some(200));
    assert_eq!(edge.request("grey.example.com").alert(), Some("CertificateRequired"));
    fake.set(|state| state.zone("example.com").paused = true);
    assert_eq!(edge.request("nosuch.example.com").level, Level::Direct);
}

#[test]
fn a_connection_that_is_kept_keeps_its_certificate() {
    let (world, first, second) = (world(), leaf(), leaf());
    let fake = fake(zone().certificate(&first).certificate(&second).associated(SHOP, 0, true));
    let edge = Edge::of(&fake, world.address()).requests_per_connection(3).start();
    assert!(edge.request(SHOP).is_fresh);
    fake.set(|state| {
        let now = state.now();
        let cert_id = state.zone("example.com").certificates.all()[1].id.clone();
        state.zone("example.com").associations.set(SHOP, Some(Association { cert_id, enabled: true }), now);
    });
    for _ in 0..2 {
        let kept = edge.request(SHOP);
        assert_eq!((kept.is_fresh, kept.presented), (false, sha256(&first)));
    }
    let fresh = edge.request(SHOP);
    assert_eq!((fresh.is_fresh, fresh.presented), (true, sha256(&second)));
}

#[test]
fn data_centres_switch_one_after_the_other() {
    let (world, first, second) = (world(), leaf(), leaf());
    let fake = fake(zone().certificate(&first).certificate(&second).associated(SHOP, 0, true));
    let edge = Edge::of(&fake, world.address()).from("127.0.1.1").behind("127.0.1.2", Duration::from_secs(2));
    let edge = edge.requests_per_connection(1).start();
    fake.set(|state| {
        let now = state.now();
        let cert_id = state.zone("example.com").certificates.all()[1].id.clone();
        state.zone("example.com").associations.set(SHOP, Some(Association { cert_id, enabled: true }), now);
    });
    let presented = || edge.request_from_everywhere(SHOP).iter().map(|visit| visit.presented).collect::<Vec<_>>();
    assert_eq!(presented(), [sha256(&second), sha256(&first)]);
    let visiting = edge.keep_visiting(SHOP, Duration::from_millis(1));
    visiting.wait_until("both are presented", |counts| counts.presented.len() == 2);
    fake.advance(Duration::from_secs(2));
    visiting.wait_for(sha256(&second));
    assert_eq!(visiting.counts().failures, Vec::<String>::new());
}

#[test]
fn the_origins_certificate_matters_in_mode_strict_alone() {
    let world = world();
    for (mode, trusted, let_in) in [("full", false, true), ("strict", false, false), ("strict", true, true)] {
        let fake = fake(zone().ssl(mode));
        let mut roots = RootCertStore::empty();
        let ca = if trusted { &pki().site } else { &pki().other };
        roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).expect("a CA")).expect("a root");
        let edge = Edge::of(&fake, world.address()).trusting(roots).start();
        assert_eq!(edge.request("open.example.com").status() == Some(200), let_in, "{mode}, trusted: {trusted}");
    }
}

#[test]
fn an_edge_speaks_what_cloudflare_speaks() {
    let (world, own) = (world(), leaf());
    let fake = fake(zone().certificate(&own).associated(SHOP, 0, true));
    for (version, http2) in [
        (&rustls::version::TLS12, false),
        (&rustls::version::TLS13, false),
        (&rustls::version::TLS12, true),
        (&rustls::version::TLS13, true),
    ] {
        let edge = Edge::of(&fake, world.address()).version(version);
        let edge = if http2 { edge.http2() } else { edge }.start();
        let visit = edge.request(SHOP);
        let page = visit.outcome.unwrap_or_else(|refused| panic!("{refused:?}"));
        assert!(page.status == 200 && page.body.to_lowercase().contains("cf-connecting-ip: 203.0.113.7"), "{page:?}");
    }
}

#[test]
fn another_customers_edge_has_the_shared_certificate_and_no_other() {
    let (world, own) = (world(), leaf());
    let fake = Fake::builder()
        .zone(zone().certificate(&own).associated(SHOP, 0, true))
        .zone(
            Zone::new("evil.example").account("Evil").proxied("www.evil.example", "198.51.100.4").tls_client_auth(true),
        )
        .start();
    let attack = |name: &str| Edge::of(&fake, world.address()).asking_for(name).start().request("www.evil.example");
    assert_eq!(attack(SHOP).alert(), Some("UnknownCA"));
    assert_eq!(attack("all.example.com").status(), Some(200), "whoever trusts the shared CA trusts all customers");
}
