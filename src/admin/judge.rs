//! What a host would make of a certificate: a question, although it is long enough to be a POST.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::api::{Answer, bounded, json, named, told};
use super::problem::Problem;
use super::{App, MAX_CERTIFICATES_BYTES};
use crate::evidence::report::JudgeRequest;
use crate::policy::pem::{self, PemError};

/// `POST /api/v1/hosts/{name}/judge`
pub(super) async fn judge(
    State(state): State<App>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let name = named(path)?;
    let request: JudgeRequest = json(&headers, &bounded(body, MAX_CERTIFICATES_BYTES)?)?;
    let chain = pem::certificates(request.certificates.as_bytes()).map_err(|error| unreadable(&error))?;
    told(&state.reading.clone(), move || {
        let host = state.view.first_name(&name).ok_or_else(|| Problem::unknown_host(&name))?;
        state.view.judge(&host, &chain).ok_or_else(|| judges_nothing(&host))
    })
    .await
}

fn unreadable(error: &PemError) -> Problem {
    let next_step = match error {
        PemError::Empty => "send the chain as a client would, leaf first, in PEM",
        PemError::Broken(_) | PemError::Unclear => "copy it again; a line may be missing at its end",
        PemError::PrivateKey => {
            "send certificates alone. It was not kept here; whoever else could read it on its way has it"
        }
    };
    Problem::bad_request(format!("`certificates`: {error}"), next_step)
}

/// The host may have no trust at all, and none is loaded for it.
fn judges_nothing(host: &str) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "no_trust",
        "nothing to judge by",
        format!("`{host}` is in off: it asks for no certificate, and judges none"),
        "move it to observe, which lets everyone in: originlock observe NAME",
    )
}
