//! The admin side's thread, which also runs the backends' health checks.

use std::io;
use std::sync::{Arc, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::error::StartError;
use crate::admin::{self, AdminListener, AdminState};
use crate::config::model::{AdminAddress, Config};
use crate::snapshot::Snapshot;
use crate::upstream::{UpstreamSpec, health};

/// How long work that was begun may hold up the end of the process.
const WORK_LIMIT: Duration = Duration::from_secs(5);

/// The thread.
pub struct AdminThread {
    thread: JoinHandle<()>,
    url: Option<String>,
    /// Dropped to end the thread.
    stop: oneshot::Sender<()>,
}

/// Has upstreams checked.
pub struct HealthChecks(UnboundedSender<Weak<UpstreamSpec>>);

/// The upstreams that are to be checked.
pub type Watched = UnboundedReceiver<Weak<UpstreamSpec>>;

impl HealthChecks {
    pub fn new() -> (Self, Watched) {
        let (to_watch, watched) = unbounded_channel();
        (Self(to_watch), watched)
    }

    /// Starts the active checks of upstreams that are new in `snapshot`; those of vanished ones end by themselves.
    pub fn watch(&self, snapshot: &Snapshot) {
        for spec in snapshot.upstreams().filter(|spec| spec.health.is_some()) {
            // Once the thread has ended there is nothing to check for.
            let _ = self.0.send(Arc::downgrade(spec));
        }
    }
}

impl AdminThread {
    /// Binds the configured address and serves `state` there; checks what is `watched`.
    pub fn start(config: &Config, state: AdminState, watched: Watched) -> Result<Self, StartError> {
        let address = config.admin.as_ref().map(|admin| admin.address.value.clone());
        let (stop, stopped) = oneshot::channel();
        let (bound, when_bound) = mpsc::channel();
        let shown = address.as_ref().map(show).unwrap_or_default();
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let work = move || {
            let _log = tracing::dispatcher::set_default(&dispatch);
            run(address, state, stopped, watched, &bound);
        };
        let thread = thread::Builder::new().name("admin".into()).spawn(work).map_err(StartError::Thread)?;
        let url = match when_bound.recv() {
            Ok(Ok(url)) => url,
            Ok(Err(source)) => return Err(StartError::Admin { address: shown, source }),
            Err(_) => return Err(StartError::Thread(io::Error::other("the admin thread ended"))),
        };
        Ok(Self { thread, url, stop })
    }

    /// Where a person finds the admin side.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Ends the thread.
    pub fn join(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

type Bound = io::Result<Option<String>>;

fn run(
    address: Option<AdminAddress>,
    state: AdminState,
    stopped: oneshot::Receiver<()>,
    watched: Watched,
    bound: &mpsc::Sender<Bound>,
) {
    let runtime: LocalRuntime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return report(bound, Err(error)),
    };
    runtime.block_on(async move {
        tokio::task::spawn_local(run_checks(watched));
        match listen(address).await {
            Err(error) => report(bound, Err(error)),
            Ok(None) => {
                report(bound, Ok(None));
                let _ = stopped.await;
            }
            Ok(Some(listener)) => {
                report(bound, Ok(Some(listener.url((state.access)().tls.is_some()))));
                admin::serve(listener, state, async { drop(stopped.await) }).await;
            }
        }
    });
    runtime.shutdown_timeout(WORK_LIMIT);
}

fn report(bound: &mpsc::Sender<Bound>, result: Bound) {
    // Whoever started the thread waits for this; if not, there is nobody to tell.
    let _ = bound.send(result);
}

async fn listen(address: Option<AdminAddress>) -> io::Result<Option<AdminListener>> {
    match address {
        None => Ok(None),
        Some(AdminAddress::Tcp(address)) => AdminListener::tcp(address).await.map(Some),
        Some(AdminAddress::Unix(path)) => AdminListener::unix(&path).map(Some),
    }
}

fn show(address: &AdminAddress) -> String {
    match address {
        AdminAddress::Tcp(address) => address.to_string(),
        AdminAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// One task per upstream, however often it is named.
async fn run_checks(mut watched: Watched) {
    let mut known: Vec<Weak<UpstreamSpec>> = Vec::new();
    while let Some(spec) = watched.recv().await {
        known.retain(|known| known.strong_count() > 0);
        if !known.iter().any(|known| known.ptr_eq(&spec)) {
            known.push(spec.clone());
            tokio::task::spawn_local(health::watch(spec));
        }
    }
}
