//! `originlock aop status`: the three levels, what edges present, what the origin saw, and where they part.

use std::io::{self, Write};

use serde::Serialize;

use super::CloudflareArguments;
use super::origin::{OriginArguments, RunningProxy};
use super::way::hostnames;
use crate::cli::admin::Right;
use crate::cli::again::{self, Again, Options};
use crate::cli::paper::{Align, BOLD, Cell, DIM, GREEN, Paper, RED, Table, YELLOW, moment};
use crate::cli::{Ended, OutputFormat};
use crate::clock::{Clock, Timestamp};
use crate::evidence::report::{FindingReport, FindingWeight};
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::remote::admin::AdminError;
use crate::rollout::drift::{self, AtOrigin, FindingKind, HostFacts, ZoneFacts};
use crate::rollout::preflight;
use crate::rollout::seen::Host;
use crate::telemetry::escape::harmless;

const EXAMPLE: &str = "\
Example:
  originlock aop status --zone example.com -c originlock.toml --api-token-file cloudflare.token";

/// Show the three levels side by side with what edges present and the origin saw: exit code 4 where they part
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct StatusArguments {
    /// Hostnames [default: all of the zone that have an association, or a host at the origin]
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    cloudflare: CloudflareArguments,
    #[command(flatten)]
    origin: OriginArguments,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Everything that could be learned.
#[derive(Default, Serialize)]
struct Status {
    zone: Option<String>,
    /// Why Cloudflare could not be asked.
    cloudflare_error: Option<String>,
    /// Why the origin could not be asked.
    origin_error: Option<String>,
    /// `tls_client_auth`; `null`: not known.
    global_level: Option<bool>,
    zone_level: Option<bool>,
    hosts: Vec<HostStatus>,
    findings: Vec<FindingReport>,
}

/// One hostname on both sides.
#[derive(Serialize)]
struct HostStatus {
    host: String,
    /// As the API has it, `none` or `not known`.
    association: String,
    /// The level whose certificate edges present; `null`: none.
    presents: Option<&'static str>,
    certificate: Option<String>,
    sha256: Option<String>,
    expires_on: Option<Timestamp>,
    /// `null`: the origin does not have it, or was not asked.
    mode: Option<Mode>,
    /// What edges presented, the latest first.
    seen: Vec<SeenStatus>,
}

#[derive(Serialize)]
struct SeenStatus {
    sha256: String,
    verdict: &'static str,
    last_seen: Timestamp,
    handshakes: u64,
}

impl StatusArguments {
    pub(super) fn again(&self) -> Again {
        // Which certificate was shown is not known here.
        let file = Some("FILE".to_owned());
        let leaf = Options::given([("--certificate", file.clone()), ("--key", file)]);
        self.origin.again(Again { hosts: self.hosts.clone(), leaf, ..self.cloudflare.again() })
    }
}

pub(super) fn run(arguments: &StatusArguments) -> anyhow::Result<Ended> {
    let proxy = arguments.origin.find(Right::Read);
    let mut ended = Ended::Done;
    let mut status = match at_cloudflare(arguments, proxy.as_ref().ok()) {
        Ok(status) => status,
        Err(error) => {
            ended = super::ended(&error);
            let text = again::completed(&format!("{error:#}{}", super::advice(&error)));
            let mut status = at_origin_alone(arguments, proxy.as_ref().ok());
            status.cloudflare_error = Some(text);
            status
        }
    };
    if let Err(error) = proxy {
        status.origin_error = Some(format!("{error:#}"));
    }
    status.findings.iter_mut().for_each(|finding| finding.next_step = again::completed(&finding.next_step));
    let drifts = |finding: &FindingReport| {
        finding.weight == FindingWeight::Alarm || FindingKind::parse(&finding.kind).is_none_or(FindingKind::is_drift)
    };
    let ended = match ended {
        Ended::Done if status.origin_error.is_some() => Ended::Failed,
        Ended::Done if status.findings.iter().any(drifts) => Ended::Drift,
        ended => ended,
    };
    let mut out = io::stdout().lock();
    match arguments.output {
        OutputFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?,
        OutputFormat::Text => write!(out, "{}", told(Paper::of_stdout(), &status))?,
    }
    Ok(ended)
}

fn at_cloudflare(arguments: &StatusArguments, proxy: Option<&RunningProxy>) -> anyhow::Result<Status> {
    let named = hostnames(&arguments.hosts)?;
    let cloudflare = arguments.cloudflare.cloudflare()?;
    let zone = match (&arguments.cloudflare.zone, named.first()) {
        (Some(zone), _) => cloudflare.zone_called(zone)?,
        (None, Some(hostname)) => cloudflare.zone_of(hostname)?,
        (None, None) => anyhow::bail!("which zone? Name it with --zone, or name a hostname of it"),
    };
    let mut facts = ZoneFacts::read(&cloudflare, zone)?;
    let names = if named.is_empty() { known(&facts, proxy) } else { named };
    let mut hosts = Vec::new();
    let mut origin_error = None;
    for hostname in &names {
        let mut host = HostFacts::read(&cloudflare, &mut facts, hostname)?;
        if let Some(proxy) = proxy
            && let Err(error) = host.ask(proxy, &facts)
        {
            origin_error = Some(format!("{error}"));
        }
        hosts.push(host);
    }
    Ok(Status {
        zone: Some(facts.zone.name.clone()),
        cloudflare_error: None,
        origin_error,
        global_level: facts.tls_client_auth,
        zone_level: Some(facts.zone_level),
        hosts: hosts.iter().map(|host| HostStatus::of(&facts, host)).collect(),
        findings: drift::findings(&facts, &hosts, Clock::System.now()),
    })
}

/// What the origin alone tells.
fn at_origin_alone(arguments: &StatusArguments, proxy: Option<&RunningProxy>) -> Status {
    let Some(proxy) = proxy else { return Status::default() };
    let named = hostnames(&arguments.hosts).unwrap_or_default();
    let names = if named.is_empty() { at_origin(proxy) } else { named };
    let ask = |hostname: &Hostname| -> Result<Option<AtOrigin>, AdminError> {
        Ok(Host::find(proxy, hostname)?.as_ref().map(AtOrigin::of))
    };
    let hosts = names.iter().map(|hostname| HostStatus::unknown(hostname, ask(hostname).ok().flatten().as_ref()));
    Status { hosts: hosts.collect(), ..Status::default() }
}

/// All hostnames of the zone that either side has.
fn known(facts: &ZoneFacts, proxy: Option<&RunningProxy>) -> Vec<Hostname> {
    let associated = facts.associations.iter().flatten().filter(|association| association.enabled.is_some());
    let mut names: Vec<_> = associated.filter_map(|association| Hostname::parse(&association.hostname).ok()).collect();
    let of_origin = proxy.map(at_origin).unwrap_or_default();
    names.extend(of_origin.into_iter().filter(|name| preflight::is_within(name.as_str(), &facts.zone.name)));
    names.sort();
    names.dedup();
    names
}

/// Names without a wildcard: those stand for hostnames that nobody named.
fn at_origin(proxy: &RunningProxy) -> Vec<Hostname> {
    let hosts = proxy.hosts().map(|report| report.hosts).unwrap_or_default();
    hosts.iter().flat_map(|host| &host.names).filter_map(|name| Hostname::parse(name).ok()).collect()
}

impl HostStatus {
    fn of(facts: &ZoneFacts, host: &HostFacts) -> Self {
        let presented = host.presented(facts);
        let certificate = presented.certificate();
        let association = match &host.association {
            None => "none".to_owned(),
            Some(association) => {
                let enabled = match association.enabled {
                    Some(true) => "enabled",
                    Some(false) => "disabled",
                    None => "void",
                };
                format!("{enabled}, {}", association.status)
            }
        };
        let mut status = Self::unknown(&host.hostname, host.origin.as_ref());
        status.association = association;
        status.presents = presented.level().map(|level| level.label());
        status.certificate = certificate.map(|certificate| certificate.id.to_string());
        status.sha256 = certificate.and_then(|certificate| Some(certificate.sha256?.to_string()));
        status.expires_on = certificate.and_then(|certificate| certificate.expires_on);
        status
    }

    /// Where Cloudflare did not tell.
    fn unknown(hostname: &Hostname, origin: Option<&AtOrigin>) -> Self {
        let seen = origin.iter().flat_map(|origin| &origin.seen).map(|seen| SeenStatus {
            sha256: seen.sha256.to_string(),
            verdict: seen.reason.label(),
            last_seen: seen.last_seen,
            handshakes: seen.handshakes,
        });
        Self {
            host: hostname.to_string(),
            association: "not known".to_owned(),
            presents: None,
            certificate: None,
            sha256: None,
            expires_on: None,
            mode: origin.map(|origin| origin.mode),
            seen: seen.collect(),
        }
    }
}

fn told(paper: Paper, status: &Status) -> String {
    let mut text = String::new();
    for (whom, error) in [("Cloudflare", &status.cloudflare_error), ("the origin", &status.origin_error)] {
        if let Some(error) = error {
            let lines: Vec<_> = error.lines().map(harmless).collect();
            text += &format!("{} {whom} could not be asked: {}\n", paper.paint(RED, "✗"), lines.join("\n"));
        }
    }
    if let Some(zone) = &status.zone {
        let on = |on: Option<bool>| on.map_or("not known", |on| if on { "on" } else { "off" });
        text += &format!(
            "{}  zone-level {}, global (tls_client_auth) {}\n\n",
            paper.paint(BOLD, &harmless(zone)),
            on(status.zone_level),
            on(status.global_level)
        );
    }
    text += &table(status).render(paper);
    if !status.findings.is_empty() {
        text += &format!("\n{}\n", paper.paint(BOLD, "Findings"));
    }
    for finding in &status.findings {
        let mark = match finding.weight {
            FindingWeight::Alarm => paper.paint(RED, "✗"),
            FindingWeight::Warning => paper.paint(YELLOW, "!"),
        };
        let sentence = format!("{}: {}", finding.kind, finding.sentence);
        text += &format!("  {mark} {}", paper.paragraph("    ", &sentence).trim_start());
        text += &paper.paint(DIM, &paper.paragraph("    → ", &finding.next_step));
    }
    if status.findings.is_empty() && status.cloudflare_error.is_none() && status.origin_error.is_none() {
        text += &format!("\n{} nothing that does not fit\n", paper.paint(GREEN, "✓"));
    }
    text
}

fn table(status: &Status) -> Table {
    let heads = ["HOST", "ASSOCIATION", "EDGES SHOW", "CERTIFICATE", "ENDS", "ORIGIN", "SAW LAST"];
    let mut table = Table::new(&heads.map(|head| (head, Align::Left)));
    let short = |sha256: &str| sha256.get(..12).unwrap_or(sha256).to_owned();
    for host in &status.hosts {
        let not_known = host.association == "not known";
        let presents = match host.presents {
            Some(level) => Cell::new(format!("{level} level")),
            None if not_known => Cell::new("not known"),
            None => Cell::painted("none", YELLOW),
        };
        let seen = host.seen.first().map(|seen| {
            let colour = if seen.verdict == "verified" { GREEN } else { RED };
            Cell::painted(format!("{} {} {}", short(&seen.sha256), seen.verdict, moment(seen.last_seen)), colour)
        });
        table.push(vec![
            Cell::new(&host.host),
            Cell::new(&host.association),
            presents,
            Cell::new(host.sha256.as_deref().map_or_else(|| "-".to_owned(), short)),
            Cell::new(host.expires_on.map_or_else(|| "-".to_owned(), |at| moment(at).chars().take(10).collect())),
            Cell::new(host.mode.map_or("-", Mode::label)),
            seen.unwrap_or_else(|| Cell::new("nothing")),
        ]);
    }
    table
}
