//! `originlock ready`: may these hosts be enforced? The exit code says it, too.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::admin::AdminArguments;
use super::fleet::{FleetArguments, Source};
use super::judged::Judged;
use super::paper::Paper;
use super::{Ended, OutputFormat, duration};
use crate::telemetry::escape::harmless;

/// How often a host is looked at again: a handshake is counted as soon as it ends.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often somebody is told that waiting goes on, where lines cannot be drawn over.
const REMINDER: Duration = Duration::from_secs(60);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Back to the line's beginning, and away with it.
const CLEAR: &str = "\r\x1b[2K";

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
    admin: AdminArguments,
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
    let mut progress = Progress::new(begun, wait);
    let mut seen = look()?;
    while !all_ready(&seen) && begun.elapsed() < wait {
        progress.show(&seen);
        thread::sleep(INTERVAL.min(wait.saturating_sub(begun.elapsed())));
        match look() {
            Ok(hosts) => seen = hosts,
            Err(error) if begun.elapsed() >= wait => return Err(error),
            Err(_) => progress.say("no answer, asking again"),
        }
    }
    progress.end();
    Ok(seen)
}

/// What happens meanwhile, on standard error: one line that is drawn over, or, where nobody looks, a line per change.
struct Progress {
    begun: Instant,
    wait: Duration,
    terminal: bool,
    turn: usize,
    said: String,
    said_at: Instant,
}

impl Progress {
    fn new(begun: Instant, wait: Duration) -> Self {
        Self { begun, wait, terminal: io::stderr().is_terminal(), turn: 0, said: String::new(), said_at: begun }
    }

    fn show(&mut self, hosts: &[Judged]) {
        let missing = hosts.iter().filter(|host| !host.0.readiness.ready);
        let text = missing.clone().next().map(|host| {
            let first = host.0.readiness.shortfalls.first();
            format!("{}: {}", host.0.name, first.map_or("not ready", |shortfall| &shortfall.sentence))
        });
        let more = match missing.count() {
            0 | 1 => String::new(),
            missing => format!(" (and {} more)", missing - 1),
        };
        self.say(&(text.unwrap_or_default() + &more));
    }

    fn say(&mut self, text: &str) {
        let (waited, of) = (duration::spoken(self.begun.elapsed()), duration::spoken(self.wait));
        let mut err = io::stderr().lock();
        // Nobody is left to tell if this fails.
        if self.terminal {
            self.turn = (self.turn + 1) % SPINNER.len();
            let room = Paper::of_stdout().width.saturating_sub(30);
            let short: String = harmless(text).chars().take(room).collect();
            let _ = write!(err, "{CLEAR}{} {waited} of {of}  {short}", SPINNER[self.turn]);
            let _ = err.flush();
        } else if self.said != text || self.said_at.elapsed() >= REMINDER {
            let _ = writeln!(err, "waited {waited} of {of}: {}", harmless(text));
            self.said_at = Instant::now();
            text.clone_into(&mut self.said);
        }
    }

    fn end(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}
