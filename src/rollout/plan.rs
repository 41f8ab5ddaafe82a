//! From what is wanted and what is to steps. Nothing is asked and nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::associations::is_of;
use super::desired::Desired;
use super::enforce::{MIN_WINDOW, spoken};
use super::observed::{Observed, ObservedHostname};
use super::seen::Sought;
use super::step::{Level, Step, StepName, StepState};
use crate::clock::Timestamp;
use crate::cloudflare::Status;
use crate::evidence::report::HostReport;
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::x509::Fingerprint;

/// What this run has done: what no reading shows, and what a reading may not show yet.
#[derive(Clone, Default, Debug)]
pub struct Done {
    steps: BTreeSet<(StepName, String)>,
    /// When a hostname began to show the certificate, by the origin's clock.
    associated: BTreeMap<Hostname, Timestamp>,
}

impl Done {
    /// `step` came about.
    pub fn add(&mut self, step: &Step) {
        self.steps.insert((step.name, step.subject.clone()));
    }

    /// From `at` on, what the origin sees of `hostname` counts.
    pub fn associated(&mut self, hostname: &Hostname, at: Timestamp) {
        self.associated.insert(hostname.clone(), at);
    }

    /// Since when sightings count; `None`: since ever, this run has changed nothing.
    pub fn since(&self, hostname: &Hostname) -> Option<Timestamp> {
        self.associated.get(hostname).copied()
    }

    fn has(&self, name: StepName, subject: &str) -> bool {
        self.steps.contains(&(name, subject.to_owned()))
    }
}

/// All steps in their order.
pub fn steps(desired: &Desired, observed: &Observed, done: &Done) -> Vec<Step> {
    let plan = Plan { desired, observed, done };
    let mut steps: Vec<Step> = plan.upload().into_iter().collect();
    steps.extend(plan.each(Plan::observe));
    steps.extend(plan.zone_level());
    steps.extend(plan.each(Plan::associate));
    // The lower levels win over it: behind them it changes nothing for these hostnames. Before them edges would show the
    // shared certificate for a while, which counts as failing.
    steps.push(plan.zone_setting());
    steps.extend(plan.post_quantum());
    steps.extend(plan.each(Plan::seen));
    steps.extend(plan.each(Plan::enforce));
    steps.extend(plan.each(Plan::prove));
    for step in &mut steps {
        if done.has(step.name, &step.subject) && step.state != StepState::LeftOut {
            step.state = StepState::Done;
        }
    }
    steps
}

struct Plan<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    done: &'a Done,
}

impl<'a> Plan<'a> {
    /// One step for each hostname that has it.
    fn each(&self, step: impl Fn(&Self, &Hostname, &'a ObservedHostname) -> Option<Step>) -> Vec<Step> {
        let hostnames = self.desired.hostnames.iter();
        hostnames.filter_map(|hostname| step(self, hostname, self.observed.hostnames.get(hostname)?)).collect()
    }

    fn upload(&self) -> Option<Step> {
        let leaf = self.desired.leaf.as_ref()?;
        let (is, state) = match &self.observed.certificate {
            None => ("not at Cloudflare".to_owned(), StepState::Todo),
            Some(found) => {
                let state = match found.status {
                    Status::Active => StepState::Done,
                    Status::Initializing | Status::PendingDeployment | Status::Other(_) => StepState::Waiting,
                    Status::DeploymentTimedOut
                    | Status::PendingDeletion
                    | Status::Deleted
                    | Status::DeletionTimedOut => StepState::Todo,
                };
                (format!("certificate {} is {}", found.id, found.status), state)
            }
        };
        let until = leaf.summary.fields.as_ref().map(|fields| format!(", good until {}", fields.not_after));
        Some(Step {
            name: StepName::Upload,
            subject: self.observed.zone.clone(),
            is,
            will_be: format!("certificate {} is active{}", short(leaf.sha256()), until.unwrap_or_default()),
            why: "Cloudflare's edges need the certificate and its key to show it".to_owned(),
            state,
        })
    }

    fn observe(&self, hostname: &Hostname, observed: &ObservedHostname) -> Option<Step> {
        let host = self.first_of_its_host(hostname, observed)?;
        Some(Step {
            name: StepName::Observe,
            subject: hostname.to_string(),
            is: host.mode.label().to_owned(),
            will_be: Mode::Observe.label().to_owned(),
            why: "the origin asks for a certificate and logs what it gets, and everyone is let in".to_owned(),
            state: match host.mode {
                Mode::Off => StepState::Todo,
                Mode::Observe | Mode::Enforce => StepState::Done,
            },
        })
    }

    fn zone_setting(&self) -> Step {
        let value = self.observed.tls_client_auth.as_ref().map(|setting| setting.value.as_str());
        let why = match self.desired.level {
            Level::Global => {
                "every proxied hostname of the zone shows Cloudflare's certificate, which all its customers share"
            }
            Level::Zone | Level::Hostname => {
                "the set-up guide has this step; Cloudflare's pages of 2026 call the levels independent. It changes more \
                 than what is named here: every other proxied hostname of the zone without a certificate of its own \
                 shows Cloudflare's shared one from then on; --skip-zone-setting leaves it out"
            }
        };
        Step {
            name: StepName::ZoneSetting,
            subject: self.observed.zone.clone(),
            is: format!("tls_client_auth is {}", value.unwrap_or("not known")),
            will_be: match self.desired.zone_setting {
                true => "tls_client_auth is on".to_owned(),
                false => "as it is".to_owned(),
            },
            why: why.to_owned(),
            state: match (self.desired.zone_setting, value) {
                (false, _) => StepState::LeftOut,
                (true, Some("on")) => StepState::Done,
                (true, _) => StepState::Todo,
            },
        }
    }

    fn zone_level(&self) -> Option<Step> {
        if self.desired.level != Level::Zone {
            return None;
        }
        let on = self.observed.zone_level == Some(true);
        Some(Step {
            name: StepName::ZoneLevel,
            subject: self.observed.zone.clone(),
            is: format!("zone-level is {}", if on { "on" } else { "off" }),
            will_be: "zone-level is on".to_owned(),
            why: "every proxied hostname of the zone without an association of its own shows the certificate"
                .to_owned(),
            state: if on { StepState::Done } else { StepState::Todo },
        })
    }

    fn associate(&self, hostname: &Hostname, observed: &ObservedHostname) -> Option<Step> {
        if self.desired.level != Level::Hostname {
            return None;
        }
        let ours = self.observed.certificate.as_ref();
        let association = observed.association.as_ref();
        let wanted = association.zip(ours).filter(|(association, ours)| is_of(association, &ours.id));
        Some(Step {
            name: StepName::Associate,
            subject: hostname.to_string(),
            is: association.map_or("no association".to_owned(), |association| {
                let enabled = if association.enabled == Some(true) { "enabled" } else { "disabled" };
                let id = association.cert_id.as_ref().map_or("no certificate".to_owned(), ToString::to_string);
                format!("{enabled} with {id}, {}", association.status)
            }),
            will_be: match ours {
                Some(ours) => format!("enabled with {}, active", ours.id),
                None => "enabled with the certificate, active".to_owned(),
            },
            why: "from then on Cloudflare's edges show this certificate for this hostname".to_owned(),
            state: match wanted {
                Some((association, _)) if association.status == Status::Active => StepState::Done,
                Some((association, _)) if association.status != Status::DeploymentTimedOut => StepState::Waiting,
                Some(_) | None => StepState::Todo,
            },
        })
    }

    fn post_quantum(&self) -> Option<Step> {
        let wanted = self.desired.post_quantum?;
        let is = self.observed.post_quantum.as_ref().map(|setting| setting.value);
        Some(Step {
            name: StepName::PostQuantum,
            subject: self.observed.zone.clone(),
            is: format!("origin_post_quantum_encryption is {}", is.map_or("not known", |value| value.label())),
            will_be: format!("origin_post_quantum_encryption is {}", wanted.label()),
            why: "how Cloudflare's edges agree on keys with this zone's origins".to_owned(),
            state: if is == Some(wanted) { StepState::Done } else { StepState::Todo },
        })
    }

    fn seen(&self, hostname: &Hostname, observed: &ObservedHostname) -> Option<Step> {
        let sought = self.sought();
        let sighting = observed.host.as_ref().and_then(|host| host.sighting(sought, self.done.since(hostname)));
        // The origin counts by the names in its configuration.
        let wildcard =
            observed.host.as_ref().map(|host| host.configured.as_str()).filter(|name| name.starts_with("*."));
        let with_siblings = wildcard.map(|name| format!(" for some name of {name}")).unwrap_or_default();
        let what = match sought {
            Sought::Certificate(sha256) => format!("certificate {}", short(sha256)),
            Sought::Verified => "a certificate that verifies".to_owned(),
        };
        Some(Step {
            name: StepName::Seen,
            subject: hostname.to_string(),
            is: match &sighting {
                Some(sighting) => format!("seen from Cloudflare{with_siblings}, last at {}", sighting.seen.last_seen),
                None => format!("{what} has not been seen from Cloudflare"),
            },
            will_be: format!("{what} seen from Cloudflare"),
            why: "only what the origin itself saw proves that the edges show it; the API's word does not".to_owned(),
            state: match sighting.filter(|sighting| sighting.counts()) {
                Some(_) if self.shows(hostname, observed) => StepState::Done,
                Some(_) | None => StepState::Waiting,
            },
        })
    }

    fn enforce(&self, hostname: &Hostname, observed: &ObservedHostname) -> Option<Step> {
        let host = self.first_of_its_host(hostname, observed)?;
        let others: Vec<_> = observed.host.iter().flat_map(|host| host.others(&self.desired.hostnames)).collect();
        let also = match others.is_empty() {
            true => String::new(),
            false => format!("; with it {}, which the origin has in one host with it", others.join(", ")),
        };
        Some(Step {
            name: StepName::Enforce,
            subject: hostname.to_string(),
            is: host.mode.label().to_owned(),
            will_be: match self.desired.enforce {
                true => Mode::Enforce.label().to_owned(),
                false => "as it is".to_owned(),
            },
            why: format!("whoever does not show the certificate is refused, once {}{also}", self.evidence(host)),
            state: match (host.mode, self.desired.enforce) {
                (Mode::Enforce, _) => StepState::Done,
                (Mode::Off | Mode::Observe, true) => StepState::Todo,
                (Mode::Off | Mode::Observe, false) => StepState::LeftOut,
            },
        })
    }

    /// Over which time readiness is judged.
    fn evidence(&self, host: &HostReport) -> String {
        let own = Duration::from_secs(host.evidence.window_seconds);
        let window = spoken(self.desired.window.unwrap_or(own));
        let shorter = match self.desired.window.is_none() && own > MIN_WINDOW {
            true => format!(
                " (or, if nothing failed but before the edges changed over, the time since then: {} at least)",
                spoken(MIN_WINDOW)
            ),
            false => String::new(),
        };
        format!("the evidence of the last {window}{shorter} says that it is ready")
    }

    fn prove(&self, hostname: &Hostname, observed: &ObservedHostname) -> Option<Step> {
        let enforced = observed.host.as_ref()?.detail.host.mode == Mode::Enforce;
        let with = match self.desired.leaf {
            Some(_) => ", and with the right one are let in",
            None => "",
        };
        Some(Step {
            name: StepName::Prove,
            subject: hostname.to_string(),
            is: "not tried in this run".to_owned(),
            will_be: format!("connections without and with a wrong certificate are refused{with}"),
            why: "a lock is worth what rattling at it shows".to_owned(),
            state: match enforced || self.desired.enforce {
                true => StepState::Todo,
                false => StepState::LeftOut,
            },
        })
    }

    /// What the origin has to see.
    fn sought(&self) -> Sought {
        self.desired.leaf.as_ref().map_or(Sought::Verified, |leaf| Sought::Certificate(leaf.sha256()))
    }

    /// Whether Cloudflare says that it shows the certificate for `hostname` by now.
    fn shows(&self, hostname: &Hostname, observed: &ObservedHostname) -> bool {
        let is_done = |step: Step| step.state == StepState::Done || self.done.has(step.name, &step.subject);
        match self.desired.level {
            Level::Global => is_done(self.zone_setting()),
            Level::Zone => self.zone_level().is_some_and(is_done),
            Level::Hostname => self.associate(hostname, observed).is_some_and(is_done),
        }
    }

    /// The origin's host of `hostname`, told once for all hostnames that are in it: they change together.
    fn first_of_its_host<'o>(&self, hostname: &Hostname, observed: &'o ObservedHostname) -> Option<&'o HostReport> {
        let host = &observed.host.as_ref()?.detail.host;
        let in_it = |other: &&Hostname| {
            let other = self.observed.hostnames.get(*other).and_then(|observed| observed.host.as_ref());
            other.is_some_and(|other| other.detail.host.name == host.name)
        };
        (self.desired.hostnames.iter().find(in_it) == Some(hostname)).then_some(host)
    }
}

/// Enough of a fingerprint to recognise it.
pub fn short(sha256: Fingerprint) -> String {
    let text = sha256.to_string();
    format!("sha256:{}…", &text[..16])
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
