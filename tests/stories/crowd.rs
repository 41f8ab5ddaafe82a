//! Many clients at once: nobody gets another's verdict, and a reload is seen whole or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::certificates::Shape;
use crate::support::{HostSetup, Version, World, pki};

const SHOP: &str = "shop.example.com";

#[test]
fn handshakes_that_interleave_are_not_mixed_up() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    let crowd = [
        (None, "NONE"),
        (Some(Shape::P256), "SUCCESS"),
        (Some(Shape::UnknownCa), "FAILED:unknown_issuer"),
        (Some(Shape::Expired), "FAILED:expired"),
        (Some(Shape::ForgedProof), "FAILED:proof_failed"),
        (Some(Shape::SelfSignedCa), "FAILED:ca_as_leaf"),
    ];
    thread::scope(|scope| {
        for (shape, verify) in crowd {
            for version in Version::BOTH {
                let client = world.client(SHOP).version(version).in_pieces_of(61).remembering();
                let client = shape.map_or(client.clone(), |shape| client.presenting(shape));
                scope.spawn(move || {
                    for _ in 0..10 {
                        let (_, answer) = client.get().expect("observe lets everyone in");
                        assert_eq!(answer.backend_saw("x-client-verify"), Some(verify), "{shape:?} {version:?}");
                        let shown = answer.backend_saw("client-cert").is_some();
                        assert_eq!(shown, verify == "SUCCESS", "{shape:?} {version:?}");
                    }
                });
            }
        }
    });
}

#[test]
fn reloads_under_load_lose_no_request() {
    let mut world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let edge = world.client(SHOP).presenting(Shape::P256).remembering();
    let (ours, both) = (pki().ours.certificate_pem(), [pki().ours.certificate_pem(), pki().other.certificate_pem()]);
    let both = both.concat();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut kept = edge.connect().expect("it is let in");
                while !over.load(Ordering::Relaxed) {
                    let fresh = edge.get().expect("it is let in").1;
                    for answer in [kept.get("/").expect("an answer"), fresh] {
                        assert_eq!((answer.status, answer.backend_saw("x-client-verify")), (200, Some("SUCCESS")));
                    }
                }
            });
        }
        for turn in 0..30 {
            let bundle = if turn % 2 == 0 { &both } else { ours };
            world.change_and_reload(|setup| setup.ca("ours").bundle = bundle.to_owned());
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn enforcing_holds_for_every_request_that_begins_after_the_reload() {
    let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
    let nobody = world.client(SHOP);
    let enforced = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = nobody.connect().expect("observe lets it in");
                loop {
                    let after = enforced.load(Ordering::SeqCst);
                    let status = connection.get("/").expect("an answer").status;
                    assert!(status == 421 || !after, "{status} after enforce was in force");
                    if status == 421 {
                        break;
                    }
                }
                assert!(connection.ends());
            });
        }
        for _ in 0..8 {
            world.next_handshake();
        }
        world.change_and_reload(|setup| setup.host(SHOP).mode = "enforce".into());
        enforced.store(true, Ordering::SeqCst);
    });
}
