//! What `plan` and `apply` are told alike.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::ValueEnum;

use super::CloudflareArguments;
use super::leaf::{Found, LeafArguments};
use super::origin::OriginArguments;
use super::way::hostnames;
use crate::cli::again::{Again, Options};
use crate::cli::{OutputFormat, duration};
use crate::clock::Timestamp;
use crate::cloudflare::PostQuantum;
use crate::rollout::desired::{Desired, Force};
use crate::rollout::preflight::{CHECKS, NEVER_FORCED};
use crate::rollout::step::Level;

/// What is wanted, of whom.
#[derive(Debug, clap::Args)]
pub(super) struct WantedArguments {
    /// Hostnames that Cloudflare proxies to this origin
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    pub(super) cloudflare: CloudflareArguments,
    #[command(flatten)]
    leaf: LeafArguments,
    /// How far the certificate reaches
    #[arg(long, value_enum, default_value_t)]
    level: LevelArgument,
    /// Leave the zone setting tls_client_auth as it is
    #[arg(long)]
    skip_zone_setting: bool,
    /// Set the zone's key agreement with origins
    #[arg(long, value_enum, value_name = "SETTING")]
    post_quantum: Option<PostQuantumArgument>,
    /// Stop before the origin enforces
    #[arg(long)]
    no_enforce: bool,
    /// Replace another certificate at once, without the care of `originlock aop rotate`
    #[arg(long)]
    replace: bool,
    /// Go on although this check fails, for the hostname or zone that it is about; may be given several times
    #[arg(long, value_name = "CHECK[=SUBJECT]", value_parser = force)]
    force: Vec<Force>,
    /// Judge readiness over this time instead of the longer one that is configured: 30m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    window: Option<Duration>,
    /// Where Cloudflare connects to, for the proof and to compare with DNS [default: the proxy's first listener]
    #[arg(long, value_name = "ADDRESS:PORT")]
    origin_address: Option<SocketAddr>,
    /// Folder for the journal, which holds no key and no token [default: /var/lib/originlock/aop for root, else below
    /// $XDG_STATE_HOME]
    #[arg(long, value_name = "FOLDER")]
    pub(super) state: Option<PathBuf>,
    #[command(flatten)]
    pub(super) origin: OriginArguments,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: OutputFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
enum LevelArgument {
    /// Cloudflare's shared certificate on all hostnames of the zone: proves "through Cloudflare" only
    Global,
    /// Your certificate on all hostnames of the zone
    Zone,
    /// Your certificate on the named hostnames
    #[default]
    Hostname,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PostQuantumArgument {
    Preferred,
    Supported,
    Off,
}

impl WantedArguments {
    /// What a further command has to be told again.
    pub(super) fn again(&self) -> Again {
        let state = self.state.as_ref().map(|path| path.display().to_string());
        self.origin.again(Again {
            hosts: self.hosts.clone(),
            leaf: self.leaf.again(),
            state: Options::given([("--state", state)]),
            ..self.cloudflare.again()
        })
    }

    /// What is wanted, and the leaf, which may have to be written yet.
    pub(super) fn desired(&self, now: Timestamp) -> anyhow::Result<(Desired, Option<Found>)> {
        let level = match self.level {
            LevelArgument::Global => Level::Global,
            LevelArgument::Zone => Level::Zone,
            LevelArgument::Hostname => Level::Hostname,
        };
        let hostnames = hostnames(&self.hosts)?;
        let found = self.leaf.find(&hostnames, now)?;
        match (level, &found) {
            (Level::Global, Some(_)) => {
                bail!("at --level global Cloudflare shows its own certificate; leave yours out")
            }
            (Level::Global, None) if self.skip_zone_setting => {
                bail!("at --level global the zone setting is all there is; leave --skip-zone-setting out")
            }
            (Level::Zone | Level::Hostname, None) => bail!(
                "which certificate shall Cloudflare's edges show? Name one with --certificate FILE --key FILE, or have one \
                 made with --issue --ca-certificate FILE --ca-key FILE (`originlock pki ca` makes a CA)"
            ),
            (Level::Global, None) | (Level::Zone | Level::Hostname, Some(_)) => {}
        }
        let desired = Desired {
            level,
            hostnames,
            leaf: found.as_ref().map(|found| found.leaf.clone()),
            zone_setting: !self.skip_zone_setting,
            post_quantum: self.post_quantum.map(PostQuantum::from),
            enforce: !self.no_enforce,
            replace: self.replace,
            window: self.window,
            origin_address: self.origin_address,
            force: self.force.clone(),
        };
        Ok((desired, found))
    }
}

fn force(text: &str) -> Result<Force, String> {
    let force = Force::parse(text);
    let forceable: Vec<_> = CHECKS.into_iter().filter(|check| !NEVER_FORCED.contains(check)).collect();
    match force.check.as_str() {
        "replaces" => Err("--replace says so".to_owned()),
        check if forceable.contains(&check) => Ok(force),
        _ => Err(format!("choose one of {}", forceable.join(", "))),
    }
}

impl From<PostQuantumArgument> for PostQuantum {
    fn from(argument: PostQuantumArgument) -> Self {
        match argument {
            PostQuantumArgument::Preferred => Self::Preferred,
            PostQuantumArgument::Supported => Self::Supported,
            PostQuantumArgument::Off => Self::Off,
        }
    }
}
