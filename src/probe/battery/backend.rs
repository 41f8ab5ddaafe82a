//! The attempt that needs a backend which repeats what it was sent: headers that claim an identity.

use aws_lc_rs::error::Unspecified;

use super::Finding;
use super::caller::{Caller, Protocol, Speech};
use super::conversation::{Conversation, Outcome, Question, token};
use super::judge::Shown;
use super::run::{Scene, skipped};
use crate::probe::ProbeError;

/// What proxies tell backends about a client's certificate, in their own spelling and in one that CGI takes for it.
const IDENTITY: [&str; 24] = [
    "Client-Cert",
    "Client-Cert-Chain",
    "Client_Cert",
    "SSL-Client-Cert",
    "SSL-Client-Verify",
    "SSL-Client-S-DN",
    "X-Client-Cert",
    "X-Client-DN",
    "X-Client-Verify",
    "X_Client_Verify",
    "X-SSL-Cert",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-CN",
    "X-SSL-Subject",
    "X_SSL_Client_Verify",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-ARR-ClientCert",
];

impl Scene<'_> {
    /// With the right certificate, if it is given: Cloudflare passes on what its visitors write.
    pub(super) async fn spoofed_identity(&self) -> Result<Shown, ProbeError> {
        let caller = Caller::new(self.target.right.as_ref(), &Speech::default())?;
        let name = self.target.name.as_str();
        let (outcome, _) = self.visit(&caller, &self.target.name, name).await;
        match outcome {
            Outcome::Answered(answer) if answer.echoes => {}
            Outcome::Refused(_) => return Ok(skipped("only who is let in can try it: --cert and --key are for that")),
            Outcome::Answered(_) => {
                return Ok(skipped("the backend does not repeat request headers; --path may lead to a page that does"));
            }
            Outcome::Lost(why) => return Ok((Finding::Unclear, why)),
        }
        let Ok(forged) = IDENTITY.iter().map(|name| Ok((*name, token()?))).collect::<Result<Vec<_>, Unspecified>>()
        else {
            return Ok((Finding::Unclear, "the system's randomness cannot be read".to_owned()));
        };
        let (wire, _) = match caller.connect(self.target.address, &self.target.name).await {
            Ok(connected) => connected,
            Err(fate) => return Ok((Finding::Unclear, format!("turned away this time: {fate:?}"))),
        };
        let question = Question { fields: forged.clone(), ..self.question(name) };
        let outcome = match Conversation::begin(wire, Protocol::Http1).await {
            Ok(mut conversation) => conversation.ask(&question).await,
            Err(outcome) => outcome,
        };
        let answer = match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Refused(refusal) => return Ok((Finding::Holds, refusal.told())),
            Outcome::Lost(why) => return Ok((Finding::Unclear, why)),
        };
        let passed: Vec<_> = forged.iter().filter(|(_, value)| answer.says(value)).map(|(name, _)| *name).collect();
        Ok(match (passed.is_empty(), answer.echoes) {
            (false, _) => (Finding::Hole, format!("reach the backend as the client wrote them: {}", passed.join(", "))),
            (true, true) => (Finding::Holds, "none reaches the backend".to_owned()),
            (true, false) => (Finding::Holds, format!("a request with them is answered {}", answer.status)),
        })
    }
}
