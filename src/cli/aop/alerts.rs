//! `originlock aop alerts`: Cloudflare's own notification before a certificate expires.

use std::io::{self, Write};

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::CloudflareArguments;
use crate::cli::{Ended, OutputFormat};
use crate::cloudflare::{AccountId, AlertPolicy, Cloudflare, Mechanisms, NewAlertPolicy};

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
    /// The notification that was found is about a part only; which one was not read.
    is_filtered: bool,
    /// All of this type.
    policies: Vec<PolicyReport>,
}

#[derive(Serialize)]
struct PolicyReport {
    id: String,
    name: String,
    enabled: bool,
    email: Vec<String>,
    /// Kinds of places other than e-mail.
    others: Vec<String>,
    /// Whether it is about a part only; which one is not read.
    is_filtered: bool,
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
    let found = wanted.look(&policies);
    let is_filtered = found.is_some_and(|policy| policy.is_filtered);
    let mut outcome = match found {
        Some(policy) if policy.enabled => Outcome::Exists,
        Some(_) => Outcome::Disabled,
        None => Outcome::WouldCreate,
    };
    if outcome == Outcome::WouldCreate && !arguments.dry_run {
        wanted.create(&cloudflare)?;
        policies = wanted.policies(&cloudflare)?;
        outcome = Outcome::Created;
    }
    let policies = policies.into_iter().map(PolicyReport::of).collect();
    let report = Report { account: &account.0, alert_type, outcome, email: &arguments.email, is_filtered, policies };
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

    /// The one that will do, at least if it were switched on. One without filters is better, as they are not read.
    fn look<'a>(&self, policies: &'a [AlertPolicy]) -> Option<&'a AlertPolicy> {
        let telling = policies.iter().filter(|policy| {
            let Mechanisms { email, others } = &policy.mechanisms;
            let writes_to_all = self.email.iter().all(|wanted| holds(email, wanted));
            // One without any mechanism tells nobody.
            !email.is_empty() && writes_to_all || email.is_empty() && !others.is_empty()
        });
        telling.min_by_key(|policy| (!policy.enabled, policy.is_filtered))
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

impl PolicyReport {
    fn of(policy: AlertPolicy) -> Self {
        let AlertPolicy { id, name, enabled, mechanisms: Mechanisms { email, others }, is_filtered, .. } = policy;
        Self { id, name, enabled, email, others, is_filtered }
    }
}

impl Report<'_> {
    fn told(&self) -> String {
        let filters = match self.is_filtered {
            true => ". It has filters, which were not read: see in the dashboard that they leave out nothing of yours",
            false => "",
        };
        self.outcome() + filters
    }

    fn outcome(&self) -> String {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The id and the filters of the policy that will do.
    fn found(policies: Value) -> Option<(String, bool)> {
        let policies: Vec<AlertPolicy> = serde_json::from_value(policies).expect("policies");
        let wanted =
            Wanted { account: &AccountId("a".into()), alert_type: "t", email: &["ops@example.com".to_owned()] };
        wanted.look(&policies).map(|policy| (policy.id.clone(), policy.is_filtered))
    }

    #[test]
    fn a_policy_counts_if_it_reaches_somebody() {
        let mail = json!({ "email": [{ "id": "OPS@example.com" }] });
        for (mechanisms, counts) in [
            (json!({}), false),
            (Value::Null, false),
            (json!({ "email": [], "webhooks": [], "pagerduty": null }), false),
            (json!({ "email": [{ "id": "else@example.com" }], "webhooks": [{ "id": "w" }] }), false),
            (mail.clone(), true),
            (json!({ "email": [], "webhooks": [{ "id": "w" }] }), true),
            (json!({ "pagerduty": [{ "id": "p" }] }), true),
        ] {
            let policies = json!([{ "id": "1", "enabled": true, "mechanisms": mechanisms }]);
            assert_eq!(found(policies.clone()).is_some(), counts, "{policies}");
        }
        let one = |id: &str, enabled: bool, filters: Value| json!({ "id": id, "enabled": enabled, "mechanisms": mail, "filters": filters });
        let zones = || json!({ "zones": ["023e105f4ecef8ad9ca31a8372d0c353"] });
        let all = json!([
            one("off", false, json!({})),
            one("part", true, zones()),
            one("whole", true, json!({ "zones": [] }))
        ]);
        assert_eq!(found(all), Some(("whole".to_owned(), false)));
        let some = json!([one("off", false, Value::Null), one("part", true, zones())]);
        assert_eq!(found(some), Some(("part".to_owned(), true)));
    }
}
