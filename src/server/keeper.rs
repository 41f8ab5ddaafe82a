//! The thread that keeps evidence on the disk.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::model::Config;
use crate::evidence::ledger::Ledger;
use crate::evidence::store::{SaveError, Store};
use crate::telemetry::metrics::Metrics;

/// In the folder that systemd gives a service (`StateDirectory=`).
const FILE_NAME: &str = "evidence.json";

/// Saves now and then, when asked, and at the end. Dropping it saves and ends it.
#[derive(Debug)]
pub struct Keeper {
    ask: Sender<Ask>,
    thread: Option<JoinHandle<()>>,
    path: Option<PathBuf>,
}

/// Has evidence saved, from wherever.
#[derive(Clone, Debug)]
pub struct SaveHandle(Sender<Ask>);

#[derive(Debug)]
enum Ask {
    Save,
    Stop,
}

impl Keeper {
    /// Gives `ledger` what the configured file remembers. Nothing that is wrong with it keeps a server from starting.
    pub fn recall(config: &Config, state: Option<PathBuf>, ledger: &Ledger, clock: &Clock) -> Option<Store> {
        let configured = config.evidence.file.as_ref().map(|file| file.value.clone());
        let Some(path) = configured.or_else(|| state.map(|folder| folder.join(FILE_NAME))) else {
            info!("evidence is kept in memory alone: set evidence.file to have it survive a restart");
            return None;
        };
        let store = Store::new(path);
        if let Err(aside) = store.load(ledger, clock.now()) {
            warn!(
                file.path = %store.path().display(),
                error = &aside.error as &dyn Error,
                error.cause = aside.error.source().map(tracing::field::display),
                originlock.set_aside = aside.to.as_ref().map(|to| tracing::field::display(to.display())),
                "the evidence file cannot be used, evidence starts anew"
            );
        }
        Some(store)
    }

    /// Starts the thread, if there is a file to keep.
    pub fn start(
        store: Option<Store>,
        every: Duration,
        ledger: &Arc<Ledger>,
        metrics: &Arc<Metrics>,
        clock: &Clock,
    ) -> io::Result<Self> {
        let (ask, asked) = channel();
        let path = store.as_ref().map(|store| store.path().to_owned());
        let Some(store) = store else { return Ok(Self { ask, thread: None, path }) };
        let saved = ledger.records();
        let (ledger, metrics, clock) = (Arc::clone(ledger), Arc::clone(metrics), clock.clone());
        let saving = Saving { store, ledger, metrics, clock, saved, failing: false };
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new().name("evidence".into()).spawn(move || {
            let _log = tracing::dispatcher::set_default(&dispatch);
            saving.run(&asked, every);
        })?;
        Ok(Self { ask, thread: Some(thread), path })
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// A way to have it saved.
    pub fn handle(&self) -> SaveHandle {
        SaveHandle(self.ask.clone())
    }

    /// Saves and ends the thread. Blocks until it has.
    pub fn finish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Sending fails only if the thread has ended.
            let _ = self.ask.send(Ask::Stop);
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl SaveHandle {
    /// Asks for a save. Does not wait for it.
    pub fn save(&self) {
        // Where nothing is kept nobody listens.
        let _ = self.0.send(Ask::Save);
    }
}

struct Saving {
    store: Store,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// The ledger's records that are on the disk.
    saved: u64,
    /// Whether the last save failed, which is told once.
    failing: bool,
}

impl Saving {
    fn run(mut self, asked: &Receiver<Ask>, every: Duration) {
        if let Err(error) = self.store.try_folder() {
            self.failed(&error);
        }
        loop {
            let next = asked.recv_timeout(every);
            self.save_if_changed();
            if matches!(next, Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected)) {
                return;
            }
        }
    }

    fn save_if_changed(&mut self) {
        let records = self.ledger.records();
        if records == self.saved {
            return;
        }
        let result = self.store.save(&self.ledger, self.clock.now());
        self.metrics.evidence_saved(result.is_ok());
        match result {
            Ok(()) => (self.saved, self.failing) = (records, false),
            Err(error) => self.failed(&error),
        }
    }

    /// Tells the first failure; those that follow are counted.
    fn failed(&mut self, error: &SaveError) {
        if !self.failing {
            warn!(
                file.path = %self.store.path().display(),
                error = error as &dyn Error,
                error.cause = error.source().map(tracing::field::display),
                "evidence could not be saved, a restart would forget it; make its folder, writable for originlock"
            );
        }
        self.failing = true;
    }
}
