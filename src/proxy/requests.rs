//! The life of a request, in the order in which it happens.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use tracing::{info, warn};

use super::authority::{AuthorityError, authority};
use super::error::{Blame, RequestError};
use super::forwarded::{self, Forwarding, Peer};
use super::hop_by_hop;
use super::identity_headers;
use super::message;
use super::notes::Notes;
use super::respond::respond;
use super::standing::Standing;
use super::worker::Worker;
use crate::hostname::Hostname;
use crate::snapshot::host::Host;
use crate::upstream::{LocalBody, UpstreamError};

/// Answers the requests of one connection.
pub struct Requests {
    worker: Rc<Worker>,
    standing: RefCell<Standing>,
    peer: Peer,
    known_host: RefCell<Option<Rc<KnownHost>>>,
    /// `None` on a connection of this process to itself.
    notes: Option<Notes>,
}

/// The authority last found to belong to the connection's policy; nearly every request names it again.
struct KnownHost {
    generation: u64,
    text: String,
    value: HeaderValue,
}

impl Requests {
    /// For a connection that was let in as `standing` says.
    pub fn new(worker: Rc<Worker>, standing: Standing, peer: Peer, notes: Option<Notes>) -> Self {
        Self { worker, standing: RefCell::new(standing), peer, known_host: RefCell::default(), notes }
    }

    /// Whether the connection proved itself.
    pub fn is_verified(&self) -> bool {
        self.standing.borrow().is_verified()
    }

    /// Whether the host, as it is now, lets this connection in.
    pub fn are_admitted(&self) -> bool {
        self.current_host().is_ok()
    }

    /// Answers one request; whatever goes wrong becomes an answer of our own. The flag says whether the connection
    /// may take another request.
    pub async fn answer(&self, request: Request<LocalBody>) -> (Response<LocalBody>, bool) {
        let started = Instant::now();
        let result = self.forward(request, started).await;
        let keep_open = !matches!(result, Err(RequestError::TrustChanged));
        let response = match result {
            Ok(response) => {
                self.standing.borrow().host.metrics.request(response.status().as_u16());
                response
            }
            Err(error) => self.refuse(&error),
        };
        self.worker.shared.observer.metrics().request_duration(started.elapsed());
        (response, keep_open)
    }

    /// The answer of our own to a request that ends here, or to a head that never became one. Counts and logs it.
    pub fn refuse(&self, error: &RequestError) -> Response<LocalBody> {
        let host = &self.standing.borrow().host;
        match error.blame() {
            Blame::Client(refusal) => {
                host.metrics.request_refused(refusal);
                log_refusal(host, &self.peer, error);
            }
            Blame::Backend(cause) => {
                host.metrics.upstream_error(cause.reason());
                log_upstream(host, cause);
            }
        }
        host.metrics.request(error.status().as_u16());
        respond(error.status(), error.sentence()).map(LocalBody::from)
    }

    async fn forward(&self, request: Request<LocalBody>, came: Instant) -> Result<Response<LocalBody>, RequestError> {
        let host = self.current_host()?;
        let (mut parts, body) = request.into_parts();
        let named = self.same_policy(&host, &parts)?;
        if let Some(notes) = &self.notes {
            notes.count(&self.standing.borrow(), &parts, came);
        }
        refuse_method(&parts.method)?;
        message::settle(&mut parts)?;
        // HTTP/1.0 has no 101 (RFC 9110, section 7.8).
        let upgrade = hop_by_hop::wanted_upgrade(&parts.headers).filter(|_| parts.version == Version::HTTP_11);
        self.rewrite(&mut parts, &named, upgrade.as_ref());
        let client = self.worker.upstreams.client(&host.upstream);
        let mut response = client.send(Request::from_parts(parts, body)).await?;
        let switched = response.headers().get(UPGRADE).cloned();
        hop_by_hop::strip_response(response.headers_mut());
        if response.status() == StatusCode::NO_CONTENT {
            // RFC 9110, section 8.6: HTTP/2 clients take it for content that is missing.
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(protocol) = switched
        {
            response.headers_mut().insert(UPGRADE, protocol);
        }
        Ok(response)
    }

    /// The host as it is now, if it still lets this connection in.
    fn current_host(&self) -> Result<Arc<Host>, RequestError> {
        let mut standing = self.standing.borrow_mut();
        let shared = &self.worker.shared;
        let refreshed = standing.refresh(&shared.current, &shared.clock, &self.worker.identities);
        refreshed.map_err(|_| RequestError::TrustChanged)?;
        Ok(Arc::clone(&standing.host))
    }

    /// The hostname of the handshake is the hostname of the request.
    fn same_policy(&self, host: &Arc<Host>, parts: &Parts) -> Result<Rc<KnownHost>, RequestError> {
        let authority = authority(parts, parts.version == Version::HTTP_2)?;
        // The one that `host` is of: another reload may have come since.
        let generation = self.standing.borrow().generation();
        if let Some(known) = &*self.known_host.borrow()
            && known.generation == generation
            && known.text == authority.text()
        {
            return Ok(Rc::clone(known));
        }
        let name = Hostname::parse(authority.host_text()).ok();
        let snapshot = self.worker.shared.current.load();
        let selected = snapshot.hosts.select(name.as_ref()).map_err(|_| RequestError::HostMismatch)?;
        if selected.name != host.name {
            return Err(RequestError::HostMismatch);
        }
        let text = authority.text().to_owned();
        let value = HeaderValue::from_str(&text).map_err(|_| AuthorityError::Invalid)?;
        let known = Rc::new(KnownHost { generation, text, value });
        *self.known_host.borrow_mut() = Some(Rc::clone(&known));
        Ok(known)
    }

    /// What came in ends here first, what is ours is written after: `Connection` cannot strip it.
    fn rewrite(&self, parts: &mut Parts, named: &KnownHost, upgrade: Option<&HeaderValue>) {
        let standing = self.standing.borrow();
        let verified = standing.is_verified();
        hop_by_hop::strip_request(&mut parts.headers);
        identity_headers::strip(&mut parts.headers, verified);
        // HTTP/2 has the authority in a pseudo-header and absolute-form has it in the target; HTTP/1.1 backends read `Host`.
        if parts.headers.get(HOST).is_none_or(|host| *host != named.value) {
            parts.headers.insert(HOST, named.value.clone());
        }
        forwarded::write(&mut parts.headers, &Forwarding { peer: &self.peer, host: &named.text, verified });
        identity_headers::write(&mut parts.headers, &standing.identity);
        if let Some(protocol) = upgrade {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol.clone());
        }
    }
}

/// CONNECT would make a tunnel of an origin; TRACE would show a client the headers that we write.
fn refuse_method(method: &Method) -> Result<(), RequestError> {
    match *method {
        Method::CONNECT | Method::TRACE => Err(RequestError::Method(method.clone())),
        _ => Ok(()),
    }
}

fn log_refusal(host: &Host, peer: &Peer, error: &RequestError) {
    info!(
        client.address = peer.address(),
        originlock.host = %host.name,
        http.response.status_code = error.status().as_u16(),
        error.type = error.reason(),
        error = error as &dyn Error,
        "request refused"
    );
}

fn log_upstream(host: &Host, error: &UpstreamError) {
    warn!(
        originlock.host = %host.name,
        originlock.upstream = %host.upstream.name,
        http.response.status_code = error.status().as_u16(),
        error.type = error.reason(),
        error = error as &dyn Error,
        error.cause = error.source().map(tracing::field::display),
        "upstream request failed"
    );
}
