//! `originlock aop plan`: what is, what will be, and why. Nothing is changed.

use std::io::{self, Write};

use serde::Serialize;

use super::origin::RunningProxy;
use super::render;
use super::state;
use super::wanted::WantedArguments;
use crate::cli::admin::Right;
use crate::cli::paper::{DIM, Paper};
use crate::cli::{Ended, OutputFormat};
use crate::clock::Clock;
use crate::cloudflare::Cloudflare;
use crate::rollout::desired::Desired;
use crate::rollout::error::RolloutError;
use crate::rollout::journal::Journal;
use crate::rollout::observed::{Observed, Sources};
use crate::rollout::plan::{self, Done};
use crate::rollout::preflight::{self, NEVER_FORCED, Preflight};
use crate::rollout::step::{Check, Step};

/// Show what `apply` would do, and what stands in its way: exit code 1 if something does
#[derive(Debug, clap::Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) wanted: WantedArguments,
}

/// A plan and what came before it.
#[derive(Serialize)]
pub(super) struct Planned<'a> {
    pub(super) zone: Option<&'a str>,
    pub(super) level: &'static str,
    /// What an admitted handshake proves in the end.
    pub(super) proves: &'static str,
    pub(super) checks: &'a [Check],
    pub(super) steps: &'a [Step],
}

/// Everything that is known before the first change.
pub(super) struct Before {
    pub(super) cloudflare: Cloudflare,
    pub(super) proxy: RunningProxy,
    pub(super) desired: Desired,
    pub(super) preflight: Preflight,
    /// Empty where it could not be read, or where that is not worth while.
    pub(super) steps: Vec<Step>,
}

pub(super) fn run(arguments: &PlanArguments) -> anyhow::Result<Ended> {
    let wanted = &arguments.wanted;
    let (desired, _) = wanted.desired(Clock::System.now())?;
    // Who may only look can plan, too.
    let proxy = wanted.origin.find(Right::Change).or_else(|_| wanted.origin.find(Right::Read))?;
    let before = Before::look(wanted, desired, proxy)?;
    before.print(wanted.output)?;
    Ok(before.ended())
}

impl Before {
    pub(super) fn look(wanted: &WantedArguments, desired: Desired, proxy: RunningProxy) -> anyhow::Result<Self> {
        let cloudflare = wanted.cloudflare.cloudflare()?;
        let folder = state::folder(wanted.state.as_deref())?;
        let zone = wanted.cloudflare.zone.as_deref();
        let entries = |zone: &crate::cloudflare::Zone| Journal::peek(&folder, &zone.id);
        let preflight = preflight::look(&cloudflare, &proxy, &desired, zone, entries, Clock::System.now());
        let steps = match &preflight.zone {
            Some(zone) => {
                let entries = Journal::peek(&folder, &zone.id);
                let sources = Sources { cloudflare: &cloudflare, origin: &proxy, zone, entries: entries.as_ref() };
                steps(sources, &desired, &preflight)?
            }
            None => Vec::new(),
        };
        Ok(Self { cloudflare, proxy, desired, preflight, steps })
    }

    pub(super) fn planned(&self) -> Planned<'_> {
        Planned {
            zone: self.preflight.zone.as_ref().map(|zone| zone.name.as_str()),
            level: self.desired.level.label(),
            proves: self.desired.level.proves(),
            checks: &self.preflight.checks,
            steps: &self.steps,
        }
    }

    pub(super) fn print(&self, output: OutputFormat) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match output {
            OutputFormat::Text => Ok(write!(out, "{}", self.told(Paper::of_stdout()))?),
            OutputFormat::Json => Ok(writeln!(out, "{}", serde_json::to_string_pretty(&self.planned())?)?),
        }
    }

    fn told(&self, paper: Paper) -> String {
        let mut text = render::checks(paper, &self.preflight.checks);
        if !self.steps.is_empty() {
            text += "\n";
            text += &render::steps(paper, &self.steps);
            let proves = format!("In the end an admitted handshake proves {}.", self.desired.level.proves());
            text += &paper.paint(DIM, &paper.paragraph("  ", &proves));
        }
        if !self.preflight.is_passed() {
            let sentence = format!(
                "Nothing is changed before these checks hold, or are overruled one by one: {}",
                self.failed().join(", ")
            );
            text += "\n";
            text += &paper.paragraph("", &sentence);
        } else if !self.steps.iter().any(render::changes) {
            text += "\nNothing is to be changed.\n";
        }
        text
    }

    /// What stands in the way, as it is written to go on all the same.
    fn failed(&self) -> Vec<String> {
        let written = |check: &Check| match check.name {
            "replaces" => format!("--replace for {}", check.subject),
            name if NEVER_FORCED.contains(&name) => format!("{name} (never)"),
            name if check.subject.is_empty() => format!("--force {name}"),
            name => format!("--force {name}={}", check.subject),
        };
        let mut failed: Vec<_> = self.preflight.failed().map(written).collect();
        failed.dedup();
        failed
    }

    pub(super) fn ended(&self) -> Ended {
        if self.preflight.is_passed() { Ended::Done } else { Ended::Failed }
    }
}

/// A check that failed says already why something cannot be read.
fn steps(sources: Sources<'_>, desired: &Desired, preflight: &Preflight) -> Result<Vec<Step>, RolloutError> {
    match Observed::read(sources, desired) {
        Ok(observed) => Ok(plan::steps(desired, &observed, &Done::default())),
        Err(_) if !preflight.is_passed() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
