//! Every route of the API, once: the router, the OpenAPI document's test and the reference's test read this table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::rights::{self, Right};
use super::{App, MAX_BODY_BYTES, MAX_CERTIFICATES_BYTES, api, judge, stream};

/// A path and what is there.
pub(super) struct Route {
    pub(super) method: MethodFilter,
    pub(super) path: &'static str,
    pub(super) right: Right,
    /// Of a request's body.
    max_bytes: usize,
    handler: fn(MethodFilter) -> MethodRouter<App>,
}

const fn read(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Route {
    Route { method: MethodFilter::GET, path, right: Right::Read, max_bytes: MAX_BODY_BYTES, handler }
}

const fn change(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Route {
    Route { method: MethodFilter::POST, path, right: Right::Change, max_bytes: MAX_BODY_BYTES, handler }
}

/// A question that is too long for a path. Whoever may read may ask it.
const fn ask(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Route {
    Route { method: MethodFilter::POST, ..read(path, handler) }
}

impl Route {
    /// Its body brings certificates.
    const fn with_certificates(self) -> Self {
        Self { max_bytes: MAX_CERTIFICATES_BYTES, ..self }
    }
}

pub(super) const ROUTES: [Route; 15] = [
    read("/api/v1/status", |method| on(method, api::status)),
    read("/api/v1/hosts", |method| on(method, api::hosts)),
    read("/api/v1/hosts/{name}", |method| on(method, api::host)),
    read("/api/v1/handshakes", |method| on(method, api::handshakes)),
    read("/api/v1/handshakes/stream", |method| on(method, stream::stream)),
    read("/api/v1/certificates", |method| on(method, api::certificates)),
    read("/api/v1/failures", |method| on(method, api::failures)),
    read("/api/v1/cloudflare", |method| on(method, api::cloudflare)),
    read("/api/v1/openapi.json", |method| on(method, api::openapi)),
    ask("/api/v1/hosts/{name}/judge", |method| on(method, judge::judge)).with_certificates(),
    change("/api/v1/hosts/{name}/mode", |method| on(method, api::set_mode)),
    change("/api/v1/hosts/{name}/trust", |method| on(method, api::change_trust)).with_certificates(),
    change("/api/v1/hosts/{name}/confirm", |method| on(method, api::confirm)),
    change("/api/v1/reload", |method| on(method, api::reload)),
    read("/metrics", |method| on(method, super::metrics)),
];

/// The routes of `right`, each of which asks for it.
pub(super) fn of(right: Right, state: &App) -> Router<App> {
    ROUTES.iter().filter(|route| route.right == right).fold(Router::new(), |router, route| {
        let check = middleware::from_fn_with_state((state.clone(), right), rights::check);
        let handler = (route.handler)(route.method).route_layer(check).layer(DefaultBodyLimit::max(route.max_bytes));
        router.route(route.path, handler)
    })
}
