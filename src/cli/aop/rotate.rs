//! `originlock aop rotate`: a new certificate takes the old one's place, and nobody is refused meanwhile.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::CloudflareArguments;
use super::leaf::LeafArguments;
use super::origin::OriginArguments;
use super::progress::Told;
use super::render;
use super::way::{Arrived, OwnLevel, WayArguments, hostnames};
use super::whom::Whom;
use crate::cli::admin::Right;
use crate::cli::again::Again;
use crate::cli::paper::Paper;
use crate::cli::{Ended, duration};
use crate::clock::Clock;
use crate::rollout::context::Context;
use crate::rollout::preflight;
use crate::rollout::rotate::{self, Wanted};
use crate::rollout::step::{CheckVerdict, Level, StepState};

const EXAMPLE: &str = "\
Example:
  originlock aop rotate shop.example.com -c originlock.toml --api-token-file cloudflare.token \\
    --certificate new.pem --key new.key";

/// Replace the certificate that Cloudflare shows: both are trusted, the new one is seen, the old one goes out of use
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct RotateArguments {
    /// Hostnames that Cloudflare proxies to this origin
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    leaf: LeafArguments,
    /// CA certificates that the origin is to trust beside those it trusts, where it would refuse the new certificate
    #[arg(long, value_name = "FILE", help_heading = "Certificate")]
    add_ca: Option<PathBuf>,
    /// Add them although the bundle serves hosts, too, that are not named here
    #[arg(long, requires = "add_ca", help_heading = "Certificate")]
    shared_bundle: bool,
    /// Delete the old certificate although it was not uploaded from here
    #[arg(long, help_heading = "Certificate")]
    delete_certificate: bool,
    /// Have the origin go on to trust the CA of the old certificate
    #[arg(long, help_heading = "Certificate")]
    keep_old_ca: bool,
    /// Which certificate is replaced
    #[arg(long, value_enum, default_value_t)]
    level: OwnLevel,
    /// For how long edges must not have shown the old certificate before it goes
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    settle: Duration,
    /// How long edges keep connections open that they opened with the old certificate: its CA is trusted until then
    #[arg(long, value_name = "TIME", default_value = "16m", value_parser = duration::parse)]
    drain: Duration,
    #[command(flatten)]
    cloudflare: CloudflareArguments,
    #[command(flatten)]
    pub(super) way: WayArguments,
    #[command(flatten)]
    origin: OriginArguments,
}

impl RotateArguments {
    pub(super) fn again(&self) -> Again {
        self.origin.again(Again {
            hosts: self.hosts.clone(),
            leaf: self.leaf.again(),
            state: self.way.again(),
            ..self.cloudflare.again()
        })
    }
}

pub(super) fn run(arguments: &RotateArguments) -> anyhow::Result<Ended> {
    let RotateArguments { way, .. } = arguments;
    let hostnames = hostnames(&arguments.hosts)?;
    let first = hostnames.first().context("no hostname is named")?;
    let Some(found) = arguments.leaf.find(std::slice::from_ref(first), Clock::System.now())? else {
        bail!(
            "which certificate takes the old one's place? Name it with --certificate FILE --key FILE, or have one made \
             with --issue --ca-certificate FILE --ca-key FILE --out FOLDER"
        )
    };
    let checks = preflight::of_leaf(&found.leaf, Clock::System.now());
    if checks.iter().any(|check| check.verdict == CheckVerdict::Fails) {
        eprint!("{}", render::checks(Paper::of_stdout(), &checks));
        bail!("nothing was changed: the new certificate does not do")
    }
    let wanted = Wanted {
        level: match arguments.level {
            OwnLevel::Zone => Level::Zone,
            OwnLevel::Hostname => Level::Hostname,
        },
        add_ca: arguments.add_ca.as_ref().map(read).transpose()?,
        shared_bundle: arguments.shared_bundle,
        delete_certificate: arguments.delete_certificate,
        keep_old_ca: arguments.keep_old_ca,
        drain: arguments.drain,
        leaf: found.leaf.clone(),
        hostnames: hostnames.clone(),
    };
    let cloudflare = arguments.cloudflare.cloudflare()?;
    let proxy = arguments.origin.find(Right::Change)?;
    let zone = match &arguments.cloudflare.zone {
        Some(zone) => cloudflare.zone_called(zone)?,
        None => cloudflare.zone_of(first)?,
    };
    let whom = Whom::new(&proxy, &arguments.cloudflare, Some(&zone));
    let mut told = Told::new(way.output);
    let mut context = Context {
        cloudflare: &cloudflare,
        origin: &proxy,
        journal: way.journal(&zone)?,
        zone,
        patience: way.patience(Some(arguments.settle)),
        progress: &mut told,
        clock: Clock::System,
    };
    let plan = rotate::plan(&context, &wanted)?;
    if let Some(ended) = way.agree(&plan.steps, &whom)? {
        return Ok(ended);
    }
    if let Some(written) = found.keep()? {
        eprintln!("{written}");
    }
    let outcome = rotate::take(&mut context, &wanted, plan);
    let names: Vec<_> = hostnames.iter().map(ToString::to_string).collect();
    let done = format!("{}: Cloudflare shows certificate {}", names.join(", "), wanted.leaf.sha256());
    let notices = outcome.steps.iter().filter(|step| step.state == StepState::LeftOut);
    let notices = notices.map(|step| format!("{}: {} stays: {}", step.subject, step.is, step.why)).collect();
    way.finish(Arrived { steps: outcome.steps, errors: outcome.errors, notices, ..Arrived::default() }, &done)
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
