//! The origin: it answers, knows the hostnames, may be changed, and would let the certificate in.

use std::collections::BTreeSet;

use super::{Asking, Finding, told};
use crate::evidence::report::{JudgeRequest, ModeRequest};
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::remote::admin::AdminError;
use crate::rollout::leaf::Leaf;
use crate::rollout::seen::Host;
use crate::rollout::step::{Check, Level};

pub(super) fn look(asking: &Asking<'_>) -> Vec<Check> {
    let status = match asking.origin.status() {
        Ok(status) => status,
        Err(error) => {
            let next_step = "is originlock running? Point to its admin side with --admin URL or -c FILE";
            return vec![Finding::fails(told(&error), next_step).of("origin", "")];
        }
    };
    let mut checks: Vec<Check> = Vec::new();
    let mut told_of = BTreeSet::new();
    for hostname in &asking.desired.hostnames {
        let subject = hostname.as_str();
        let host = match Host::find(asking.origin, hostname) {
            Ok(Some(host)) => host,
            Ok(None) => {
                checks.push(unknown(hostname).of("origin", subject));
                continue;
            }
            Err(error) => {
                let next_step = "`originlock status` says what the admin side answers";
                checks.push(Finding::fails(told(&error), next_step).of("origin", subject));
                continue;
            }
        };
        checks.push(configured(asking, &host, status.may_change).of("origin", subject));
        let trust = trusts(asking, &host).map(|finding| of_one_host(finding, &host, hostname));
        checks.extend(trust.map(|finding| finding.of("trust", subject)));
        // Hostnames of one host change together.
        if told_of.insert(host.detail.host.name.clone()) {
            checks.extend(other_names(asking, &host).map(|finding| finding.of("other_names", subject)));
        }
    }
    checks
}

fn unknown(hostname: &Hostname) -> Finding {
    Finding::fails(
        format!("the origin has no host for {hostname}"),
        "add a [[host]] for it and `originlock reload`; `originlock status` lists the names",
    )
}

fn configured(asking: &Asking<'_>, host: &Host, may_change: bool) -> Finding {
    let mode = host.detail.host.mode;
    let will_change = mode == Mode::Off || (asking.desired.enforce && mode != Mode::Enforce);
    if will_change && !may_change {
        return Finding::fails(
            format!("{} is in {}, and this token may not change that", host.configured, mode.label()),
            "name the file of the token that is written under [admin] change with --token-file, or give -c FILE of the \
             configuration, or use the unix socket",
        );
    }
    if mode == Mode::Off {
        let dry_run = ModeRequest {
            mode: Mode::Observe,
            force: false,
            dry_run: true,
            confirm_within_seconds: None,
            window_seconds: None,
        };
        match asking.origin.set_mode(&host.configured, &dry_run) {
            Ok(_) => {}
            // Whoever calls can write it by hand.
            Err(AdminError::Problem(problem)) if problem.kind == "not_writable" => {}
            Err(error) => {
                return Finding::fails(
                    format!("{} is in off, and cannot be observed: {}", host.configured, told(&error)),
                    "name a CA for it in the configuration and `originlock reload`",
                );
            }
        }
    }
    let wildcard = if host.configured.starts_with("*.") { format!(" as {}", host.configured) } else { String::new() };
    Finding::holds(format!("the origin has it{wildcard} in {}", mode.label()))
}

/// The origin's advice is by the first name of the host.
fn of_one_host(finding: Finding, host: &Host, hostname: &Hostname) -> Finding {
    let first = &host.detail.host.name;
    let next_step = match finding.next_step.contains(first.as_str()) && first != hostname.as_str() {
        true => format!(
            "{hostname} is in one [[host]] with {first}, and what is said of that holds for both: {}",
            finding.next_step
        ),
        false => finding.next_step,
    };
    Finding { next_step, ..finding }
}

/// Whoever comes by another name of the host is refused, too, and Cloudflare may show nothing for that one.
fn other_names(asking: &Asking<'_>, host: &Host) -> Option<Finding> {
    let changes = asking.desired.enforce && host.detail.host.mode != Mode::Enforce;
    let others: Vec<_> = host.others(&asking.desired.hostnames).filter(|_| changes).collect();
    let list = others.join(", ");
    match others.iter().any(|name| name.starts_with("*.")) {
        _ if others.is_empty() => None,
        true => Some(Finding::fails(
            format!(
                "enforcing reaches {list} as well, whatever Cloudflare shows for the names in it, and one name's evidence \
                 counts for all of them"
            ),
            "give the hostname a [[host]] of its own and `originlock reload`, or stop with --no-enforce",
        )),
        false => Some(Finding::fails(
            format!("enforcing reaches {list} as well, which the origin has in one host with it"),
            "name them on the command line, too, or give the hostname a [[host]] of its own; --no-enforce stops before",
        )),
    }
}

/// `None`: there is nothing to judge.
fn trusts(asking: &Asking<'_>, host: &Host) -> Option<Finding> {
    match (&asking.desired.leaf, asking.desired.level) {
        (Some(leaf), _) => Some(judged(asking, host, leaf)),
        (None, Level::Global | Level::Zone | Level::Hostname) => shared(host),
    }
}

fn judged(asking: &Asking<'_>, host: &Host, leaf: &Leaf) -> Finding {
    let request = JudgeRequest { certificates: leaf.certificate.clone() };
    match asking.origin.judge(&host.configured, &request) {
        Ok(report) if report.reason == Reason::Verified => Finding::holds("the origin would let the certificate in"),
        Ok(report) => Finding::fails(
            format!("the origin would refuse the certificate: {}", report.reason.label()),
            report.next_step.unwrap_or_else(|| "`originlock pki inspect FILE` says what it is".to_owned()),
        ),
        Err(AdminError::Problem(problem)) if problem.kind == "no_trust" => Finding::warns(
            "the host is in off, so that the origin cannot say yet what it would make of the certificate",
            "nothing; it is asked again as soon as the host is observed, and nothing is associated if it would refuse",
        ),
        Err(error) => Finding::fails(
            told(&error),
            "the origin has to be of the same version as this command; `originlock status` shows its version",
        ),
    }
}

fn shared(host: &Host) -> Option<Finding> {
    let trust = host.detail.host.trust.as_ref()?;
    Some(match trust.cloudflare_shared_ca {
        true => Finding::holds("the origin trusts the CA that all of Cloudflare's customers share"),
        false => Finding::fails(
            "the origin does not trust the CA that signs Cloudflare's shared certificate",
            "`originlock aop ca` prints it: add it to the host's CA bundle; or better, use --level hostname",
        ),
    })
}
