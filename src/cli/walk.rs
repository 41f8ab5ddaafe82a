//! `originlock enforce`, `observe`, `confirm` and `reload`: what changes a running proxy.

mod by_hand;
mod edge;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::admin::{Admin, AdminArguments, Right};
use super::judged::Judged;
use super::paper::{BOLD, DIM, GREEN, Paper, RED, YELLOW};
use super::{Ended, OutputFormat, duration, next_step};
use crate::config::{edit, file};
use crate::evidence::report::{CheckReport, ModeReport, ModeRequest, ProblemReport};
use crate::policy::client_auth::Mode;
use crate::remote::admin::AdminError;
use crate::telemetry::escape::harmless;

/// Which host.
#[derive(Debug, clap::Args)]
pub(super) struct HostArguments {
    /// Any of the host's names, as configured; all its names change together
    #[arg(value_name = "HOST")]
    name: String,
    #[command(flatten)]
    pub(super) admin: AdminArguments,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Let only those in whose certificate verifies: refused unless the host is ready
#[derive(Debug, clap::Args)]
pub(super) struct EnforceArguments {
    #[command(flatten)]
    pub(super) host: HostArguments,
    /// Although the host is not ready: whoever does not verify is cut off. Logged
    #[arg(long)]
    force: bool,
    /// Judge whether it is ready over this time instead of the longer one that is configured: 30m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    window: Option<Duration>,
    /// Only print the change, for files under other management; with -c, of that file, and nobody is asked
    #[arg(long)]
    print: bool,
    /// Fall back to observe, which lets everyone in, unless `originlock confirm` comes within this time (10m, 1h), or as
    /// soon as handshakes from Cloudflare are refused
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "print")]
    confirm_within: Option<Duration>,
    /// A client certificate such as Cloudflare's edge has, to be let in with afterwards
    #[arg(long, value_name = "FILE", requires = "edge_key")]
    edge_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "edge_certificate")]
    edge_key: Option<PathBuf>,
}

/// Let everyone in, and record who enforce would refuse
#[derive(Debug, clap::Args)]
pub(super) struct ObserveArguments {
    #[command(flatten)]
    pub(super) host: HostArguments,
    /// Only print the change, for files under other management; with -c, of that file, and nobody is asked
    #[arg(long)]
    print: bool,
}

/// Have an enforce stay that would fall back
#[derive(Debug, clap::Args)]
pub(super) struct ConfirmArguments {
    #[command(flatten)]
    pub(super) host: HostArguments,
}

/// Have the configuration read again, and say what came of it
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArguments {
    #[command(flatten)]
    pub(super) admin: AdminArguments,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) fn enforce(arguments: &EnforceArguments) -> anyhow::Result<Ended> {
    let EnforceArguments { host, force, window, print, confirm_within, edge_certificate, edge_key } = arguments;
    // Before anything is changed.
    let edge =
        edge_certificate.as_ref().zip(edge_key.as_ref()).map(|(chain, key)| edge::read(chain, key)).transpose()?;
    let request = ModeRequest {
        mode: Mode::Enforce,
        force: *force,
        dry_run: *print,
        confirm_within_seconds: confirm_within.map(|within| within.as_secs()),
        window_seconds: window.map(|window| window.as_secs()),
    };
    change(host, &request, edge.as_ref())
}

pub(super) fn observe(arguments: &ObserveArguments) -> anyhow::Result<Ended> {
    let ObserveArguments { host, print } = arguments;
    let request = ModeRequest {
        mode: Mode::Observe,
        force: false,
        dry_run: *print,
        confirm_within_seconds: None,
        window_seconds: None,
    };
    change(host, &request, None)
}

pub(super) fn confirm(arguments: &ConfirmArguments) -> anyhow::Result<Ended> {
    let HostArguments { name, admin, output } = &arguments.host;
    let asked = ask(&admin.find(Right::Change)?, |client| client.confirm(name))?;
    let Asked::Told(report) = asked else { return asked.refused(*output) };
    let mut out = io::stdout().lock();
    match output {
        OutputFormat::Text => {
            let paper = Paper::of_stdout();
            let sentence = format!("{} is enforced, and stays so", report.names.join(", "));
            write!(out, "{}", line(paper, true, &sentence))?;
        }
        OutputFormat::Json => print_json(&mut out, &report)?,
    }
    Ok(Ended::Done)
}

pub(super) fn reload(arguments: &ReloadArguments) -> anyhow::Result<Ended> {
    let asked = ask(&arguments.admin.find(Right::Change)?, |client| client.reload())?;
    let Asked::Told(report) = asked else { return asked.refused(arguments.output) };
    let mut out = io::stdout().lock();
    match arguments.output {
        OutputFormat::Text => {
            let paper = Paper::of_stdout();
            let sentence = format!("reloaded: configuration number {} is in force", report.generation);
            write!(out, "{}", line(paper, true, &sentence))?;
            for warning in &report.warnings {
                write!(out, "{}", warned(paper, warning))?;
            }
        }
        OutputFormat::Json => print_json(&mut out, &report)?,
    }
    Ok(Ended::Done)
}

fn change(host: &HostArguments, request: &ModeRequest, edge: Option<&edge::Edge>) -> anyhow::Result<Ended> {
    let HostArguments { name, admin, output } = host;
    if let Some(path) = admin.config.as_ref().filter(|_| request.dry_run) {
        return print_offline(path, name, request.mode);
    }
    let (own_config, again) = (admin.config_path(), admin.again().to_string());
    let admin = admin.find(Right::Change)?;
    let asked = set_mode(&admin, own_config, name, request)?;
    if let Asked::Refused(problem) = &asked
        && problem.kind == "not_ready"
        && *output == OutputFormat::Text
    {
        return not_ready(&admin, name, request, problem);
    }
    let Asked::Told(mut report) = asked else { return asked.refused(*output) };
    if let Some(edge) = edge {
        report.checks.extend(edge::connect(&admin, edge, &report)?);
    }
    let mut out = io::stdout().lock();
    match output {
        OutputFormat::Text if request.dry_run => write!(out, "{}", shown(&report.diff))?,
        OutputFormat::Text => write!(out, "{}", told(Paper::of_stdout(), &report, &again))?,
        OutputFormat::Json => print_json(&mut out, &report)?,
    }
    Ok(match report.checks.iter().any(CheckReport::failed) {
        true => Ended::Failed,
        false => Ended::Done,
    })
}

/// Moves a host to another mode. Where the proxy may not write its configuration, whoever calls writes it.
pub(super) fn set_mode(
    admin: &Admin,
    own_config: &Path,
    name: &str,
    request: &ModeRequest,
) -> anyhow::Result<Asked<ModeReport>> {
    let asked = ask(admin, |client| client.set_mode(name, request))?;
    match &asked {
        // A proxy that cannot write could not take it back, either.
        Asked::Refused(problem) if problem.kind == "not_writable" && request.confirm_within_seconds.is_none() => {
            by_hand::change(admin, own_config, name, request, problem)
        }
        Asked::Refused(_) | Asked::Told(_) => Ok(asked),
    }
}

/// An answer, or a refusal with its reasons.
pub(super) enum Asked<T> {
    Told(T),
    Refused(Box<ProblemReport>),
}

fn ask<T>(
    admin: &Admin,
    question: impl FnOnce(&crate::remote::admin::AdminClient) -> Result<T, AdminError>,
) -> anyhow::Result<Asked<T>> {
    match admin.ask(question) {
        Ok(told) => Ok(Asked::Told(told)),
        Err(error) => match error.downcast::<AdminError>() {
            Ok(AdminError::Problem(problem)) => Ok(Asked::Refused(problem)),
            Ok(error) => Err(error.into()),
            Err(error) => Err(error),
        },
    }
}

impl<T> Asked<T> {
    /// Says why nothing was done.
    fn refused(self, output: OutputFormat) -> anyhow::Result<Ended> {
        let Self::Refused(problem) = self else { return Ok(Ended::Done) };
        match output {
            OutputFormat::Json => print_json(&mut io::stdout().lock(), &problem)?,
            OutputFormat::Text => {
                eprint!("originlock: {}", explained(&problem));
                if let Some(diff) = &problem.diff {
                    write!(io::stdout(), "{}", shown(diff))?;
                }
            }
        }
        Ok(match problem.kind.as_str() {
            "not_ready" => Ended::NotReady,
            "bad_configuration" => Ended::BadConfiguration,
            _ => Ended::Failed,
        })
    }
}

/// Title, detail and next step, a line each.
fn explained(problem: &ProblemReport) -> String {
    let mut text = format!("{}\n", harmless(problem.title.trim_end_matches('.')));
    let next_step = next_step::of(problem);
    for part in problem.detail.lines().chain(next_step.iter().flat_map(|next_step| next_step.lines())) {
        text += &format!("  {}\n", harmless(part));
    }
    text
}

/// What is missing, as `originlock ready` says it.
fn not_ready(admin: &Admin, name: &str, request: &ModeRequest, problem: &ProblemReport) -> anyhow::Result<Ended> {
    let window = request.window_seconds.map(Duration::from_secs);
    let detail = admin.ask(|client| client.host(name, window))?;
    let paper = Paper::of_stdout();
    let mut out = io::stdout().lock();
    let first_name = detail.host.name.clone();
    write!(out, "{}", Judged(detail.host).told(paper))?;
    if let Some(next_step) = next_step::of(problem) {
        write!(out, "{}", paper.paragraph("  ", &next_step.replace("HOST", &first_name)))?;
    }
    Ok(Ended::NotReady)
}

/// The change of a file that no proxy is asked about.
fn print_offline(path: &Path, name: &str, mode: Mode) -> anyhow::Result<Ended> {
    let loaded = match file::load(path) {
        Ok(loaded) => loaded,
        Err(problems) => {
            super::output::problems(&problems, OutputFormat::Text);
            return Ok(Ended::BadConfiguration);
        }
    };
    let host = loaded
        .config
        .host(name)
        .with_context(|| format!("no host of {} has the name `{}`", path.display(), harmless(name)))?;
    let edited = edit::set_mode(&loaded.config, host, mode).map_err(|error| by_hand::with_remedy(&error))?;
    write!(io::stdout(), "{}", edited.diff)?;
    Ok(Ended::Done)
}

fn told(paper: Paper, report: &ModeReport, again: &str) -> String {
    let ModeReport { names, from, to, source, applied, forced, readiness, checks, confirm_by, .. } = report;
    let walk = match (from == to, to) {
        (true, Mode::Off) => "is off already".to_owned(),
        (true, Mode::Observe) => "is observed already".to_owned(),
        (true, Mode::Enforce) => "is enforced already".to_owned(),
        (false, _) => format!("{} → {}", from.label(), to.label()),
    };
    let mut text = format!("{}  {walk}\n", paper.paint(BOLD, &harmless(&names.join(", "))));
    if *to == Mode::Enforce {
        match (forced, readiness.ready) {
            (true, _) => text += &warned(paper, "enforced by force: it is not ready"),
            (false, true) => text += &line(paper, true, "ready"),
            // It was so before anybody asked for evidence.
            (false, false) => {}
        }
        let shortfalls = readiness.shortfalls.iter().map(|shortfall| &shortfall.sentence);
        for sentence in shortfalls.chain(&readiness.notices) {
            text += &warned(paper, sentence);
        }
    }
    if *applied {
        text += &line(paper, true, &format!("changed {}, line {}", source.file, source.line));
        text += &line(paper, true, "reloaded");
    }
    for check in checks {
        text += &match check.passed {
            Some(true) => line(paper, true, &format!("{}: {}", check.what, check.got)),
            Some(false) => line(paper, false, &format!("{}: {} instead of {}", check.what, check.got, check.expected)),
            None => undecided(paper, &format!("{}: {}", check.what, check.got)),
        };
    }
    if let Some(by) = confirm_by {
        text += &warned(paper, &format!("falls back to observe at {by}, unless:"));
        // On a line of its own, to be copied.
        text += &format!("      originlock confirm {}{again}\n", harmless(&report.host));
    }
    if checks.iter().any(CheckReport::failed) {
        text += &paper.paint(DIM, "  the mode is as asked for, but not everything is as it should be\n");
    }
    text
}

/// A diff that `patch` takes; nothing in it moves the cursor, and whoever wrote it may be another than the proxy.
fn shown(diff: &str) -> String {
    let harmful = |c: char| !matches!(c, '\n' | '\t' | '\r') && harmless(c.encode_utf8(&mut [0; 4])) != c.to_string();
    diff.chars().map(|c| if harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn line(paper: Paper, good: bool, sentence: &str) -> String {
    let mark = if good { paper.paint(GREEN, "✓") } else { paper.paint(RED, "✗") };
    format!("  {mark} {}", paper.paragraph("    ", sentence).trim_start())
}

/// Neither good nor bad so far.
fn undecided(paper: Paper, sentence: &str) -> String {
    format!("  · {}", paper.paragraph("    ", sentence).trim_start())
}

fn warned(paper: Paper, sentence: &str) -> String {
    format!("  {} {}", paper.paint(YELLOW, "!"), paper.paragraph("    ", sentence).trim_start())
}

fn print_json(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(value)?)?)
}
