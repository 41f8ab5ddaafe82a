//! `originlock status`: all hosts at a glance.

use std::io::{self, Write};

use serde::Serialize;

use super::admin::AdminArguments;
use super::fleet::{FleetArguments, Source};
use super::judged::Judged;
use super::paper::{Align, BOLD, Cell, DIM, Paper, RED, Table, YELLOW};
use super::{Ended, OutputFormat, duration};
use crate::clock::{Clock, Timestamp};
use crate::evidence::report::StatusReport;
use crate::evidence::wording;
use crate::policy::client_auth::Mode;
use crate::telemetry::escape::harmless;

/// Show every host: its mode, what Cloudflare's handshakes came to, and what is missing before it can be enforced
#[derive(Debug, clap::Args)]
pub(super) struct StatusArguments {
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
    /// `None` of a fleet.
    process: Option<&'a StatusReport>,
    hosts: &'a [Judged],
}

pub(super) fn run(arguments: &StatusArguments) -> anyhow::Result<Ended> {
    let source = Source::find(&arguments.admin, &arguments.fleet)?;
    let process = source.process()?;
    let hosts = source.all_hosts()?;
    let mut out = io::stdout().lock();
    match arguments.output {
        OutputFormat::Text => {
            let now = process.as_ref().map_or_else(|| Clock::System.now(), |process| process.at);
            write!(out, "{}", told(Paper::of_stdout(), now, process.as_ref(), &hosts))?;
        }
        OutputFormat::Json => {
            let report = Report { process: process.as_ref(), hosts: &hosts };
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        }
    }
    Ok(Ended::Done)
}

fn told(paper: Paper, now: Timestamp, process: Option<&StatusReport>, hosts: &[Judged]) -> String {
    let mut text = table(now, hosts).render(paper);
    for host in hosts.iter().filter(|host| host.0.mode != Mode::Off) {
        let reasons = host.at_a_glance(paper);
        if !reasons.is_empty() {
            text += &format!("\n{}\n{reasons}", paper.paint(BOLD, &harmless(&host.0.name)));
        }
    }
    if let Some(process) = process {
        for unknown in &process.unknown_names {
            text += &paper.paragraph(
                "\n! ",
                &format!(
                    "{} from Cloudflare asked for {}, which no host is configured for; the last one {} ago",
                    wording::count(unknown.handshakes, "handshake"),
                    unknown.name,
                    duration::spoken(now.since(unknown.last_seen)),
                ),
            );
        }
        let up = duration::spoken(now.since(process.started_at));
        let line = format!("originlock {} · up {up} · configuration {}", process.version, process.generation);
        text += &format!("\n{}\n", paper.paint(DIM, &harmless(&line)));
    }
    text
}

fn table(now: Timestamp, hosts: &[Judged]) -> Table {
    let mut table = Table::new(&[
        ("HOST", Align::Left),
        ("MODE", Align::Left),
        ("VERDICT", Align::Left),
        ("VERIFIED", Align::Right),
        ("FAILED", Align::Right),
        ("EDGES", Align::Right),
        ("LAST VERIFIED", Align::Left),
        ("CERTIFICATE", Align::Left),
    ]);
    for host in hosts {
        let (verdict, colour) = host.word();
        let names = match host.0.names.len() {
            0 | 1 => host.0.name.clone(),
            names => format!("{} (+{})", host.0.name, names - 1),
        };
        let cloudflare = &host.0.evidence.cloudflare;
        let failed = match cloudflare.failing() {
            0 => Cell::new("0"),
            failed => Cell::painted(failed.to_string(), RED),
        };
        table.push(vec![
            Cell::new(names),
            Cell::new(host.0.mode.label()),
            Cell::painted(verdict, colour),
            Cell::new(cloudflare.verified.to_string()),
            failed,
            Cell::new(host.0.evidence.edge_addresses.to_string()),
            Cell::new(host.0.evidence.last_verified.map_or("-".to_owned(), |at| ago(at, now))),
            host.0.certificate_not_after.map_or(Cell::new("-"), |end| expiry(end, now)),
        ]);
    }
    table
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration::spoken(now.since(at)))
}

fn expiry(end: Timestamp, now: Timestamp) -> Cell {
    match end.since(now).as_secs() / 86_400 {
        0 if end <= now => Cell::painted("ended", RED),
        days @ 0..14 => Cell::painted(format!("{days} d left"), YELLOW),
        days => Cell::new(format!("{days} d left")),
    }
}
