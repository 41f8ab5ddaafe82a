//! `originlock explain`: why handshakes fail, and what to do about it.

use std::io::{self, Write};

use serde::Serialize;

use super::admin::{AdminArguments, Right};
use super::paper::{self, Align, BOLD, Cell, DIM, Paper, RED, Table, YELLOW};
use super::{Ended, OutputFormat};
use crate::evidence::network::Network;
use crate::evidence::report::{FailureExample, FailureReport, OutsiderReport};
use crate::evidence::wording;
use crate::telemetry::escape::harmless;

/// Why handshakes fail: cause and next step by kind, with the certificates that were shown
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// Any of a host's configured names; with it, also who reaches the host around Cloudflare [default: all hosts]
    #[arg(value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    pub(super) admin: AdminArguments,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Serialize)]
struct Report {
    failures: Vec<FailureReport>,
    /// Of one host only.
    outsiders: Option<Vec<OutsiderReport>>,
}

pub(super) fn run(arguments: &ExplainArguments) -> anyhow::Result<Ended> {
    let admin = arguments.admin.find(Right::Read)?;
    let mut report = match &arguments.host {
        Some(name) => {
            let detail = admin.ask(|client| client.host(name, None))?;
            Report { failures: detail.failures, outsiders: Some(detail.outsiders) }
        }
        None => Report { failures: admin.ask(|client| client.failures(None))?.failures, outsiders: None },
    };
    // What Cloudflare's edge meets is what enforcing has to wait for; the latest stays first.
    report.failures.sort_by_key(|failure| (failure.host.clone(), failure.network != Network::Cloudflare));
    let mut out = io::stdout().lock();
    match arguments.output {
        OutputFormat::Text => write!(out, "{}", told(Paper::of_stdout(), arguments.host.as_deref(), &report))?,
        OutputFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(Ended::Done)
}

fn told(paper: Paper, host: Option<&str>, report: &Report) -> String {
    let parts: Vec<_> = report.failures.iter().map(|failure| explained(paper, failure)).collect();
    let mut text = match parts.is_empty() {
        true => format!("no handshake failed on {}\n", host.map_or("any host".into(), harmless)),
        false => parts.join("\n"),
    };
    if let Some(outsiders) = report.outsiders.as_ref().filter(|outsiders| !outsiders.is_empty()) {
        text += &format!(
            "\n{}\n",
            paper.paint(BOLD, "Who reaches it around Cloudflare without a certificate that verifies")
        );
        text += &table(outsiders).render(paper);
    }
    text
}

fn explained(paper: Paper, failure: &FailureReport) -> String {
    let (network, colour) = match failure.network {
        Network::Cloudflare => ("from Cloudflare", RED),
        Network::Elsewhere => ("from elsewhere", YELLOW),
    };
    let count = wording::count(failure.handshakes, "handshake");
    let mut text = format!(
        "{}  {}  {count} {network}\n",
        paper.paint(BOLD, &harmless(&failure.host)),
        paper.paint(colour, failure.reason.label()),
    );
    text += &paper.paragraph("  ", &failure.cause);
    text += &paper.paragraph("  Next: ", &failure.next_step);
    text += &example(paper, "first", &failure.first);
    if failure.last != failure.first {
        text += &example(paper, "last", &failure.last);
    }
    text
}

fn example(paper: Paper, which: &str, example: &FailureExample) -> String {
    let mut line = format!("{} from {}", paper::moment(example.at), example.client_address);
    if let Some(name) = &example.server_name {
        line += &format!(" for {name}");
    }
    let mut text = dimmed(paper, &format!("  {which:<5}  "), &line);
    if let Some(leaf) = &example.certificate {
        text += &dimmed(paper, "         ", &format!("{}, until {}", leaf.subject, paper::moment(leaf.not_after)));
        text += &dimmed(paper, "         ", &format!("issued by {}", leaf.issuer));
        text += &dimmed(paper, "         ", &format!("sha256 {}", leaf.sha256));
        if let Some(known) = &leaf.known_as {
            text += &dimmed(paper, "         ", &format!("known as {known}"));
        }
    }
    text
}

/// Behind the colour the text is escaped, so that nothing in it ends the colour.
fn dimmed(paper: Paper, lead: &str, text: &str) -> String {
    let paragraph = paper.paragraph(lead, text);
    let lines = paragraph.lines().map(|line| paper.paint(DIM, line) + "\n");
    lines.collect()
}

fn table(outsiders: &[OutsiderReport]) -> Table {
    let mut table = Table::new(&[
        ("NETWORK", Align::Left),
        ("HANDSHAKES", Align::Right),
        ("REQUESTS", Align::Right),
        ("LAST", Align::Left),
        ("REASON", Align::Left),
        ("PATH", Align::Left),
        ("USER AGENT", Align::Left),
    ]);
    for outsider in outsiders {
        let OutsiderReport { network, handshakes, requests, last_seen, reason, path, user_agent, .. } = outsider;
        table.push(vec![
            Cell::new(network),
            Cell::new(handshakes.to_string()),
            Cell::new(requests.to_string()),
            Cell::new(paper::moment(*last_seen)),
            Cell::new(reason.label()),
            Cell::new(path.as_deref().unwrap_or("-")),
            Cell::new(user_agent.as_deref().unwrap_or("-")),
        ]);
    }
    table
}
