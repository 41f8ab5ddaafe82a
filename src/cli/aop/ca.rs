//! `originlock aop ca`: the CA that Cloudflare shares between all its customers, checked before it is written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::cli::{Ended, OutputFormat};
use crate::clock::Timestamp;
use crate::config::replace::replace;
use crate::fetch::{Client, Endpoint, TlsFiles};
use crate::pki::files::write_public;
use crate::policy::cloudflare_ca::SharedCa;
use crate::x509::CertificateSummary;

const EXAMPLE: &str = "\
Example:
  originlock aop ca --write cloudflare-ca.pem";

/// Where Cloudflare's documentation offers it.
const PUBLISHED: &str = "https://developers.cloudflare.com/ssl/static/authenticated_origin_pull_ca.pem";
const DEADLINE: Duration = Duration::from_secs(30);
/// It has two kilobytes.
const MAX_BYTES: usize = 256 * 1024;

/// Fetch the CA that Cloudflare shares between all its customers, and check that it is the one
///
/// Whoever trusts it lets every Cloudflare customer pass: it proves "through Cloudflare", never "through my account".
/// Hostnames with a certificate of their own do not need it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct CaArguments {
    /// Write it there, instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Take the one that originlock is shipped with; nobody is asked
    #[arg(long, conflicts_with = "url")]
    offline: bool,
    /// Where it is published
    #[arg(long, value_name = "URL", default_value = PUBLISHED)]
    url: String,
    /// CA that this server's certificate must chain to [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// What was found.
#[derive(Serialize)]
struct Report<'a> {
    /// The URL, or `shipped`.
    source: &'a str,
    sha256: String,
    not_after: Option<Timestamp>,
    file: Option<&'a Path>,
    /// Whether the file is new or was another one before.
    written: bool,
}

pub(super) fn run(arguments: &CaArguments) -> anyhow::Result<Ended> {
    if !arguments.offline {
        let fetched = fetch(arguments)
            .with_context(|| format!("Cloudflare's shared CA cannot be had from {}", arguments.url))
            .map_err(or_offline)?;
        check(&fetched).map_err(|error| or_offline(anyhow!("{}: {error:#}", arguments.url)))?;
    }
    // The fetched one is this one; what else stood in the answer is left out.
    // Cloudflare's file has no last line end, which joins two certificates into none where files are put together.
    let pem = [SharedCa::current_pem(), b"\n"].concat();
    let written = arguments.write.as_deref().map(|path| write(path, &pem)).transpose()?;
    let summary = CertificateSummary::read(&SharedCa::current());
    let report = Report {
        source: if arguments.offline { "shipped" } else { &arguments.url },
        sha256: summary.fingerprint.to_string(),
        not_after: summary.fields.map(|fields| fields.not_after),
        file: arguments.write.as_deref(),
        written: written.unwrap_or(false),
    };
    match (arguments.output, report.file) {
        (OutputFormat::Json, _) => writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?,
        (OutputFormat::Text, Some(path)) => {
            let (path, until) = (path.display(), report.not_after.map(|end| end.to_string()).unwrap_or_default());
            let written = if report.written { "written" } else { "there already" };
            writeln!(io::stdout(), "{path}  {written}: Cloudflare's shared CA, until {until}")?;
            writeln!(io::stdout(), "SHA-256  {}", report.sha256)?;
            writeln!(io::stdout(), "Whoever trusts it lets every Cloudflare customer pass.")?;
        }
        (OutputFormat::Text, None) => io::stdout().write_all(&pem)?,
    }
    Ok(Ended::Done)
}

fn or_offline(error: anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}\n  next: --offline takes the one that originlock is shipped with; nothing was written")
}

fn fetch(arguments: &CaArguments) -> anyhow::Result<Vec<u8>> {
    let endpoint = Endpoint::parse(&arguments.url).context("--url is no address")?;
    let files = TlsFiles { ca: arguments.ca.clone(), client: None };
    let client = Client::new(endpoint, &files, None)?.with_bounds(DEADLINE, MAX_BYTES);
    let answer = Builder::new_current_thread().enable_all().build()?.block_on(client.get(""))?;
    let place = answer.headers.get("location").map(|place| String::from_utf8_lossy(place.as_bytes()).into_owned());
    match (answer.status.as_u16(), place) {
        (200, _) => Ok(answer.body.to_vec()),
        (status @ 300..400, Some(place)) => bail!("HTTP {status}: it has moved to {place}; give that with --url"),
        (status, _) => bail!("HTTP {status}"),
    }
}

/// Whether this is the shared CA, and nothing else.
fn check(pem: &[u8]) -> anyhow::Result<()> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| anyhow!("what is there is broken PEM"))?;
    let [certificate] = &certificates[..] else {
        bail!("there should be one certificate in it, as PEM; there are {}", certificates.len());
    };
    let summary = CertificateSummary::read(certificate);
    let found = match SharedCa::recognise(summary.fingerprint) {
        Some(SharedCa::Current) => return Ok(()),
        Some(SharedCa::Expired) => {
            "it is Cloudflare's shared CA of 2015, which ended on 2020-01-12: same name, serial number and key as the \
             current one"
                .to_owned()
        }
        None => {
            let subject = summary.fields.map(|fields| fields.subject).unwrap_or_default();
            format!("it is another certificate: {subject}")
        }
    };
    let expected = CertificateSummary::read(&SharedCa::current()).fingerprint;
    bail!("{found}\n  its SHA-256    {}\n  the shared CA  {expected}", summary.fingerprint)
}

/// Whether anything had to be written. A file that holds something else stays: who trusts it did not ask for this CA.
fn write(path: &Path, pem: &[u8]) -> anyhow::Result<bool> {
    let old = match fs::read(path) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_public(path, pem)?;
            return Ok(true);
        }
        Err(error) => return Err(anyhow!(error).context(format!("{} cannot be read", path.display()))),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&old).collect();
    let which = |der: &CertificateDer<'_>| SharedCa::recognise(CertificateSummary::read(der).fingerprint);
    let known: Option<Vec<_>> = certificates.unwrap_or_default().iter().map(which).collect();
    match known.as_deref() {
        Some([SharedCa::Current]) => return Ok(false),
        Some([_, ..]) => {}
        Some([]) | None => bail!(
            "{} holds something else than Cloudflare's shared CA and is not overwritten; move it away, or choose another \
             name",
            path.display()
        ),
    }
    let texts = (std::str::from_utf8(&old), std::str::from_utf8(pem));
    let (Ok(old), Ok(pem)) = texts else { bail!("{} is no PEM file", path.display()) };
    replace(path, old, pem)?;
    Ok(true)
}
