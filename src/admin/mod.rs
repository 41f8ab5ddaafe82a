//! The admin side: metrics, health, what was seen, and a page for a person. For operators, not for the world.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::State;
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
use crate::snapshot::admin::AdminAccess;
use crate::telemetry::metrics::Metrics;

mod api;
pub mod control;
mod guard;
mod handshakes;
mod health;
mod judge;
mod listener;
mod paced;
mod pages;
mod places;
mod problem;
mod rights;
mod routes;
mod stream;
mod tls;

pub use health::{Readiness, ReadyState};
pub use listener::AdminListener;

use control::{Control, View};
use listener::Accepted;
use paced::Paced;
use places::Places;
use problem::Problem;
use rights::{Peer, Right, TcpPeer};

/// Requests answered at once; more are turned away, health checks excepted.
const MAX_REQUESTS: usize = 16;
/// Changes asked for at once.
const MAX_CHANGES: usize = 4;
/// Longest time for a request's head, and so for an idle connection: above a scraper's usual minute.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The same for other machines, which need not have any right.
const STRANGERS_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that open requests get to finish at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept: running out of file descriptors must not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's head; nothing here needs many.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Bytes of a request's body.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The same where certificates are sent: a long chain, or the CAs of a rotation.
const MAX_CERTIFICATES_BYTES: usize = 64 * 1024;

/// What the admin side tells about and what it may have done. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    pub metrics: Arc<Metrics>,
    pub recent: Arc<Recent>,
    pub view: Arc<dyn View>,
    pub control: Arc<dyn Control>,
    pub ready: Arc<Readiness>,
    /// Who may do what, under the configuration in force.
    pub access: Arc<dyn Fn() -> Arc<AdminAccess> + Send + Sync>,
    pub clock: Clock,
    pub bounds: Bounds,
}

/// What one client may take of the admin side.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest time for an answer.
    pub answer: Duration,
    /// Longest time for the answer to a change, which connects to the proxy itself to see what became of it.
    pub change: Duration,
    /// Longest time that a client takes nothing of what it is sent.
    pub stall: Duration,
    /// Pages that watch the handshakes at once.
    pub streams: usize,
    /// Longest silence on a stream.
    pub keep_alive: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            change: Duration::from_secs(60),
            stall: Duration::from_secs(10),
            streams: 16,
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// What the routes share.
#[derive(Clone)]
struct App {
    state: AdminState,
    /// Places for streams.
    streams: Arc<Semaphore>,
    /// Places for work off the runtime's thread: a request that is given up leaves its work running.
    reading: Arc<Semaphore>,
    /// The same for changes, which are made one after the other: those that wait keep nobody from reading.
    changing: Arc<Semaphore>,
    /// True once the admin side ends.
    draining: watch::Receiver<bool>,
}

impl Deref for App {
    type Target = AdminState;

    fn deref(&self) -> &AdminState {
        &self.state
    }
}

/// Serves until `shutdown` resolves, then lets open requests finish. Needs a tokio runtime with time and I/O.
pub async fn serve(listener: AdminListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    let (drain, draining) = watch::channel(false);
    let router = router(state.clone(), &listener, draining.clone());
    let places = Places::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // A place first, a connection second: what finds no place waits in the kernel's backlog.
        let room = tokio::select! {
            () = &mut shutdown => break,
            room = places.room() => room,
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let Ok(accepted) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = places.seat(room, &accepted.peer) else { continue };
        let (state, router, mut draining) = (state.clone(), router.clone(), draining.clone());
        tokio::spawn(async move {
            let access = (state.access)();
            let secured = tokio::select! {
                secured = tls::secure(accepted, &access, &state.clock) => secured,
                () = drained(&mut draining) => None,
            };
            if let Some(accepted) = secured {
                serve_connection(accepted, router, state.bounds.stall, &mut draining).await;
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = drain.send(true);
    // A place is given back when its connection is over.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, places.empty()).await;
}

async fn serve_connection(accepted: Accepted, router: Router, stall: Duration, draining: &mut watch::Receiver<bool>) {
    let Accepted { stream, peer } = accepted;
    let head_timeout = match &peer {
        Peer::Tcp(TcpPeer { loopback: false, .. }) => STRANGERS_HEAD_TIMEOUT,
        Peer::Tcp(_) | Peer::Unix { .. } => HEAD_TIMEOUT,
    };
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        request.extensions_mut().insert(peer.clone());
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Paced::new(stream, stall)), service);
    let mut connection = std::pin::pin!(connection);
    // What goes wrong on one connection is its client's to notice.
    tokio::select! {
        _ = &mut connection => {}
        () = drained(draining) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits for the end of the admin side.
async fn drained(draining: &mut watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}

fn router(state: AdminState, listener: &AdminListener, draining: watch::Receiver<bool>) -> Router {
    let places = |count| Arc::new(Semaphore::new(count));
    let (streams, reading, changing) = (places(state.bounds.streams), places(MAX_REQUESTS), places(MAX_CHANGES));
    let bounds = |longest| {
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(out_of_bounds))
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
            .layer(TimeoutLayer::new(longest))
    };
    let (answer, change) = (bounds(state.bounds.answer), bounds(state.bounds.change));
    let bound: guard::Bound = listener.local_address().map(Arc::new);
    let app = App { state, streams, reading, changing, draining };
    let reading = routes::of(Right::Read, &app).merge(pages::routes()).layer(answer);
    let changing = routes::of(Right::Change, &app).layer(change);
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(reading)
        .merge(changing)
        .fallback(api::nowhere)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(middleware::from_fn_with_state((app.clone(), bound), guard::check_host))
        .layer(middleware::map_response(guard::add_headers))
        .with_state(app)
}

async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    // Not on this thread, which also checks the backends' health.
    let text = api::aside(&app.reading.clone(), move || Ok(app.metrics.render())).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

async fn out_of_bounds(error: BoxError) -> Problem {
    match error.is::<tower::timeout::error::Elapsed>() {
        true => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "too_slow",
            "the answer took too long",
            "the work goes on, but its answer is no longer waited for",
            "look at GET /api/v1/hosts for what became of it, then try again",
        ),
        false => Problem::overloaded("too many admin requests at once"),
    }
}

#[cfg(test)]
mod tests;
