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
use crate::rollout::step::{Level, Step, StepName, StepState};

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
    /// Switch the level off although nobody recorded here what it was before
    #[arg(long, conflicts_with_all = ["origin_only", "keep_zone_setting"])]
    switch_off: bool,
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
        switch_off: arguments.switch_off,
    };
    let proxy = arguments.origin.find(Right::Change)?;
    let way = &arguments.way;
    let mut releases = release::plan(&proxy, &wanted.hostnames)?;
    if arguments.origin_only || releases.iter().any(|release| release.step.state == StepState::Todo) {
        // Whoever is locked out does not wait for Cloudflare.
        if (arguments.origin_only || !way.dry_run)
            && let Some(ended) = way.agree(&steps(&releases), &Whom::new(&proxy, &arguments.cloudflare, None))?
        {
            return Ok(ended);
        }
        if !way.dry_run
            && let Err(error) = release::take(&proxy, &mut Told::new(way.output), &mut releases)
        {
            return way.finish(Arrived { steps: steps(&releases), errors: vec![error], ..Arrived::default() }, "");
        }
    }
    if arguments.origin_only {
        let done = "the origin admits everyone, and logs who comes";
        return way.finish(Arrived { steps: steps(&releases), ..Arrived::default() }, done);
    }
    if !way.dry_run {
        eprintln!("originlock: the origin admits everyone already; now Cloudflare is asked");
    }
    let whole = reach(arguments, &wanted.hostnames)
        .and_then(|(cloudflare, zone)| whole(arguments, &wanted, &proxy, &cloudflare, zone, &releases));
    whole.or_else(|error| without_cloudflare(arguments, &wanted, &proxy, &releases, &error))
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
    releases: &[Release],
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
    let plan = rollback::plan(&context, wanted)?;
    let left: Vec<_> = plan.unknown.iter().map(nobodys).collect();
    if !left.is_empty() && plan.steps().iter().all(|step| step.state != StepState::Todo) {
        return way.finish(Arrived { steps: plan.steps(), left, ..Arrived::default() }, "");
    }
    if let Some(ended) = way.agree(&plan.steps(), &whom)? {
        return Ok(ended);
    }
    let outcome = rollback::take(&mut context, wanted, plan);
    let done = format!("{}: the origin admits everyone, and Cloudflare shows what it showed before", spoken(wanted));
    // What was done first is told as what was done.
    let later = outcome.steps.into_iter().filter(|step| way.dry_run || step.name != StepName::Observe);
    let steps = steps(releases).into_iter().chain(later).collect();
    way.finish(Arrived { steps, errors: outcome.errors, left, ..Arrived::default() }, &done)
}

/// What can be done is done, and what is left is said.
fn without_cloudflare(
    arguments: &RollbackArguments,
    wanted: &Wanted,
    proxy: &RunningProxy,
    releases: &[Release],
    error: &anyhow::Error,
) -> anyhow::Result<Ended> {
    let advice = super::advice(error);
    let left: Vec<_> = rollback::left_to_do(wanted).into_iter().map(|step| step.label().to_owned()).collect();
    let left = format!(
        "Cloudflare's side is as it was ({error:#}){advice}\n  left to do: {}; the same command does it as soon as \
         Cloudflare can be asked",
        left.join(", ")
    );
    let way = &arguments.way;
    if way.dry_run {
        way.show(&steps(releases), &Whom::new(proxy, &arguments.cloudflare, None));
    }
    let ended = way.finish(Arrived { steps: steps(releases), left: vec![left], ..Arrived::default() }, "")?;
    Ok(match (ended, super::ended(error)) {
        (Ended::Failed, Ended::Refused) => Ended::Refused,
        (ended, _) => ended,
    })
}

fn nobodys(hostname: &Hostname) -> String {
    format!("nobody knows {hostname}: neither this origin, nor Cloudflare, nor the journal; is it spelt right?")
}

fn steps(releases: &[Release]) -> Vec<Step> {
    releases.iter().map(|release| release.step.clone()).collect()
}

fn spoken(wanted: &Wanted) -> String {
    wanted.hostnames.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
