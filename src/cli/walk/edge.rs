//! A connection as Cloudflare's edge would make it, with a certificate that the operator has.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::cli::admin::Admin;
use crate::evidence::report::{CheckReport, ModeReport};
use crate::hostname::HostPattern;
use crate::policy::client_auth::Mode;
use crate::probe::{Answer, Identity, Probe, name_within, reachable};
use crate::secret::Secret;

const LIMIT: Duration = Duration::from_secs(5);

/// What the edge shows.
pub(super) struct Edge(Identity);

pub(super) fn read(chain: &Path, key: &Path) -> anyhow::Result<Edge> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let (chain_pem, key_pem) = (read(chain)?, Secret::new(read(key)?));
    let identity = Identity::from_pem(&chain_pem, &key_pem)
        .with_context(|| format!("{} and {} cannot be shown", chain.display(), key.display()))?;
    Ok(Edge(identity))
}

/// Connects by the host's first name to where the proxy listens.
pub(super) fn connect(admin: &Admin, edge: &Edge, report: &ModeReport) -> anyhow::Result<Option<CheckReport>> {
    if report.to != Mode::Enforce {
        return Ok(None);
    }
    let listeners = admin.ask(|client| client.status())?.listeners;
    let address = listeners.first().and_then(|address| address.parse().ok()).map(reachable);
    let address = address.context("the proxy tells of no listener to connect to")?;
    let name =
        name_within(&HostPattern::parse(&report.host)?).context("the host's name is too long to ask below it")?;
    let probe = Probe::from(address.ip()).with_context(|| format!("{address} is not of this machine"))?;
    let (got, passed) = match probe.handshake(address, &name, Some(&edge.0), LIMIT) {
        Ok(probed) => match probed.answer {
            Answer::Admitted => ("let in".to_owned(), true),
            Answer::Refused(Some(alert)) => (format!("refused with {alert}"), false),
            Answer::Refused(None) => ("cut off without an alert".to_owned(), false),
        },
        Err(error) => (format!("{:#}", anyhow::Error::from(error)), false),
    };
    let what = format!("{name} with the given certificate");
    Ok(Some(CheckReport { what, expected: "let in".to_owned(), got, passed: Some(passed) }))
}
