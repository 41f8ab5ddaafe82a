//! The process: its workers, its admin side, and how it starts, reloads and ends.

mod admin;
mod cloudflare;
pub mod demo;
mod descriptors;
mod error;
mod evidence;
mod keeper;
pub mod panics;
mod reload;
mod stage;
mod views;
pub mod walk;
mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::admin::{AdminThread, HealthChecks};
use self::cloudflare::{FollowHandle, Known, Watch};
pub use self::error::StartError;
use self::keeper::{Keeper, SaveHandle};
pub use self::reload::ReloadError;
use self::reload::Reloader;
use self::stage::{Stage, Stages};
use self::views::Telling;
pub use self::views::unseen;
use self::walk::{Confirmations, Walk};
use self::worker::WorkerThread;
use crate::admin::control::{Control, View};
use crate::admin::{AdminState, Bounds, Readiness, ReadyState};
use crate::clock::Clock;
use crate::config::file;
use crate::config::model::Config;
use crate::config::problem::Problems;
use crate::evidence::ledger::Ledger;
use crate::evidence::recorder::Recent;
use crate::evidence::report::ReloadReport;
use crate::proxy::admission::Admission;
use crate::proxy::worker::Shared;
use crate::snapshot::build::{Ground, build};
use crate::snapshot::current::Current;
use crate::telemetry::logging::LineDrops;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::observer::{Observer, RecorderThread};
use crate::tls::server_config;
use crate::tls::tickets::TicketKeys;

/// What a server is started with besides its configuration.
#[derive(Debug, Default)]
pub struct Options {
    pub clock: Clock,
    /// Where the service manager has a service keep its state.
    pub state: Option<PathBuf>,
    /// What the log's own queue dropped.
    pub line_drops: LineDrops,
}

/// A running server. Dropping it cuts everything off; [`Server::drain`] and [`Server::join`] end it in good order.
pub struct Server {
    shared: Arc<Shared>,
    walk: Arc<Walk>,
    readiness: Arc<Readiness>,
    addresses: Vec<SocketAddr>,
    drain_limit: Duration,
    stages: Stages,
    // In the order in which they end.
    workers: Vec<WorkerThread>,
    admin: AdminThread,
    recorder: RecorderThread,
    keeper: Keeper,
    watch: Watch,
}

impl Server {
    /// Reads the configuration at `path` and serves it.
    ///
    /// # Errors
    /// All that is wrong with the configuration, or the address that could not be bound.
    pub fn start(path: PathBuf, options: Options) -> Result<Self, StartError> {
        let loaded = file::load(&path)?;
        Self::start_with(loaded.config, loaded.warnings, path, options)
    }

    /// Serves `config`, which was read from `path`.
    pub fn start_with(
        config: Config,
        mut warnings: Problems,
        path: PathBuf,
        options: Options,
    ) -> Result<Self, StartError> {
        let ground = ground(&options.clock, config.limits.per_host_series)?;
        let (snapshot, more) = build(&config, &ground, None)?;
        warnings.append(more);
        reload::log_warnings(&warnings);
        let metrics = Arc::clone(&ground.metrics);
        metrics.reload_succeeded(snapshot.generation, options.clock.now());
        reload::warn_of_overflow(&metrics);
        let recent = Arc::new(Recent::default());
        let ledger = Arc::new(Ledger::default());
        let store = Keeper::recall(&config, options.state, &ledger, &options.clock);
        evidence::follow(&ledger, &snapshot, options.clock.now());
        metrics.follow(Arc::clone(&ledger), options.clock.clone());
        let keeper = Keeper::start(store, config.evidence.save, &ledger, &metrics, &options.clock)
            .map_err(StartError::Thread)?;
        let (observer, recorder) =
            Observer::start(Arc::clone(&metrics), recent, ledger, config.limits.log_queue, options.line_drops)
                .map_err(StartError::Thread)?;
        let admission = Admission::new(
            Arc::clone(&metrics),
            descriptors::connections(&config.limits),
            config.limits.connections_per_address,
        );
        let shared =
            Arc::new(Shared { current: Arc::new(Current::new(snapshot)), observer, clock: options.clock, admission });
        let readiness = Arc::new(Readiness::starting());
        let stages = Stages::new();
        let (checks, watched) = HealthChecks::new();
        checks.watch(&shared.current.load());
        let config = Arc::new(config);
        let (follow, asked) = FollowHandle::new();
        let reloader = Reloader::new(path.clone(), Arc::clone(&config), ground, checks, follow.clone());
        let known = Arc::new(Known::new(Arc::clone(&metrics)));
        let confirmations = Arc::new(Confirmations::default());
        let listeners = Arc::new(OnceLock::new());
        let view: Arc<dyn View> = Arc::new(Telling {
            shared: Arc::clone(&shared),
            evidence_file: keeper.path().map(Path::to_owned),
            config: path,
            started_at: shared.clock.now(),
            listeners: Arc::clone(&listeners),
            confirmations: Arc::clone(&confirmations),
            cloudflare: Arc::clone(&known),
        });
        let walk = Walk::new(Arc::clone(&shared), Arc::clone(&view), reloader, Arc::clone(&listeners), confirmations);
        let state = AdminState {
            metrics,
            recent: Arc::clone(shared.observer.recent()),
            view,
            control: Arc::clone(&walk) as Arc<dyn Control>,
            ready: Arc::clone(&readiness),
            access: {
                let shared = Arc::clone(&shared);
                Arc::new(move || Arc::clone(&shared.current.load().admin))
            },
            clock: shared.clock.clone(),
            bounds: Bounds::default(),
        };
        let view = Arc::clone(walk.view());
        let admin = AdminThread::start(&config, state, watched)?;
        let (workers, addresses) = worker::start_all(&config, &shared, &stages)?;
        let addresses = listeners.get_or_init(|| addresses).clone();
        let watch = Watch::start(follow, asked, view, known, shared.clock.clone()).map_err(StartError::Thread)?;
        readiness.set(ReadyState::Ready);
        let drain_limit = config.shutdown.drain;
        Ok(Self { shared, walk, readiness, addresses, drain_limit, stages, workers, admin, recorder, keeper, watch })
    }

    /// Where it listens, with real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What to tell a person about the admin side: a URL, or nothing if it is switched off.
    pub fn admin_url(&self) -> Option<&str> {
        self.admin.url()
    }

    /// The last handshakes.
    pub fn recent(&self) -> &Arc<Recent> {
        self.shared.observer.recent()
    }

    /// What handshakes and requests add up to.
    pub fn ledger(&self) -> &Arc<Ledger> {
        self.shared.observer.ledger()
    }

    /// Has the next connection from `peer` be told but not counted: this process is about to connect to itself from there.
    pub fn expect_own(&self, peer: SocketAddr) {
        self.shared.observer.expect_own(peer);
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.shared.observer.metrics()
    }

    /// Reads the configuration again and puts it in force as a whole, or keeps what is in force.
    pub fn reload(&self) -> Result<ReloadReport, ReloadError> {
        self.walk.reload("SIGHUP")
    }

    /// What the admin side tells.
    pub fn view(&self) -> &Arc<dyn View> {
        self.walk.view()
    }

    /// What changes a mode.
    pub fn walk(&self) -> &Arc<Walk> {
        &self.walk
    }

    /// Stops accepting; what runs may finish within the configured time. Returns at once.
    pub fn drain(&self) {
        self.ending().drain();
    }

    /// Ends what still runs. Returns at once.
    pub fn cut(&self) {
        self.stages.enter(Stage::Cut);
    }

    /// A handle to [`Self::drain`] and [`Self::cut`] from elsewhere, while someone waits in [`Self::join`].
    pub fn ending(&self) -> Ending {
        Ending {
            walk: Arc::clone(&self.walk),
            readiness: Arc::clone(&self.readiness),
            stages: self.stages.clone(),
            drain_limit: self.drain_limit,
            evidence: self.keeper.handle(),
            watch: self.watch.handle(),
        }
    }

    /// Waits until all workers have ended. Says how many connections had to be cut.
    pub fn join(self) -> usize {
        let cut = self.workers.into_iter().map(WorkerThread::join).sum();
        self.admin.join();
        self.recorder.finish();
        self.keeper.finish();
        self.watch.finish();
        cut
    }
}

/// Ends a server.
#[derive(Clone)]
pub struct Ending {
    walk: Arc<Walk>,
    readiness: Arc<Readiness>,
    stages: Stages,
    drain_limit: Duration,
    evidence: SaveHandle,
    watch: FollowHandle,
}

impl Ending {
    /// See [`Server::drain`].
    pub fn drain(&self) {
        self.walk.end();
        self.watch.stop();
        self.readiness.set(ReadyState::Draining);
        self.stages.enter(Stage::Drain(self.drain_limit));
        // Draining may take longer than whoever stops us has patience.
        self.evidence.save();
    }

    /// See [`Server::cut`].
    pub fn cut(&self) {
        self.stages.enter(Stage::Cut);
    }
}

/// What a process has once, whatever it serves.
pub fn ground(clock: &Clock, per_host_series: usize) -> Result<Ground, StartError> {
    let keys = Arc::new(TicketKeys::new(clock.clone())?);
    Ok(Ground { tls: server_config::Shared::new(clock.clone(), keys), metrics: Metrics::new(per_host_series) })
}
