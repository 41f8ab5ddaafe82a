//! All attempts, one after the other. The first meeting says whether there is a server to try at all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::caller::{Agreed, Caller, Protocol, Speech, Versions};
use super::conversation::{Conversation, Outcome, Question, Refusal};
use super::judge::{self, Reference, Shown};
use super::{Attempt, Battery, Finding, Target, Tried};
use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::probe::{Identity, ProbeError};

/// All attempts together, in times of what one may take. A server that lets every one of them wait is not waited for.
const PATIENCE: u32 = 10;
/// How many bodies an attempt has time for: none asks for more than three.
const BODIES: u32 = 4;

/// Tries everything at `target`, each for at most `limit`, at most ten times that in all. `now` dates certificates.
///
/// Blocks, and must not be called from a tokio runtime.
///
/// # Errors
/// There is nothing to try: the server is not there, speaks no TLS, or does not know the host; or a certificate that was
/// given cannot be used.
pub fn run(target: &Target, limit: Duration, now: Timestamp) -> Result<Battery, ProbeError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ProbeError::System)?;
    runtime.block_on(async {
        let end = Instant::now() + limit * PATIENCE;
        let scene = Scene::meet(target, limit, now).await?;
        let mut tried = Vec::new();
        for attempt in Attempt::ALL {
            let left = end.saturating_duration_since(Instant::now()).min(limit);
            tried.push(scene.attempt(attempt, left).await);
        }
        Ok(Battery { certificate: scene.certificate, tried })
    })
}

/// What is known before the attempts begin.
pub(super) struct Scene<'a> {
    pub(super) target: &'a Target,
    pub(super) now: Timestamp,
    limit: Duration,
    certificate: CertificateDer<'static>,
    /// What somebody without a certificate got.
    met: (Outcome, Duration),
    /// What the right certificate got, if one is given.
    right: Option<(Outcome, String, Duration)>,
    pub(super) reference: Option<Reference>,
    /// The names of CAs that the server says it accepts; `None`: it asks for no certificate.
    pub(super) asked_for: Option<Vec<Vec<u8>>>,
}

impl<'a> Scene<'a> {
    /// Connects without a certificate, then with the right one.
    async fn meet(target: &'a Target, limit: Duration, now: Timestamp) -> Result<Self, ProbeError> {
        let begun = Instant::now();
        let caller = Caller::new(None, &Speech::default())?;
        reachable(target.address, limit).await?;
        let question = question(target, target.name.as_str(), limit);
        let visit = visit(target, &caller, &target.name, &question);
        let late = || ProbeError::Timeout { limit };
        let outcome = timeout(limit, visit).await;
        let Some(certificate) = caller.shown() else {
            return Err(match outcome.map_err(|_| late())? {
                (Outcome::Refused(refusal), _) => not_served(target, refusal.told()),
                (Outcome::Lost(why), _) => not_served(target, why),
                (Outcome::Answered(_), _) => not_served(target, "it showed none".to_owned()),
            });
        };
        let outcome = outcome.map_or_else(|_| too_late(limit), |(outcome, _)| outcome);
        let met = (outcome, begun.elapsed());
        let asked_for = caller.asked_for();
        let mut scene = Self { target, now, limit, certificate, met, right: None, reference: None, asked_for };
        if let Some(identity) = &target.right {
            scene.meet_the_right_one(identity, limit).await?;
        }
        Ok(scene)
    }

    async fn meet_the_right_one(&mut self, identity: &Identity, limit: Duration) -> Result<(), ProbeError> {
        let begun = Instant::now();
        let caller = Caller::new(Some(identity), &Speech::default())?;
        let mut visits = Vec::new();
        for _ in 0..2 {
            let question = self.question(self.target.name.as_str());
            let visit = visit(self.target, &caller, &self.target.name, &question);
            visits.push(timeout(limit, visit).await.unwrap_or_else(|_| (too_late(limit), None)));
        }
        if let [(Outcome::Answered(first), _), (second, _)] = &visits[..] {
            let same = |again: &super::conversation::Answer| again.status == first.status && again.body == first.body;
            let steady = first.whole && matches!(second, Outcome::Answered(again) if same(again));
            self.reference = Some(Reference { answer: first.clone(), steady, asked: caller.asked_for().is_some() });
        }
        let (outcome, agreed) = visits.swap_remove(0);
        let means = agreed.map_or("TLS".to_owned(), |agreed| format!("TLS {}", agreed.version));
        self.right = Some((outcome, means, begun.elapsed()));
        Ok(())
    }

    async fn attempt(&self, attempt: Attempt, limit: Duration) -> Tried {
        let begun = Instant::now();
        let shown = match limit.is_zero() {
            true => Ok(Ok((Finding::Unclear, "not tried: the attempts before took too long".to_owned()))),
            false => timeout(limit, self.show(attempt)).await,
        };
        let (finding, detail) = match shown {
            Ok(Ok((Finding::Holds, detail))) => self.beside_the_right_one(attempt, detail).await,
            Ok(Ok(shown)) => shown,
            Ok(Err(error)) => (Finding::Unclear, super::essentials::chain(&error)),
            Err(_) => match too_late(limit) {
                Outcome::Lost(why) => (Finding::Unclear, why),
                Outcome::Answered(_) | Outcome::Refused(_) => (Finding::Unclear, String::new()),
            },
        };
        let before = match attempt {
            Attempt::NoCertificate => self.met.1,
            Attempt::RightCertificate => self.right.as_ref().map_or(Duration::ZERO, |right| right.2),
            _ => Duration::ZERO,
        };
        Tried { attempt, finding, detail, took: begun.elapsed() + before }
    }

    /// That somebody is turned away says nothing while the right certificate is, too: the server may have had enough of us,
    /// or its backend may have gone.
    async fn beside_the_right_one(&self, attempt: Attempt, detail: String) -> Shown {
        let (Some(identity), Some(reference), false) =
            (&self.target.right, &self.reference, attempt.is_of_the_right_one())
        else {
            return (Finding::Holds, detail);
        };
        let again = async {
            let caller = Caller::new(Some(identity), &Speech::default()).ok()?;
            Some(self.visit(&caller, &self.target.name, self.target.name.as_str()).await.0)
        };
        match timeout(self.limit, again).await {
            Ok(Some(Outcome::Answered(answer))) if answer.status == reference.answer.status => (Finding::Holds, detail),
            _ => (
                Finding::Unclear,
                format!("{detail}; but right after it the right certificate was not answered as before"),
            ),
        }
    }

    async fn show(&self, attempt: Attempt) -> Result<Shown, ProbeError> {
        use Attempt as A;
        match attempt {
            A::RightCertificate => Ok(self.right_certificate()),
            A::RightCertificateHttp2 => self.right_over(Versions::All, Protocol::Http2).await,
            A::RightCertificateTls12 => self.right_over(Versions::Tls12, Protocol::Http1).await,
            A::RightCertificateTls12Http2 => self.right_over(Versions::Tls12, Protocol::Http2).await,
            A::NoCertificate => Ok(self.no_certificate()),
            A::NoCertificateHttp2 => self.no_certificate_over(Versions::All, Protocol::Http2).await,
            A::NoCertificateTls12 => self.no_certificate_over(Versions::Tls12, Protocol::Http1).await,
            A::SelfSigned => self.self_signed().await,
            A::OtherCa => self.other_ca().await,
            A::SameNameCa => self.same_name_ca().await,
            A::Expired => self.expired().await,
            A::WrongPurpose => self.wrong_purpose().await,
            A::OtherHostCertificate => self.other_host_certificate().await,
            A::CloudflareSharedCa => Ok(self.cloudflare_shared_ca()),
            A::NoSni => self.no_sni().await,
            A::UnknownSni => self.unknown_sni().await,
            A::IpSni => self.ip_sni().await,
            A::UnknownHost => self.unknown_host().await,
            A::HostMismatchHttp1 => self.host_mismatch(Protocol::Http1).await,
            A::HostMismatchHttp2 => self.host_mismatch(Protocol::Http2).await,
            A::ConnectionReuse => self.connection_reuse().await,
            A::OtherHostSessionTls13 => self.other_host_session(Versions::Tls13).await,
            A::OtherHostSessionTls12 => self.other_host_session(Versions::Tls12).await,
            A::SessionWithoutCertificateTls13 => self.session_without_certificate(Versions::Tls13).await,
            A::SessionWithoutCertificateTls12 => self.session_without_certificate(Versions::Tls12).await,
            A::SpoofedIdentity => self.spoofed_identity().await,
            A::PlainHttp => self.plain_http().await,
            A::Tls11 => self.old_tls((3, 2), "TLS 1.1").await,
            A::Tls10 => self.old_tls((3, 1), "TLS 1.0").await,
        }
    }

    fn right_certificate(&self) -> Shown {
        match &self.right {
            Some((outcome, means, _)) => judge::right(outcome, means, None),
            None => skipped("--cert and --key are not given"),
        }
    }

    fn no_certificate(&self) -> Shown {
        let (finding, detail) = judge::stranger(&self.met.0, self.reference.as_ref());
        match (finding, &self.asked_for) {
            (Finding::Hole, None) => (finding, format!("{detail}; the server asks for no certificate")),
            _ => (finding, detail),
        }
    }

    /// What `caller` gets for the host, over a connection made for `sni`, and what the handshake agreed on.
    pub(super) async fn visit(&self, caller: &Caller, sni: &Hostname, host: &str) -> (Outcome, Option<Agreed>) {
        visit(self.target, caller, sni, &self.question(host)).await
    }

    /// The request for `host`.
    pub(super) fn question<'q>(&'q self, host: &'q str) -> Question<'q> {
        question(self.target, host, self.limit)
    }
}

/// Not tried, and why.
pub(super) fn skipped(why: impl Into<String>) -> Shown {
    (Finding::Skipped, why.into())
}

/// An error of its own: without a connection there is nothing to try.
async fn reachable(address: SocketAddr, limit: Duration) -> Result<(), ProbeError> {
    let connecting = tokio::net::TcpStream::connect(address);
    let connected = timeout(limit, connecting).await.map_err(|_| ProbeError::Timeout { limit })?;
    connected.map(drop).map_err(|source| ProbeError::Connect { address, source })
}

fn not_served(target: &Target, how: String) -> ProbeError {
    ProbeError::NotServed { address: target.address, name: target.name.clone(), how }
}

fn too_late(limit: Duration) -> Outcome {
    Outcome::Lost(format!("no answer within {:.0?}", limit))
}

fn question<'q>(target: &'q Target, host: &'q str, limit: Duration) -> Question<'q> {
    Question { host, path: &target.path, fields: Vec::new(), patience: limit / BODIES }
}

async fn visit(target: &Target, caller: &Caller, sni: &Hostname, question: &Question<'_>) -> (Outcome, Option<Agreed>) {
    let (wire, agreed) = match caller.connect(target.address, sni).await {
        Ok(connected) => connected,
        Err(fate) => return (fate.into(), None),
    };
    if caller.protocol() == Protocol::Http2 && !agreed.http2 {
        return (Outcome::Refused(Refusal::NoHttp2), Some(agreed));
    }
    let outcome = match Conversation::begin(wire, caller.protocol()).await {
        Ok(mut conversation) => conversation.ask(question).await,
        Err(outcome) => outcome,
    };
    (outcome, Some(agreed))
}
