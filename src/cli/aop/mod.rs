//! `originlock aop`: Cloudflare's side of Authenticated Origin Pulls.

mod alerts;
mod apply;
mod ca;
mod interrupted;
mod ips;
mod leaf;
mod origin;
mod plan;
mod private;
mod progress;
mod render;
mod rollback;
mod rotate;
mod state;
mod status;
mod token;
mod wanted;
mod way;
mod whom;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::again::{Again, Options};
use super::{Ended, OutputFormat};
use crate::cloudflare::{Cloudflare, CloudflareError, DEFAULT_API, Pace};
use crate::fetch::{Client, Endpoint, TlsFiles};
use crate::rollout::error::RolloutError;
use crate::secret::Secret;

/// Cloudflare's side of Authenticated Origin Pulls
#[derive(Debug, clap::Args)]
pub(super) struct AopArguments {
    #[command(subcommand)]
    verb: Aop,
}

#[derive(Debug, Subcommand)]
enum Aop {
    Plan(Box<plan::PlanArguments>),
    Apply(Box<apply::ApplyArguments>),
    Status(Box<status::StatusArguments>),
    Rotate(Box<rotate::RotateArguments>),
    Rollback(Box<rollback::RollbackArguments>),
    Ca(ca::CaArguments),
    Ips(ips::IpsArguments),
    Alerts(alerts::AlertsArguments),
}

impl AopArguments {
    /// How a verb prints that tells programs about what it could not even begin.
    fn output(&self) -> OutputFormat {
        match &self.verb {
            Aop::Plan(arguments) => arguments.wanted.output,
            Aop::Apply(arguments) => arguments.wanted.output,
            Aop::Rotate(arguments) => arguments.way.output,
            Aop::Rollback(arguments) => arguments.way.output,
            // Its document holds what could not be asked.
            Aop::Status(_) | Aop::Ca(_) | Aop::Ips(_) | Aop::Alerts(_) => OutputFormat::Text,
        }
    }

    /// What a further command has to be told again.
    pub(super) fn again(&self) -> Again {
        match &self.verb {
            Aop::Plan(arguments) => arguments.wanted.again(),
            Aop::Apply(arguments) => arguments.again(),
            Aop::Status(arguments) => arguments.again(),
            Aop::Rotate(arguments) => arguments.again(),
            Aop::Rollback(arguments) => arguments.again(),
            Aop::Ca(_) | Aop::Ips(_) | Aop::Alerts(_) => Again::default(),
        }
    }
}

pub(super) fn run(arguments: &AopArguments) -> anyhow::Result<Ended> {
    let ended = match &arguments.verb {
        Aop::Plan(arguments) => plan::run(arguments),
        Aop::Apply(arguments) => apply::run(arguments),
        Aop::Status(arguments) => status::run(arguments),
        Aop::Rotate(arguments) => rotate::run(arguments),
        Aop::Rollback(arguments) => rollback::run(arguments),
        Aop::Ca(arguments) => ca::run(arguments),
        Aop::Ips(arguments) => ips::run(arguments),
        Aop::Alerts(arguments) => alerts::run(arguments),
    };
    if let (Err(error), OutputFormat::Json) = (&ended, arguments.output()) {
        way::print_failure(error)?;
    }
    ended
}

/// Which API of Cloudflare's is asked. The names keep clear of those that tell which proxy is asked.
#[derive(Debug, clap::Args)]
pub(super) struct ApiArguments {
    /// Cloudflare's API
    #[arg(long, value_name = "URL", default_value = DEFAULT_API, help_heading = "Cloudflare")]
    api: String,
    /// CA that its certificate must chain to [default: the system's]
    #[arg(long, value_name = "FILE", help_heading = "Cloudflare")]
    api_ca: Option<PathBuf>,
    /// How long a second of Cloudflare's lasts, where its part is played by a server with a faster clock
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = part_of_a_second, hide = true)]
    api_second: f64,
}

/// Who asks Cloudflare's API, and about which zone.
#[derive(Debug, clap::Args)]
pub(super) struct CloudflareArguments {
    /// The zone, by its name or its id
    #[arg(long, value_name = "ZONE", help_heading = "Cloudflare")]
    pub(super) zone: Option<String>,
    /// File with the API token [default: $CLOUDFLARE_API_TOKEN, then the systemd credential cloudflare-api-token]
    #[arg(long, value_name = "FILE", help_heading = "Cloudflare")]
    api_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) api: ApiArguments,
}

impl CloudflareArguments {
    /// What asks the same again, of the same zone.
    fn again(&self) -> Again {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let api = Some(self.api.api.clone()).filter(|api| api != DEFAULT_API);
        let second = Some(self.api.api_second.to_string()).filter(|_| self.api.api_second < 1.0);
        Again {
            cloudflare: Options::given([
                ("--zone", self.zone.clone()),
                ("--api", api.clone()),
                ("--api-ca", path(&self.api.api_ca)),
                ("--api-second", second),
                ("--api-token-file", path(&self.api_token_file)),
            ]),
            api,
            ..Again::default()
        }
    }

    /// A client with the token that the arguments or the environment name.
    pub(super) fn cloudflare(&self) -> anyhow::Result<Cloudflare> {
        let token = token::find(self.api_token_file.as_deref())?;
        self.api.cloudflare(Some(&token))
    }
}

impl ApiArguments {
    /// The API as it is told: by its name alone where that says all.
    fn shown(&self) -> &str {
        match self.api == DEFAULT_API {
            true => "api.cloudflare.com",
            false => &self.api,
        }
    }

    /// A client that says on standard error when it has to wait.
    fn cloudflare(&self, token: Option<&Secret>) -> anyhow::Result<Cloudflare> {
        let endpoint = Endpoint::parse(&self.api).context("--api is no address")?;
        let files = TlsFiles { ca: self.api_ca.clone(), client: None };
        // At Cloudflare itself it would be a way around all waiting.
        if self.api_second < 1.0 && !endpoint.is_here() {
            bail!("--api-second is for servers on this machine; {} is none", self.api);
        }
        let pace = Pace { second: Duration::from_secs_f64(self.api_second), ..Pace::default() };
        let cloudflare = Cloudflare::new(Client::new(endpoint, &files, token)?)?;
        Ok(cloudflare.with_pace(pace).with_notice(|wait| eprintln!("originlock: {wait}")))
    }
}

fn part_of_a_second(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.000_001..=1.0).contains(seconds));
    seconds.ok_or_else(|| "write a number above 0, and 1 at most".to_owned())
}

/// How a verb that ended with `error` ended: what Cloudflare refuses has a code of its own.
pub(super) fn ended(error: &anyhow::Error) -> Ended {
    of_cloudflare(error).map_or(Ended::Failed, by_cloudflare)
}

fn by_cloudflare(error: &CloudflareError) -> Ended {
    match error {
        CloudflareError::Refused(_) | CloudflareError::NoZone { .. } => Ended::Refused,
        CloudflareError::Fetch { .. }
        | CloudflareError::Unreadable { .. }
        | CloudflareError::Endless { .. }
        | CloudflareError::SeveralZones { .. }
        | CloudflareError::InTheClear { .. }
        | CloudflareError::Start(_) => Ended::Failed,
    }
}

/// What a failure at Cloudflare means and what to do about it; nothing for any other.
pub(super) fn advice(error: &anyhow::Error) -> String {
    let Some(error) = of_cloudflare(error) else { return String::new() };
    let meaning = error.meaning().map(|meaning| format!("\n  it means: {meaning}")).unwrap_or_default();
    format!("{meaning}\n  next: {}", error.next_step())
}

fn of_cloudflare(error: &anyhow::Error) -> Option<&CloudflareError> {
    error.chain().find_map(|cause| match cause.downcast_ref::<RolloutError>() {
        Some(RolloutError::Cloudflare(error)) => Some(error),
        _ => cause.downcast_ref(),
    })
}
