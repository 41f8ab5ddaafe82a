//! `originlock check`: what will happen with a configuration, or all that is wrong with it.

use std::io::{self, Write};
use std::path::Path;

use super::{Ended, OutputFormat, output};
use crate::clock::Clock;
use crate::config::file;
use crate::config::problem::Problems;
use crate::server;
use crate::snapshot::Snapshot;
use crate::snapshot::build::build;
use crate::snapshot::host::Host;

pub(super) fn run(path: &Path, format: OutputFormat) -> anyhow::Result<Ended> {
    let (snapshot, problems) = load(path)?;
    let Some(snapshot) = snapshot else {
        output::problems(&problems, format);
        if format == OutputFormat::Text {
            eprintln!("{}: this configuration cannot be used", path.display());
        }
        return Ok(Ended::BadConfiguration);
    };
    match format {
        OutputFormat::Text => {
            output::problems(&problems, format);
            let mut out = io::stdout().lock();
            snapshot.all.iter().try_for_each(|host| write!(out, "{}", describe(host)))?;
            writeln!(out, "{}: this configuration can be used ({} host blocks)", path.display(), snapshot.all.len())?;
        }
        OutputFormat::Json => {
            let hosts: Vec<_> = snapshot.all.iter().map(|host| server::view(host)).collect();
            writeln!(io::stdout(), "{}", serde_json::json!({ "hosts": hosts, "problems": problems.to_json() }))?;
        }
    }
    Ok(Ended::Done)
}

/// Loads what a start would load. `None`: it cannot be used.
fn load(path: &Path) -> anyhow::Result<(Option<Snapshot>, Problems)> {
    let loaded = match file::load(path) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok((None, problems)),
    };
    let mut problems = loaded.warnings;
    let ground = server::ground(&Clock::System, loaded.config.limits.per_host_series)?;
    match build(&loaded.config, &ground, None) {
        Ok((snapshot, warnings)) => {
            problems.append(warnings);
            Ok((Some(snapshot), problems))
        }
        Err(errors) => {
            problems.append(errors);
            Ok((None, problems))
        }
    }
}

fn describe(host: &Host) -> String {
    let view = server::view(host);
    let mut text = format!("{}\n  mode         {}\n", view.names.join(", "), mode(view.mode));
    if let Some(bundle) = host.client_auth.trust().and_then(|trust| trust.bundle()) {
        for ca in bundle.certificates() {
            let end = ca.summary.fields.as_ref().map(|fields| fields.not_after.to_string()).unwrap_or_default();
            text += &format!("  ca           {}: {} (until {end})\n", bundle.name(), ca.subject);
        }
    }
    for pin in host.client_auth.trust().map(|trust| trust.pins()).unwrap_or_default() {
        text += &format!("  pin          {pin}\n");
    }
    if let Some(end) = view.certificate_not_after {
        text += &format!("  certificate  until {end}\n");
    }
    text + &format!("  upstream     {}\n", view.upstream.join(", "))
}

fn mode(mode: &str) -> &'static str {
    match mode {
        "enforce" => "enforce: only clients that verify are let in",
        "observe" => "observe: everyone is let in, the log says who enforce would refuse",
        _ => "off: no client certificate is asked for",
    }
}
