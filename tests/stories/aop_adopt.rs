//! What is at Cloudflare already is taken as it is: nothing is uploaded twice, nothing of somebody else's is replaced.

use originlock::cloudflare::{AssociationChange, CertificateId, Collection, ZoneId};
use originlock::policy::client_auth::Mode;
use originlock::rollout::error::RolloutError;

use crate::cloudflare::{Association, Status};
use crate::support::aop::{Aop, SHOP, WWW, ZONE, zone};
use crate::support::world::wait_until;

const CERTIFICATES: &str = "/zones/*/origin_tls_client_auth/hostnames/certificates";

/// The certificate of the story is there, and active.
fn uploaded(aop: &Aop) -> CertificateId {
    let id = ZoneId(zone().id());
    let (certificate, key) = (&aop.leaf.certificate_pem, &aop.leaf.key_pem);
    let uploaded = aop.api().upload(&id, Collection::Hostname, certificate, key).expect("uploaded");
    wait_until("it is active", || status(aop, &uploaded.id) == Some(Status::Active));
    uploaded.id
}

fn status(aop: &Aop, id: &CertificateId) -> Option<Status> {
    aop.fake.set(|state| {
        let now = state.now();
        state.zone(ZONE).certificates.get(&id.0).and_then(|certificate| certificate.status(now).cloned())
    })
}

fn uploads(aop: &Aop) -> Vec<bool> {
    let requests = aop.fake.requests().into_iter();
    requests.filter(|request| request.is("POST", CERTIFICATES)).map(|request| request.applied).collect()
}

#[track_caller]
fn arrives(aop: &Aop) {
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce));
}

#[test]
fn a_certificate_that_is_there_is_not_uploaded_again() {
    let aop = Aop::new().visited();
    uploaded(&aop);
    arrives(&aop);
    assert_eq!(uploads(&aop), [true], "the story's own");
}

#[test]
fn an_association_that_is_there_is_not_written_again() {
    let aop = Aop::new().visited();
    let id = uploaded(&aop);
    let change = |name: &str| AssociationChange { hostname: name.to_owned(), cert_id: id.clone(), enabled: Some(true) };
    aop.api().associate(&ZoneId(zone().id()), &[change(SHOP), change(WWW)]).expect("associated");
    arrives(&aop);
    assert_eq!((uploads(&aop), aop.fake.count("PUT", "/**")), (vec![true], 1), "both are the story's own");
}

#[test]
fn a_certificate_that_is_on_its_way_out_is_waited_for_and_comes_back_to_life() {
    let aop = Aop::new().visited();
    let id = uploaded(&aop);
    aop.api().delete_certificate(&ZoneId(zone().id()), Collection::Hostname, &id).expect("deleted");
    assert_eq!(status(&aop, &id), Some(Status::PendingDeletion));
    arrives(&aop);
    assert_eq!(status(&aop, &id), Some(Status::Active), "the same id");
    assert_eq!(uploads(&aop).iter().filter(|applied| **applied).count(), 2, "once by the story");
}

#[test]
fn a_tombstone_is_no_certificate() {
    let aop = Aop::new().visited();
    let id = uploaded(&aop);
    aop.api().delete_certificate(&ZoneId(zone().id()), Collection::Hostname, &id).expect("deleted");
    wait_until("it is deleted", || status(&aop, &id) == Some(Status::Deleted));
    arrives(&aop);
    assert_eq!(status(&aop, &id), Some(Status::Active));
}

#[test]
fn a_zone_level_certificate_is_another_one() {
    let aop = Aop::new().visited();
    let (certificate, key) = (&aop.leaf.certificate_pem, &aop.leaf.key_pem);
    aop.api().upload(&ZoneId(zone().id()), Collection::Zone, certificate, key).expect("uploaded");
    arrives(&aop);
    assert_eq!(uploads(&aop), [true]);
}

#[test]
fn another_certificate_of_the_hostname_is_not_replaced_unasked() {
    let aop = Aop::new().visited();
    let theirs = crate::support::aop::leaf();
    let uploaded =
        aop.api().upload(&ZoneId(zone().id()), Collection::Hostname, &theirs.certificate_pem, &theirs.key_pem);
    let cert_id = uploaded.expect("uploaded").id.0;
    aop.fake.set(|state| {
        let now = state.now();
        let theirs = Association { cert_id: cert_id.clone(), enabled: true };
        state.zone(ZONE).associations.set(SHOP, Some(theirs), now);
    });
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    let [RolloutError::Unsafe { what, next_step }] = outcome.errors.as_slice() else { panic!("{outcome:#?}") };
    assert!(what.contains(&cert_id) && next_step.contains("rotate"), "{what}; {next_step}");
    let shown = aop.fake.set(|state| {
        let now = state.now();
        state.zone(ZONE).associations.effect(SHOP, now)
    });
    assert_eq!(shown.map(|effect| effect.cert_id), Some(cert_id));
    assert_eq!(aop.mode(SHOP), Mode::Observe);
}
