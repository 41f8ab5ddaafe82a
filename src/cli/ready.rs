//! `originlock ready`: may these hosts be enforced? The exit code says it, too.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::admin::AdminArguments;
use super::fleet::{FleetArguments, Source};
use super::judged::Judged;
use super::paper::Paper;
use super::progress::Waiting;
use super::{Ended, OutputFormat, duration};

/// How often a host is looked at again: a handshake is counted as soon as it ends.
const INTERVAL: Duration = Duration::from_secs(1);

/// Say whether hosts are ready to be enforced, and if not, what is missing
#[derive(Debug, clap::Args)]
pub(super) struct ReadyArguments {
    /// Any of a host's configured names
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Wait up to this long for all of them to become ready: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    wait: Option<Duration>,
    /// Judge over this time instead of the longer one that is configured: 30m. For a host that failed and is mended
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    window: Option<Duration>,
    #[command(flatten)]
    pub(super) admin: AdminArguments,
    #[command(flatten)]
    fleet: FleetArguments,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Serialize)]
struct Report<'a> {
    ready: bool,
    hosts: &'a [Judged],
}

pub(super) fn run(arguments: &ReadyArguments) -> anyhow::Result<Ended> {
    let source = Source::find(&arguments.admin, &arguments.fleet)?;
    let look = || source.hosts(&arguments.hosts, arguments.window);
    let judged = match arguments.wait {
        None => look()?,
        Some(wait) => wait_for(&look, wait)?,
    };
    let ready = all_ready(&judged);
    let mut out = io::stdout().lock();
    match arguments.output {
        OutputFormat::Text => {
            let paper = Paper::of_stdout();
            judged.iter().try_for_each(|host| write!(out, "{}", host.told(paper)))?;
        }
        OutputFormat::Json => {
            writeln!(out, "{}", serde_json::to_string_pretty(&Report { ready, hosts: &judged })?)?;
        }
    }
    Ok(if ready { Ended::Done } else { Ended::NotReady })
}

fn all_ready(hosts: &[Judged]) -> bool {
    hosts.iter().all(|host| host.0.readiness.ready)
}

/// Looks again until all are ready or the time is up. Who cannot be asked at first is an error; later, a proxy may be
/// about to start again.
fn wait_for(look: &dyn Fn() -> anyhow::Result<Vec<Judged>>, wait: Duration) -> anyhow::Result<Vec<Judged>> {
    let begun = Instant::now();
    let mut progress = Waiting::new();
    let mut seen = look()?;
    while !all_ready(&seen) && begun.elapsed() < wait {
        progress.say(&missing(&seen), begun.elapsed(), wait);
        thread::sleep(INTERVAL.min(wait.saturating_sub(begun.elapsed())));
        match look() {
            Ok(hosts) => seen = hosts,
            Err(error) if begun.elapsed() >= wait => return Err(error),
            Err(_) => progress.say("no answer, asking again", begun.elapsed(), wait),
        }
    }
    progress.end();
    Ok(seen)
}

/// What is missing, of the first that is not ready.
fn missing(hosts: &[Judged]) -> String {
    let missing = hosts.iter().filter(|host| !host.0.readiness.ready);
    let text = missing.clone().next().map(|host| {
        let first = host.0.readiness.shortfalls.first();
        format!("{}: {}", host.0.name, first.map_or("not ready", |shortfall| &shortfall.sentence))
    });
    let more = match missing.count() {
        0 | 1 => String::new(),
        missing => format!(" (and {} more)", missing - 1),
    };
    text.unwrap_or_default() + &more
}
