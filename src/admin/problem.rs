//! What went wrong, as every route tells it (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::evidence::report::ProblemReport;

const CONTENT_TYPE: &str = "application/problem+json";

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Problem(Box<ProblemReport>);

impl Problem {
    /// `kind` is a word of the closed set; `next_step` says what to do about it.
    pub(super) fn new(
        status: StatusCode,
        kind: &str,
        title: &str,
        detail: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self(Box::new(ProblemReport {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            next_step: Some(next_step.into()),
            readiness: None,
            diff: None,
            source: None,
        }))
    }

    /// A request that cannot be understood.
    pub(super) fn bad_request(detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "the request cannot be understood", detail, next_step)
    }

    /// A name that no host has.
    pub(super) fn unknown_host(name: &str) -> Self {
        // A stranger's text: as long as a hostname may be, and not a character more.
        let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_host",
            "no such host",
            format!("no host of the configuration in force has the name `{name}`"),
            "GET /api/v1/hosts lists the names; a wildcard is written as in the configuration: *.example.com",
        )
    }

    /// More is asked at once than is answered at once.
    pub(super) fn overloaded(detail: impl Into<String>) -> Self {
        let (title, next_step) = ("too much at once", "try again in a moment");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", title, detail, next_step)
    }

    /// A mistake of ours.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong here",
            "the answer could not be made; the log has the reason",
            "look into the log, and report it",
        )
    }
}

impl From<Box<ProblemReport>> for Problem {
    fn from(report: Box<ProblemReport>) -> Self {
        Self(report)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Texts, numbers and lists of them: there is nothing in a report that JSON cannot say.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        response
    }
}
