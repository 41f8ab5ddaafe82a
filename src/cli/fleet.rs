//! Whom a verdict is about: one running proxy, or a fleet as its Prometheus knows it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};

use super::admin::{Admin, AdminArguments, Right};
use super::judged::Judged;
use crate::clock::Clock;
use crate::config::model::Config;
use crate::evidence::readiness::Gate;
use crate::evidence::report::{HostReport, StatusReport};
use crate::fetch::Endpoint;
use crate::remote::fleet::{Demand, Fleet};
use crate::remote::prometheus::Prometheus;

/// One verdict over many machines
#[derive(Debug, clap::Args)]
pub(super) struct FleetArguments {
    /// Take the counts of all machines from this Prometheus instead of asking one proxy; what a host has to show stands
    /// in the configuration, if there is one
    #[arg(long, value_name = "URL", help_heading = "A fleet", conflicts_with = "admin")]
    prometheus: Option<String>,
    /// Not ready unless exactly this many machines are heard of
    #[arg(long, value_name = "N", requires = "prometheus", help_heading = "A fleet")]
    instances: Option<usize>,
    /// Only series with this label, as in PromQL: cluster="a"; may be repeated
    #[arg(long = "match", value_name = "MATCHER", requires = "prometheus", help_heading = "A fleet")]
    matchers: Vec<String>,
}

/// Where hosts and their verdicts come from.
pub(super) enum Source {
    Proxy(Box<Admin>),
    Fleet(Box<Asked>),
}

/// A Prometheus, what to ask it, and what the configuration demands of which host.
pub(super) struct Asked {
    prometheus: Prometheus,
    fleet: Fleet,
    /// By a host's first name.
    demands: BTreeMap<String, Demand>,
    usual: Demand,
    /// What a verdict is worth without a configuration.
    caution: Option<String>,
}

/// Where the token for a Prometheus is. The admin side's may open an origin, and is none of its business.
const TOKEN_VARIABLE: &str = "ORIGINLOCK_PROMETHEUS_TOKEN_FILE";

impl Source {
    pub(super) fn find(admin: &AdminArguments, fleet: &FleetArguments) -> anyhow::Result<Self> {
        let Some(url) = &fleet.prometheus else { return Ok(Self::Proxy(Box::new(admin.find(Right::Read)?))) };
        let endpoint = Endpoint::parse(url).context("--prometheus is no address")?;
        let config = admin.load();
        if config.is_none() && admin.config.is_some() {
            return Err(admin.unusable());
        }
        let prometheus = Prometheus::new(admin.client(endpoint, admin.token(TOKEN_VARIABLE)?.as_ref())?)?;
        let demands = config.as_ref().map(demands).unwrap_or_default();
        let caution = config.is_none().then(|| {
            let path = admin.config_path().display();
            format!("no configuration is read: {path} cannot be used, so the default gate counts, and when the CA ends is not looked at; name one with -c")
        });
        let usual = Demand { gate: Gate::default(), ca: None };
        let fleet = Fleet { matchers: fleet.matchers.clone(), instances: fleet.instances };
        Ok(Self::Fleet(Box::new(Asked { prometheus, fleet, demands, usual, caution })))
    }

    /// The hosts with these names among theirs, in this order, judged over `window` or their own.
    pub(super) fn hosts(&self, names: &[String], window: Option<Duration>) -> anyhow::Result<Vec<Judged>> {
        match self {
            Self::Proxy(admin) => {
                names.iter().map(|name| Ok(Judged(admin.ask(|client| client.host(name, window))?.host))).collect()
            }
            Self::Fleet(_) if window.is_some() => {
                bail!("--window is for one proxy: what Prometheus has is counted over the window that is configured")
            }
            Self::Fleet(asked) => names.iter().map(|name| asked.host(name)).collect(),
        }
    }

    /// Every host.
    pub(super) fn all_hosts(&self) -> anyhow::Result<Vec<Judged>> {
        match self {
            Self::Proxy(admin) => Ok(admin.ask(|client| client.hosts())?.hosts.into_iter().map(Judged).collect()),
            Self::Fleet(asked) => asked.all_hosts(),
        }
    }

    /// The process, if it is one.
    pub(super) fn process(&self) -> anyhow::Result<Option<StatusReport>> {
        match self {
            Self::Proxy(admin) => admin.ask(|client| client.status()).map(Some),
            Self::Fleet(_) => Ok(None),
        }
    }
}

impl Asked {
    fn host(&self, name: &str) -> anyhow::Result<Judged> {
        let found = match self.fleet.host_of(&self.prometheus, name)? {
            Some(host) => {
                let view = self.fleet.look(&self.prometheus, Some(&host))?;
                view.judge(&host, self.demand(&host), Clock::System.now())
            }
            None => None,
        };
        match found {
            Some(report) => Ok(self.judged(report)),
            None => bail!(
                "{} knows no machine with a host {name}; does it scrape /metrics of their admin addresses?",
                self.prometheus.endpoint()
            ),
        }
    }

    fn all_hosts(&self) -> anyhow::Result<Vec<Judged>> {
        let (view, now) = (self.fleet.look(&self.prometheus, None)?, Clock::System.now());
        let judged: Vec<_> = view
            .hosts()
            .filter_map(|host| view.judge(host, self.demand(host), now))
            .map(|report| self.judged(report))
            .collect();
        if judged.is_empty() {
            let endpoint = self.prometheus.endpoint();
            bail!("{endpoint} knows no host of originlock; does it scrape /metrics of the admin addresses?");
        }
        Ok(judged)
    }

    fn judged(&self, mut report: HostReport) -> Judged {
        report.readiness.notices.extend(self.caution.clone());
        Judged(report)
    }

    fn demand(&self, host: &str) -> &Demand {
        self.demands.get(host).unwrap_or(&self.usual)
    }
}

fn demands(config: &Config) -> BTreeMap<String, Demand> {
    let demand = |host: &crate::config::model::Host| {
        let first = host.names.first()?.value.to_string();
        let ca = host.client_auth.ca.as_ref().map(|ca| ca.value.clone());
        Some((first, Demand { gate: host.gate, ca }))
    };
    config.hosts.iter().filter_map(|host| demand(&host.value)).collect()
}
