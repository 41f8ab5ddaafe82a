//! How a request gets to the API and its answer back: metered, repeated where it may be, and never anywhere else.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tower::retry::Retry;
use tower::{Service, ServiceExt};

use super::meter::Metered;
use super::pace::{Jitter, Notice, Pace};
use super::persistence::{Effort, Persistence};
use crate::fetch::{Answer, Client, FetchError};
use crate::secret::Secret;

/// A zone with a thousand associations, each with a large certificate, stays below it.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// One request, to be sent once or several times.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the base URL.
    pub(super) path: String,
    pub(super) body: Option<Body>,
}

/// JSON that may hold a private key.
#[derive(Clone)]
pub(super) struct Body(Bytes);

/// The bytes of a body, wiped once nobody needs them any more.
struct Owner(Secret);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

impl Body {
    pub(super) fn new(json: Secret) -> Self {
        Self(Bytes::from_owner(Owner(json)))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// The way to the API.
#[derive(Debug)]
pub(super) struct Transport<S = Sender> {
    sender: Metered<S>,
    jitter: Jitter,
}

impl Transport {
    pub(super) fn new(client: Client, pace: Pace) -> Self {
        Self::over(Sender(Arc::new(client.with_bounds(pace.attempt, MAX_ANSWER_BYTES))), pace)
    }

    /// The same at another pace.
    pub(super) fn paced(self, pace: Pace) -> Self {
        let Sender(client) = self.sender.inner;
        let client = Arc::unwrap_or_clone(client).with_bounds(pace.attempt, MAX_ANSWER_BYTES);
        let sender = Metered { inner: Sender(Arc::new(client)), pace, ..self.sender };
        Self { sender, ..self }
    }
}

impl<S> Transport<S>
where
    S: Service<Request, Response = Answer, Error = FetchError> + Clone + Send + 'static,
    S::Future: Send,
{
    pub(super) fn over(inner: S, pace: Pace) -> Self {
        let notice = Notice::new(|_| ());
        Self { sender: Metered { inner, meter: Arc::default(), pace, notice }, jitter: Jitter::default() }
    }

    /// What one attempt may take.
    pub(super) fn attempt(&self) -> Duration {
        self.sender.pace.attempt
    }

    /// The same that tells of its pauses.
    pub(super) fn telling(self, notice: Notice) -> Self {
        Self { sender: Metered { notice, ..self.sender }, ..self }
    }

    /// The same with pauses of other lengths.
    pub(super) fn jittering(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// Sends until there is an answer, or until it was tried long enough. With how much it took.
    pub(super) async fn send(&self, request: Request) -> (Result<Answer, FetchError>, Effort) {
        let persistence = Persistence::new(self.sender.pace, self.jitter.clone(), self.sender.notice.clone());
        let answer = Retry::new(persistence.clone(), self.sender.clone()).oneshot(request).await;
        (answer, persistence.effort())
    }
}

/// Sends once. It follows no redirect: the token goes to the one place it is meant for.
#[derive(Clone, Debug)]
pub(super) struct Sender(Arc<Client>);

impl Service<Request> for Sender {
    type Response = Answer;
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let client = Arc::clone(&self.0);
        Box::pin(async move { client.send(request.method, &request.path, request.body.map(|Body(json)| json)).await })
    }
}
