//! `originlock probe`: what an attacker would try at a TLS server, hole by hole.

mod junit;

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::paper::{Align, BOLD, Cell, DIM, GREEN, Paper, RED, Table, YELLOW};
use super::{Ended, duration};
use crate::clock::Clock;
use crate::evidence::network::{Network, Networks};
use crate::hostname::Hostname;
use crate::pki::Ca;
use crate::pki::namesake::distinguished_name;
use crate::probe::battery::{self, Battery, Finding, Target, Tried};
use crate::probe::{Identity, ProbeError};
use crate::secret::Secret;
use crate::telemetry::escape::harmless;
use crate::x509::CertificateSummary;

const EXAMPLE: &str = "\
Example:
  originlock probe 203.0.113.7 --host shop.example.com --cert origin-pull.pem --key origin-pull.key";

const HTTPS: u16 = 443;
/// Certificate and key files are kilobytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Try from outside what an attacker would, at any TLS server (originlock, nginx, HAProxy, …): ends with 1 if anything
/// is not as it should be
///
/// Every attempt makes connections of its own and, where it is let in, asks for PATH. What is not given is left out, and
/// said. Keys only sign here: they are sent to nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct ProbeArguments {
    /// The origin itself, around Cloudflare: HOST, HOST:PORT, IP or IP:PORT [default port: 443]
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The hostname that is asked for
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    host: Hostname,
    /// What is asked for; best a page that answers 200 and is always the same, or one that repeats request headers
    #[arg(long, default_value = "/", value_parser = path)]
    path: String,
    /// A client certificate that NAME lets in, such as Cloudflare shows
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "The right certificate")]
    cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "The right certificate")]
    key: Option<PathBuf>,
    /// The CA that NAME trusts, to sign expired certificates and such for servers with
    #[arg(long, value_name = "FILE", requires = "ca_key", help_heading = "The CA behind it")]
    ca_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "ca_cert", help_heading = "The CA behind it")]
    ca_key: Option<PathBuf>,
    /// What that CA is called, to imitate it: "CN=origin-pull CA" [default: as in --cert, or as the server says]
    #[arg(long, value_name = "NAME", help_heading = "The CA behind it")]
    issuer: Option<String>,
    /// The host means to trust Cloudflare's shared CA (the global level), which every customer of Cloudflare's passes
    #[arg(long, help_heading = "The CA behind it")]
    shared_ca: bool,
    /// Another hostname on the same server, under another policy
    #[arg(long, value_name = "NAME", value_parser = hostname, help_heading = "Another host")]
    other_host: Option<Hostname>,
    /// A client certificate that the other host lets in, and NAME must not
    #[arg(long, value_name = "FILE", requires = "other_key", help_heading = "Another host")]
    other_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "other_cert", help_heading = "Another host")]
    other_key: Option<PathBuf>,
    /// How long each attempt may take: 10s. All of them together: ten times that
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = patience)]
    timeout: Duration,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For CI systems: JUnit's XML.
    Junit,
}

/// What was found, as a program reads it.
#[derive(Serialize)]
struct Report<'a> {
    address: SocketAddr,
    host: &'a str,
    /// SHA-256 of the certificate that the server showed.
    certificate_sha256: String,
    /// Nothing that was tried failed, and something was tried.
    holds: bool,
    attempts: Vec<AttemptReport>,
}

#[derive(Serialize)]
struct AttemptReport {
    attempt: &'static str,
    what: &'static str,
    finding: &'static str,
    detail: String,
    seconds: f64,
}

pub(super) fn run(arguments: &ProbeArguments) -> anyhow::Result<Ended> {
    if arguments.other_host.as_ref() == Some(&arguments.host) {
        bail!("--other-host is the same as --host; name another host on this server, or none");
    }
    let addresses = resolved(&arguments.address)?;
    let (address, battery) = tried(arguments, &addresses)?;
    let mut out = io::stdout().lock();
    match arguments.output {
        Format::Text => write!(out, "{}", told(Paper::of_stdout(), arguments, address, &battery))?,
        Format::Json => {
            writeln!(out, "{}", serde_json::to_string_pretty(&report(&arguments.host, address, &battery))?)?;
        }
        Format::Junit => write!(out, "{}", junit::rendered(&arguments.host, address, &battery))?,
    }
    Ok(match holds(&battery) {
        true => Ended::Done,
        false => Ended::Failed,
    })
}

/// Whether nothing failed. That nothing could be tried is no proof.
fn holds(battery: &Battery) -> bool {
    let tried = || battery.tried.iter();
    !tried().any(Tried::failed) && tried().any(|tried| tried.finding == Finding::Holds)
}

/// The first address that can be reached, as a client would choose it.
fn tried(arguments: &ProbeArguments, addresses: &[SocketAddr]) -> anyhow::Result<(SocketAddr, Battery)> {
    let mut target = target(arguments, addresses[0])?;
    for (at, address) in addresses.iter().enumerate() {
        target.address = *address;
        match battery::run(&target, arguments.timeout, Clock::System.now()) {
            Err(ProbeError::Connect { .. }) if at + 1 < addresses.len() => {}
            tried => return Ok((*address, tried?)),
        }
    }
    bail!("{} has no address", harmless(&arguments.address))
}

fn target(arguments: &ProbeArguments, address: SocketAddr) -> anyhow::Result<Target> {
    let ca = match (&arguments.ca_cert, &arguments.ca_key) {
        (Some(certificate), Some(key)) => Some(
            Ca::load(&read(certificate)?, &Secret::new(read(key)?))
                .with_context(|| format!("{} and {} cannot sign", certificate.display(), key.display()))?,
        ),
        _ => None,
    };
    Ok(Target {
        address,
        name: arguments.host.clone(),
        path: arguments.path.clone(),
        right: identity(arguments.cert.as_deref(), arguments.key.as_deref())?,
        other: arguments.other_host.clone(),
        other_identity: identity(arguments.other_cert.as_deref(), arguments.other_key.as_deref())?,
        issuer: arguments.issuer.as_deref().map(distinguished_name).transpose()?,
        ca,
        shared_ca_is_meant: arguments.shared_ca,
    })
}

fn identity(chain: Option<&Path>, key: Option<&Path>) -> anyhow::Result<Option<Identity>> {
    let Some((chain, key)) = chain.zip(key) else { return Ok(None) };
    let identity = Identity::from_pem(&read(chain)?, &Secret::new(read(key)?));
    Ok(Some(identity.with_context(|| format!("{} and {} cannot be shown", chain.display(), key.display()))?))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let length = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    if length > MAX_FILE_BYTES {
        bail!("{} is larger than any certificate or key", path.display());
    }
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Where `text` leads.
fn resolved(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let unbracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = unbracketed.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, HTTPS)]);
    }
    let with_port = if text.contains(':') { text.to_owned() } else { format!("{text}:{HTTPS}") };
    let found = with_port.to_socket_addrs().with_context(|| {
        format!("{} cannot be resolved; write HOST, HOST:PORT, IP or IP:PORT, without https://", harmless(text))
    })?;
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        bail!("{} has no address", harmless(text));
    }
    Ok(found)
}

fn hostname(text: &str) -> Result<Hostname, String> {
    Hostname::parse(text).map_err(|error| error.to_string())
}

fn path(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if fits { Ok(text.to_owned()) } else { Err("write it as /PATH, with special characters as %XX".to_owned()) }
}

fn patience(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    match time.as_secs() {
        1..=3600 => Ok(time),
        _ => Err("between 1s and 1h".to_owned()),
    }
}

fn report<'a>(host: &'a Hostname, address: SocketAddr, battery: &Battery) -> Report<'a> {
    Report {
        address,
        host: host.as_str(),
        certificate_sha256: CertificateSummary::read(&battery.certificate).fingerprint.to_string(),
        holds: holds(battery),
        attempts: battery
            .tried
            .iter()
            .map(|tried| AttemptReport {
                attempt: tried.attempt.label(),
                what: tried.attempt.what(),
                finding: tried.finding.label(),
                detail: harmless(&tried.detail).into_owned(),
                seconds: tried.took.as_secs_f64(),
            })
            .collect(),
    }
}

fn told(paper: Paper, arguments: &ProbeArguments, address: SocketAddr, battery: &Battery) -> String {
    let summary = CertificateSummary::read(&battery.certificate);
    let mut text = format!("{} at {address}\n", paper.paint(BOLD, arguments.host.as_str()));
    text += &paper.paragraph("  ", &format!("the server shows {}, sha256:{}", summary.subject(), summary.fingerprint));
    if Networks::default().of(address.ip()) == Network::Cloudflare {
        let warning = "this is an address of Cloudflare's edge, not of an origin: what follows is about Cloudflare";
        text += &paper.paragraph(&format!("  {} ", paper.paint(YELLOW, "!")), warning);
    }
    text.push('\n');
    let mut table = Table::new(&[("FINDING", Align::Left), ("ATTEMPT", Align::Left), ("WHAT HAPPENED", Align::Left)]);
    let (left_out, made): (Vec<_>, Vec<_>) = battery.tried.iter().partition(|tried| tried.finding == Finding::Skipped);
    for tried in made {
        table.push(vec![finding(tried.finding), Cell::new(tried.attempt.label()), Cell::new(&tried.detail)]);
    }
    text += &table.render(paper);
    if !left_out.is_empty() {
        text += &format!("\n{}\n", paper.paint(DIM, "not tried"));
        for (why, attempts) in by_reason(&left_out) {
            text += &paper.paragraph("  · ", &format!("{}: {why}", attempts.join(", ")));
        }
    }
    text + &format!("\n{}\n", summed_up(paper, battery))
}

/// The attempts that are left out for the same reason, together; reasons in the order of their first one.
fn by_reason<'a>(left_out: &[&'a Tried]) -> Vec<(&'a str, Vec<&'static str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for tried in left_out {
        match reasons.iter_mut().find(|(why, _)| *why == tried.detail) {
            Some((_, attempts)) => attempts.push(tried.attempt.label()),
            None => reasons.push((&tried.detail, vec![tried.attempt.label()])),
        }
    }
    reasons
}

fn finding(finding: Finding) -> Cell {
    match finding {
        Finding::Holds => Cell::painted("holds", GREEN),
        Finding::Hole => Cell::painted("HOLE", RED),
        Finding::ShutOut => Cell::painted("SHUT OUT", RED),
        Finding::Unclear => Cell::painted("unclear", YELLOW),
        Finding::Skipped => Cell::new("skipped"),
    }
}

fn summed_up(paper: Paper, battery: &Battery) -> String {
    let count = |finding| battery.tried.iter().filter(|tried| tried.finding == finding).count();
    let parts = [
        (Finding::Hole, "hole", "holes"),
        (Finding::ShutOut, "shut out", "shut out"),
        (Finding::Unclear, "unclear", "unclear"),
        (Finding::Holds, "holds", "hold"),
        (Finding::Skipped, "not tried", "not tried"),
    ];
    let parts = parts.into_iter().filter_map(|(finding, one, many)| match count(finding) {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {many}")),
    });
    let sentence = parts.collect::<Vec<_>>().join(", ");
    match holds(battery) {
        true => paper.paint(GREEN, &sentence),
        false => paper.paint(RED, &sentence),
    }
}
