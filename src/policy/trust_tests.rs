use std::time::Duration;

use rustls::pki_types::pem::PemObject;

use super::*;
use crate::pki::{self, Ca, CaOptions, Issued, KeyType, LeafOptions, Validity};
use crate::x509::Fingerprint;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const BOUNDS: ChainBounds = ChainBounds { certificates: 4, certificate_bytes: 8 * 1024 };
const DAY: Duration = Duration::from_secs(86_400);

fn ca(days: u32) -> Ca {
    let options =
        CaOptions { common_name: "test CA".into(), key_type: KeyType::default(), validity: Validity::days(NOW, days) };
    Ca::create(&options).expect("a CA").0
}

fn leaf(ca: &Ca, days: u32) -> Issued {
    ca.issue(&LeafOptions::client("edge", Validity::days(NOW, days))).expect("a leaf")
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

fn chain(issued: &Issued) -> Vec<CertificateDer<'static>> {
    vec![der(&issued.certificate_pem)]
}

fn bundle(cas: &[&Ca]) -> Option<Arc<CaBundle>> {
    let certificates = cas.iter().map(|ca| der(ca.certificate_pem())).collect();
    Some(Arc::new(CaBundle::new("ours", certificates).expect("a bundle")))
}

fn trust(bundle: Option<Arc<CaBundle>>, pins: Vec<Pin>) -> Trust {
    Trust::new(bundle, Vec::new(), pins, BOUNDS).expect("a trust")
}

fn pin(issued: &Issued) -> Pin {
    Pin::Certificate(Fingerprint::of(&issued.certificate_der))
}

#[test]
fn a_leaf_of_the_bundle_is_verified_until_the_first_of_the_chain_ends() {
    let ca = ca(100);
    let issued = leaf(&ca, 10);
    let judgement = trust(bundle(&[&ca]), vec![]).judge(&chain(&issued), NOW);
    assert_eq!(judgement.verdict, Verdict::Verified);
    assert_eq!(judgement.matched.as_deref(), Some("CN=test CA"));
    assert!(judgement.holds_at(NOW.after(DAY * 9)));
    assert!(!judgement.holds_at(NOW.after(DAY * 11)));
}

#[test]
fn a_judgement_is_remembered_once_possession_is_proved_and_not_before() {
    let ca = ca(100);
    let chain = chain(&leaf(&ca, 10));
    let trust = trust(bundle(&[&ca]), vec![]);
    let first = trust.judge(&chain, NOW);
    assert!(!Arc::ptr_eq(&first, &trust.judge(&chain, NOW)));
    trust.remember(&first);
    assert!(Arc::ptr_eq(&first, &trust.judge(&chain, NOW)));
}

#[test]
fn an_expired_ca_does_not_stand_before_one_that_vouches() {
    let (expired, valid) = (ca(1), ca(100));
    let chain = chain(&leaf(&valid, 30));
    let verdict = trust(bundle(&[&expired, &valid]), vec![]).judge(&chain, NOW.after(DAY * 2)).verdict;
    assert_eq!(verdict, Verdict::Verified);
}

#[test]
fn each_of_two_cas_of_one_name_is_checked_against_its_own_revocation_list() {
    let (old, new) = (ca(100), ca(100));
    let list = |ca: &Ca, revoked: &[&Issued]| {
        let pem = ca.revocation_list(revoked, 1, Validity::days(NOW, 30)).expect("a list");
        let der = rustls::pki_types::CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).expect("a list");
        Arc::new(Crl::new(&der).expect("a list"))
    };
    let (good, bad) = (leaf(&new, 10), leaf(&old, 10));
    let crls = vec![list(&old, &[&bad]), list(&new, &[])];
    let trust = Trust::new(bundle(&[&old, &new]), crls, vec![], BOUNDS).expect("a trust");
    assert_eq!(trust.judge(&chain(&good), NOW).verdict, Verdict::Verified);
    assert_eq!(trust.judge(&chain(&bad), NOW).verdict, Verdict::Failed(Reason::Revoked));
    assert_eq!(trust.judge(&chain(&leaf(&old, 10)), NOW).verdict, Verdict::Verified);
}

#[test]
fn what_was_verified_once_is_looked_at_again_when_its_time_is_over() {
    let ca = ca(100);
    let chain = chain(&leaf(&ca, 10));
    let trust = trust(bundle(&[&ca]), vec![]);
    let judgement = trust.judge(&chain, NOW);
    assert_eq!(judgement.verdict, Verdict::Verified);
    trust.remember(&judgement);
    assert_eq!(trust.judge(&chain, NOW.after(DAY * 11)).verdict, Verdict::Failed(Reason::Expired));
    assert_eq!(trust.judge(&chain, NOW).verdict, Verdict::Verified, "the clock was set back");
}

#[test]
fn an_expired_ca_verifies_nothing() {
    // webpki takes a trust anchor for a name and a key and never looks at its dates.
    let ca = ca(1);
    let chain = chain(&leaf(&ca, 30));
    let trust = trust(bundle(&[&ca]), vec![]);
    assert_eq!(trust.judge(&chain, NOW).verdict, Verdict::Verified);
    assert_eq!(trust.judge(&chain, NOW.after(DAY * 2)).verdict, Verdict::Failed(Reason::Expired));
}

#[test]
fn a_ca_of_the_same_name_with_another_key_is_a_bad_signature() {
    let (ours, theirs) = (ca(100), ca(100));
    let judgement = trust(bundle(&[&ours]), vec![]).judge(&chain(&leaf(&theirs, 10)), NOW);
    assert_eq!(judgement.verdict, Verdict::Failed(Reason::BadSignature));
    assert!(judgement.certificate.is_some(), "the record names what was refused");
}

#[test]
fn pins_beside_a_bundle_narrow_it() {
    let ca = ca(100);
    let (pinned, other) = (leaf(&ca, 10), leaf(&ca, 10));
    let trust = trust(bundle(&[&ca]), vec![pin(&pinned)]);
    assert_eq!(trust.judge(&chain(&pinned), NOW).verdict, Verdict::Verified);
    assert_eq!(trust.judge(&chain(&other), NOW).verdict, Verdict::Failed(Reason::PinMismatch));
}

#[test]
fn a_pin_alone_verifies_any_shape_within_its_time() {
    let options = LeafOptions { is_ca: true, ..LeafOptions::client("self", Validity::days(NOW, 10)) };
    let issued = pki::self_signed(&options).expect("a self-signed certificate");
    let trust = trust(None, vec![pin(&issued)]);
    let at = |moment| trust.judge(&chain(&issued), moment).verdict;
    assert_eq!(at(NOW), Verdict::Verified);
    assert_eq!(at(NOW.after(DAY * 11)), Verdict::Failed(Reason::Expired));
    assert_eq!(at(Timestamp::from_seconds(NOW.seconds() - 86_400)), Verdict::Failed(Reason::NotYetValid));
}

#[test]
fn what_is_out_of_bounds_is_not_looked_at() {
    let ca = ca(100);
    let certificate = der(&leaf(&ca, 10).certificate_pem);
    let trust = trust(bundle(&[&ca]), vec![]);
    let too_many = vec![certificate; BOUNDS.certificates + 1];
    assert_eq!(trust.judge(&too_many, NOW).verdict, Verdict::Failed(Reason::ChainTooLong));
    let too_large = vec![CertificateDer::from(vec![0x30; BOUNDS.certificate_bytes + 1])];
    assert_eq!(trust.judge(&too_large, NOW).verdict, Verdict::Failed(Reason::TooLarge));
    let junk = vec![CertificateDer::from(vec![0x30; 64])];
    assert_eq!(trust.judge(&junk, NOW).verdict, Verdict::Failed(Reason::BadEncoding));
}

#[test]
fn the_digest_follows_what_can_change_a_judgement_and_nothing_else() {
    let (first, second) = (ca(100), ca(100));
    let digest = |bundle, pins| trust(bundle, pins).digest();
    let both = digest(bundle(&[&first, &second]), vec![]);
    assert_eq!(both, digest(bundle(&[&second, &first]), vec![]), "the order of files says nothing");
    assert_ne!(both, digest(bundle(&[&first]), vec![]));
    assert_ne!(both, digest(bundle(&[&first, &second]), vec![pin(&leaf(&first, 10))]));
}

#[test]
fn nothing_to_trust_is_no_trust() {
    assert!(Trust::new(None, Vec::new(), Vec::new(), BOUNDS).is_err());
}
