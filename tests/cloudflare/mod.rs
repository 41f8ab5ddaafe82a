//! A stateful fake of Cloudflare's API, as far as Authenticated Origin Pulls go, with edges that visit an origin.
//!
//! Where the real service's ways are not known the fake has a setting, and a client has to do under all of them.
#![allow(dead_code, unused_imports, reason = "each program that includes these modules uses a part of them")]

mod accounts;
mod answer;
mod associations;
mod auth;
mod body;
mod call;
mod certificates;
mod clock;
mod control;
mod edge;
mod faults;
mod limits;
mod log;
mod pem;
mod random;
mod route;
mod seed;
mod server;
mod service;
mod settings;
mod state;
mod status;
mod timeline;
mod zones;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use originlock::clock::{Clock, Timestamp};
use rustls::ServerConfig;
use server::{Server, Shared};

pub use associations::Effect as Association;
pub use clock::FakeClock;
pub use edge::{Counts, Edge, Level, Visit, Visiting, shared_ca_pem};
pub use faults::{Effect, Fault, Site};
pub use log::Logged;
pub use seed::{Permission, Seed, Token, Zone, account_id};
pub use settings::{Delay, FinalNewline, Outcome, RetryAfter, Settings, VoidEcho, VoidRead};
pub use state::State;
pub use status::Status;

/// How long something may take to come about. Nothing ever waits this long in a good run.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running fake. It ends with this handle.
#[derive(Debug)]
pub struct Fake {
    server: Server,
    shared: Arc<Shared>,
    scheme: &'static str,
}

/// What a fake will be.
#[derive(Debug)]
pub struct Builder {
    seed: Seed,
    clock: FakeClock,
    start: Timestamp,
    listen: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

impl Fake {
    pub fn builder() -> Builder {
        Builder {
            seed: Seed::default(),
            clock: FakeClock::default(),
            start: Clock::System.now(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Where the API is, without a slash at its end.
    pub fn base_url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.server.address, service::PREFIX)
    }

    /// Where the fake itself is asked and moved.
    pub fn control_url(&self) -> String {
        format!("{}://{}/__fake", self.scheme, self.server.address)
    }

    /// The secret of the first token.
    pub fn token(&self) -> String {
        self.shared.lock().tokens.first().map(|token| token.secret.clone()).unwrap_or_default()
    }

    /// The fake's time.
    pub fn now(&self) -> Timestamp {
        self.shared.lock().now()
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.lock().log.clone()
    }

    /// The requests that wanted to change something, as `POST /zones/…`.
    pub fn writes(&self) -> Vec<String> {
        self.requests().iter().filter(|request| request.is_write()).map(Logged::line).collect()
    }

    /// How many requests of `method` fit `pattern`, in which `*` stands for one part of the path.
    pub fn count(&self, method: &str, pattern: &str) -> usize {
        self.requests().iter().filter(|request| request.is(method, pattern)).count()
    }

    /// What is there, as JSON.
    pub fn picture(&self) -> serde_json::Value {
        self.shared.lock().picture()
    }

    /// Looks at the state.
    pub fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.lock())
    }

    /// Changes the state, as somebody else at Cloudflare could.
    pub fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.shared.lock());
        self.shared.ring();
        value
    }

    /// Changes the fake's ways from now on.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        self.set(|state| change(&mut state.settings));
    }

    pub fn fault(&self, fault: Fault) {
        self.set(|state| state.faults.add(fault));
    }

    pub fn clear_faults(&self) {
        self.set(|state| state.faults.clear());
    }

    /// Moves the clock, whichever it is.
    pub fn advance(&self, by: Duration) {
        self.set(|state| state.advance(by));
    }

    /// Waits until a request has come, or the story has changed something, after which `state` holds.
    ///
    /// # Panics
    /// It never does.
    pub fn wait_until(&self, what: &str, state: impl Fn(&State) -> bool) {
        assert!(self.shared.wait(PATIENCE, state), "never came about: {what}");
    }

    /// Waits until `count` requests have changed something.
    pub fn wait_for_writes(&self, count: usize) {
        let applied = |state: &State| state.log.iter().filter(|request| request.applied).count();
        self.wait_until(&format!("{count} writes"), |state| applied(state) >= count);
    }
}

impl Builder {
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.seed.zones.push(zone);
        self
    }

    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.seed.tokens.push(token);
        self
    }

    /// An account without alerts on origin-pull certificates.
    #[must_use]
    pub fn account_without_alerts(mut self, name: &str) -> Self {
        self.seed.accounts.push(seed::Account { name: name.to_owned(), aop_alerts: false });
        self
    }

    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.seed.settings);
        self
    }

    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.seed.faults.push(fault);
        self
    }

    #[must_use]
    pub fn clock(mut self, clock: FakeClock) -> Self {
        self.clock = clock;
        self
    }

    /// What time it is in the beginning, for a clock that is not shared.
    #[must_use]
    pub const fn starting(mut self, moment: Timestamp) -> Self {
        self.start = moment;
        self
    }

    /// What randomness begins with.
    #[must_use]
    pub const fn random(mut self, seed: u64) -> Self {
        self.seed.random = seed;
        self
    }

    #[must_use]
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Speaks TLS with this configuration.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Starts it; without a token of the story's own one that may do everything is there.
    ///
    /// # Panics
    /// The port cannot be had.
    pub fn start(self) -> Fake {
        self.try_start().expect("a port of this machine")
    }

    /// # Errors
    /// The address cannot be had, or is not of this machine alone.
    pub fn try_start(mut self) -> io::Result<Fake> {
        if self.seed.tokens.is_empty() {
            self.seed.tokens.push(Token::default());
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::new(State::new(self.seed, self.clock, self.start)));
        let server = Server::start(self.listen, self.tls, Arc::clone(&shared))?;
        Ok(Fake { server, shared, scheme })
    }
}
