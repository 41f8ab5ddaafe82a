//! Attempts by sessions: got where one is let in, or without a certificate, and offered for the host.

use std::sync::Arc;

use super::Finding;
use super::caller::{Agreed, Caller, Speech, Versions};
use super::certificates::not_spoken;
use super::conversation::Outcome;
use super::judge::{self, Shown};
use super::names::not_let_in;
use super::run::{Scene, skipped};
use super::sessions::Sessions;
use crate::hostname::Hostname;
use crate::probe::{Identity, ProbeError};

impl Scene<'_> {
    /// Got at the other host with its certificate, if it needs one; offered here without any.
    pub(super) async fn other_host_session(&self, versions: Versions) -> Result<Shown, ProbeError> {
        let Some(other) = &self.target.other else { return Ok(skipped("--other-host is not given")) };
        let collected = self.collect(other, self.target.other_identity.as_ref(), versions).await?;
        let (caller, sessions) = match collected {
            Ok((caller, sessions, Outcome::Answered(answer))) if answer.refusal().is_none() => (caller, sessions),
            Ok((_, _, outcome)) => return Ok(not_let_in(other, &outcome)),
            Err(missing) => return Ok(skipped(missing)),
        };
        Ok(match sessions.is_empty() {
            true => (Finding::Holds, format!("{other} gives out no sessions")),
            false => self.resume(&caller).await,
        })
    }

    /// Got here without a certificate, in a handshake that may have been refused, and offered again.
    pub(super) async fn session_without_certificate(&self, versions: Versions) -> Result<Shown, ProbeError> {
        let (caller, sessions) = match self.collect(&self.target.name, None, versions).await? {
            Ok((_, sessions, Outcome::Lost(why))) if sessions.is_empty() => return Ok((Finding::Unclear, why)),
            Ok((caller, sessions, _)) => (caller, sessions),
            Err(missing) => return Ok(skipped(missing)),
        };
        Ok(match sessions.is_empty() {
            true => (Finding::Holds, "no session is given out without a certificate".to_owned()),
            false => self.resume(&caller).await,
        })
    }

    /// Visits `host` as `who` and keeps what sessions it gives out; or what the server does not speak.
    async fn collect(
        &self,
        host: &Hostname,
        who: Option<&Identity>,
        versions: Versions,
    ) -> Result<Result<(Caller, Arc<Sessions>, Outcome), String>, ProbeError> {
        let sessions = Arc::new(Sessions::default());
        let speech = Speech { versions, sessions: Some(Arc::clone(&sessions)), ..Speech::default() };
        let caller = Caller::new(who, &speech)?;
        let (outcome, _) = self.visit(&caller, host, host.as_str()).await;
        Ok(match not_spoken(&outcome, &caller, versions) {
            Some(missing) => Err(missing),
            None => Ok((caller, sessions, outcome)),
        })
    }

    /// Offers a session that the caller has, and no certificate.
    async fn resume(&self, caller: &Caller) -> Shown {
        caller.forget_certificate();
        let (outcome, agreed) = self.visit(caller, &self.target.name, self.target.name.as_str()).await;
        let (finding, detail) = judge::stranger(&outcome, self.reference.as_ref());
        match (agreed, outcome) {
            (Some(Agreed { resumed: true, .. }), _) => (finding, format!("{detail}; the session was resumed")),
            // What somebody without a session gets is another attempt.
            (Some(Agreed { resumed: false, .. }), Outcome::Answered(_) | Outcome::Refused(_)) => {
                (Finding::Holds, "the session is not taken up: the handshake starts anew".to_owned())
            }
            (Some(Agreed { resumed: false, .. }), Outcome::Lost(_)) | (None, _) => (finding, detail),
        }
    }
}
