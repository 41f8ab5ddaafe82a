//! Every mode × every shape of certificate × both versions × full and resumed, as one table.

use std::fmt::Debug;

use originlock::policy::verdict::{Decision, Reason};

use crate::support::client::{Client, Connection};
use crate::support::{HostSetup, Shape, Version, World, pki};

/// What a certificate comes to wherever one is asked for.
pub(super) struct Row {
    /// `None`: the client has none.
    pub(super) shape: Option<Shape>,
    pub(super) reason: Reason,
    /// What `enforce` answers, as RFC 8446, section 6.2 calls it.
    alert: Option<&'static str>,
    /// Whether a session is given that resumes: without proof of the key there is none.
    resumes: bool,
}

const fn row(shape: Shape, reason: Reason, alert: &'static str) -> Row {
    Row { shape: Some(shape), reason, alert: Some(alert), resumes: true }
}

const fn good(shape: Shape) -> Row {
    Row { shape: Some(shape), reason: Reason::Verified, alert: None, resumes: true }
}

impl Row {
    const fn without_session(self) -> Self {
        Self { resumes: false, ..self }
    }
}

pub(super) const TABLE: [Row; 22] = [
    Row { shape: None, reason: Reason::NoCertificate, alert: Some("certificate_required"), resumes: true },
    good(Shape::P256),
    good(Shape::P384),
    good(Shape::Rsa2048),
    good(Shape::Ed25519),
    good(Shape::ViaIntermediate),
    row(Shape::Expired, Reason::Expired, "certificate_expired"),
    row(Shape::NotYetValid, Reason::NotYetValid, "certificate_expired"),
    row(Shape::ServerAuthOnly, Reason::WrongPurpose, "unsupported_certificate"),
    row(Shape::SelfSignedCa, Reason::CaAsLeaf, "unsupported_certificate"),
    row(Shape::Version1, Reason::UnsupportedVersion, "unsupported_certificate"),
    row(Shape::Rsa1024, Reason::WeakKey, "certificate_unknown").without_session(),
    row(Shape::SignedWithSha1, Reason::UnsupportedAlgorithm, "certificate_unknown"),
    row(Shape::Revoked, Reason::Revoked, "certificate_revoked"),
    row(Shape::ManyCertificates, Reason::ChainTooLong, "certificate_unknown").without_session(),
    row(Shape::LargeCertificate, Reason::TooLarge, "certificate_unknown").without_session(),
    row(Shape::Garbage, Reason::BadEncoding, "bad_certificate").without_session(),
    row(Shape::PathTooLong, Reason::ChainTooLong, "certificate_unknown"),
    row(Shape::OutsideNameConstraint, Reason::NameConstraint, "bad_certificate"),
    row(Shape::UnknownCa, Reason::UnknownIssuer, "unknown_ca"),
    row(Shape::SameNameCa, Reason::BadSignature, "bad_certificate"),
    row(Shape::ForgedProof, Reason::ProofFailed, "decrypt_error").without_session(),
];

const OFF: &str = "off.example";
const OBSERVE: &str = "observe.example";
const ENFORCE: &str = "enforce.example";

#[test]
fn every_certificate_gets_its_verdict_in_every_mode_and_version() {
    let world = World::builder()
        .ca("ours", &pki().bundle())
        .crl("ours", &pki().crl())
        .host(HostSetup::new(OFF))
        .host(HostSetup::new(OBSERVE).observe("ours"))
        .host(HostSetup::new(ENFORCE).enforce("ours"))
        .start();
    let mut check = Check { world, at: String::new(), mismatches: Vec::new() };
    for row in &TABLE {
        for version in Version::BOTH {
            for mode in [OFF, OBSERVE, ENFORCE] {
                check.at = format!("{mode} {:?} TLS {}", row.shape, version.label());
                let client = check.world.client(mode).version(version).remembering();
                let client = row.shape.map_or(client.clone(), |shape| client.presenting(shape));
                check.both_handshakes(mode, row, &client);
            }
        }
    }
    let mismatches = check.mismatches;
    assert!(mismatches.is_empty(), "{} mismatches:\n{}", mismatches.len(), mismatches.join("\n"));
}

struct Check {
    world: World,
    at: String,
    mismatches: Vec<String>,
}

impl Check {
    fn both_handshakes(&mut self, mode: &str, row: &Row, client: &Client) {
        let place = self.at.clone();
        let resumes = mode == OFF || row.resumes;
        self.at = format!("{place} full");
        let first = self.handshake(mode, row, client, false);
        self.at = format!("{place} resumed");
        if let Some(first) = first {
            let second = self.handshake(mode, row, client, resumes);
            let offered = second.is_some_and(|second| second.offered_session);
            self.equal("a session is offered", offered, resumes);
            drop(first);
        }
    }

    /// Returns the connection, if the client was let in.
    fn handshake(&mut self, mode: &str, row: &Row, client: &Client, resumed: bool) -> Option<Connection> {
        let reason = if mode == OFF { Reason::NoCertificate } else { row.reason };
        let refused = mode == ENFORCE && reason != Reason::Verified;
        let alert = row.alert.filter(|_| refused);
        let answer = client.get();
        let outcome = self.world.next_handshake();
        self.equal("reason", outcome.reason.label(), reason.label());
        self.equal("decision", outcome.decision, if refused { Decision::Refuse } else { Decision::Admit });
        self.equal("would_refuse", outcome.would_refuse, mode == OBSERVE && reason != Reason::Verified);
        self.equal("alert in the record", outcome.alert, alert);
        self.equal("resumed", outcome.resumed, resumed);
        // What is out of bounds is not looked at.
        let looked_at = !matches!(row.shape, Some(Shape::ManyCertificates | Shape::LargeCertificate));
        let leaf = row.shape.filter(|_| mode != OFF && looked_at);
        let presented = leaf.map(|shape| pki().credential(shape).summary().fingerprint);
        self.equal("certificate", outcome.certificate.as_ref().map(|certificate| certificate.fingerprint), presented);
        match answer {
            Ok((connection, answer)) => {
                self.equal("let in", refused, false);
                self.equal("version", outcome.tls_version, client_version(&self.at));
                let verify = match reason {
                    Reason::Verified => "SUCCESS".to_owned(),
                    Reason::NoCertificate => "NONE".to_owned(),
                    reason => format!("FAILED:{}", reason.label()),
                };
                self.equal("X-Client-Verify", answer.backend_saw("x-client-verify"), Some(&verify));
                self.equal("Client-Cert", answer.backend_saw("client-cert").is_some(), reason == Reason::Verified);
                Some(connection)
            }
            Err(error) => {
                self.equal("refused", true, refused);
                self.equal("alert as the client sees it", error.alert.as_deref(), alert);
                None
            }
        }
    }

    fn equal<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.mismatches.push(format!("{}: {what} is {found:?}, expected {expected:?}", self.at));
        }
    }
}

fn client_version(place: &str) -> Option<&'static str> {
    Some(if place.contains("TLS 1.2") { "1.2" } else { "1.3" })
}
