use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};

use super::*;
use crate::policy::verdict::Reason;
use crate::proxy::hop_by_hop;

fn map(names: &[&str]) -> HeaderMap {
    names
        .iter()
        .map(|name| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            (name, HeaderValue::from_static("forged"))
        })
        .collect()
}

/// A leaf with an awkward subject, and the CA that issued it.
fn chain() -> Vec<CertificateDer<'static>> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name = rcgen::DistinguishedName::new();
    ca.distinguished_name.push(DnType::CommonName, "Edge CA");
    let key = KeyPair::generate().expect("a key");
    let ca_certificate = ca.self_signed(&key).expect("a CA");
    let issuer = Issuer::new(ca, key);
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::OrganizationName, "Acme, Inc.");
    leaf.distinguished_name.push(DnType::CommonName, "edge\";Hash=0\r\nX-Evil: 1");
    leaf.serial_number = Some(SerialNumber::from(vec![0x03, 0xa5, 0xb1]));
    leaf.not_before = time::macros::datetime!(2023-09-21 01:50:17 UTC);
    leaf.not_after = time::macros::datetime!(2024-09-21 01:50:17 UTC);
    let leaf = leaf.signed_by(&KeyPair::generate().expect("a key"), &issuer).expect("a leaf");
    vec![leaf.der().clone(), ca_certificate.der().clone()]
}

fn written(verdict: Verdict, chain: &[CertificateDer<'_>], dialects: &[Dialect]) -> HeaderMap {
    let summary = chain.first().map(CertificateSummary::read);
    let mut headers = HeaderMap::new();
    write(&mut headers, &Identity::new(verdict, chain, summary.as_ref(), dialects));
    headers
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().expect("visible ASCII")
}

const DN: &str = "CN=edge\\22\\;Hash=0\\0D\\0AX-Evil: 1,O=Acme\\, Inc.";
const ALL: [Dialect; 4] = [Dialect::Envoy, Dialect::Nginx, Dialect::Traefik, Dialect::Alb];

#[test]
fn a_claim_of_identity_is_removed_in_every_spelling() {
    for name in [
        "Client-Cert",
        "client_cert",
        "Client-Cert-Chain",
        "X-Forwarded-Client-Cert",
        "x_forwarded_client_cert",
        "X-SSL-Client-Verify",
        "x_ssl-client_s_dn",
        "X-SSL-Cert",
        "X-SSL-Subject",
        "x_ssl_issuer",
        "SSL-Client-Cert",
        "ssl_client_verify",
        "X-Client-Cert-Hash",
        "X-Client-Verify",
        "x.client.verify",
        "X-Client-DN",
        "X-Forwarded-Tls-Client-Cert",
        "X-Forwarded-Tls-Client-Cert-Info",
        "X-Amzn-Mtls-Clientcert-Leaf",
        "X-ARR-ClientCert",
        "X-Originlock-Anything",
        "x_forwarded_for",
        "x_forwarded_proto",
        "x_request_id",
        "content_length",
        "transfer_encoding",
        "cf_connecting_ip",
    ] {
        let mut headers = map(&[name]);
        strip(&mut headers, true);
        assert!(headers.is_empty(), "{name}");
    }
}

#[test]
fn what_the_edge_says_passes_only_on_a_verified_connection() {
    let names = [
        "CF-Connecting-IP",
        "CF-Connecting-IPv6",
        "CF-IPCountry",
        "CF-Ray",
        "CF-Visitor",
        "CF-Worker",
        "True-Client-IP",
        "X-Real-IP",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "Forwarded",
    ];
    let mut headers = map(&names);
    strip(&mut headers, true);
    assert_eq!(headers.len(), names.len());
    strip(&mut headers, false);
    assert!(headers.is_empty(), "{headers:?}");
}

#[test]
fn what_is_no_claim_stays() {
    let names =
        ["cdn-loop", "cookie", "cache-control", "client-hint", "x-client", "ssl", "x-requested-with", "x_own", "cf"];
    let mut headers = map(&names);
    strip(&mut headers, false);
    assert_eq!(headers.len(), names.len(), "{headers:?}");
}

#[test]
fn trailers_carry_neither_identity_nor_framing() {
    let mut trailers = map(&[
        "client-cert",
        "x_client_verify",
        "cf-connecting-ip",
        "x-forwarded-for",
        "forwarded",
        "x-request-id",
        "host",
        "content-length",
        "transfer_encoding",
        "authorization",
        "trailer",
        "grpc-status",
        "x-checksum",
    ]);
    strip_trailers(&mut trailers);
    assert_eq!(trailers, map(&["grpc-status", "x-checksum"]));
}

#[test]
fn connection_cannot_strip_ours() {
    let mut headers = map(&["client-cert", "x-client-verify"]);
    headers.insert("connection", HeaderValue::from_static("client-cert, x-client-verify, x-forwarded-for"));
    hop_by_hop::strip_request(&mut headers);
    strip(&mut headers, false);
    write(&mut headers, &Identity::new(Verdict::Absent, &[], None, &[]));
    assert_eq!(headers.len(), 1);
    assert_eq!(headers["x-client-verify"], "NONE");
}

#[test]
fn only_a_verified_certificate_is_shown() {
    for (verdict, verify) in
        [(Verdict::Failed(Reason::UnknownIssuer), "FAILED:unknown_issuer"), (Verdict::Absent, "NONE")]
    {
        let headers = written(verdict, &chain(), &ALL);
        assert_eq!(headers["x-client-verify"], verify);
        assert_eq!(headers["x-ssl-client-verify"], verify);
        assert_eq!(headers.len(), 2);
    }
}

#[test]
fn a_verified_certificate_is_told_as_rfc_9440_says() {
    let chain = chain();
    let headers = written(Verdict::Verified, &chain, &[]);
    assert_eq!(headers["x-client-verify"], "SUCCESS");
    for (name, certificate) in [("client-cert", &chain[0]), ("client-cert-chain", &chain[1])] {
        let inner = text(&headers, name).strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        assert_eq!(STANDARD.decode(inner.expect("a byte sequence")).expect("base64"), certificate.as_ref());
    }
    assert_eq!(headers.len(), 3);
    let alone = written(Verdict::Verified, &chain[..1], &[]);
    assert!(!alone.contains_key("client-cert-chain"));
}

#[test]
fn envoys_dialect_is_hash_and_quoted_subject() {
    let chain = chain();
    let headers = written(Verdict::Verified, &chain, &[Dialect::Envoy]);
    let hash = CertificateSummary::read(&chain[0]).fingerprint;
    assert_eq!(text(&headers, "x-forwarded-client-cert"), format!("Hash={hash};Subject=\"{DN}\""));
}

#[test]
fn nginxs_dialect_is_its_variables() {
    let chain = chain();
    let headers = written(Verdict::Verified, &chain, &[Dialect::Nginx]);
    assert_eq!(headers["x-ssl-client-verify"], "SUCCESS");
    assert_eq!(headers["x-ssl-client-s-dn"], DN);
    assert_eq!(headers["x-ssl-client-i-dn"], "CN=Edge CA");
    assert_eq!(headers["x-ssl-client-serial"], "03A5B1");
    assert_eq!(headers["x-ssl-client-fingerprint"].len(), 40);
    let certificate = text(&headers, "x-ssl-client-cert");
    assert!(certificate.starts_with("-----BEGIN%20CERTIFICATE-----%0A"), "{certificate}");
    assert!(certificate.ends_with("%0A-----END%20CERTIFICATE-----%0A"), "{certificate}");
    assert!(!certificate.contains(['+', '/', '=']), "{certificate}");
}

#[test]
fn traefiks_dialect_is_base64_joined_by_commas() {
    let chain = chain();
    let headers = written(Verdict::Verified, &chain, &[Dialect::Traefik]);
    let parts: Vec<Vec<u8>> = text(&headers, "x-forwarded-tls-client-cert")
        .split(',')
        .map(|part| STANDARD.decode(part).expect("base64"))
        .collect();
    assert_eq!(parts, [chain[0].to_vec(), chain[1].to_vec()]);
}

#[test]
fn the_load_balancers_dialect_is_its_verify_mode() {
    let headers = written(Verdict::Verified, &chain(), &[Dialect::Alb]);
    let field = |name: &str| text(&headers, &format!("x-amzn-mtls-clientcert-{name}")).to_owned();
    assert_eq!(field("serial-number"), "03A5B1");
    assert_eq!(field("subject"), DN);
    assert_eq!(field("issuer"), "CN=Edge CA");
    assert_eq!(field("validity"), "NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-21T01:50:17Z");
    let leaf = field("leaf");
    assert!(leaf.starts_with("-----BEGIN%20CERTIFICATE-----%0AMI"), "{leaf}");
    assert!(leaf.contains(['+', '/', '=']), "{leaf}");
}

#[test]
fn a_certificate_that_cannot_be_read_is_told_by_its_bytes() {
    let junk = [CertificateDer::from(vec![1, 2, 3])];
    let headers = written(Verdict::Verified, &junk, &ALL);
    assert_eq!(headers["client-cert"], ":AQID:");
    assert!(text(&headers, "x-forwarded-client-cert").starts_with("Hash="));
    assert!(!headers.contains_key("x-ssl-client-s-dn"));
}

proptest! {
    #[test]
    fn no_spelling_of_a_listed_name_remains(
        listed in proptest::sample::select(IDENTITY.iter().chain(&EDGE).copied().collect::<Vec<_>>()),
        separators in proptest::collection::vec(proptest::sample::select(vec!['-', '_', '.', '~']), 8),
        rest in "[a-z0-9_-]{0,8}",
        verified in any::<bool>(),
    ) {
        let mut separators = separators.iter().cycle();
        let mut next = |c: char| if c == '-' { *separators.next().expect("a cycle") } else { c };
        let name: String = listed.chars().map(&mut next).chain(rest.chars()).collect();
        let mut headers = map(&[&name]);
        strip(&mut headers, verified);
        let canonical: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let claim = IDENTITY.iter().any(|field| canonical.starts_with(field));
        let edge = EDGE.iter().any(|field| canonical == *field || (field.ends_with('-') && canonical.starts_with(field)));
        if claim || (edge && !verified) {
            prop_assert!(headers.is_empty(), "{}", name);
        }
    }

    #[test]
    fn any_other_name_stays(name in "[a-z][a-z0-9_.-]{0,24}", verified in any::<bool>()) {
        let canonical: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let listed = IDENTITY.iter().chain(&EDGE).chain(&OURS).any(|field| canonical.starts_with(field));
        let mut headers = map(&[&name]);
        strip(&mut headers, verified);
        prop_assert!(listed || headers.len() == 1, "{}", name);
    }
}
