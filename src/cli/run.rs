//! `originlock run`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::{Ended, OutputFormat, output};
use crate::clock::Clock;
use crate::config::file;
use crate::config::model::{self, Config};
use crate::server::{Options, Server, StartError, panics};
use crate::telemetry::logging::{self, LogFormat, LogGuard, LogOptions};

pub(super) fn run(path: PathBuf) -> anyhow::Result<Ended> {
    let loaded = match file::load(&path) {
        Ok(loaded) => loaded,
        Err(problems) => {
            output::problems(&problems, OutputFormat::Text);
            return Ok(Ended::BadConfiguration);
        }
    };
    let log = start_log(&loaded.config)?;
    let options = Options { clock: Clock::System, state: state_directory(), line_drops: log.line_drops() };
    match Server::start_with(loaded.config, loaded.warnings, path, options) {
        Ok(server) => serve(server),
        Err(StartError::Config(problems)) => {
            output::problems(&problems, OutputFormat::Text);
            Ok(Ended::BadConfiguration)
        }
        Err(error) => Err(error.into()),
    }
}

/// What systemd sets for a unit with `StateDirectory=`: one folder, or several with colons between them.
fn state_directory() -> Option<PathBuf> {
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

fn start_log(config: &Config) -> anyhow::Result<LogGuard> {
    let format = match config.log.format {
        model::LogFormat::Auto => LogFormat::for_stdout(),
        model::LogFormat::Json => LogFormat::Json,
        model::LogFormat::Human => LogFormat::Human,
    };
    let options = LogOptions { format, filter: config.log.level.clone(), queue: config.limits.log_queue };
    Ok(logging::init(&options)?)
}

/// Serves until a signal ends it.
pub(super) fn serve(server: Server) -> anyhow::Result<Ended> {
    panics::count(Arc::clone(server.metrics()));
    for address in server.addresses() {
        info!(server.address = %address.ip(), server.port = address.port(), "listening");
    }
    if let Some(url) = server.admin_url() {
        info!(url.full = url, "admin side");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no signal handling")?;
    let cut = runtime.block_on(follow_signals(server))?;
    if cut > 0 {
        warn!(originlock.connections = cut, "stopped; these connections were cut");
    } else {
        info!("stopped");
    }
    Ok(Ended::Done)
}

/// Waits for the end; says how many connections had to be cut.
async fn follow_signals(server: Server) -> anyhow::Result<usize> {
    let mut hangup = listen(SignalKind::hangup())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            // What came of it is in the log.
            _ = hangup.recv() => drop(server.reload()),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    info!("draining; a second signal ends at once");
    server.drain();
    let ending = server.ending();
    let mut joined = tokio::task::spawn_blocking(move || server.join());
    loop {
        tokio::select! {
            cut = &mut joined => return cut.context("the end of the workers could not be waited for"),
            _ = terminate.recv() => ending.cut(),
            _ = interrupt.recv() => ending.cut(),
        }
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("a signal cannot be listened for")
}
