//! The origin admits everyone again, and says who it is: the first step of every way back, for which nobody has to ask
//! Cloudflare.

use super::error::RolloutError;
use super::origin::Origin;
use super::progress::Progress;
use super::seen::Host;
use super::step::{Step, StepName, StepState};
use crate::evidence::report::ModeRequest;
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;

/// A host of the origin that is to admit everyone.
#[derive(Clone, Debug)]
pub struct Release {
    pub step: Step,
    /// One of its names, as configured; `None`: the origin has no such host.
    configured: Option<String>,
}

/// What has to be done at the origin for `hostnames`, one step for each host of it.
///
/// # Errors
/// The origin does not tell.
pub fn plan(origin: &dyn Origin, hostnames: &[Hostname]) -> Result<Vec<Release>, RolloutError> {
    let mut releases: Vec<Release> = Vec::new();
    let mut seen = Vec::new();
    for hostname in hostnames {
        match Host::find(origin, hostname)? {
            Some(host) if seen.contains(&host.detail.host.name) => {}
            Some(host) => {
                seen.push(host.detail.host.name.clone());
                releases.push(of(hostname, &host));
            }
            None => releases.push(Release { step: unknown(hostname), configured: None }),
        }
    }
    Ok(releases)
}

/// Whether the origin has a host for `hostname`, or for another of its names.
pub fn is_known(releases: &[Release], hostname: &Hostname) -> bool {
    releases.iter().all(|release| release.configured.is_some() || release.step.subject != hostname.as_str())
}

/// Does it. What was done stays done if something fails later.
///
/// # Errors
/// The origin refuses it or does not answer.
pub fn take(origin: &dyn Origin, progress: &mut dyn Progress, releases: &mut [Release]) -> Result<(), RolloutError> {
    for Release { step, configured } in releases {
        let (StepState::Todo, Some(name)) = (step.state, configured.as_ref()) else { continue };
        progress.begins(step);
        let request = ModeRequest {
            mode: Mode::Observe,
            force: false,
            dry_run: false,
            confirm_within_seconds: None,
            window_seconds: None,
        };
        let done = origin.set_mode(name, &request);
        step.state = if done.is_ok() { StepState::Done } else { StepState::Failed };
        progress.ended(step);
        done?;
    }
    Ok(())
}

fn of(hostname: &Hostname, host: &Host) -> Release {
    let report = &host.detail.host;
    let others: Vec<_> = report.names.iter().filter(|name| **name != host.configured).map(String::as_str).collect();
    let with = match others.is_empty() {
        true => String::new(),
        false => format!("; with it {}, which the origin has in one host with it", others.join(", ")),
    };
    let step = Step {
        name: StepName::Observe,
        subject: hostname.to_string(),
        is: report.mode.label().to_owned(),
        will_be: match report.mode {
            Mode::Off => Mode::Off.label().to_owned(),
            Mode::Observe | Mode::Enforce => Mode::Observe.label().to_owned(),
        },
        why: format!("first of all: nobody is refused while Cloudflare's side changes{with}"),
        state: match report.mode {
            Mode::Enforce => StepState::Todo,
            Mode::Off | Mode::Observe => StepState::Done,
        },
    };
    Release { step, configured: Some(host.configured.clone()) }
}

fn unknown(hostname: &Hostname) -> Step {
    Step {
        name: StepName::Observe,
        subject: hostname.to_string(),
        is: "the origin has no host for it".to_owned(),
        will_be: "as it is".to_owned(),
        why: "whoever serves it must not ask for a certificate any more".to_owned(),
        state: StepState::LeftOut,
    }
}
