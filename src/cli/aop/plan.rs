//! `originlock aop plan`: what is, what will be, and why. Nothing is changed.

use std::io::{self, Write};

use serde::Serialize;

use super::origin::RunningProxy;
use super::render;
use super::state;
use super::wanted::WantedArguments;
use super::whom::Whom;
use crate::cli::admin::Right;
use crate::cli::again;
use crate::cli::paper::{BOLD, DIM, Paper};
use crate::cli::{Ended, OutputFormat};
use crate::clock::Clock;
use crate::cloudflare::Cloudflare;
use crate::rollout::desired::Desired;
use crate::rollout::error::RolloutError;
use crate::rollout::journal::Journal;
use crate::rollout::observed::{Observed, Sources};
use crate::rollout::plan::{self, Done, short};
use crate::rollout::preflight::{self, NEVER_FORCED, Preflight};
use crate::rollout::step::{Check, Step};

const EXAMPLE: &str = "\
Permissions of the token: Zone > Zone > Read, Zone > SSL and Certificates > Edit, Zone > Zone Settings > Edit, Zone > DNS >
Read, Zone > Config Rules > Read; `plan` does with Read everywhere. At --level zone and hostname either --certificate with
--key is required, or --issue with --ca-certificate and --ca-key.

Example:
  originlock aop plan shop.example.com -c originlock.toml --api-token-file cloudflare.token \\
    --certificate origin-pull.pem --key origin-pull.key";

/// Show what `apply` would do, and what stands in its way: exit code 1 if something does
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) wanted: WantedArguments,
}

/// A plan and what came before it.
#[derive(Serialize)]
pub(super) struct Planned<'a> {
    pub(super) zone: Option<&'a str>,
    /// Which proxy and which zone, of which account, at which API.
    pub(super) whom: String,
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
    /// What is about to be changed.
    pub(super) whom: Whom,
    /// Empty where it could not be read, or where that is not worth while.
    pub(super) steps: Vec<Step>,
}

pub(super) fn run(arguments: &PlanArguments) -> anyhow::Result<Ended> {
    let wanted = &arguments.wanted;
    let (desired, found) = wanted.desired(Clock::System.now())?;
    // Who may only look can plan, too.
    let proxy = wanted.origin.find(Right::Change).or_else(|_| wanted.origin.find(Right::Read))?;
    let mut before = Before::look(wanted, desired, proxy)?;
    if let Some(told) = found.and_then(|found| found.to_be_issued()) {
        before.tell_without_fingerprint(&told);
    }
    before.print(wanted.output)?;
    if wanted.output == OutputFormat::Text && before.preflight.is_passed() && before.steps.iter().any(render::changes) {
        // On a line of its own, however long it is: it is there to be pasted.
        println!("\nTo do it:\n  {}", again::with_verb("apply"));
    }
    Ok(before.ended())
}

impl Before {
    pub(super) fn look(wanted: &WantedArguments, desired: Desired, proxy: RunningProxy) -> anyhow::Result<Self> {
        let cloudflare = wanted.cloudflare.cloudflare()?;
        let folder = state::folder(wanted.state.as_deref())?;
        let zone = wanted.cloudflare.zone.as_deref();
        let entries = |zone: &crate::cloudflare::Zone| Journal::peek(&folder, &zone.id);
        let mut preflight = preflight::look(&cloudflare, &proxy, &desired, zone, entries, Clock::System.now());
        for check in &mut preflight.checks {
            check.next_step = again::completed(&check.next_step);
        }
        let whom = Whom::new(&proxy, &wanted.cloudflare, preflight.zone.as_ref());
        let steps = match &preflight.zone {
            Some(zone) => {
                let entries = Journal::peek(&folder, &zone.id);
                let sources = Sources { cloudflare: &cloudflare, origin: &proxy, zone, entries: entries.as_ref() };
                steps(sources, &desired, &preflight)?
            }
            None => Vec::new(),
        };
        Ok(Self { cloudflare, proxy, desired, preflight, whom, steps })
    }

    /// A certificate that will be made later has another fingerprint then. `told`: what is said instead.
    pub(super) fn tell_without_fingerprint(&mut self, told: &str) {
        let Some(leaf) = &self.desired.leaf else { return };
        let short = short(leaf.sha256());
        for step in &mut self.steps {
            for text in [&mut step.is, &mut step.will_be] {
                *text = text.replace(&short, told);
            }
        }
        for check in &mut self.preflight.checks {
            check.found = check.found.replace(&short, &format!("one {told}"));
        }
    }

    pub(super) fn planned(&self) -> Planned<'_> {
        Planned {
            zone: self.preflight.zone.as_ref().map(|zone| zone.name.as_str()),
            whom: self.whom.to_string(),
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
        let mut text = paper.paragraph("", &self.whom.to_string());
        text += &render::checks(paper, &self.preflight.checks);
        if !self.preflight.is_passed() {
            // What stands in the way is what there is to read, and the end is what stays on the screen.
            return text + "\n" + &self.in_the_way(paper);
        }
        text += "\n";
        text += &render::steps(paper, &self.steps);
        let proves = format!("In the end an admitted handshake proves {}.", self.desired.level.proves());
        text += &paper.paint(DIM, &paper.paragraph("  ", &proves));
        if !self.steps.iter().any(render::changes) {
            text += "\nNothing is to be changed.\n";
        }
        text
    }

    fn in_the_way(&self, paper: Paper) -> String {
        let failed: Vec<_> = self.preflight.failed().cloned().collect();
        let mut text = paper.paint(BOLD, "In the way") + "\n";
        text += &render::lines(paper, &failed);
        text += "\n";
        let mut words: Vec<_> = failed.iter().filter_map(|check| self.overruled(check)).collect();
        words.dedup();
        let rest = match words.is_empty() {
            true => String::new(),
            false => format!(" Of them these can be overruled, one by one: {}", words.join(", ")),
        };
        text + &paper.paragraph("", &format!("Nothing is changed before these checks hold.{rest}"))
    }

    /// What is written to go on all the same; `None`: nothing could be done even if nobody minded the check.
    fn overruled(&self, check: &Check) -> Option<String> {
        match check.name {
            "replaces" => Some(format!("--replace for {}", check.subject)),
            name if NEVER_FORCED.contains(&name) => None,
            "token" | "zone" if self.preflight.zone.is_none() => None,
            // Of an origin that does not answer, or does not have the hostname, nothing is known.
            "origin" => None,
            name if check.subject.is_empty() => Some(format!("--force {name}")),
            name => Some(format!("--force {name}={}", check.subject)),
        }
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
