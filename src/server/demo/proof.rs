//! The demonstration walks its own steps: a real client, the real server, and what the record says of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;

use super::Demo;
use super::pki::SITE_CA;
use super::steps::{ENOUGH_VISITS, Ending, Identity, STEPS, Step, TURNS, Turn, WALK, WalkStep};
use crate::admin::control::Control;
use crate::evidence::handshake::HandshakeOutcome;
use crate::evidence::report::{CheckReport, ModeRequest};
use crate::policy::verdict::{Decision, Reason};
use crate::upstream::tls::{Roots, client_config};
use crate::upstream::{Address, Client, LocalBody, UpstreamSpec};

/// Nothing here takes a second; a machine under load may be slow.
const STEP_LIMIT: Duration = Duration::from_secs(20);

type BoxError = Box<dyn std::error::Error>;

/// One step, and what was seen instead if it did not keep its promise.
#[derive(Debug)]
pub struct Tried {
    pub host: &'static str,
    pub sentence: &'static str,
    pub broken: Option<String>,
}

/// Tries every step.
pub fn try_all(demo: &Demo) -> io::Result<Vec<Tried>> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let walk = async {
        let mut tried = Vec::new();
        for step in &STEPS {
            let broken = try_step(demo, step).await.err().map(|error| error.to_string());
            tried.push(Tried { host: step.host, sentence: step.sentence, broken });
        }
        for WalkStep { turn, sentence } in &TURNS {
            let broken = try_turn(demo, turn).await.err().map(|error| error.to_string());
            tried.push(Tried { host: WALK, sentence, broken });
        }
        tried
    };
    Ok(runtime.block_on(walk))
}

async fn try_step(demo: &Demo, step: &Step) -> Result<(), BoxError> {
    let recent = demo.server.recent();
    let before = recent.last_sequence();
    let answer = timeout(STEP_LIMIT, ask(demo, step)).await.map_err(|_| "no answer in time")??;
    // Blocks this thread only; the server's threads write the record.
    let recorded = recent.wait_for(before, STEP_LIMIT, |outcome| outcome.host.as_deref() == Some(step.host));
    compare(step, answer, &recorded.ok_or("no handshake was recorded")?.outcome)
}

async fn try_turn(demo: &Demo, turn: &Turn) -> Result<(), BoxError> {
    match turn {
        Turn::Ask(step) => try_step(demo, step).await,
        Turn::Visits => {
            for _ in 0..ENOUGH_VISITS {
                try_step(demo, &VISIT).await?;
            }
            Ok(())
        }
        Turn::Ready(expected) => {
            let readiness = demo.server.view().host(WALK, None).ok_or("the host is unknown")?.host.readiness;
            match readiness.ready == *expected {
                true => Ok(()),
                false => Err(format!("expected was {expected}, the verdict is {readiness:?}").into()),
            }
        }
        Turn::Mode(mode) => {
            let request = ModeRequest {
                mode: *mode,
                force: false,
                dry_run: false,
                confirm_within_seconds: None,
                window_seconds: None,
            };
            let report = demo.server.walk().set_mode(WALK, &request, "the demonstration");
            let report = report.map_err(|problem| problem.detail)?;
            match report.applied && !report.checks.iter().any(CheckReport::failed) {
                true => Ok(()),
                false => Err(format!("{report:?}").into()),
            }
        }
    }
}

/// The edge's visit while the host is only observed.
const VISIT: Step = Step {
    host: WALK,
    identity: Identity::Edge,
    header: None,
    sentence: "",
    reason: Reason::Verified,
    would_refuse: false,
    ending: Ending::Answer("SUCCESS"),
};

/// Status and body; `None` where the connection ended without an answer.
type Answer = Option<(StatusCode, String)>;

async fn ask(demo: &Demo, step: &Step) -> Result<Answer, BoxError> {
    let file = |name: &str| demo.folder().join(name);
    let roots = Roots::Own(vec![CertificateDer::from_pem_file(file(SITE_CA))?]);
    let identity = match step.identity.files() {
        Some((certificate, key)) => {
            Some((vec![CertificateDer::from_pem_file(file(certificate))?], PrivateKeyDer::from_pem_file(file(key))?))
        }
        None => None,
    };
    let mut spec = UpstreamSpec::new("demo", vec![Address::parse(&format!("https://{}", demo.address))?]);
    spec.tls = Some(client_config(roots, identity)?);
    spec.tls_server_name = Some(step.host.to_owned());
    let mut request = Request::get("/").body(LocalBody::Empty)?;
    let authority = format!("{}:{}", step.host, demo.address.port());
    request.headers_mut().insert(HOST, HeaderValue::from_str(&authority)?);
    if let Some((name, value)) = step.header {
        request.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::from_static(value));
    }
    let response = match Client::new(Arc::new(spec)).send(request).await {
        Ok(response) => response,
        Err(_) => return Ok(None),
    };
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Some((status, String::from_utf8_lossy(&body).into_owned())))
}

fn compare(step: &Step, answer: Answer, outcome: &HandshakeOutcome) -> Result<(), BoxError> {
    let (decision, alert) = match step.ending {
        Ending::Answer(_) | Ending::Status(_) => (Decision::Admit, None),
        Ending::Alert(alert) => (Decision::Refuse, Some(alert)),
    };
    let expected = (step.reason, decision, step.would_refuse, alert);
    let recorded = (outcome.reason, outcome.decision, outcome.would_refuse, outcome.alert);
    if recorded != expected {
        return Err(format!("the record says {recorded:?}, expected was {expected:?}").into());
    }
    let fits = match (step.ending, &answer) {
        (Ending::Answer(told), Some((StatusCode::OK, body))) => {
            body.lines().any(|line| line.split_whitespace().eq(["X-Client-Verify", told]))
        }
        (Ending::Status(expected), Some((status, _))) => *status == expected,
        (Ending::Alert(_), None) => true,
        (Ending::Answer(_) | Ending::Status(_) | Ending::Alert(_), _) => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("expected was {:?}, the answer was {answer:?}", step.ending).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Options;
    use crate::server::demo::Ports;

    #[test]
    fn a_refused_handshake_is_recorded_with_what_was_negotiated() {
        let demo = Demo::start(Ports { tls: 0, admin: 0 }, Options::default()).expect("a demonstration");
        let tried = try_all(&demo).expect("a runtime");
        assert!(tried.iter().all(|tried| tried.broken.is_none()), "{tried:#?}");
        let refused: Vec<_> = demo.server.recent().snapshot(0);
        let refused: Vec<_> = refused
            .iter()
            .map(|recorded| &recorded.outcome)
            .filter(|one| one.decision == Decision::Refuse && !one.own)
            .collect();
        assert_eq!(refused.len(), 3);
        for outcome in refused {
            assert_eq!(outcome.tls_version, Some("1.3"));
            assert!(outcome.cipher.is_some_and(|cipher| cipher.starts_with("TLS_")), "{:?}", outcome.cipher);
            assert_eq!(outcome.group, Some("X25519MLKEM768"));
        }
        demo.end();
    }
}
