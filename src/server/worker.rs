//! One thread per core, each with its own runtime, listening sockets and upstream connections.

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::error::StartError;
use super::stage::{Stage, Stages};
use crate::config::model::Config;
use crate::proxy::listener;
use crate::proxy::worker::{Shared, Worker};

/// How often a worker looks whether it holds connections to upstreams that are gone, and whether it is done.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// A worker. Dropping it without joining leaves it to its stage.
pub struct WorkerThread(JoinHandle<usize>);

impl WorkerThread {
    /// Waits for the worker's end; how many connections it had to cut.
    pub fn join(self) -> usize {
        // A worker that panicked has nothing left to cut; the panic was told where it happened.
        self.0.join().unwrap_or(0)
    }
}

/// Binds every listener for every worker and starts the workers. A port 0 is one port for all of them.
pub fn start_all(
    config: &Config,
    shared: &Arc<Shared>,
    stages: &Stages,
) -> Result<(Vec<WorkerThread>, Vec<SocketAddr>), StartError> {
    let count = match config.workers {
        0 => thread::available_parallelism().map_or(1, usize::from),
        configured => configured,
    };
    let mut addresses = Vec::new();
    let mut sockets: Vec<Vec<TcpListener>> = (0..count).map(|_| Vec::new()).collect();
    for configured in &config.listeners {
        let mut address = configured.address.value;
        for sockets in &mut sockets {
            let refused = |source| StartError::Listen { address, source };
            let socket = listener::bind(address).map_err(refused)?;
            address = socket.local_addr().map_err(refused)?;
            sockets.push(socket);
        }
        addresses.push(address);
    }
    let start = |(number, sockets)| start(number, sockets, Arc::clone(shared), stages.watch());
    let workers = sockets.into_iter().enumerate().map(start).collect::<io::Result<_>>().map_err(StartError::Thread)?;
    Ok((workers, addresses))
}

fn start(
    number: usize,
    sockets: Vec<TcpListener>,
    shared: Arc<Shared>,
    stage: watch::Receiver<Stage>,
) -> io::Result<WorkerThread> {
    let runtime = Builder::new_current_thread();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let work = move || {
        let _log = tracing::dispatcher::set_default(&dispatch);
        run(runtime, sockets, shared, stage)
    };
    thread::Builder::new().name(format!("worker-{number}")).spawn(work).map(WorkerThread)
}

fn run(mut builder: Builder, sockets: Vec<TcpListener>, shared: Arc<Shared>, stage: watch::Receiver<Stage>) -> usize {
    let runtime = match builder.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a worker could not start");
            return 0;
        }
    };
    runtime.block_on(serve(sockets, Worker::new(shared), stage))
}

async fn serve(sockets: Vec<TcpListener>, worker: Rc<Worker>, mut stage: watch::Receiver<Stage>) -> usize {
    tokio::task::spawn_local(worker.lifetimes.clone().keep_time());
    tokio::task::spawn_local(let_go_of_the_old(Rc::clone(&worker)));
    for socket in sockets {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(socket) => {
                tokio::task::spawn_local(accept(socket, Rc::clone(&worker), stage.clone()));
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a listener was lost"),
        }
    }
    let limit = match stage.wait_for(|stage| *stage != Stage::Run).await.map(|stage| *stage) {
        Ok(Stage::Drain(limit)) => limit,
        // Cut, or the process is going away.
        Ok(Stage::Cut | Stage::Run) | Err(_) => return worker.lifetimes.count(),
    };
    worker.lifetimes.close_all();
    let cut = async { stage.wait_for(|stage| *stage == Stage::Cut).await.is_ok() };
    tokio::select! {
        () = all_closed(&worker) => 0,
        _ = cut => worker.lifetimes.count(),
        () = tokio::time::sleep(limit) => worker.lifetimes.count(),
    }
}

async fn accept(socket: tokio::net::TcpListener, worker: Rc<Worker>, mut stage: watch::Receiver<Stage>) {
    tokio::select! {
        () = listener::accept(socket, worker) => {}
        _ = stage.wait_for(|stage| *stage != Stage::Run) => {}
    }
}

async fn all_closed(worker: &Worker) {
    let mut interval = tokio::time::interval(HOUSEKEEPING);
    while worker.lifetimes.count() > 0 {
        interval.tick().await;
    }
}

/// What belongs to hosts that are no longer served is let go; connections to their upstreams once nobody uses them.
async fn let_go_of_the_old(worker: Rc<Worker>) {
    let mut generation = worker.shared.current.generation();
    let mut interval = tokio::time::interval(HOUSEKEEPING * 10);
    loop {
        interval.tick().await;
        if worker.shared.current.generation() == generation {
            continue;
        }
        let snapshot = worker.shared.current.load();
        generation = snapshot.generation;
        let hosts: HashSet<_> = snapshot.all.iter().map(Arc::as_ptr).collect();
        worker.identities.retain(|host| hosts.contains(&Arc::as_ptr(host)));
        let upstreams: HashSet<_> = snapshot.upstreams().map(Arc::as_ptr).collect();
        worker.upstreams.retain(|spec| upstreams.contains(&Arc::as_ptr(spec)));
    }
}
