//! The admin side: metrics, health, what was seen, and a page for a person. For operators, not for the world.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use crate::clock::Clock;
use crate::evidence::recorder::Recent;
use crate::telemetry::metrics::Metrics;

mod api;
pub mod control;
mod dashboard;
mod guard;
mod health;
mod listener;

pub use api::HostView;
pub use health::{Readiness, ReadyState};
pub use listener::AdminListener;

use listener::Stream;

/// Connections open at once: a scraper, a few probes and a few people.
const MAX_CONNECTIONS: usize = 64;
/// Requests answered at once; more are turned away, health checks excepted.
const MAX_REQUESTS: usize = 16;
/// Longest time for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for a request's head, and so for an idle connection: above a scraper's usual minute.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest time that open requests get to finish at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept: running out of file descriptors must not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's head; nothing here needs many.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Lists the hosts of the configuration in force.
pub type HostList = Arc<dyn Fn() -> Vec<HostView> + Send + Sync>;

/// What the admin side tells about. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    pub metrics: Arc<Metrics>,
    pub recent: Arc<Recent>,
    pub hosts: HostList,
    pub ready: Arc<Readiness>,
    pub clock: Clock,
}

/// Serves until `shutdown` resolves, then lets open requests finish. Needs a tokio runtime with time and I/O.
pub async fn serve(listener: AdminListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    let router = router(state, &listener);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (drain, draining) = watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // A place first, a connection second: what finds no place waits in the kernel's backlog.
        let place = tokio::select! {
            () = &mut shutdown => break,
            place = connections.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let Ok(stream) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (router, mut draining) = (router.clone(), draining.clone());
        tokio::spawn(async move {
            serve_connection(stream, router, &mut draining).await;
            drop(place);
        });
    }
    drop(listener);
    drop(draining);
    // A receiver lives as long as its connection.
    let _ = drain.send(());
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain.closed()).await;
}

async fn serve_connection(stream: Stream, router: Router, draining: &mut watch::Receiver<()>) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What goes wrong on one connection is its client's to notice.
    tokio::select! {
        _ = &mut connection => {}
        _ = draining.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

fn router(state: AdminState, listener: &AdminListener) -> Router {
    let bounds = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .layer(TimeoutLayer::new(REQUEST_TIMEOUT));
    let bounded = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/handshakes", get(api::handshakes))
        .route("/api/v1/hosts", get(api::hosts))
        .merge(dashboard::routes())
        .layer(bounds);
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(bounded)
        .fallback(async || (StatusCode::NOT_FOUND, "nothing here; / lists what there is\n"))
        .layer(middleware::from_fn_with_state(guard::KnownHosts::of(listener), guard::check_host))
        .layer(middleware::map_response(guard::add_headers))
        .with_state(state)
}

async fn metrics(axum::extract::State(state): axum::extract::State<AdminState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}

async fn overloaded(error: BoxError) -> (StatusCode, &'static str) {
    match error.is::<tower::timeout::error::Elapsed>() {
        true => (StatusCode::GATEWAY_TIMEOUT, "the answer took too long\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "too many admin requests at once; try again\n"),
    }
}

#[cfg(test)]
mod tests;
