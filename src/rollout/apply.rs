//! Takes the steps of a plan, one after the other, and reads again after each.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::context::{Context, Look};
use super::desired::Desired;
use super::error::RolloutError;
use super::observed::{Observed, ObservedHostname};
use super::plan::{self, Done};
use super::seen::{Host, Sought};
use super::step::{Level, Step, StepName, StepState};
use super::{associations, before, certificates, enforce, prove, settings};
use crate::clock::Timestamp;
use crate::cloudflare::UploadedCertificate;
use crate::hostname::Hostname;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// As they stand in the end.
    pub steps: Vec<Step>,
    /// Why some of them did not come about. Empty: everything is as it is wanted.
    pub errors: Vec<RolloutError>,
}

/// Takes all steps that have to be taken. What is so already is left alone.
///
/// A hostname whose evidence does not come in time holds up its own host and no other; anything else that goes wrong ends
/// the run, and everything done so far stays. The same call goes on from there.
///
/// # Errors
/// Nothing could be read, so that nothing was begun.
pub fn apply(ctx: &mut Context<'_>, desired: &Desired) -> Result<Outcome, RolloutError> {
    let observed = Observed::read(ctx.sources(), desired)?;
    let mut walk = Walk {
        desired,
        observed,
        done: Done::default(),
        told: BTreeSet::new(),
        held_up: BTreeSet::new(),
        evidence_until: None,
    };
    let mut errors = Vec::new();
    let steps = plan::steps(desired, &walk.observed, &walk.done);
    // What was so beforehand is no news.
    steps.iter().filter(|step| step.state == StepState::Done).for_each(|step| walk.told.extend([key(step)]));
    if let Err(error) = walk.record_before(ctx, &steps) {
        return Ok(Outcome { steps, errors: vec![error] });
    }
    loop {
        let mut steps = plan::steps(desired, &walk.observed, &walk.done);
        let next = steps.iter().position(|step| walk.is_next(step));
        walk.tell_what_is_done(ctx, &steps[..next.unwrap_or(steps.len())]);
        let Some(at) = next else {
            walk.mark_failed(&mut steps);
            return Ok(Outcome { steps, errors });
        };
        let step = &steps[at];
        ctx.progress.begins(step);
        let taken = walk.take(ctx, step).and_then(|()| walk.read_again(ctx, step));
        match taken {
            Ok(()) => {}
            Err(error) => {
                let goes_on = matches!(&error, RolloutError::TimedOut { step: StepName::Seen | StepName::Enforce, .. });
                walk.held_up.insert(key(step));
                errors.push(error);
                steps[at].state = StepState::Failed;
                ctx.progress.ended(&steps[at]);
                if !goes_on {
                    return Ok(Outcome { steps, errors });
                }
            }
        }
    }
}

/// What tells steps apart.
fn key(step: &Step) -> (StepName, String) {
    (step.name, step.subject.clone())
}

struct Walk<'a> {
    desired: &'a Desired,
    observed: Observed,
    done: Done,
    /// What whoever watches knows to be done.
    told: BTreeSet<(StepName, String)>,
    /// What did not come about.
    held_up: BTreeSet<(StepName, String)>,
    /// All hostnames together wait this long for their evidence.
    evidence_until: Option<Instant>,
}

impl Walk<'_> {
    fn take(&mut self, ctx: &mut Context<'_>, step: &Step) -> Result<(), RolloutError> {
        match step.name {
            StepName::Upload => {
                if let Some((collection, leaf)) = self.desired.collection().zip(self.desired.leaf.as_ref()) {
                    self.observed.certificate = Some(certificates::ensure(ctx, step, collection, leaf)?);
                }
            }
            StepName::Observe => {
                let host = self.host(&step.subject)?;
                enforce::observe(ctx, host)?;
                if let Some(leaf) = self
                    .desired
                    .leaf
                    .as_ref()
                    .filter(|_| !self.desired.forces("trust", &step.subject, self.desired.hostnames.len()))
                {
                    enforce::expect_trust(ctx, host, leaf)?;
                }
            }
            StepName::ZoneSetting => {
                let since = ctx.origin.status()?.at;
                settings::ensure_tls_client_auth(ctx, step, true)?;
                if self.desired.level == Level::Global {
                    self.all_show_it_since(since);
                }
            }
            StepName::ZoneLevel => {
                let since = ctx.origin.status()?.at;
                settings::ensure_zone_level(ctx, step, true)?;
                self.all_show_it_since(since);
            }
            StepName::Associate => self.associate(ctx, step)?,
            StepName::PostQuantum => {
                if let Some(wanted) = self.desired.post_quantum {
                    settings::ensure_post_quantum(ctx, step, wanted)?;
                }
            }
            StepName::Seen => self.wait_until_seen(ctx, step)?,
            StepName::Enforce => {
                let limit = self.evidence_left(ctx);
                let host = self.host(&step.subject)?;
                enforce::enforce(ctx, self.desired, &self.observed, &self.done, host, step, limit)?;
            }
            StepName::Prove => {
                let hostname = self.hostname(&step.subject)?.clone();
                prove::prove(ctx, self.desired, &self.observed, &hostname)?;
            }
            // No step of this plan.
            StepName::Trust | StepName::Unseen | StepName::Void | StepName::Delete | StepName::Distrust => {}
        }
        self.done.add(step);
        Ok(())
    }

    fn all_show_it_since(&mut self, since: Timestamp) {
        self.desired.hostnames.iter().for_each(|hostname| self.done.associated(hostname, since));
    }

    fn associate(&mut self, ctx: &mut Context<'_>, step: &Step) -> Result<(), RolloutError> {
        let hostname = self.hostname(&step.subject)?.clone();
        let certificate = self.certificate(step)?.clone();
        // Somebody may have been here since the plan was made.
        let association = ctx.cloudflare.association(&ctx.zone.id, &hostname)?;
        let other = association.as_ref().filter(|association| association.enabled == Some(true));
        if let Some(other) =
            other.filter(|other| !self.desired.replace && other.cert_id.as_ref() != Some(&certificate.id))
        {
            let id = other.cert_id.as_ref().map_or("another certificate".to_owned(), |id| format!("certificate {id}"));
            return Err(RolloutError::Unsafe {
                what: format!("{hostname} shows {id} already"),
                next_step: format!(
                    "`originlock aop rotate {hostname}` replaces it without a gap; --replace does it at once"
                ),
            });
        }
        before::record_association(ctx, &hostname, association.as_ref(), Some(&certificate.id))?;
        // By the origin's clock, which is the one that sightings are told by.
        let since = ctx.origin.status()?.at;
        associations::ensure(ctx, step, &hostname, &certificate.id)?;
        self.done.associated(&hostname, since);
        Ok(())
    }

    fn wait_until_seen(&mut self, ctx: &mut Context<'_>, step: &Step) -> Result<(), RolloutError> {
        let hostname = self.hostname(&step.subject)?.clone();
        let sought = self.desired.leaf.as_ref().map_or(Sought::Verified, |leaf| Sought::Certificate(leaf.sha256()));
        let since = self.done.since(&hostname);
        let next_step = format!(
            "open https://{hostname}/ a few times: edges connect when somebody asks. `originlock explain {hostname}` says \
             what they show; the same command goes on"
        );
        let limit = self.evidence_left(ctx);
        ctx.wait(step, limit, &next_step, |ctx| {
            let Some(host) = Host::find(ctx.origin, &hostname)? else {
                return Ok(Look::NotYet(format!("the origin has no host for {hostname}")));
            };
            Ok(match host.sighting(sought, since) {
                Some(sighting) if sighting.counts() => Look::Ready(()),
                Some(sighting) => Look::NotYet(format!(
                    "the certificate came from Cloudflare for {hostname}, and does not verify: {}",
                    sighting.reason.label()
                )),
                None => Look::NotYet(format!("no edge of Cloudflare's has shown the certificate for {hostname} yet")),
            })
        })
    }

    /// What is recorded before the first change, and only where something will change.
    fn record_before(&self, ctx: &mut Context<'_>, steps: &[Step]) -> Result<(), RolloutError> {
        let will_change = |name: StepName, subject: &str| {
            steps.iter().any(|step| step.name == name && step.subject == subject && step.state == StepState::Todo)
        };
        let id = self.observed.certificate.as_ref().map(|certificate| certificate.id.clone());
        for (hostname, observed) in &self.observed.hostnames {
            if will_change(StepName::Associate, hostname.as_str()) {
                before::record_association(ctx, hostname, observed.association.as_ref(), id.as_ref())?;
            }
        }
        let zone = &self.observed.zone;
        if will_change(StepName::ZoneSetting, zone) || will_change(StepName::ZoneLevel, zone) {
            let shared = self.observed.tls_client_auth.as_ref().map(|setting| setting.value == "on");
            before::record_zone(ctx, shared, self.observed.zone_level)?;
        }
        Ok(())
    }

    /// Some come about while others are waited for.
    fn tell_what_is_done(&mut self, ctx: &mut Context<'_>, steps: &[Step]) {
        for step in steps.iter().filter(|step| step.state == StepState::Done) {
            if self.told.insert(key(step)) {
                ctx.progress.ended(step);
            }
        }
    }

    fn read_again(&mut self, ctx: &Context<'_>, step: &Step) -> Result<(), RolloutError> {
        self.observed.read_again(ctx.sources(), self.desired, step)
    }

    /// Whether `step` is to be taken now: it is not done, and nothing of its host failed.
    fn is_next(&self, step: &Step) -> bool {
        let open = match step.state {
            StepState::Todo | StepState::Waiting => true,
            StepState::Done | StepState::LeftOut | StepState::Failed => false,
        };
        open && !self.held_up.iter().any(|(_, subject)| self.are_of_one_host(subject, &step.subject))
    }

    fn are_of_one_host(&self, one: &str, other: &str) -> bool {
        let host = |name: &str| self.host(name).ok().map(|host| host.detail.host.name.clone());
        one == other || host(one).is_some_and(|of_one| host(other) == Some(of_one))
    }

    fn mark_failed(&self, steps: &mut [Step]) {
        for step in steps {
            if self.held_up.contains(&key(step)) {
                step.state = StepState::Failed;
            }
        }
    }

    fn evidence_left(&mut self, ctx: &Context<'_>) -> Duration {
        let until = self.evidence_until.get_or_insert_with(|| Instant::now() + ctx.patience.evidence);
        until.saturating_duration_since(Instant::now())
    }

    fn hostname(&self, subject: &str) -> Result<&Hostname, RolloutError> {
        let known = self.desired.hostnames.iter().find(|hostname| hostname.as_str() == subject);
        known.ok_or_else(|| no_host(subject))
    }

    fn host(&self, subject: &str) -> Result<&Host, RolloutError> {
        let observed: &ObservedHostname = self.observed.hostnames.get(subject).ok_or_else(|| no_host(subject))?;
        observed.host.as_ref().ok_or_else(|| no_host(subject))
    }

    fn certificate(&self, step: &Step) -> Result<&UploadedCertificate, RolloutError> {
        self.observed.certificate.as_ref().ok_or_else(|| RolloutError::GaveUp {
            what: format!("{}: there is no certificate at Cloudflare to show", step.subject),
            next_step: "run the same command again".to_owned(),
        })
    }
}

fn no_host(name: &str) -> RolloutError {
    RolloutError::Unsafe {
        what: format!("the origin has no host for {name}"),
        next_step: "add a [[host]] for it and reload; `originlock status` lists the names".to_owned(),
    }
}
