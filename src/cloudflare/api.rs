//! One call: what is sent, and what its answer is.

use http::Method;
use http::header::LOCATION;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::envelope::{Envelope, Message, clipped};
use super::error::{CloudflareError, Kind, Refusal};
use super::list::Pages;
use super::pace::{Jitter, Notice, Pace, Wait};
use super::persistence::Effort;
use super::transport::{Body, Request, Transport};
use super::types::ZoneId;
use crate::fetch::{Answer, Client, percent_encoded as encoded};
use crate::secret::Secret;

/// Where the API is.
pub const DEFAULT_API: &str = "https://api.cloudflare.com/client/v4";
/// Lists are asked for in pages of this many, where the endpoint takes a size.
pub(super) const PER_PAGE: u64 = 500;

/// Speaks to the API with one token. What may be sent twice is sent again until there is an answer, at the pace that
/// Cloudflare allows.
#[derive(Debug)]
pub struct Cloudflare {
    transport: Transport,
    runtime: Runtime,
}

pub(super) type Result<T> = std::result::Result<T, CloudflareError>;

/// One call: what it is for, and what goes over the wire.
pub(super) struct Call<'a> {
    doing: &'a str,
    method: Method,
    path: String,
    body: Option<Secret>,
}

/// What came back.
struct Reply<'a> {
    call: &'a Call<'a>,
    answer: Answer,
    effort: Effort,
}

impl Cloudflare {
    /// Over `client`, which knows the base URL and the token.
    ///
    /// # Errors
    /// The token would cross a network in the clear, or the operating system has no room for a client.
    pub fn new(client: Client) -> Result<Self> {
        if !client.endpoint().is_private() {
            return Err(CloudflareError::InTheClear { endpoint: client.endpoint().clone() });
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(CloudflareError::Start)?;
        Ok(Self { transport: Transport::new(client, Pace::default()), runtime })
    }

    /// The same, with other pauses.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { transport: self.transport.paced(pace), ..self }
    }

    /// The same, with random numbers from 0 to 1 of another source to spread its pauses.
    #[must_use]
    pub fn with_jitter(self, next: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self { transport: self.transport.jittering(Jitter::new(next)), ..self }
    }

    /// The same, that tells of every pause of two seconds and more before it makes it.
    #[must_use]
    pub fn with_notice(self, tell: impl Fn(&Wait) + Send + Sync + 'static) -> Self {
        Self { transport: self.transport.telling(Notice::new(tell)), ..self }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, doing: &str, path: String) -> Result<T> {
        self.call(&Call::get(doing, path))?.result()
    }

    /// `None`: there is none.
    pub(super) fn find<T: DeserializeOwned>(&self, doing: &str, path: String) -> Result<Option<T>> {
        let found = self.call(&Call::get(doing, path)).and_then(|(envelope, reply)| match envelope.result {
            None | Some(Value::Null) => Ok(None),
            Some(_) => (envelope, reply).result().map(Some),
        });
        match found {
            Err(error) if error.kind() == Some(Kind::NotFound) => Ok(None),
            found => found,
        }
    }

    /// A list in one or more pages. `path` may have a query, and `per_page` in it.
    pub(super) fn list<T: DeserializeOwned>(&self, doing: &str, path: &str, per_page: u64) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut pages = Pages::new(doing, self.transport.attempt());
        loop {
            let call = Call::get(doing, pages.path(path));
            let (mut envelope, reply) = self.call_until(&call, Some(&pages))?;
            let items = match envelope.result.take() {
                // Some services write no list for an empty one.
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) => items,
                Some(_) => return Err(reply.unreadable()),
            };
            if pages.is_the_same_again(&items) {
                return Ok(all);
            }
            pages.take(&items, reply.answer.body.len())?;
            // An item that says too little to be of use is passed over.
            all.extend(items.iter().filter_map(|item| T::deserialize(item).ok()));
            if envelope.is_last(pages.taken(), items.len(), per_page) {
                return Ok(all);
            }
        }
    }

    /// Asks for a change, and reads what came of it.
    pub(super) fn change<T: DeserializeOwned>(
        &self,
        doing: &str,
        method: Method,
        path: String,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(&Call { doing, method, path, body: Some(json(body)) })?.result()
    }

    /// Asks for a change whose outcome is read elsewhere.
    pub(super) fn ask(&self, doing: &str, method: Method, path: String, body: Option<&Value>) -> Result<()> {
        self.call(&Call { doing, method, path, body: body.map(json) }).map(drop)
    }

    fn call<'a>(&self, call: &'a Call<'a>) -> Result<(Envelope, Reply<'a>)> {
        self.call_until(call, None)
    }

    fn call_until<'a>(&self, call: &'a Call<'a>, pages: Option<&Pages<'_>>) -> Result<(Envelope, Reply<'a>)> {
        let body = call.body.clone().map(Body::new);
        let request = Request { method: call.method.clone(), path: call.path.clone(), body };
        let sent = self.transport.send(request);
        let (answer, effort) = match pages {
            Some(pages) => self.runtime.block_on(pages.in_time(sent))?,
            None => self.runtime.block_on(sent),
        };
        let failed = |source| CloudflareError::Fetch { doing: call.doing.to_owned(), effort, source: Box::new(source) };
        let reply = Reply { call, answer: answer.map_err(failed)?, effort };
        reply.read()
    }
}

/// What was granted, as the caller knows it.
trait Granted {
    fn result<T: DeserializeOwned>(self) -> Result<T>;
}

impl Granted for (Envelope, Reply<'_>) {
    fn result<T: DeserializeOwned>(self) -> Result<T> {
        let (envelope, reply) = self;
        let read = envelope.result.and_then(|result| T::deserialize(result).ok());
        read.ok_or_else(|| reply.unreadable())
    }
}

impl<'a> Call<'a> {
    fn get(doing: &'a str, path: String) -> Self {
        Self { doing, method: Method::GET, path, body: None }
    }
}

impl<'a> Reply<'a> {
    /// The frame of what was granted.
    fn read(self) -> Result<(Envelope, Self)> {
        let envelope: Option<Envelope> = serde_json::from_slice(&self.answer.body).ok();
        let said = envelope.as_ref().and_then(|envelope| envelope.success);
        let is_success = self.answer.status.is_success();
        match (envelope, said) {
            (Some(envelope), Some(true)) if is_success => Ok((envelope, self)),
            (Some(envelope), Some(false)) => Err(self.refused(true, envelope.errors)),
            // Whatever stands there: the status alone says no.
            (Some(_) | None, _) if !is_success => Err(self.refused(false, Vec::new())),
            (Some(_) | None, _) => Err(self.unreadable()),
        }
    }

    fn refused(&self, framed: bool, mut errors: Vec<Message>) -> CloudflareError {
        let status = self.answer.status;
        if status.is_redirection()
            && let Some(place) = self.answer.headers.get(LOCATION)
        {
            let place = clipped(&String::from_utf8_lossy(place.as_bytes()));
            errors.push(Message { code: 0, message: format!("it is to be found at {place}") });
        }
        let kind = Kind::of(self.call.method.as_str(), &self.call.path, status, framed, &errors);
        CloudflareError::Refused(Box::new(Refusal {
            doing: self.call.doing.to_owned(),
            method: method_name(&self.call.method),
            path: self.call.path.clone(),
            status: status.as_u16(),
            errors,
            request_id: self.request_id(),
            kind,
            effort: self.effort,
        }))
    }

    fn unreadable(&self) -> CloudflareError {
        CloudflareError::Unreadable {
            doing: self.call.doing.to_owned(),
            status: self.answer.status.as_u16(),
            request_id: self.request_id(),
            effort: self.effort,
        }
    }

    fn request_id(&self) -> Option<String> {
        self.answer.headers.get("cf-ray").and_then(|ray| ray.to_str().ok()).map(clipped)
    }
}

/// Written once into a place that is large enough: a key in it leaves no copy behind.
fn json(body: &impl Serialize) -> Secret {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, body).expect("what we send is JSON");
    let mut text = Vec::with_capacity(count.0);
    serde_json::to_writer(&mut text, body).expect("what we send is JSON");
    Secret::new(text)
}

fn method_name(method: &Method) -> &'static str {
    ["POST", "PUT", "PATCH", "DELETE"].into_iter().find(|name| *name == method.as_str()).unwrap_or("GET")
}

pub(super) fn zone_path(zone: &ZoneId, rest: &str) -> String {
    format!("/zones/{}/{rest}", encoded(&zone.0))
}
