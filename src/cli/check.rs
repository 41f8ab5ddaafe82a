//! `originlock check`: what will happen with a configuration, or all that is wrong with it.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::{Ended, OutputFormat, output};
use crate::clock::{Clock, Timestamp};
use crate::config::file;
use crate::config::problem::Problems;
use crate::evidence::report::HostReport;
use crate::policy::client_auth::Mode;
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
            let hosts: Vec<_> = snapshot.all.iter().map(|host| Entry::of(server::unseen(host))).collect();
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

/// A host in the JSON, by what it demands: nothing has been seen of it.
#[derive(Serialize)]
struct Entry {
    names: Vec<String>,
    mode: Mode,
    ca: Vec<String>,
    pins: usize,
    ca_not_after: Option<Timestamp>,
    certificate_not_after: Option<Timestamp>,
    upstream: Vec<String>,
}

impl Entry {
    fn of(report: HostReport) -> Self {
        let trust = report.trust.as_ref();
        Self {
            mode: report.mode,
            ca: trust.map(|trust| trust.ca.clone()).unwrap_or_default(),
            pins: trust.map_or(0, |trust| trust.pins),
            ca_not_after: trust.and_then(|trust| trust.ca_not_after),
            certificate_not_after: report.certificate_not_after,
            names: report.names,
            upstream: report.upstream,
        }
    }
}

fn describe(host: &Host) -> String {
    let view = server::unseen(host);
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

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce: only clients that verify are let in",
        Mode::Observe => "observe: everyone is let in, the log says who enforce would refuse",
        Mode::Off => "off: no client certificate is asked for",
    }
}
