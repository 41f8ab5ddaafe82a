//! `originlock aop ips`: the ranges that count as Cloudflare's edge, compared with what Cloudflare publishes now.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use super::ApiArguments;
use crate::cli::{DEFAULT_CONFIG, Ended, OutputFormat};
use crate::cloudflare::AddressRanges;
use crate::config::file;
use crate::config::replace::replace;
use crate::evidence::published::{Difference, RangeList};
use crate::pki::files::write_public;

const EXAMPLE: &str = "\
Example:
  originlock aop ips -c originlock.toml --check";

/// Refresh the ranges that count as Cloudflare's edge
///
/// They are compared with those of the file that `[evidence] cloudflare_ranges` names, or else with those that originlock
/// is shipped with. An answer that cannot be meant changes nothing. No token is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct IpsArguments {
    /// The file to keep them in [default: the configuration's, under [evidence] cloudflare_ranges]
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// The configuration [default: /etc/originlock/originlock.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write nothing; end with 4 if anything is different
    #[arg(long)]
    check: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    api: ApiArguments,
}

/// What was found.
#[derive(Serialize)]
struct Report {
    /// The file, or `shipped`: what was compared with.
    compared_with: String,
    /// As many as Cloudflare publishes.
    ranges: usize,
    added: Vec<String>,
    removed: Vec<String>,
    written: bool,
}

/// The list in use.
struct InUse {
    /// Where a new one would be written.
    file: Option<PathBuf>,
    /// What the file holds, if it is there.
    text: Option<String>,
    ranges: RangeList,
}

pub(super) fn run(arguments: &IpsArguments) -> anyhow::Result<Ended> {
    let in_use = InUse::find(arguments)?;
    let published = arguments.api.cloudflare(None)?.address_ranges()?;
    let text = in_use.written(&published);
    let (ranges, difference) = judge(&text, &in_use.ranges).map_err(|error| {
        anyhow!(
            "what {} tells as Cloudflare's ranges is not used: {error:#}\n  nothing was written; next: see at \
             https://www.cloudflare.com/ips what Cloudflare publishes, and run this again later",
            arguments.api.api
        )
    })?;
    let is_missing = in_use.text.is_none() && in_use.file.is_some();
    let writes = !arguments.check && in_use.file.is_some() && (is_missing || !difference.is_empty());
    if writes {
        in_use.replace(&text)?;
    }
    let shown = |ranges: &[_]| ranges.iter().map(ToString::to_string).collect();
    let report = Report {
        compared_with: in_use.name(),
        ranges: ranges.count(),
        added: shown(&difference.added),
        removed: shown(&difference.removed),
        written: writes,
    };
    match arguments.output {
        OutputFormat::Json => writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?,
        OutputFormat::Text => write!(io::stdout(), "{}", report.told(in_use.file.as_deref(), arguments.check))?,
    }
    Ok(if arguments.check && !difference.is_empty() { Ended::Drift } else { Ended::Done })
}

fn judge(text: &str, in_use: &RangeList) -> anyhow::Result<(RangeList, Difference)> {
    let ranges = RangeList::parse(text)?;
    let difference = ranges.after(in_use)?;
    Ok((ranges, difference))
}

impl InUse {
    fn find(arguments: &IpsArguments) -> anyhow::Result<Self> {
        let file = match &arguments.write {
            Some(file) => Some(file.clone()),
            None => named_in(arguments.config.as_deref())?,
        };
        let text = match file.as_ref().map(fs::read_to_string) {
            Some(Ok(text)) => Some(text),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                let name = file.unwrap_or_default();
                return Err(anyhow!(error).context(format!("{} cannot be read", name.display())));
            }
            Some(Err(_)) | None => None,
        };
        let ranges = match (&text, &file) {
            (Some(text), Some(file)) => RangeList::parse(text).with_context(|| {
                format!("{} is no list of ranges and is not overwritten; move it away", file.display())
            })?,
            _ => RangeList::shipped(),
        };
        Ok(Self { file, text, ranges })
    }

    /// What new ranges are compared with.
    fn name(&self) -> String {
        match (&self.file, &self.text) {
            (Some(file), Some(_)) => file.display().to_string(),
            _ => "shipped".to_owned(),
        }
    }

    /// The published ranges as the file writes them: a file of lines stays one.
    fn written(&self, published: &AddressRanges) -> String {
        let ends_in_json = self.file.as_ref().is_some_and(|file| file.extension().is_some_and(|end| end == "json"));
        let is_json = self.text.as_ref().map_or(ends_in_json, |text| text.trim_start().starts_with('{'));
        let AddressRanges { ipv4_cidrs, ipv6_cidrs, etag } = published;
        if is_json {
            let result = serde_json::json!({ "ipv4_cidrs": ipv4_cidrs, "ipv6_cidrs": ipv6_cidrs, "etag": etag });
            let answer = serde_json::json!({ "success": true, "errors": [], "messages": [], "result": result });
            return format!("{answer:#}\n");
        }
        let mut text = "# Cloudflare's edge, as `originlock aop ips` had it from Cloudflare's API.\n".to_owned();
        for range in ipv4_cidrs.iter().chain(ipv6_cidrs) {
            // One line each, whatever stands in it. Writing to a string cannot fail.
            _ = writeln!(text, "{}", range.replace(['\n', '\r', '#'], "?"));
        }
        text
    }

    fn replace(&self, text: &str) -> anyhow::Result<()> {
        match (&self.file, &self.text) {
            (Some(file), Some(old)) => Ok(replace(file, old, text)?),
            (Some(file), None) => Ok(write_public(file, text.as_bytes())?),
            (None, _) => bail!("there is no file to write to"),
        }
    }
}

/// The file that the configuration names. A configuration that was not named need not be there.
fn named_in(config: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let path = config.unwrap_or(Path::new(DEFAULT_CONFIG));
    match file::load(path) {
        Ok(loaded) => Ok(loaded.config.evidence.cloudflare_ranges.map(|file| file.value)),
        Err(_) if config.is_none() => Ok(None),
        Err(_) => {
            let path = path.display();
            bail!("{path} cannot be used; `originlock check -c {path}` says why")
        }
    }
}

impl Report {
    fn told(&self, file: Option<&Path>, check: bool) -> String {
        let mut text = String::new();
        for (sign, ranges) in [('+', &self.added), ('-', &self.removed)] {
            ranges.iter().for_each(|range| text += &format!("{sign} {range}\n"));
        }
        let with = match &*self.compared_with {
            "shipped" => "the list that originlock is shipped with",
            file => file,
        };
        text += &match (self.added.len(), self.removed.len()) {
            (0, 0) => format!("{with} has the {} ranges that Cloudflare publishes\n", self.ranges),
            (added, removed) => {
                format!("Cloudflare publishes {} ranges; {with} lacks {added} and has {removed} more\n", self.ranges)
            }
        };
        match (file, self.written) {
            (Some(file), true) => {
                text += &format!("{} written; `originlock reload` puts it in force\n", file.display());
            }
            (None, _) if !check && !self.added.is_empty() => {
                text += "nothing written: name a file with --write, and under [evidence] cloudflare_ranges\n";
            }
            _ => {}
        }
        text
    }
}
