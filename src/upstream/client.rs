//! One worker's way to its upstreams.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{Request, Response};

use super::address::Protocol;
use super::balance::InFlight;
use super::body::LocalBody;
use super::connect::{Connector, Io};
use super::error::UpstreamError;
use super::exchange::{self, Asked, ExchangeError};
use super::http2::Http2;
use super::pool::{Connection, Pool, Silence};
use super::response::Exchange;
use super::spec::UpstreamSpec;
use super::upgrade;
use super::upload::Upload;

/// The clients of one worker, by upstream.
#[derive(Default)]
pub struct Upstreams {
    clients: RefCell<HashMap<*const UpstreamSpec, Rc<Client>>>,
}

impl Upstreams {
    /// The client of this upstream; two specs that merely look alike have two.
    pub fn client(&self, spec: &Arc<UpstreamSpec>) -> Rc<Client> {
        // The client holds its spec, so no other can come to live at that address.
        self.clients.borrow_mut().entry(Arc::as_ptr(spec)).or_insert_with(|| Rc::new(Client::new(spec.clone()))).clone()
    }

    /// Forgets the others and closes their idle connections; requests in flight end undisturbed.
    pub fn retain(&self, live: impl Fn(&Arc<UpstreamSpec>) -> bool) {
        self.clients.borrow_mut().retain(|_, client| live(&client.spec));
    }
}

/// One worker's connections to one upstream.
///
/// Needs a tokio `LocalRuntime` or `LocalSet` around it.
pub struct Client {
    spec: Arc<UpstreamSpec>,
    connector: Connector,
    lanes: Vec<Lane>,
    turn: Cell<usize>,
}

/// What leads to one address.
enum Lane {
    Http1(Rc<Pool>),
    Http2(Http2),
}

impl Client {
    pub fn new(spec: Arc<UpstreamSpec>) -> Self {
        let lane = |protocol| match protocol {
            Protocol::Http | Protocol::Https => Lane::Http1(Pool::new(spec.max_idle, spec.timeouts.idle)),
            Protocol::H2c => Lane::Http2(Http2::default()),
        };
        let lanes = spec.endpoints.iter().map(|endpoint| lane(endpoint.address.protocol)).collect();
        Self { connector: Connector::new(&spec), lanes, turn: Cell::new(0), spec }
    }

    /// Sends a request whose headers are already those the backend is to see, `Host` among them.
    ///
    /// The client frames the body. It tries another connection or address only while no byte of the request was
    /// written. The response body must be polled to its end: it also drives what is left of the request.
    pub async fn send(&self, mut request: Request<LocalBody>) -> Result<Response<LocalBody>, UpstreamError> {
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        let mut tried = Vec::new();
        let mut failure = UpstreamError::NoAddress;
        while let Some(index) = self.spec.pick(turn, &tried, Instant::now()) {
            match self.ask(index, request).await {
                Ok(response) => return Ok(response),
                Err(Refusal { error, unsent: None }) => return Err(error),
                Err(Refusal { error, unsent: Some(unsent) }) => (failure, request) = (error, *unsent),
            }
            tried.push(index);
        }
        Err(failure)
    }

    /// Asks one address, whatever is thought of it.
    pub(super) async fn ask(&self, index: usize, request: Request<LocalBody>) -> Result<Response<LocalBody>, Refusal> {
        let in_flight = InFlight::begin(&self.spec, index);
        match &self.lanes[index] {
            Lane::Http1(pool) => self.ask_http1(index, pool, request, in_flight).await,
            Lane::Http2(http2) => http2.ask(&self.spec, request, in_flight, || self.connect(index)).await,
        }
    }

    async fn ask_http1(
        &self,
        index: usize,
        pool: &Rc<Pool>,
        request: Request<LocalBody>,
        mut in_flight: Option<InFlight>,
    ) -> Result<Response<LocalBody>, Refusal> {
        let (mut connection, mut pooled) = match pool.take() {
            Some(connection) => (connection, true),
            None => match self.connect_http1(index).await {
                Ok(connection) => (connection, false),
                Err(error) => return Err(Refusal { error, unsent: Some(Box::new(request)) }),
            },
        };
        let UpstreamSpec { response_limits, timeouts, .. } = &*self.spec;
        let asked = Asked { method: request.method().clone(), upgrade: upgrade::wanted(request.headers()) };
        let mut upload = Upload::new(request);
        loop {
            let exchange = Exchange { connection, upload, pool: pool.clone(), keep_alive: false, in_flight };
            match exchange::run(exchange, &asked, *response_limits, timeouts.response_head).await {
                Ok(response) => return Ok(response),
                // It died between the look at it and the first write; what the body has given already moves on too.
                Err(ExchangeError::Untouched(exchange)) if pooled => {
                    (upload, in_flight) = (exchange.upload, exchange.in_flight);
                    connection = self.connect_http1(index).await?;
                    pooled = false;
                }
                Err(ExchangeError::Untouched(_)) => return Err(UpstreamError::Closed { source: None }.into()),
                Err(ExchangeError::Failed(error)) => return Err(error.into()),
            }
        }
    }

    async fn connect_http1(&self, index: usize) -> Result<Connection, UpstreamError> {
        let mut connection = Connection::new(self.connect(index).await?);
        match connection.listen() {
            Silence::Quiet => Ok(connection),
            Silence::Closed => Err(UpstreamError::Closed { source: None }),
            Silence::Broken => Err(UpstreamError::EarlyBytes),
        }
    }

    async fn connect(&self, index: usize) -> Result<Io, UpstreamError> {
        let endpoint = &self.spec.endpoints[index];
        let result = self.connector.connect(&endpoint.address).await;
        match &result {
            Ok(_) => endpoint.connected(),
            Err(_) => endpoint.connect_failed(Instant::now()),
        }
        result
    }
}

/// Why one address gave no response, and the request if nothing of it was sent.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: UpstreamError,
    pub(super) unsent: Option<Box<Request<LocalBody>>>,
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self { error, unsent: None }
    }
}
