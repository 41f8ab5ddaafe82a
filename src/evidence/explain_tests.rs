use std::net::SocketAddr;

use super::*;
use crate::evidence::known::{Known, KnownCertificates};
use crate::evidence::tally::Outsider;
use crate::x509::Fingerprint;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn failure(at: &str, peer: &str) -> Failure {
    let certificate = FailedCertificate {
        sha256: Fingerprint([7; 32]),
        subject: "CN=edge".into(),
        issuer: "CN=old CA".into(),
        not_after: time("2026-01-01T00:00:00Z"),
    };
    let peer = SocketAddr::new(peer.parse().expect("an address"), 4000);
    Failure { at: time(at), peer, server_name: Some("a.example.com".into()), certificate: Some(certificate) }
}

fn said(network: Network, reason: Reason, known: Option<Known>) -> (String, String) {
    let last = failure("2026-11-23T10:00:00Z", "172.64.1.9");
    advice::on(&Circumstances {
        host: "example.com",
        mode: Mode::Observe,
        network,
        reason,
        server_name: last.server_name.as_deref(),
        at: last.at,
        certificate: last.certificate.as_ref(),
        known,
    })
}

#[test]
fn causes_say_what_happened_and_next_steps_what_to_do() {
    let cloudflare = Network::Cloudflare;
    for (network, reason, known, cause, next) in [
        (
            cloudflare,
            Reason::NoCertificate,
            None,
            "presented no certificate: Authenticated Origin Pulls is not on, or not yet active, for a.example.com",
            "upload a client certificate, associate it with a.example.com",
        ),
        (
            cloudflare,
            Reason::UnknownIssuer,
            Some(Known::SharedCaLeaf),
            "presented the certificate shared by all Cloudflare customers: the association for a.example.com is missing \
             or not yet active",
            "upload a certificate of your own CA and associate it with a.example.com",
        ),
        (
            cloudflare,
            Reason::PinMismatch,
            Some(Known::SharedCaLeaf),
            "presented the certificate shared by all Cloudflare customers: the association for a.example.com is missing \
             or not yet active",
            "upload a certificate of your own CA and associate it with a.example.com",
        ),
        (
            cloudflare,
            Reason::UnknownIssuer,
            Some(Known::Named("zone-level certificate".into())),
            "presented the certificate known here as `zone-level certificate`, which no CA of this host issued",
            "associate this host's certificate with a.example.com",
        ),
        (
            cloudflare,
            Reason::UnknownIssuer,
            Some(Known::Of("b.example.com".into())),
            "presented the client certificate of b.example.com, which no CA of this host issued",
            "associate this host's certificate with a.example.com",
        ),
        (
            cloudflare,
            Reason::UnknownIssuer,
            None,
            "presented a certificate that no CA of this host issued; its issuer is CN=old CA",
            "compare the issuer with this host's ca",
        ),
        (
            cloudflare,
            Reason::BadSignature,
            None,
            "presented a certificate of a CA with the right name and another key: the CA was re-issued under the same \
             name, most often",
            "put the CA that really signed the certificate into the bundle",
        ),
        (
            cloudflare,
            Reason::Expired,
            Some(Known::Own),
            "presented this host's client certificate, which ended on 2026-01-01",
            "upload a new certificate and associate it with a.example.com",
        ),
        (
            Network::Elsewhere,
            Reason::NoCertificate,
            None,
            "not Cloudflare: a client presented no certificate",
            "enforcing will cut it off. If it is yours (monitoring, an office), give it a certificate",
        ),
    ] {
        let (told_cause, told_next) = said(network, reason, known);
        assert_eq!(told_cause, cause);
        assert!(told_next.starts_with(next), "{told_next}");
    }
}

#[test]
fn every_reason_has_a_cause_of_its_own() {
    for network in [Network::Cloudflare, Network::Elsewhere] {
        let causes: std::collections::BTreeSet<_> =
            Reason::HANDSHAKE.into_iter().map(|reason| said(network, reason, None).0).collect();
        assert_eq!(causes.len(), Reason::HANDSHAKE.len());
    }
}

#[test]
fn failures_of_all_names_are_told_by_kind_the_latest_first() {
    let none = |first: &str, last: &str| FirstAndLast {
        first: failure(first, "172.64.1.9"),
        last: failure(last, "::ffff:172.64.1.8"),
    };
    let no_certificate = (Network::Cloudflare, Reason::NoCertificate);
    let unknown_issuer = (Network::Elsewhere, Reason::UnknownIssuer);
    let mut a = Evidence::default();
    a.handshakes.insert(no_certificate, 3);
    a.failures.insert(no_certificate, none("2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z"));
    a.handshakes.insert((Network::Cloudflare, Reason::Verified), 50);
    let mut b = Evidence::default();
    b.handshakes.extend([(no_certificate, 4), (unknown_issuer, 1)]);
    b.failures.insert(no_certificate, none("2026-11-23T07:00:00Z", "2026-11-23T08:30:00Z"));
    b.failures.insert(unknown_issuer, none("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"));
    let by_name = BTreeMap::from([("a.example.com".to_owned(), a), ("*.a.example.com".to_owned(), b)]);
    let named = BTreeMap::from([(Fingerprint([7; 32]), "the office".to_owned())]);
    let known = KnownCertificates::new(named, None);
    let recogniser = known.recogniser([]);
    let reports = failures("a.example.com", Mode::Enforce, &by_name, &recogniser);
    let [elsewhere, cloudflare] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(
        (elsewhere.network, elsewhere.reason, elsewhere.handshakes),
        (Network::Elsewhere, Reason::UnknownIssuer, 1)
    );
    assert!(elsewhere.next_step.starts_with("it is refused. If it is yours"), "{}", elsewhere.next_step);
    assert_eq!((cloudflare.reason, cloudflare.handshakes), (Reason::NoCertificate, 7));
    assert_eq!(cloudflare.first.at, time("2026-11-23T07:00:00Z"));
    assert_eq!((cloudflare.last.at, &*cloudflare.last.client_address), (time("2026-11-23T09:00:00Z"), "172.64.1.8"));
    let leaf = cloudflare.last.certificate.as_ref().expect("a certificate");
    assert_eq!((&*leaf.issuer, leaf.known_as.as_deref()), ("CN=old CA", Some("the office")));
}

#[test]
fn outsiders_of_all_names_are_told_the_busiest_first() {
    let outsider = |handshakes, last: &str, path: &str| Outsider {
        handshakes,
        requests: 1,
        first_seen: time("2026-11-23T01:00:00Z"),
        last_seen: time(last),
        reason: Reason::NoCertificate,
        last_request: Some(time(last)),
        path: Some(path.to_owned()),
        user_agent: None,
    };
    let evidence = |outsiders: &[(&str, Outsider)]| {
        let outsiders = outsiders.iter().map(|(network, seen)| ((*network).to_owned(), seen.clone())).collect();
        Evidence { outsiders, ..Evidence::default() }
    };
    let (early, late) = ("2026-11-23T02:00:00Z", "2026-11-23T03:00:00Z");
    let a = evidence(&[("203.0.113.0/24", outsider(2, late, "/late")), ("192.0.2.0/24", outsider(4, early, "/"))]);
    let b = evidence(&[("203.0.113.0/24", outsider(3, early, "/early"))]);
    let told = outsiders(&BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]));
    let told: Vec<_> =
        told.iter().map(|one| (&*one.network, one.handshakes, one.requests, one.path.as_deref())).collect();
    assert_eq!(told, [("203.0.113.0/24", 5, 2, Some("/late")), ("192.0.2.0/24", 4, 1, Some("/"))]);
}
