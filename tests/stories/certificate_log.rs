//! What the log says about a certificate, above all when the handshake failed.

use crate::support::{HostSetup, Log, Shape, Version, World, pki};

#[test]
fn a_refused_certificate_is_in_the_log_with_all_that_it_says() {
    Log::capture(|log| {
        let world = World::with(HostSetup::new("shop.example.com").enforce("ours"));
        let mut refused = Vec::new();
        for version in Version::BOTH {
            for shape in [Shape::UnknownCa, Shape::Expired, Shape::SelfSignedCa, Shape::Version1, Shape::ForgedProof] {
                let client = world.client("shop.example.com").version(version).presenting(shape);
                client.get().map(|_| ()).expect_err("it is refused");
                refused.push(shape);
                world.next_handshake();
            }
        }
        let events = log.wait_for_handshakes(refused.len());
        assert_eq!(events.len(), refused.len(), "one event per handshake");
        for (event, shape) in events.iter().zip(refused) {
            let credential = pki().credential(shape);
            let fields = credential.fields();
            for (name, value) in [
                ("tls.client.subject", fields.subject),
                ("tls.client.issuer", fields.issuer),
                ("originlock.certificate.serial", fields.serial),
                ("tls.client.hash.sha256", credential.summary().fingerprint.to_string()),
                ("tls.client.not_before", fields.not_before.to_string()),
                ("tls.client.not_after", fields.not_after.to_string()),
                ("originlock.decision", "refuse".into()),
                ("originlock.mode", "enforce".into()),
                ("originlock.host", "shop.example.com".into()),
                ("server.address", "shop.example.com".into()),
                ("client.address", "127.0.0.1".into()),
            ] {
                assert_eq!(event[name], value, "{shape:?} {name}");
            }
        }
    });
}

#[test]
fn an_admitted_handshake_says_what_was_agreed_and_which_ca_matched() {
    Log::capture(|log| {
        let world = World::with(HostSetup::new("shop.example.com").observe("ours"));
        world.client("shop.example.com").presenting(Shape::P256).get().expect("it is let in");
        let event = log.wait_for_handshakes(1).remove(0);
        for (name, value) in [
            ("originlock.matched", "CN=origin-pull CA"),
            ("originlock.reason", "verified"),
            ("tls.protocol.version", "1.3"),
            ("tls.cipher", "TLS_AES_128_GCM_SHA256"),
            ("tls.curve", "X25519MLKEM768"),
            ("tls.next_protocol", "http/1.1"),
        ] {
            assert_eq!(event[name], value, "{name}");
        }
        assert_eq!(event["tls.resumed"], false);
        assert_eq!(event["originlock.would_refuse"], false);
    });
}
