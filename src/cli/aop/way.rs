//! What the verbs that take steps share: how long they wait, whether they ask, and what came of it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::apply::{came_to, confirmed, spoken};
use super::whom::Whom;
use super::{render, state};
use crate::cli::again::{self, Options};
use crate::cli::paper::{GREEN, Paper, RED, YELLOW};
use crate::cli::{Ended, OutputFormat, duration};
use crate::cloudflare::{Zone, ZoneId};
use crate::hostname::Hostname;
use crate::rollout::error::RolloutError;
use crate::rollout::journal::Journal;
use crate::rollout::patience::Patience;
use crate::rollout::step::Step;
use crate::telemetry::escape::harmless;

/// How steps are taken
#[derive(Debug, clap::Args)]
pub(super) struct WayArguments {
    /// Do not ask before something is changed
    #[arg(short, long)]
    yes: bool,
    /// Only show the steps
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Wait up to this long for what takes time
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration::parse)]
    wait: Duration,
    /// Time between two looks at what takes time
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    poll: Duration,
    /// Folder for the journal, which holds no key and no token [default: /var/lib/originlock/aop for root, else below
    /// $XDG_STATE_HOME]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: OutputFormat,
}

/// Where a way ended.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) steps: Vec<Step>,
    pub(super) errors: Vec<RolloutError>,
    /// What is left for somebody to do, a sentence each.
    pub(super) left: Vec<String>,
    /// What stays as it is although one might think otherwise, a sentence each. It was planned so, and is no failure.
    pub(super) notices: Vec<String>,
}

/// The same for programs.
#[derive(Serialize)]
struct Report<'a> {
    steps: &'a [Step],
    /// `planned`, `done`, `not_ready`, `refused` or `failed`.
    ended: &'static str,
    errors: &'a [String],
    left: &'a [String],
}

/// On which level, where one of its own is meant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub(super) enum OwnLevel {
    /// The zone's certificate
    Zone,
    /// The certificate of the named hostnames
    #[default]
    Hostname,
}

impl WayArguments {
    /// What names the same journal again.
    pub(super) fn again(&self) -> Options {
        Options::given([("--state", self.state.as_ref().map(|path| path.display().to_string()))])
    }

    pub(super) fn journal(&self, zone: &Zone) -> anyhow::Result<Journal> {
        let id: &ZoneId = &zone.id;
        let folder = state::folder(self.state.as_deref())?;
        Ok(if self.dry_run { Journal::look(&folder, id)? } else { Journal::open(&folder, id)? })
    }

    pub(super) fn patience(&self, settle: Option<Duration>) -> Patience {
        let usual = Patience::default();
        Patience {
            poll: self.poll.max(Duration::from_millis(1)),
            deploy: usual.deploy.min(self.wait),
            evidence: self.wait,
            settle: settle.unwrap_or(usual.settle),
        }
    }

    /// Shows the steps to people; programs get them at the end.
    pub(super) fn show(&self, steps: &[Step], whom: &Whom) {
        if self.output == OutputFormat::Text {
            let paper = Paper::of_stdout();
            print!("{}{}", paper.paragraph("", &whom.to_string()), render::steps(paper, steps));
        }
    }

    /// Shows the steps, and asks whether they may be taken. `Some`: nothing more is to be done.
    pub(super) fn agree(&self, steps: &[Step], whom: &Whom) -> anyhow::Result<Option<Ended>> {
        self.show(steps, whom);
        if self.output == OutputFormat::Json {
            if self.dry_run {
                print_json(steps, "planned", &[], &[])?;
            }
        } else if !steps.iter().any(render::changes) {
            println!("\nNothing is to be changed.");
        }
        if self.dry_run {
            return Ok(Some(Ended::Done));
        }
        if steps.iter().any(render::changes) && !self.yes && !confirmed(self.output, whom, "the steps with --dry-run")?
        {
            eprintln!("originlock: none of these steps was taken");
            return Ok(Some(Ended::Failed));
        }
        Ok(None)
    }

    /// Says what came of it. `done`: what is so now, in a sentence.
    pub(super) fn finish(&self, arrived: Arrived, done: &str) -> anyhow::Result<Ended> {
        let Arrived { steps, errors, left, notices } = arrived;
        let left: Vec<_> = left.iter().map(|sentence| again::completed(sentence)).collect();
        let ended = match came_to(&errors) {
            Ended::Done if !left.is_empty() => Ended::Failed,
            ended => ended,
        };
        let errors: Vec<String> = errors.into_iter().map(spoken).collect();
        if self.output == OutputFormat::Json {
            print_json(&steps, word(ended), &errors, &left)?;
            return Ok(ended);
        }
        let paper = Paper::of_stdout();
        let mut out = io::stdout().lock();
        if errors.is_empty() && left.is_empty() {
            let mark = if notices.is_empty() { paper.paint(GREEN, "✓") } else { paper.paint(YELLOW, "!") };
            write!(out, "{mark} {}", paper.paragraph("", done))?;
        }
        for notice in &notices {
            write!(out, "{}", paper.paragraph("  ", notice))?;
        }
        for error in &errors {
            let lines: Vec<_> = error.lines().map(harmless).collect();
            writeln!(out, "{} {}", paper.paint(RED, "✗"), lines.join("\n"))?;
        }
        for sentence in &left {
            let paragraphs = sentence.lines().map(|line| paper.paragraph("  ", line.trim_start())).collect::<String>();
            write!(out, "{} {}", paper.paint(YELLOW, "!"), paragraphs.trim_start())?;
        }
        if !errors.is_empty() {
            writeln!(out, "  everything done so far stays; the same command goes on from there")?;
        }
        Ok(ended)
    }
}

/// Each once, in their order.
pub(super) fn hostnames(texts: &[String]) -> anyhow::Result<Vec<Hostname>> {
    let mut hostnames = Vec::new();
    for text in texts {
        if text.starts_with("*.") {
            bail!(
                "`{text}`: Cloudflare associates certificates with hostnames one by one, and takes no wildcard; name each \
                 hostname, or use --level zone, which reaches all of the zone"
            );
        }
        let hostname = Hostname::parse(text).with_context(|| format!("`{text}`"))?;
        if !hostnames.contains(&hostname) {
            hostnames.push(hostname);
        }
    }
    Ok(hostnames)
}

fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Done => "done",
        Ended::NotReady => "not_ready",
        Ended::Refused => "refused",
        Ended::Failed | Ended::Drift | Ended::BadConfiguration => "failed",
    }
}

/// What a program gets where nothing could be begun.
pub(super) fn print_failure(error: &anyhow::Error) -> anyhow::Result<()> {
    let text = again::completed(&format!("{error:#}{}", super::advice(error)));
    print_json(&[], word(super::ended(error)), &[text], &[])
}

fn print_json(steps: &[Step], ended: &'static str, errors: &[String], left: &[String]) -> anyhow::Result<()> {
    let report = Report { steps, ended, errors, left };
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?)
}
