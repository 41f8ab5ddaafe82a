//! `originlock aop apply`: takes hostnames from nothing to enforced. Interrupted anywhere, the same command goes on.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::error::ErrorKind;
use serde::Serialize;

use super::leaf::Found;
use super::plan::{Before, Planned};
use super::progress::Told;
use super::wanted::WantedArguments;
use super::whom::Whom;
use super::{advice, by_cloudflare, render, state};
use crate::cli::admin::Right;
use crate::cli::again::{self, Again};
use crate::cli::paper::{GREEN, Paper, RED};
use crate::cli::{Ended, OutputFormat, duration, next_step};
use crate::clock::Clock;
use crate::cloudflare::Zone;
use crate::rollout::apply::{self, Outcome};
use crate::rollout::context::Context;
use crate::rollout::error::RolloutError;
use crate::rollout::journal::Journal;
use crate::rollout::patience::Patience;
use crate::rollout::step::{Step, StepName, StepState};
use crate::telemetry::escape::harmless;

const EXAMPLE: &str = "\
Permissions of the token: Zone > Zone > Read, Zone > SSL and Certificates > Edit, Zone > Zone Settings > Edit, Zone > DNS >
Read, Zone > Config Rules > Read; `plan` does with Read everywhere. At --level zone and hostname either --certificate with
--key is required, or --issue with --ca-certificate and --ca-key.

Example:
  originlock aop apply shop.example.com -c originlock.toml --api-token-file cloudflare.token \\
    --certificate origin-pull.pem --key origin-pull.key";

/// Take hostnames from nothing to enforced: upload, observe, switch on, wait until the origin has seen it, enforce, prove
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    pub(super) wanted: WantedArguments,
    /// Do not ask before something is changed
    #[arg(short, long)]
    yes: bool,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    /// Wait up to this long for Cloudflare's edges to show the certificate, and for the host to become ready
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration::parse)]
    wait: Duration,
    /// Time between two looks at what takes time
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    poll: Duration,
    /// How long Cloudflare's edges may take to change over: what they show until then is not held against them
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    settle: Duration,
}

impl ApplyArguments {
    pub(super) fn again(&self) -> Again {
        self.wanted.again()
    }
}

/// What came of it, for programs.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    planned: Planned<'a>,
    /// `done`, `not_ready`, `refused`, `failed` or `blocked`.
    ended: &'static str,
    errors: Vec<String>,
}

pub(super) fn run(arguments: &ApplyArguments) -> anyhow::Result<Ended> {
    let ApplyArguments { wanted, yes, dry_run, .. } = arguments;
    let (desired, leaf) = wanted.desired(Clock::System.now())?;
    let mut before = Before::look(wanted, desired, wanted.origin.find(Right::Change)?)?;
    if let Some(told) = leaf.as_ref().and_then(Found::to_be_issued).filter(|_| *dry_run) {
        before.tell_without_fingerprint(&told);
    }
    let Some(zone) = before.preflight.zone.clone().filter(|_| before.preflight.is_passed() && !dry_run) else {
        return blocked(&before, wanted.output, *dry_run);
    };
    if wanted.output == OutputFormat::Text {
        before.print(OutputFormat::Text)?;
        println!();
    }
    if before.steps.iter().any(render::changes)
        && !yes
        && !confirmed(wanted.output, &before.whom, "`originlock aop plan`")?
    {
        eprintln!("originlock: nothing was changed");
        return Ok(Ended::Failed);
    }
    let mut told = Told::new(wanted.output);
    if let Some(written) = leaf.map(|leaf| leaf.keep()).transpose()?.flatten() {
        eprintln!("{written}");
    }
    let outcome = walk(arguments, &before, zone, &mut told)?;
    finish(wanted.output, &before, outcome)
}

fn blocked(before: &Before, output: OutputFormat, dry_run: bool) -> anyhow::Result<Ended> {
    match output {
        OutputFormat::Json if !dry_run => print(before.planned(), "blocked", Vec::new())?,
        OutputFormat::Text | OutputFormat::Json => before.print(output)?,
    }
    Ok(before.ended())
}

fn walk(arguments: &ApplyArguments, before: &Before, zone: Zone, told: &mut Told) -> anyhow::Result<Outcome> {
    let usual = Patience::default();
    let folder = state::folder(arguments.wanted.state.as_deref())?;
    let mut context = Context {
        cloudflare: &before.cloudflare,
        origin: &before.proxy,
        journal: Journal::open(&folder, &zone.id)?,
        zone,
        patience: Patience {
            poll: arguments.poll.max(Duration::from_millis(1)),
            deploy: usual.deploy.min(arguments.wait),
            evidence: arguments.wait,
            settle: arguments.settle,
        },
        progress: told,
        clock: Clock::System,
    };
    Ok(apply::apply(&mut context, &before.desired)?)
}

/// Asks whoever sits there. Who cannot be asked has to say so beforehand, after a look at `look`.
pub(super) fn confirmed(output: OutputFormat, whom: &Whom, look: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() || output == OutputFormat::Json {
        let text = format!("nobody can be asked here: look at {look}, and add --yes\n");
        clap::Error::raw(ErrorKind::MissingRequiredArgument, text).exit();
    }
    print!("{}", harmless(&whom.question()));
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "yes" | "y"))
}

fn finish(output: OutputFormat, before: &Before, outcome: Outcome) -> anyhow::Result<Ended> {
    let came_to = came_to(&outcome.errors);
    let word = match came_to {
        Ended::Done => "done",
        Ended::NotReady => "not_ready",
        Ended::Refused => "refused",
        Ended::Failed | Ended::Drift | Ended::BadConfiguration => "failed",
    };
    let errors: Vec<String> = outcome.errors.into_iter().map(spoken).collect();
    match output {
        OutputFormat::Json => {
            let planned = Planned { steps: &outcome.steps, ..before.planned() };
            print(planned, word, errors)?;
        }
        OutputFormat::Text => {
            let paper = Paper::of_stdout();
            let names: Vec<_> = before.desired.hostnames.iter().map(ToString::to_string).collect();
            if errors.is_empty() {
                let proves = before.desired.level.proves();
                let done = done(&outcome.steps);
                let sentence = format!("{} {done}: an admitted handshake proves {proves}", names.join(", "));
                print!("{} {}", paper.paint(GREEN, "✓"), paper.paragraph("", &sentence));
            }
            for error in &errors {
                let lines: Vec<_> = error.lines().map(harmless).collect();
                println!("{} {}", paper.paint(RED, "✗"), lines.join("\n"));
            }
            if !errors.is_empty() {
                println!("  everything done so far stays; the same command goes on from there");
            }
        }
    }
    Ok(came_to)
}

/// By what is, not by what was asked for: a host that enforced before does so still.
fn done(steps: &[Step]) -> &'static str {
    let of = |state| steps.iter().any(|step| step.name == StepName::Enforce && step.state == state);
    match (of(StepState::LeftOut), of(StepState::Done)) {
        (false, _) => "enforced",
        (true, false) => "shown the certificate, and not enforced",
        (true, true) => "shown the certificate, and not all of them enforced",
    }
}

/// The worst that happened.
pub(super) fn came_to(errors: &[RolloutError]) -> Ended {
    let of = |error: &RolloutError| match error {
        RolloutError::TimedOut { step: StepName::Seen | StepName::Unseen | StepName::Enforce, .. } => Ended::NotReady,
        RolloutError::Cloudflare(error) => by_cloudflare(error),
        RolloutError::TimedOut { .. }
        | RolloutError::Origin(_)
        | RolloutError::Journal(_)
        | RolloutError::GaveUp { .. }
        | RolloutError::Unsafe { .. } => Ended::Failed,
    };
    let all: Vec<_> = errors.iter().map(of).collect();
    let worst_first = [Ended::Refused, Ended::Failed, Ended::NotReady];
    worst_first.into_iter().find(|ended| all.contains(ended)).unwrap_or(Ended::Done)
}

pub(super) fn spoken(error: RolloutError) -> String {
    let error = anyhow::Error::from(error);
    let advice = advice(&error);
    again::completed(&format!("{:#}{advice}", next_step::told(error)))
}

fn print(planned: Planned<'_>, ended: &'static str, errors: Vec<String>) -> anyhow::Result<()> {
    let report = Report { planned, ended, errors };
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?)
}
