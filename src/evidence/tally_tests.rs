//! Parts add up in any order.

use proptest::prelude::*;

use super::*;

fn time() -> impl Strategy<Value = Timestamp> {
    (0i64..5).prop_map(Timestamp::from_seconds)
}

fn reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(vec![Reason::Verified, Reason::NoCertificate, Reason::Expired])
}

fn network() -> impl Strategy<Value = Network> {
    prop::sample::select(Network::ALL.to_vec())
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-b]{1}")
}

fn kind() -> impl Strategy<Value = (Network, Reason)> {
    (network(), reason())
}

fn failure() -> impl Strategy<Value = Failure> {
    let certificate = ("[a-b]", "[a-b]", time()).prop_map(|(subject, issuer, not_after)| FailedCertificate {
        sha256: Fingerprint::of(subject.as_bytes()),
        subject,
        issuer,
        not_after,
    });
    (time(), 1u16..3, text(), prop::option::of(certificate)).prop_map(|(at, port, server_name, certificate)| Failure {
        at,
        peer: SocketAddr::from(([192, 0, 2, 1], port)),
        server_name,
        certificate,
    })
}

fn certificate() -> impl Strategy<Value = SeenCertificate> {
    ("[a-b]", time(), reason(), time(), time(), 0u64..9).prop_map(
        |(subject, not_after, reason, first_seen, last_seen, handshakes)| SeenCertificate {
            issuer: subject.clone(),
            subject,
            not_after,
            reason,
            first_seen,
            last_seen,
            handshakes,
        },
    )
}

fn outsider() -> impl Strategy<Value = Outsider> {
    (0u64..9, 0u64..9, time(), time(), reason(), prop::option::of(time()), text(), text()).prop_map(
        |(handshakes, requests, first_seen, last_seen, reason, last_request, path, user_agent)| Outsider {
            handshakes,
            requests,
            first_seen,
            last_seen,
            reason,
            last_request,
            path,
            user_agent,
        },
    )
}

prop_compose! {
    fn evidence()(
        handshakes in prop::collection::btree_map(kind(), prop_oneof![0u64..9, Just(u64::MAX)], 0..4),
        addresses in prop::collection::btree_set((0u8..5).prop_map(|last| IpAddr::from([172, 64, 0, last])), 0..4),
        at_least in 0u64..9,
        requests in prop::collection::btree_map(network(), 0u64..9, 0..2),
        certificates in prop::collection::btree_map(
            (network(), (0u8..2).prop_map(|number| Fingerprint([number; 32]))), certificate(), 0..3),
        failures in prop::collection::btree_map(kind(), (failure(), failure()), 0..3),
        outsiders in prop::collection::btree_map("[a-b]", outsider(), 0..3),
        more_outsiders in any::<bool>(),
    ) -> Evidence {
        let failures = failures.into_iter().map(|(kind, (one, other))| {
            (kind, FirstAndLast { first: one.clone().min(other.clone()), last: one.max(other) })
        });
        Evidence {
            handshakes,
            edges: Edges { addresses, at_least },
            requests,
            certificates,
            failures: failures.collect(),
            outsiders,
            more_outsiders,
        }
    }
}

fn merged(parts: &[&Evidence]) -> Evidence {
    let mut whole = Evidence::default();
    parts.iter().for_each(|part| whole.merge((*part).clone()));
    whole
}

proptest! {
    #[test]
    fn merge_order_does_not_matter(a in evidence(), b in evidence(), c in evidence()) {
        let whole = merged(&[&a, &b, &c]);
        for order in [[&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]] {
            prop_assert_eq!(&merged(&order), &whole);
        }
        prop_assert_eq!(&merged(&[&merged(&[&a, &b]), &c]), &whole);
        prop_assert_eq!(&merged(&[&a, &merged(&[&b, &c])]), &whole);
    }
}
