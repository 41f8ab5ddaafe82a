//! `originlock aop rollback`: the way back, the origin first.

use clap::ValueEnum;

use super::CloudflareArguments;
use super::origin::{OriginArguments, RunningProxy};
use super::progress::Told;
use super::way::{Arrived, WayArguments, hostnames};
use super::whom::Whom;
use crate::cli::Ended;
use crate::cli::admin::Right;
use crate::cli::again::Again;
use crate::clock::Clock;
use crate::cloudflare::{Cloudflare, Zone};
use crate::hostname::Hostname;
use crate::rollout::context::Context;
use crate::rollout::release::{self, Release};
use crate::rollout::rollback::{self, Wanted};
use crate::rollout::step::{Level, Step};

const EXAMPLE: &str = "\
Example:
  originlock aop rollback shop.example.com -c originlock.toml --api-token-file cloudflare.token";

/// Take everything back: the origin admits everyone first, then Cloudflare shows what it showed before
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct RollbackArguments {
    /// Hostnames that Cloudflare proxies to this origin
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Only have the origin admit everyone: Cloudflare is not asked, no token is needed
    #[arg(long, conflicts_with_all = ["keep_certificate", "delete_certificate", "keep_zone_setting"])]
    origin_only: bool,
    /// Which level is taken back
    #[arg(long, value_enum, default_value_t)]
    level: LevelArgument,
    /// Leave the certificate at Cloudflare
    #[arg(long)]
    keep_certificate: bool,
    /// Delete the certificate although it was not uploaded from here
    #[arg(long, conflicts_with = "keep_certificate")]
    delete_certificate: bool,
    /// Leave the zone setting tls_client_auth as it is
    #[arg(long)]
    keep_zone_setting: bool,
    #[command(flatten)]
    cloudflare: CloudflareArguments,
    #[command(flatten)]
    pub(super) way: WayArguments,
    #[command(flatten)]
    origin: OriginArguments,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
enum LevelArgument {
    /// The zone setting tls_client_auth
    Global,
    /// The zone-level switch and the zone's certificate
    Zone,
    /// The associations of the named hostnames and their certificate
    #[default]
    Hostname,
}

impl RollbackArguments {
    pub(super) fn again(&self) -> Again {
        self.origin.again(Again { hosts: self.hosts.clone(), state: self.way.again(), ..self.cloudflare.again() })
    }
}

pub(super) fn run(arguments: &RollbackArguments) -> anyhow::Result<Ended> {
    let wanted = Wanted {
        level: match arguments.level {
            LevelArgument::Global => Level::Global,
            LevelArgument::Zone => Level::Zone,
            LevelArgument::Hostname => Level::Hostname,
        },
        hostnames: hostnames(&arguments.hosts)?,
        keep_certificate: arguments.keep_certificate,
        delete_certificate: arguments.delete_certificate,
        keep_zone_setting: arguments.keep_zone_setting,
    };
    let proxy = arguments.origin.find(Right::Change)?;
    if arguments.origin_only {
        return origin_alone(arguments, &wanted.hostnames, &proxy, Vec::new());
    }
    match reach(arguments, &wanted.hostnames) {
        Ok((cloudflare, zone)) => whole(arguments, &wanted, &proxy, &cloudflare, zone),
        // The origin can be helped all the same.
        Err(error) => without_cloudflare(arguments, &wanted, &proxy, &error),
    }
}

fn reach(arguments: &RollbackArguments, hostnames: &[Hostname]) -> anyhow::Result<(Cloudflare, Zone)> {
    let cloudflare = arguments.cloudflare.cloudflare()?;
    let zone = match (&arguments.cloudflare.zone, hostnames.first()) {
        (None, Some(hostname)) => cloudflare.zone_of(hostname)?,
        (zone, _) => cloudflare.zone_called(zone.as_deref().unwrap_or_default())?,
    };
    Ok((cloudflare, zone))
}

fn whole(
    arguments: &RollbackArguments,
    wanted: &Wanted,
    proxy: &RunningProxy,
    cloudflare: &Cloudflare,
    zone: Zone,
) -> anyhow::Result<Ended> {
    let way = &arguments.way;
    let whom = Whom::new(proxy, &arguments.cloudflare, Some(&zone));
    let mut told = Told::new(way.output);
    let mut context = Context {
        cloudflare,
        origin: proxy,
        journal: way.journal(&zone)?,
        zone,
        patience: way.patience(None),
        progress: &mut told,
        clock: Clock::System,
    };
    let plan = match rollback::plan(&context, wanted) {
        Ok(plan) => plan,
        Err(error) => return without_cloudflare(arguments, wanted, proxy, &error.into()),
    };
    if let Some(ended) = way.agree(&plan.steps(), &whom)? {
        return Ok(ended);
    }
    let outcome = rollback::take(&mut context, wanted, plan);
    let done = format!("{}: the origin admits everyone, and Cloudflare shows what it showed before", spoken(wanted));
    way.finish(Arrived { steps: outcome.steps, errors: outcome.errors, left: Vec::new() }, &done)
}

/// What can be done is done, and what is left is said.
fn without_cloudflare(
    arguments: &RollbackArguments,
    wanted: &Wanted,
    proxy: &RunningProxy,
    error: &anyhow::Error,
) -> anyhow::Result<Ended> {
    let advice = super::advice(error);
    let left: Vec<_> = rollback::left_to_do(wanted).into_iter().map(|step| step.label().to_owned()).collect();
    let left = format!(
        "Cloudflare's side is as it was ({error:#}){advice}\n  left to do: {}; the same command does it as soon as \
         Cloudflare can be asked",
        left.join(", ")
    );
    let ended = origin_alone(arguments, &wanted.hostnames, proxy, vec![left])?;
    Ok(match (ended, super::ended(error)) {
        (Ended::Failed, Ended::Refused) => Ended::Refused,
        (ended, _) => ended,
    })
}

fn origin_alone(
    arguments: &RollbackArguments,
    hostnames: &[Hostname],
    proxy: &RunningProxy,
    left: Vec<String>,
) -> anyhow::Result<Ended> {
    let way = &arguments.way;
    let mut releases = release::plan(proxy, hostnames)?;
    if let Some(ended) = way.agree(&steps(&releases), &Whom::new(proxy, &arguments.cloudflare, None))? {
        return Ok(ended);
    }
    let taken = release::take(proxy, &mut Told::new(way.output), &mut releases);
    let errors = taken.err().into_iter().collect();
    way.finish(Arrived { steps: steps(&releases), errors, left }, "the origin admits everyone, and logs who comes")
}

fn steps(releases: &[Release]) -> Vec<Step> {
    releases.iter().map(|release| release.step.clone()).collect()
}

fn spoken(wanted: &Wanted) -> String {
    wanted.hostnames.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
