//! Attempts by name: another one in the handshake than in the request, or none.

use super::Finding;
use super::caller::Versions;
use super::caller::{Caller, Protocol, Speech};
use super::certificates::not_spoken;
use super::conversation::{Answer, Conversation, Outcome, Refusal, token};
use super::judge::{self, Shown};
use super::run::{Scene, skipped};
use crate::hostname::Hostname;
use crate::probe::ProbeError;

const NO_OTHER: &str = "--other-host is not given";

impl Scene<'_> {
    pub(super) async fn no_sni(&self) -> Result<Shown, ProbeError> {
        let caller = Caller::new(None, &Speech { anonymous: true, ..Speech::default() })?;
        let (outcome, _) = self.visit(&caller, &self.target.name, self.target.name.as_str()).await;
        Ok(judge::unnamed(&outcome, self.reference.as_ref()))
    }

    pub(super) async fn unknown_sni(&self) -> Result<Shown, ProbeError> {
        let Some(unknown) = unknown_name() else { return Ok(no_randomness()) };
        let caller = Caller::new(None, &Speech::default())?;
        let (outcome, _) = self.visit(&caller, &unknown, self.target.name.as_str()).await;
        Ok(judge::unnamed(&outcome, self.reference.as_ref()))
    }

    pub(super) async fn unknown_host(&self) -> Result<Shown, ProbeError> {
        let Some(unknown) = unknown_name() else { return Ok(no_randomness()) };
        let caller = Caller::new(None, &Speech::default())?;
        let (outcome, _) = self.visit(&caller, &unknown, unknown.as_str()).await;
        Ok(judge::nameless(&outcome, self.reference.as_ref()))
    }

    pub(super) async fn host_mismatch(&self, protocol: Protocol) -> Result<Shown, ProbeError> {
        let Some(other) = &self.target.other else { return Ok(skipped(NO_OTHER)) };
        let theirs = match self.others_page(protocol).await? {
            Ok(theirs) => theirs,
            Err(shown) => return Ok(shown),
        };
        let caller = self.as_other(protocol)?;
        let (outcome, _) = self.visit(&caller, other, self.target.name.as_str()).await;
        Ok(judge::misdirected(&outcome, &theirs, self.reference.as_ref()))
    }

    /// One connection, made and used for the other host, then asked for this one.
    pub(super) async fn connection_reuse(&self) -> Result<Shown, ProbeError> {
        let Some(other) = &self.target.other else { return Ok(skipped(NO_OTHER)) };
        let caller = self.as_other(Protocol::Http2)?;
        let (wire, agreed) = match caller.connect(self.target.address, other).await {
            Ok(connected) => connected,
            Err(fate) => return Ok(not_let_in(other, &fate.into())),
        };
        if !agreed.http2 {
            return Ok(skipped("the server does not speak HTTP/2"));
        }
        let mut conversation = match Conversation::begin(wire, Protocol::Http2).await {
            Ok(conversation) => conversation,
            Err(outcome) => return Ok(not_let_in(other, &outcome)),
        };
        let theirs = match conversation.ask(&self.question(other.as_str())).await {
            Outcome::Answered(answer) if answer.refusal().is_none() => answer,
            outcome => return Ok(not_let_in(other, &outcome)),
        };
        let outcome = conversation.ask(&self.question(self.target.name.as_str())).await;
        Ok(judge::misdirected(&outcome, &theirs, self.reference.as_ref()))
    }

    /// Somebody who may use the other host.
    pub(super) fn as_other(&self, protocol: Protocol) -> Result<Caller, ProbeError> {
        Caller::new(self.target.other_identity.as_ref(), &Speech { protocol, ..Speech::default() })
    }

    /// What the other host answers to those whom it lets in; or what is missing to be one of them.
    async fn others_page(&self, protocol: Protocol) -> Result<Result<Answer, Shown>, ProbeError> {
        let Some(other) = &self.target.other else { return Ok(Err(skipped(NO_OTHER))) };
        let caller = self.as_other(protocol)?;
        let (outcome, _) = self.visit(&caller, other, other.as_str()).await;
        if let Some(missing) = not_spoken(&outcome, &caller, Versions::All) {
            return Ok(Err(skipped(missing)));
        }
        Ok(match outcome {
            Outcome::Answered(answer) if answer.refusal().is_none() => Ok(answer),
            outcome => Err(not_let_in(other, &outcome)),
        })
    }
}

/// Whoever is not let in there has nothing to misuse here.
pub(super) fn not_let_in(other: &Hostname, outcome: &Outcome) -> Shown {
    match outcome {
        Outcome::Lost(why) => (Finding::Unclear, format!("at {other}: {why}")),
        Outcome::Answered(_) | Outcome::Refused(Refusal::Alert(_) | Refusal::CutOff | Refusal::Reset) => {
            skipped(format!("{other} does not let us in; --other-cert and --other-key are for that"))
        }
        Outcome::Refused(Refusal::NoHttp2) => skipped("the server does not speak HTTP/2"),
    }
}

/// A name that no host has (RFC 6761).
fn unknown_name() -> Option<Hostname> {
    Hostname::parse(&format!("{}.invalid", token().ok()?)).ok()
}

fn no_randomness() -> Shown {
    (Finding::Unclear, "the system's randomness cannot be read".to_owned())
}
