//! The three attempts that show whether enforcing works: no certificate, a wrong one, the right one. No request is made.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Attempt, Finding, Tried, wardrobe};
use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::probe::{Answer, Identity, Probe, ProbeError, Probed};

/// Connects to `address` and asks for `name` without a certificate, with one of a CA that nobody trusts, and with
/// `identity`; without one, the third attempt is skipped. Each waits at most `limit`.
///
/// Never fails: what cannot be found out is [`Finding::Unclear`], with the reason. A server that turns away without
/// showing a certificate of its own proves nothing: it may be no TLS server, or not know the name.
pub fn essentials(
    address: SocketAddr,
    name: &Hostname,
    identity: Option<&Identity>,
    limit: Duration,
    now: Timestamp,
) -> Vec<Tried> {
    let connect = |who: Option<&Identity>| {
        let begun = Instant::now();
        (handshake(address, name, who, limit), begun.elapsed())
    };
    let without = connect(None);
    let wrong = match wardrobe::other_ca(now) {
        Ok(stranger) => connect(Some(&stranger)),
        Err(error) => (Err(error), Duration::ZERO),
    };
    let mut tried = vec![
        turned_away(Attempt::NoCertificate, without.0, without.1),
        turned_away(Attempt::OtherCa, wrong.0, wrong.1),
    ];
    tried.push(match identity {
        Some(identity) => {
            let (answer, took) = connect(Some(identity));
            let_in(Attempt::RightCertificate, answer, took)
        }
        None => Tried {
            attempt: Attempt::RightCertificate,
            finding: Finding::Skipped,
            detail: "no certificate and key are given".to_owned(),
            took: Duration::ZERO,
        },
    });
    tried
}

fn handshake(
    address: SocketAddr,
    name: &Hostname,
    identity: Option<&Identity>,
    limit: Duration,
) -> Result<Probed, ProbeError> {
    let probe = Probe::towards(address).map_err(|source| ProbeError::Connect { address, source });
    probe.and_then(|probe| probe.handshake(address, name, identity, limit))
}

fn turned_away(attempt: Attempt, answer: Result<Probed, ProbeError>, took: Duration) -> Tried {
    let (finding, detail) = match seen(answer) {
        Seen::LetIn => (Finding::Hole, "let in".to_owned()),
        Seen::Refused(detail) => (Finding::Holds, detail),
        Seen::Unclear(detail) => (Finding::Unclear, detail),
    };
    Tried { attempt, finding, detail, took }
}

fn let_in(attempt: Attempt, answer: Result<Probed, ProbeError>, took: Duration) -> Tried {
    let (finding, detail) = match seen(answer) {
        Seen::LetIn => (Finding::Holds, "let in".to_owned()),
        Seen::Refused(detail) => (Finding::ShutOut, detail),
        Seen::Unclear(detail) => (Finding::Unclear, detail),
    };
    Tried { attempt, finding, detail, took }
}

enum Seen {
    LetIn,
    Refused(String),
    Unclear(String),
}

fn seen(answer: Result<Probed, ProbeError>) -> Seen {
    match answer {
        Err(error) => Seen::Unclear(chain(&error)),
        Ok(Probed { answer: Answer::Admitted, .. }) => Seen::LetIn,
        Ok(Probed { answer: Answer::Refused(alert), certificate: None, .. }) => {
            let how = alert.map_or("a cut-off".to_owned(), |alert| format!("the alert {alert}"));
            Seen::Unclear(format!("{how} before the server showed a certificate: is the name served here?"))
        }
        Ok(Probed { answer: Answer::Refused(Some(alert)), .. }) => Seen::Refused(format!("refused with {alert}")),
        Ok(Probed { answer: Answer::Refused(None), .. }) => Seen::Unclear("cut off without an alert".to_owned()),
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
