//! The routes of `/api/v1`: from a request to the view or the control, and from its report to JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::error;

use super::control::View;
use super::handshakes::{HandshakeView, HandshakesAnswer, HandshakesQuery, Wanted, network_of};
use super::problem::Problem;
use super::rights::Caller;
use super::{App, MAX_BODY_BYTES, MAX_CERTIFICATES_BYTES};
use crate::evidence::report::{ModeRequest, StatusReport, TrustRequest};
use crate::evidence::window::MIN_WINDOW;
use crate::evidence::wording;

/// The document that describes all of this (OpenAPI 3.1).
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) type Answer = Result<Response, Problem>;

/// `GET /api/v1/status`
pub(super) async fn status(State(state): State<App>, Extension(caller): Extension<Caller>) -> Answer {
    let may_change = caller.may_change;
    told(&state.reading.clone(), move || Ok(StatusReport { may_change, ..state.view.status() })).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowQuery {
    window_seconds: Option<u64>,
}

/// `GET /api/v1/hosts?window_seconds=`
pub(super) async fn hosts(State(state): State<App>, query: Result<Query<WindowQuery>, QueryRejection>) -> Answer {
    let window = window(query.map_err(bad_query)?.0.window_seconds)?;
    told(&state.reading.clone(), move || Ok(state.view.hosts(window))).await
}

/// `GET /api/v1/hosts/{name}?window_seconds=`
pub(super) async fn host(
    State(state): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<WindowQuery>, QueryRejection>,
) -> Answer {
    let name = named(path)?;
    let window = window_of(&*state.view, &name, query.map_err(bad_query)?.0.window_seconds)?;
    told(&state.reading.clone(), move || state.view.host(&name, window).ok_or_else(|| Problem::unknown_host(&name)))
        .await
}

/// `GET /api/v1/certificates`
pub(super) async fn certificates(State(state): State<App>) -> Answer {
    told(&state.reading.clone(), move || Ok(state.view.certificates())).await
}

/// `GET /api/v1/cloudflare`
pub(super) async fn cloudflare(State(state): State<App>) -> Answer {
    told(&state.reading.clone(), move || Ok(state.view.cloudflare())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailuresQuery {
    host: Option<String>,
}

/// `GET /api/v1/failures?host=`
pub(super) async fn failures(State(state): State<App>, query: Result<Query<FailuresQuery>, QueryRejection>) -> Answer {
    let query = query.map_err(bad_query)?.0;
    told(&state.reading.clone(), move || match query.host {
        None => Ok(state.view.failures(None)),
        Some(name) => {
            let host = state.view.first_name(&name).ok_or_else(|| Problem::unknown_host(&name))?;
            Ok(state.view.failures(Some(&host)))
        }
    })
    .await
}

/// `GET /api/v1/handshakes`, newest first.
pub(super) async fn handshakes(
    State(state): State<App>,
    query: Result<Query<HandshakesQuery>, QueryRejection>,
) -> Answer {
    let wanted = understood(query, &state)?;
    let view = &*state.view;
    let recorded = state.recent.latest(usize::MAX);
    let handshakes = recorded
        .iter()
        .map(|recorded| (recorded, network_of(recorded, view)))
        .filter(|(recorded, network)| wanted.takes(recorded, *network))
        .take(wanted.limit)
        .map(|(recorded, network)| HandshakeView::of(recorded, network))
        .collect();
    Ok(Json(HandshakesAnswer { handshakes }).into_response())
}

/// `GET /api/v1/openapi.json`
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// `POST /api/v1/hosts/{name}/mode`
pub(super) async fn set_mode(
    State(state): State<App>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let name = named(path)?;
    let request: ModeRequest = json(&headers, &bounded(body, MAX_BODY_BYTES)?)?;
    window_of(&*state.view, &name, request.window_seconds)?;
    told(&state.changing.clone(), move || {
        let host = state.view.first_name(&name).unwrap_or(name);
        Ok(state.control.set_mode(&host, &request, &caller.by)?)
    })
    .await
}

/// `POST /api/v1/hosts/{name}/trust`
pub(super) async fn change_trust(
    State(state): State<App>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let name = named(path)?;
    let request: TrustRequest = json(&headers, &bounded(body, MAX_CERTIFICATES_BYTES)?)?;
    told(&state.changing.clone(), move || {
        let host = state.view.first_name(&name).unwrap_or(name);
        Ok(state.control.change_trust(&host, &request, &caller.by)?)
    })
    .await
}

/// `POST /api/v1/hosts/{name}/confirm`
pub(super) async fn confirm(
    State(state): State<App>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let name = named(path)?;
    nothing(&headers, &bounded(body, MAX_BODY_BYTES)?)?;
    told(&state.changing.clone(), move || {
        let host = state.view.first_name(&name).unwrap_or(name);
        Ok(state.control.confirm(&host, &caller.by)?)
    })
    .await
}

/// `POST /api/v1/reload`
pub(super) async fn reload(
    State(state): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    nothing(&headers, &bounded(body, MAX_BODY_BYTES)?)?;
    told(&state.changing.clone(), move || Ok(state.control.reload(&caller.by)?)).await
}

/// What a path that leads nowhere answers.
pub(super) async fn nowhere() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "nothing here",
        "no route has this path",
        "GET /api/v1/openapi.json describes all there are",
    )
}

/// What a known path answers to another method; the router adds `Allow`.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "not with this method",
        "this path is there, but not for this method",
        "use a method of the Allow header",
    )
}

/// The handshakes that a query asks for.
pub(super) fn understood(
    query: Result<Query<HandshakesQuery>, QueryRejection>,
    state: &App,
) -> Result<Wanted, Problem> {
    query.map_err(bad_query)?.0.understand(&*state.view)
}

/// A window long enough to judge over.
fn window(seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    let window = seconds.map(Duration::from_secs);
    match window.filter(|window| *window < MIN_WINDOW) {
        Some(window) => Err(Problem::bad_request(
            format!("a window of {} is too short to judge over", wording::window(window)),
            "give at least one minute",
        )),
        None => Ok(window),
    }
}

/// The same for one host, whose own window is the longest. An unknown host is told as such by whoever looks for it.
fn window_of(view: &dyn View, name: &str, seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    let (window, longest) = (window(seconds)?, view.window(name));
    match (window, longest) {
        (Some(window), Some(longest)) if window > longest => Err(Problem::bad_request(
            format!(
                "a window of {} s is longer than the configured one: evidence of {name} counts for {}",
                window.as_secs(),
                wording::span(longest)
            ),
            "leave it out, or give a shorter one of at least one minute",
        )),
        _ => Ok(window),
    }
}

pub(super) fn named(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let bad = |rejection: PathRejection| {
        Problem::bad_request(rejection.body_text(), "write the name percent-encoded, in UTF-8")
    };
    path.map(|Path(name)| name).map_err(bad)
}

fn bad_query(rejection: QueryRejection) -> Problem {
    Problem::bad_request(rejection.body_text(), "GET /api/v1/openapi.json says what may stand behind `?`")
}

/// Answers with the report that `work` makes.
pub(super) async fn told<T: Serialize + Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Answer {
    let body = aside(places, || {
        let report = work()?;
        serde_json::to_vec(&report).map_err(|source| {
            error!(error = &source as &dyn std::error::Error, "a report cannot be written as JSON");
            Problem::internal()
        })
    });
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.await?).into_response())
}

/// What `work` makes, on a thread where it may take its time.
///
/// A request that is given up leaves its work running, so it is the work that holds the place.
pub(super) async fn aside<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let place = places
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::overloaded("as much is being worked out as is at once"))?;
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let worked = tokio::task::spawn_blocking(move || {
        let _place = place;
        tracing::dispatcher::with_default(&dispatch, work)
    });
    // What panics has said so itself.
    worked.await.map_err(|_| Problem::internal())?
}

/// The body, of which its route takes `most` bytes.
pub(super) fn bounded(body: Result<Bytes, BytesRejection>, most: usize) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large",
            format!("the body of this request has at most {most} bytes"),
            "send only what the route asks for",
        ),
        _ => Problem::bad_request("the body did not arrive whole", "send it again"),
    })
}

/// A page of another site can have a browser send a form or plain text, but not JSON.
pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "wrong_content_type",
            "JSON is needed",
            "the Content-Type is not application/json",
            "send Content-Type: application/json",
        ));
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(
            format!("the body is not what is asked for: {error}"),
            "GET /api/v1/openapi.json describes it",
        )
    })
}

/// The body of a request that says all with its path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn nothing(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    json::<Nothing>(headers, body).map(|Nothing {}| ())
}
