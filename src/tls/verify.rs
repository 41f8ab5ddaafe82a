//! rustls' questions about a client certificate, answered by the host's trust.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::witness::Witness;
use crate::clock::Clock;
use crate::policy::client_auth::{ClientAuth, Mode};
use crate::policy::proof::{self, Rules};
use crate::policy::trust::Trust;
use crate::policy::verdict::{Decision, Reason, Verdict};

/// The verifier of one policy. It judges, notes what it saw, and refuses only where the mode does.
#[derive(Debug)]
pub(super) struct PolicyVerifier {
    client_auth: ClientAuth,
    trust: Arc<Trust>,
    clock: Clock,
}

/// A refusal for which rustls has no error of its own.
#[derive(Debug, thiserror::Error)]
#[error("client certificate refused: {}", .0.label())]
struct Refused(Reason);

impl PolicyVerifier {
    /// `None` where the mode asks for no certificate.
    pub(super) fn new(client_auth: &ClientAuth, clock: &Clock) -> Option<Self> {
        let trust = Arc::clone(client_auth.trust()?);
        Some(Self { client_auth: client_auth.clone(), trust, clock: clock.clone() })
    }

    fn check_proof(
        &self,
        rules: Rules,
        message: &[u8],
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let proved = Witness::ask(|witness| {
            let certificate = witness.judgement.as_ref()?.certificate.as_ref()?;
            Some(proof::holds(rules, message, &certificate.fields.as_ref()?.spki, signature))
        });
        let proved = proved.unwrap_or(false);
        Witness::note(|witness| {
            witness.proved = Some(proved);
            if let (true, Some(judgement)) = (proved, &witness.judgement) {
                self.trust.remember(judgement);
            }
        });
        let verdict = if proved { Verdict::Verified } else { Verdict::Failed(Reason::ProofFailed) };
        match self.client_auth.decide(verdict) {
            Decision::Admit => Ok(HandshakeSignatureValid::assertion()),
            Decision::Refuse => Err(CertificateError::BadSignature.into()),
        }
    }
}

impl ClientCertVerifier for PolicyVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.client_auth.mode() == Mode::Enforce
    }

    /// No CA is named to the client: some (Go's, among others) would then hide a certificate of another CA, and the
    /// record would say `no_certificate` where `unknown_issuer` is the truth.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let judgement = self.trust.judge(&chain, self.clock.now());
        let verdict = judgement.verdict;
        Witness::note(|witness| witness.judgement = Some(judgement));
        match self.client_auth.decide(verdict) {
            Decision::Admit => Ok(ClientCertVerified::assertion()),
            Decision::Refuse => Err(error(verdict.reason())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        _cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_proof(Rules::Tls12, message, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_proof(Rules::Tls13, message, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        proof::schemes()
    }
}

/// The error whose alert is the right one to send (RFC 8446, section 6.2).
fn error(reason: Reason) -> Error {
    let error = match reason {
        Reason::UnknownIssuer => CertificateError::UnknownIssuer,
        // bad_certificate: "contained signatures that did not verify correctly".
        Reason::BadSignature | Reason::BadEncoding | Reason::NameConstraint => CertificateError::BadEncoding,
        Reason::Expired => CertificateError::Expired,
        Reason::NotYetValid => CertificateError::NotValidYet,
        Reason::Revoked => CertificateError::Revoked,
        // certificate_unknown would be as right; OpenSSL and BoringSSL send unknown_ca.
        Reason::CrlExpired => CertificateError::ExpiredRevocationList,
        Reason::WrongPurpose | Reason::CaAsLeaf | Reason::UnsupportedVersion => CertificateError::InvalidPurpose,
        Reason::PinMismatch => CertificateError::ApplicationVerificationFailure,
        Reason::ProofFailed => CertificateError::BadSignature,
        Reason::UnsupportedAlgorithm
        | Reason::WeakKey
        | Reason::ChainTooLong
        | Reason::TooLarge
        | Reason::Verified
        | Reason::NoCertificate
        | Reason::SniMissing
        | Reason::SniUnknown
        | Reason::HandshakeTimeout
        | Reason::ClientAlert
        | Reason::ClientEof
        | Reason::NotTls
        | Reason::ProtocolError
        | Reason::HostMismatch
        | Reason::TrustChanged => CertificateError::Other(OtherError(Arc::new(Refused(reason)))),
    };
    error.into()
}
