//! Pins vouch for certificates that no CA bundle can, and narrow one that stands beside them.

use originlock::policy::verdict::Reason;
use originlock::x509::CertificateSummary;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::certificates::{Credential, DAY, LEAF_DAYS};
use crate::support::client::Client;
use crate::support::{HostSetup, Shape, Version, World, pki};

const SHOP: &str = "shop.example.com";

fn certificate_pin(credential: &Credential) -> String {
    format!("sha256:{}", credential.summary().fingerprint)
}

fn key_pin(credential: &Credential) -> String {
    format!("spki-sha256:{}", credential.fields().spki_fingerprint)
}

fn expect_in(client: &Client) {
    let (_, answer) = client.get().expect("it is let in");
    assert_eq!(answer.backend_saw("x-client-verify"), Some("SUCCESS"));
}

#[test]
fn a_certificate_that_no_bundle_takes_verifies_when_it_is_pinned() {
    for shape in [Shape::SelfSignedCa, Shape::Version1, Shape::ServerAuthOnly, Shape::UnknownCa] {
        let credential = pki().credential(shape);
        for pin in [certificate_pin(&credential), key_pin(&credential)] {
            let world = World::with(HostSetup::new(SHOP).mode("enforce").pin(&pin));
            for version in Version::BOTH {
                let client = world.client(SHOP).version(version).presenting(shape).remembering();
                for resumed in [false, true] {
                    expect_in(&client);
                    let outcome = world.next_handshake();
                    assert_eq!((outcome.reason, outcome.resumed), (Reason::Verified, resumed), "{shape:?}");
                    assert_eq!(outcome.matched.as_deref(), Some(pin.as_str()), "{shape:?}");
                }
            }
            world.client(SHOP).presenting(Shape::P256).expect_refused("access_denied");
            assert_eq!(world.next_handshake().reason, Reason::PinMismatch);
        }
    }
}

#[test]
fn a_pin_does_not_replace_the_proof_of_the_key() {
    let stolen = pki().credential(Shape::ForgedProof);
    let world = World::with(HostSetup::new(SHOP).mode("enforce").pin(&certificate_pin(&stolen)));
    for version in Version::BOTH {
        world.client(SHOP).version(version).credential(&stolen).expect_refused("decrypt_error");
        assert_eq!(world.next_handshake().reason, Reason::ProofFailed);
    }
}

#[test]
fn a_pinned_key_survives_the_renewal_of_its_certificate_and_a_pinned_certificate_does_not() {
    let key = KeyPair::generate().expect("a key");
    let [first, renewed] = ["first", "renewed"].map(|name| self_signed(name, &key));
    for (pin, survives) in [(key_pin(&first), true), (certificate_pin(&first), false)] {
        let world = World::with(HostSetup::new(SHOP).mode("enforce").pin(&pin));
        expect_in(&world.client(SHOP).credential(&first));
        match survives {
            true => expect_in(&world.client(SHOP).credential(&renewed)),
            false => world.client(SHOP).credential(&renewed).expect_refused("access_denied"),
        }
    }
}

#[test]
fn a_file_of_certificates_pins_each_of_them() {
    let builder = World::builder().host(HostSetup::new(SHOP).enforce("ours"));
    let mut world = builder.start();
    let credentials = [pki().credential(Shape::SelfSignedCa), pki().credential(Shape::UnknownCa)];
    let file: String = credentials.iter().map(|credential| credential.chain_pem()).collect();
    world.write("pins/edge.pem", file);
    world.change_and_reload(|setup| {
        let host = setup.host(SHOP);
        (host.ca, host.pins) = (None, vec!["pins/edge.pem".into()]);
    });
    credentials.iter().for_each(|credential| expect_in(&world.client(SHOP).credential(credential)));
    world.client(SHOP).presenting(Shape::P256).expect_refused("access_denied");
}

#[test]
fn pins_beside_a_ca_narrow_it() {
    let ours = pki().credential(Shape::P256);
    let stranger = pki().credential(Shape::UnknownCa);
    let host = HostSetup::new(SHOP).enforce("ours").pin(&certificate_pin(&ours)).pin(&certificate_pin(&stranger));
    let world = World::with(host);
    expect_in(&world.client(SHOP).presenting(Shape::P256));
    world.client(SHOP).presenting(Shape::P384).expect_refused("access_denied");
    world.client(SHOP).presenting(Shape::UnknownCa).expect_refused("unknown_ca");
}

#[test]
fn a_pinned_certificate_expires_all_the_same() {
    let credential = pki().credential(Shape::SelfSignedCa);
    let world = World::with(HostSetup::new(SHOP).mode("enforce").pin(&certificate_pin(&credential)));
    expect_in(&world.client(SHOP).credential(&credential));
    world.set_clock(DAY * (LEAF_DAYS + 1));
    world.client(SHOP).credential(&credential).expect_refused("certificate_expired");
}

/// A certificate with the given key. rcgen's own validity spans centuries.
fn self_signed(name: &str, key: &KeyPair) -> Credential {
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.self_signed(key).expect("a certificate");
    let der: CertificateDer<'static> = certificate.der().clone();
    assert!(CertificateSummary::read(&der).fields.is_some());
    Credential { chain: vec![der], key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key") }
}
