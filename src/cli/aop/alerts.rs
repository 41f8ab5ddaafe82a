//! `originlock aop alerts`: Cloudflare's own notification before a certificate expires.

use std::io::{self, Write};

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::CloudflareArguments;
use crate::cli::{Ended, OutputFormat};
use crate::cloudflare::{AccountId, AlertPolicy, Cloudflare, NewAlertPolicy};

const EXAMPLE: &str = "\
Example:
  originlock aop alerts --email ops@example.com --zone example.com --api-token-file cloudflare.token";

const NAME: &str = "Authenticated Origin Pulls: certificate expires";

/// Have Cloudflare write 30 and 14 days before an uploaded client certificate expires
///
/// The notification is the account's: it is about all its zones. One that is there already is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct AlertsArguments {
    /// To whom; may be given several times
    #[arg(long, value_name = "ADDRESS", required = true, value_parser = address)]
    email: Vec<String>,
    /// Which certificates
    #[arg(long, value_enum, default_value_t)]
    level: AlertLevel,
    /// Look what is there, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    cloudflare: CloudflareArguments,
}

#[derive(Clone, Copy, Default, Debug, ValueEnum)]
enum AlertLevel {
    /// Those of hostnames
    #[default]
    Hostname,
    /// Those of zones
    Zone,
}

impl AlertLevel {
    fn alert_type(self) -> &'static str {
        match self {
            Self::Hostname => "hostname_aop_custom_certificate_expiration_type",
            Self::Zone => "zone_aop_custom_certificate_expiration_type",
        }
    }
}

/// What was found, and done.
#[derive(Serialize)]
struct Report<'a> {
    account: &'a str,
    alert_type: &'a str,
    outcome: Outcome,
    email: &'a [String],
    /// All of this type.
    policies: Vec<PolicyReport>,
}

#[derive(Serialize)]
struct PolicyReport {
    id: String,
    name: String,
    enabled: bool,
    email: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// One that is switched on writes to all these addresses already, or to a place other than e-mail.
    Exists,
    /// One writes to all these addresses, and is switched off.
    Disabled,
    Created,
    /// Only with `--dry-run`.
    WouldCreate,
}

pub(super) fn run(arguments: &AlertsArguments) -> anyhow::Result<Ended> {
    let Some(zone) = &arguments.cloudflare.zone else {
        bail!("name the zone with --zone: the notification is made for the account that it is in");
    };
    let cloudflare = arguments.cloudflare.cloudflare()?;
    let zone = cloudflare.zone_called(zone)?;
    let account = zone.account.ok_or_else(|| anyhow!("Cloudflare does not say whose account the zone is in"))?.id;
    let alert_type = arguments.level.alert_type();
    if !cloudflare.available_alerts(&account)?.iter().any(|available| available == alert_type) {
        eprintln!(
            "originlock: account {account} is offered no notification of type {alert_type}; nothing was changed\n  next: \
             watch the date with `originlock aop status`, which needs nothing of Cloudflare's"
        );
        return Ok(Ended::Refused);
    }
    let wanted = Wanted { account: &account, alert_type, email: &arguments.email };
    let mut policies = wanted.policies(&cloudflare)?;
    let mut outcome = wanted.look(&policies).unwrap_or(Outcome::WouldCreate);
    if outcome == Outcome::WouldCreate && !arguments.dry_run {
        wanted.create(&cloudflare)?;
        policies = wanted.policies(&cloudflare)?;
        outcome = Outcome::Created;
    }
    let policies = policies.into_iter().map(|AlertPolicy { id, name, enabled, email, .. }| PolicyReport {
        id,
        name,
        enabled,
        email,
    });
    let report =
        Report { account: &account.0, alert_type, outcome, email: &arguments.email, policies: policies.collect() };
    match arguments.output {
        OutputFormat::Json => writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?,
        OutputFormat::Text => writeln!(io::stdout(), "{}", crate::telemetry::escape::harmless(&report.told()))?,
    }
    Ok(if outcome == Outcome::Disabled { Ended::Drift } else { Ended::Done })
}

/// The notification that should be there.
struct Wanted<'a> {
    account: &'a AccountId,
    alert_type: &'a str,
    email: &'a [String],
}

impl Wanted<'_> {
    /// Those of this type that are there.
    fn policies(&self, cloudflare: &Cloudflare) -> anyhow::Result<Vec<AlertPolicy>> {
        let mut policies = cloudflare.alert_policies(self.account)?;
        policies.retain(|policy| policy.alert_type == self.alert_type);
        Ok(policies)
    }

    /// `None`: none of them will do, even if it were switched on.
    fn look(&self, policies: &[AlertPolicy]) -> Option<Outcome> {
        let tells = |policy: &&AlertPolicy| {
            policy.email.is_empty() || self.email.iter().all(|wanted| holds(&policy.email, wanted))
        };
        let mut telling: Vec<_> = policies.iter().filter(tells).collect();
        telling.sort_by_key(|policy| !policy.enabled);
        telling.first().map(|policy| if policy.enabled { Outcome::Exists } else { Outcome::Disabled })
    }

    /// Makes one. After an answer that was lost it is looked for first: the API takes the same one twice.
    fn create(&self, cloudflare: &Cloudflare) -> anyhow::Result<()> {
        let (name, alert_type) = (NAME.to_owned(), self.alert_type.to_owned());
        let policy = NewAlertPolicy { name, alert_type, email: self.email.to_vec() };
        match cloudflare.create_alert_policy(self.account, &policy) {
            Err(error) if error.may_have_been_done() => match self.look(&self.policies(cloudflare)?) {
                Some(_) => Ok(()),
                None => Err(error.into()),
            },
            created => Ok(created?),
        }
    }
}

fn holds(addresses: &[String], wanted: &str) -> bool {
    addresses.iter().any(|address| address.eq_ignore_ascii_case(wanted))
}

impl Report<'_> {
    fn told(&self) -> String {
        let (account, email) = (self.account, self.email.join(", "));
        match self.outcome {
            Outcome::Exists => format!("account {account} has this notification already; nothing was changed"),
            Outcome::Disabled => format!(
                "account {account} has this notification, switched off; switch it on in the dashboard under \
                 Notifications. Nothing was changed"
            ),
            Outcome::Created => format!(
                "Cloudflare will write to {email} 30 and 14 days before a certificate of account {account} expires; the \
                 address may have to be confirmed in the dashboard first"
            ),
            Outcome::WouldCreate => format!("account {account} has no such notification; one to {email} would be made"),
        }
    }
}

fn address(text: &str) -> Result<String, String> {
    let is_address = text.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    match is_address && text.chars().all(|c| c.is_ascii_graphic() && !"<>,;\"".contains(c)) {
        true => Ok(text.to_owned()),
        false => Err("write one address: ops@example.com".to_owned()),
    }
}
