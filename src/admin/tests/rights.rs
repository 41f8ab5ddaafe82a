//! Which proof gives which right, where.

use axum::http::{HeaderMap, HeaderValue, header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::rights::{Caller, Peer, TcpPeer, admit};
use super::support::NOW;
use super::*;
use crate::pki::{Ca, CaOptions, KeyType, LeafOptions, Validity};
use crate::policy::bundle::CaBundle;
use crate::policy::trust::{ChainBounds, Trust};
use crate::secret::TokenDigest;
use crate::snapshot::admin::Proofs;
use crate::telemetry::metrics::AdminDenial;

const READ: &str = "read-0123456789abcdef";
const CHANGE: &str = "change-0123456789abcdef";

type Chain = Arc<[CertificateDer<'static>]>;

/// A CA as a trust, and a chain of one leaf that it issued.
fn authority(name: &str) -> (Arc<Trust>, Chain) {
    let validity = Validity::days(NOW, 10);
    let options = CaOptions { common_name: name.into(), key_type: KeyType::default(), validity };
    let ca = Ca::create(&options).expect("a CA").0;
    let leaf = ca.issue(&LeafOptions::client(name, validity)).expect("a leaf").certificate_der;
    let der = CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).expect("a certificate");
    let bundle = Arc::new(CaBundle::new(name, vec![der]).expect("a bundle"));
    let bounds = ChainBounds { certificates: 3, certificate_bytes: 4096 };
    let trust = Trust::new(Some(bundle), vec![], vec![], bounds).expect("a trust");
    (Arc::new(trust), Arc::new([leaf.into()]))
}

fn proofs(token: Option<&str>, trust: Option<&Arc<Trust>>) -> Proofs {
    Proofs { token: token.map(|token| TokenDigest::of(token.as_bytes())), trust: trust.cloned() }
}

fn tcp(address: &str, loopback: bool, chain: Option<&Chain>) -> Peer {
    let address = address.parse().expect("an address");
    Peer::Tcp(TcpPeer { address, loopback, tls: chain.is_some(), chain: chain.cloned() })
}

fn bearing(lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (header::AUTHORIZATION, HeaderValue::from_str(line).expect("a value"))).collect()
}

fn word(admitted: Result<Caller, AdminDenial>) -> String {
    match admitted {
        Ok(Caller { may_change: true, .. }) => "change".into(),
        Ok(Caller { may_change: false, .. }) => "read".into(),
        Err(denial) => denial.label().into(),
    }
}

#[test]
fn each_proof_gives_its_right_and_no_other() {
    let ((read_ca, reader), (change_ca, changer), (_, stranger)) =
        (authority("readers"), authority("changers"), authority("strangers"));
    let access = |read, change| AdminAccess { read, change, ..AdminAccess::default() };
    let open = access(Proofs::default(), Proofs::default());
    let change_only = access(Proofs::default(), proofs(Some(CHANGE), None));
    let tokens = access(proofs(Some(READ), None), proofs(Some(CHANGE), None));
    let read_only = access(proofs(Some(READ), None), Proofs::default());
    let certified = access(proofs(None, Some(&read_ca)), proofs(None, Some(&change_ca)));
    let mixed = access(proofs(Some(READ), Some(&read_ca)), proofs(Some(CHANGE), Some(&change_ca)));
    let unix = Peer::Unix { uid: 1000 };
    let near = |chain: Option<&Chain>| tcp("127.0.0.1:5000", true, chain);
    // The peer is this machine too; what counts is that others could be.
    let far = |chain: Option<&Chain>| tcp("127.0.0.1:5000", false, chain);
    let bearer = |token: &str| format!("Bearer {token}");
    let (read, change, wrong) = (bearer(READ), bearer(CHANGE), bearer("wrong-0123456789abcdef"));
    let lower = format!("bearer  {READ}");
    for (number, (access, peer, brought, reading, changing)) in [
        // A socket file: its mode has let them in.
        (&open, &unix, &[][..], "change", "change"),
        (&tokens, &unix, &[], "change", "change"),
        (&tokens, &unix, &[&*wrong], "change", "change"),
        // This machine, by default.
        (&open, &near(None), &[], "read", "change_not_configured"),
        (&open, &near(None), &[&*wrong], "read", "change_not_configured"),
        (&change_only, &near(None), &[], "read", "no_proof"),
        (&change_only, &near(None), &[&*change], "change", "change"),
        (&change_only, &near(None), &[&*wrong], "wrong_token", "wrong_token"),
        (&tokens, &near(None), &[], "no_proof", "no_proof"),
        (&tokens, &near(None), &[&*read], "read", "read_only"),
        (&tokens, &near(None), &[&*lower], "read", "read_only"),
        (&tokens, &near(None), &[&*change], "change", "change"),
        (&tokens, &near(None), &[READ], "wrong_token", "wrong_token"),
        (&tokens, &near(None), &["Basic cmVhZDo="], "wrong_token", "wrong_token"),
        (&tokens, &near(None), &["Bearer "], "wrong_token", "wrong_token"),
        (&tokens, &near(None), &[&*change, &*change], "wrong_token", "wrong_token"),
        // Other machines.
        (&open, &far(None), &[], "no_proof", "change_not_configured"),
        (&change_only, &far(None), &[], "no_proof", "no_proof"),
        (&change_only, &far(None), &[&*change], "change", "change"),
        (&read_only, &far(None), &[&*read], "read", "change_not_configured"),
        (&tokens, &far(None), &[], "no_proof", "no_proof"),
        (&tokens, &far(None), &[&*read], "read", "read_only"),
        (&tokens, &far(None), &[&*change], "change", "change"),
        // Certificates.
        (&certified, &far(None), &[], "no_proof", "no_proof"),
        (&certified, &far(Some(&reader)), &[], "read", "read_only"),
        (&certified, &far(Some(&changer)), &[], "change", "change"),
        (&certified, &far(Some(&stranger)), &[], "no_proof", "no_proof"),
        (&certified, &far(None), &[&*change], "no_proof", "no_proof"),
        (&tokens, &far(Some(&changer)), &[], "no_proof", "no_proof"),
        // Both: the better one counts, and a wrong token is a mistake whatever comes with it.
        (&mixed, &far(Some(&reader)), &[&*change], "change", "change"),
        (&mixed, &far(Some(&changer)), &[&*read], "change", "change"),
        (&mixed, &far(Some(&stranger)), &[&*read], "read", "read_only"),
        (&mixed, &far(Some(&changer)), &[&*wrong], "wrong_token", "wrong_token"),
    ]
    .into_iter()
    .enumerate()
    {
        let headers = bearing(brought);
        let [read, change] = [Right::Read, Right::Change].map(|right| word(admit(right, peer, &headers, access, NOW)));
        assert_eq!((&*read, &*change), (reading, changing), "row {number}: {peer:?} {brought:?}");
    }
}

#[test]
fn a_right_ends_with_the_certificate_that_proves_it() {
    let (trust, chain) = authority("operators");
    let access = AdminAccess { change: proofs(None, Some(&trust)), ..AdminAccess::default() };
    let peer = tcp("10.0.0.3:5000", false, Some(&chain));
    let caller = |now| admit(Right::Change, &peer, &HeaderMap::new(), &access, now);
    assert_eq!(caller(NOW).map(|caller| caller.by), Ok("client certificate CN=operators from 10.0.0.3".into()));
    assert_eq!(caller(NOW.after(Duration::from_hours(240))).map(|_| ()), Ok(()));
    assert_eq!(caller(NOW.after(Duration::from_hours(241))), Err(AdminDenial::NoProof));
}
