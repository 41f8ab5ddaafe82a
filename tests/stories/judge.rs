//! What a host would make of a certificate, asked before anyone presents it.

use originlock::evidence::report::{JudgeReport, JudgeRequest};
use originlock::fetch::{Client, Endpoint, TlsFiles};
use originlock::policy::verdict::Reason;
use originlock::remote::admin::{AdminClient, AdminError};
use serde_json::{Value, json};

use crate::matrix::TABLE;
use crate::support::{Api, Document, HostSetup, Shape, World, pki};

const SHOP: &str = "shop.example.com";
const PINNED: &str = "pinned.example.com";
const OFF: &str = "off.example.com";

fn world() -> World {
    let pin = format!("sha256:{}", pki().credential(Shape::SelfSignedCa).summary().fingerprint);
    World::builder()
        .ca("ours", &pki().bundle())
        .crl("ours", &pki().crl())
        .host(HostSetup::new(SHOP).also("*.shop.example.com").enforce("ours"))
        .host(HostSetup::new(PINNED).mode("observe").pin(&pin))
        .host(HostSetup::new(OFF).ca("ours"))
        .start()
}

fn admin(world: &World) -> AdminClient {
    let endpoint = Endpoint::parse(world.server().admin_url().expect("an admin side")).expect("an endpoint");
    AdminClient::new(Client::new(endpoint, &TlsFiles::default(), None).expect("a client")).expect("a runtime")
}

fn judge(admin: &AdminClient, name: &str, certificates: &str) -> Result<JudgeReport, AdminError> {
    admin.judge(name, &JudgeRequest { certificates: certificates.to_owned() })
}

#[test]
fn every_shape_of_certificate_gets_the_verdict_of_a_handshake() {
    let world = world();
    let admin = admin(&world);
    let digest = admin.host(SHOP, None).expect("a host").host.trust.expect("a trust").digest;
    for row in &TABLE {
        let Some(shape) = row.shape else { continue };
        let credential = pki().credential(shape);
        let report = judge(&admin, "*.shop.example.com", &credential.chain_pem()).expect("a verdict");
        // Whoever asks proves possession of nothing.
        let reason = if shape == Shape::ForgedProof { Reason::Verified } else { row.reason };
        assert_eq!((report.reason, report.host.as_str()), (reason, SHOP), "{shape:?}");
        assert_eq!((report.sha256, &report.trust_digest), (credential.summary().fingerprint, &digest), "{shape:?}");
        let told = report.next_step.unwrap_or_default();
        assert_eq!(told.contains("Next: "), reason != Reason::Verified, "{shape:?}: {told}");
    }
}

#[test]
fn pins_judge_too_and_the_next_step_names_what_is_known() {
    let world = world();
    let admin = admin(&world);
    let reason = |shape: Shape| judge(&admin, PINNED, &pki().credential(shape).chain_pem()).expect("a verdict").reason;
    assert_eq!((reason(Shape::SelfSignedCa), reason(Shape::P256)), (Reason::Verified, Reason::PinMismatch));
    let strange = judge(&admin, SHOP, &pki().credential(Shape::UnknownCa).chain_pem()).expect("a verdict");
    let told = strange.next_step.expect("what to do");
    assert!(told.contains("its issuer is CN=other CA") && told.contains("add the CA"), "{told}");
}

#[test]
fn a_question_leaves_nothing_behind() {
    let world = world();
    let api = Api::of(&world);
    let look = || (api.json("/api/v1/hosts"), api.json("/api/v1/handshakes"), api.json("/api/v1/failures"));
    let (before, admin) = (look(), admin(&world));
    for shape in [Shape::P256, Shape::UnknownCa, Shape::P256] {
        judge(&admin, SHOP, &pki().credential(shape).chain_pem()).expect("a verdict");
    }
    assert_eq!(look(), before);
}

#[test]
fn what_cannot_be_judged_is_told_as_the_document_says() {
    let world = world();
    let api = Api::of(&world);
    let document = Document(api.json("/api/v1/openapi.json"));
    let ask = |name: &str, body: &Value| {
        let reply = api.ask(&format!("POST /api/v1/hosts/{name}/judge"), &[], &body.to_string());
        let described = if reply.status == 200 { "JudgeReport" } else { "Problem" };
        assert_eq!(document.mistakes(described, &reply.json()), Vec::<String>::new(), "{reply:?}");
        (reply.status, reply.json()["type"].as_str().unwrap_or_default().to_owned(), reply.body)
    };
    let good = pki().credential(Shape::P256);
    let with_key = json!({"certificates": good.chain_pem() + &good.key_pem()});
    let broken = json!({"certificates": good.chain_pem().replace("-----END CERTIFICATE-----", "")});
    let endless = json!({"certificates": good.chain_pem().repeat(200)});
    let chain = json!({"certificates": good.chain_pem()});
    assert_eq!(ask(SHOP, &chain).0, 200);
    for (name, body, status, kind) in [
        (OFF, &chain, 409, "no_trust"),
        ("nobody.example.com", &chain, 404, "unknown_host"),
        // By configured name only, as everywhere.
        ("a.shop.example.com", &chain, 404, "unknown_host"),
        (SHOP, &json!({"certificates": ""}), 400, "bad_request"),
        (SHOP, &json!({"certificates": "\u{1b}[2J-----BEGIN nonsense"}), 400, "bad_request"),
        (SHOP, &json!({"certificates": good.chain_pem(), "key": "x"}), 400, "bad_request"),
        (SHOP, &broken, 400, "bad_request"),
        (SHOP, &with_key, 400, "bad_request"),
        (SHOP, &endless, 413, "too_large"),
    ] {
        let (found, told, body) = ask(name, body);
        assert_eq!((found, told.as_str()), (status, kind), "{name} {body}");
        assert!(!body.contains("PRIVATE KEY") && !body.contains('\u{1b}'), "{body}");
    }
}

#[test]
fn what_was_seen_is_told_by_name() {
    let world = World::builder().host(HostSetup::new(SHOP).also("www.example.com").observe("ours")).start();
    for (name, shape) in
        [(SHOP, Shape::P256), (SHOP, Shape::P256), ("www.example.com", Shape::P256), (SHOP, Shape::P384)]
    {
        world.client(name).presenting(shape).get().expect("it is let in");
        world.next_handshake();
    }
    let certificates = admin(&world).host(SHOP, None).expect("a host").certificates;
    let by_name = |shape: Shape| {
        let sha256 = pki().credential(shape).summary().fingerprint;
        let seen = certificates.iter().find(|known| known.sha256 == sha256).and_then(|known| known.seen.clone());
        let by_name = seen.expect("it was seen").by_name.into_iter();
        by_name.map(|(name, seen)| (name, seen.handshakes)).collect::<Vec<_>>()
    };
    assert_eq!(by_name(Shape::P256), [(SHOP.to_owned(), 2), ("www.example.com".to_owned(), 1)]);
    assert_eq!(by_name(Shape::P384), [(SHOP.to_owned(), 1)]);
}
