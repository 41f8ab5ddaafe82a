//! A new certificate takes the place of the old one: at no moment edges present what the origin refuses, and the old one
//! goes when nobody presents it any more.

mod bundle;
mod plan;
mod settled;

pub use plan::{Plan, plan};

use std::time::Duration;

use super::apply::Outcome;
use super::context::{Context, Look};
use super::error::RolloutError;
use super::journal::{Replaced, Rotation};

use super::leaf::Leaf;
use super::seen::{Host, Sought};
use super::step::{Level, Step, StepName, StepState};
use super::{associations, certificates, delete};
use crate::clock::Timestamp;
use crate::cloudflare::Collection;
use crate::evidence::report::{JudgeRequest, TrustRequest};
use crate::hostname::Hostname;
use crate::policy::verdict::Reason;
use plan::Item;

/// What is to be replaced by what.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Not [`Level::Global`]: Cloudflare rotates its own.
    pub level: Level,
    /// Each once.
    pub hostnames: Vec<Hostname>,
    /// The new certificate.
    pub leaf: Leaf,
    /// PEM of CA certificates for the origin to trust, where it would refuse the new certificate.
    pub add_ca: Option<String>,
    /// Whether `add_ca` may be trusted by hosts, too, that are not part of the run and share the bundle.
    pub shared_bundle: bool,
    /// Whether an old certificate goes, too, that was not uploaded by whoever keeps this journal.
    pub delete_certificate: bool,
    /// Whether the origin goes on to trust the CA of the old one.
    pub keep_old_ca: bool,
    /// How long edges keep a connection open that they opened with the old certificate. It is judged anew when the CA goes,
    /// so that the CA waits for its end.
    pub drain: Duration,
}

impl Wanted {
    fn collection(&self) -> Collection {
        match self.level {
            Level::Zone => Collection::Zone,
            Level::Hostname | Level::Global => Collection::Hostname,
        }
    }
}

/// Takes the steps of `plan`. Everything done so far stays when one fails; the same command goes on from there.
pub fn take(ctx: &mut Context<'_>, wanted: &Wanted, mut plan: Plan) -> Outcome {
    let errors = take_all(ctx, wanted, &mut plan).err().into_iter().collect();
    Outcome { steps: plan.steps, errors }
}

fn take_all(ctx: &mut Context<'_>, wanted: &Wanted, plan: &mut Plan) -> Result<(), RolloutError> {
    plan.record(ctx, wanted)?;
    for at in 0..plan.steps.len() {
        let step = plan.steps[at].clone();
        if !matches!(step.state, StepState::Todo | StepState::Waiting) {
            continue;
        }
        ctx.progress.begins(&step);
        let taken = take_one(ctx, wanted, plan, &step);
        let now = &mut plan.steps[at];
        match &taken {
            Ok(None) => now.state = StepState::Done,
            Ok(Some(why)) => {
                now.state = StepState::LeftOut;
                now.why.clone_from(why);
            }
            Err(_) => now.state = StepState::Failed,
        }
        ctx.progress.ended(now);
        taken?;
    }
    plan.forget(ctx, wanted)
}

/// `Some`: it is left out after all, and why.
fn take_one(
    ctx: &mut Context<'_>,
    wanted: &Wanted,
    plan: &mut Plan,
    step: &Step,
) -> Result<Option<String>, RolloutError> {
    match step.name {
        StepName::Trust => trust(ctx, wanted, plan.item(&step.subject)?)?,
        StepName::Upload => {
            let (collection, hostnames) = (wanted.collection(), &wanted.hostnames);
            plan.new = Some(certificates::ensure(ctx, step, collection, &wanted.leaf, hostnames)?);
        }
        StepName::Associate => associate(ctx, plan, step)?,
        StepName::Seen => wait_until_seen(ctx, wanted, plan.item(&step.subject)?, step)?,
        StepName::Unseen => settled::wait(ctx, wanted, plan.item(&step.subject)?, step, ctx.patience.settle)?,
        StepName::Delete => return delete_old(ctx, wanted, plan, step),
        StepName::Distrust => return distrust(ctx, wanted, plan, step),
        // No step of this plan.
        StepName::Observe
        | StepName::ZoneSetting
        | StepName::ZoneLevel
        | StepName::PostQuantum
        | StepName::Enforce
        | StepName::Prove
        | StepName::Void => {}
    }
    Ok(None)
}

/// The origin trusts both: what comes and what goes.
fn trust(ctx: &mut Context<'_>, wanted: &Wanted, item: &Item) -> Result<(), RolloutError> {
    let configured = &item.configured;
    let request = TrustRequest { add: wanted.add_ca.clone(), ..TrustRequest::default() };
    ctx.origin.change_trust(configured, &request)?;
    expect_verified(ctx, wanted, configured, "--add-ca FILE has to hold the CA that issued it")
}

fn expect_verified(ctx: &Context<'_>, wanted: &Wanted, name: &str, next_step: &str) -> Result<(), RolloutError> {
    let request = JudgeRequest { certificates: wanted.leaf.certificate.clone() };
    match ctx.origin.judge(name, &request)?.reason {
        Reason::Verified => Ok(()),
        reason => Err(RolloutError::Unsafe {
            what: format!("the origin would refuse the new certificate for {name}: {}", reason.label()),
            next_step: next_step.to_owned(),
        }),
    }
}

fn associate(ctx: &mut Context<'_>, plan: &Plan, step: &Step) -> Result<(), RolloutError> {
    let item = plan.item(&step.subject)?;
    let hostname = item.hostname.clone();
    let new = plan.new.as_ref().map(|certificate| certificate.id.clone()).ok_or_else(|| no_certificate(step))?;
    let now = ctx.cloudflare.association(&ctx.zone.id, &hostname)?;
    if !now.as_ref().is_some_and(|now| associations::is_of(now, &new)) && !item.is_as_planned(now.as_ref()) {
        return Err(RolloutError::Unsafe {
            what: format!(
                "somebody changed the association of {hostname} since the plan was made: nothing is overwritten"
            ),
            next_step: "find out who, then run the same command again: it plans anew".to_owned(),
        });
    }
    associations::ensure(ctx, step, &hostname, &new)?;
    Ok(())
}

fn wait_until_seen(ctx: &mut Context<'_>, wanted: &Wanted, item: &Item, step: &Step) -> Result<(), RolloutError> {
    let (hostname, since) = (item.hostname.clone(), since(ctx, item));
    let sought = Sought::Certificate(wanted.leaf.sha256());
    let next_step = format!(
        "open https://{hostname}/ a few times: edges connect when somebody asks. The same command goes on; the old \
         certificate stays until then"
    );
    ctx.wait(step, ctx.patience.evidence, &next_step, |ctx| {
        let host = Host::find(ctx.origin, &hostname)?.ok_or_else(|| no_host(&hostname))?;
        Ok(match host.sighting(sought, since) {
            Some(sighting) if sighting.counts() => Look::Ready(()),
            Some(sighting) => Look::NotYet(format!(
                "the new certificate came from Cloudflare for {hostname}, and does not verify: {}",
                sighting.reason.label()
            )),
            None => Look::NotYet(format!("no edge of Cloudflare's has shown the new certificate for {hostname} yet")),
        })
    })
}

fn delete_old(
    ctx: &mut Context<'_>,
    wanted: &Wanted,
    plan: &Plan,
    step: &Step,
) -> Result<Option<String>, RolloutError> {
    let old = plan.old(&step.subject).ok_or_else(|| no_certificate(step))?;
    if let Some(why) = plan::stays(ctx, wanted, &old.id)? {
        return Ok(Some(why));
    }
    for item in &plan.items {
        settled::expect_unseen(ctx, item, old)?;
    }
    delete::ensure(ctx, step, wanted.collection(), &old.id, &[])?;
    Ok(None)
}

/// The origin no longer trusts what only the old certificate needed.
fn distrust(ctx: &mut Context<'_>, wanted: &Wanted, plan: &Plan, step: &Step) -> Result<Option<String>, RolloutError> {
    let item = plan.item(&step.subject)?;
    let configured = &item.configured;
    if plan.steps.iter().any(|step| step.name == StepName::Delete && step.state == StepState::LeftOut) {
        return Ok(Some("an old certificate of that CA is still in use".to_owned()));
    }
    let would = bundle::would_remove(ctx.origin, configured, &item.old_cas, wanted)?;
    if let Some(why) = plan.keeps_old_ca(item, &would) {
        return Ok(Some(why));
    }
    let spared = plan.spared(wanted);
    let came_since = |ctx: &Context<'_>| bundle::needed_by(ctx.origin, configured, &item.old_cas, &spared, wanted);
    for item in plan.items.iter().filter(|item| !item.old.is_empty()) {
        settled::wait(ctx, wanted, item, step, ctx.patience.settle.max(wanted.drain))?;
    }
    let needed_by = came_since(ctx)?;
    if !needed_by.is_empty() {
        return Ok(Some(plan::needed(item, &needed_by, &would.file)));
    }
    // The origin holds back a CA whose certificate came within its whole window. Here is known which one came when: the
    // old ones not for as long as was asked for, and nobody else needs the CA.
    let remove = TrustRequest { remove: item.old_cas.clone(), force: true, ..TrustRequest::default() };
    ctx.origin.change_trust(configured, &remove)?;
    for host in would.hosts {
        expect_verified(ctx, wanted, &host, "`originlock observe` at once, then add its CA to the bundle again")?;
    }
    Ok(None)
}

/// From when on sightings count, by the origin's clock.
fn since(ctx: &Context<'_>, item: &Item) -> Option<Timestamp> {
    ctx.journal.entries().rotations.get(item.hostname.as_str()).and_then(|rotation| rotation.since)
}

fn no_certificate(step: &Step) -> RolloutError {
    RolloutError::GaveUp {
        what: format!("{}: there is no such certificate at Cloudflare", step.subject),
        next_step: "run the same command again".to_owned(),
    }
}

fn no_host(hostname: &Hostname) -> RolloutError {
    RolloutError::Unsafe {
        what: format!("the origin has no host for {hostname}"),
        next_step: "without what it sees nothing is replaced; `originlock status` lists its names".to_owned(),
    }
}

impl Plan {
    /// Before the first change: what goes, and from when on what comes counts.
    fn record(&self, ctx: &mut Context<'_>, wanted: &Wanted) -> Result<(), RolloutError> {
        let now = ctx.origin.status()?.at;
        let new = wanted.leaf.sha256();
        let changing: Vec<_> = self.items.iter().filter(|item| !item.old.is_empty()).collect();
        ctx.journal.record(|entries| {
            for item in changing {
                let known = entries.rotations.get(item.hostname.as_str()).filter(|known| known.new == new);
                let since = known.and_then(|known| known.since).or(Some(now));
                let (old, old_cas, needed_by) = (item.old.clone(), item.old_cas.clone(), item.needed_by.clone());
                let rotation = Rotation { new, since, old, old_cas, needed_by };
                entries.rotations.insert(item.hostname.to_string(), rotation);
            }
        })?;
        Ok(())
    }

    /// All is replaced: there is nothing to go on with.
    fn forget(&self, ctx: &mut Context<'_>, wanted: &Wanted) -> Result<(), RolloutError> {
        let gone = |old: &Replaced| {
            let is_it = |step: &&Step| step.name == StepName::Delete && step.subject == old.id.0;
            self.steps.iter().find(is_it).is_some_and(|step| step.state == StepState::Done)
        };
        let gone: Vec<_> = self.items.iter().flat_map(|item| &item.old).filter(|old| gone(old)).cloned().collect();
        ctx.journal.record(|entries| {
            for hostname in &wanted.hostnames {
                entries.rotations.remove(hostname.as_str());
            }
            for old in gone {
                entries.uploads.remove(&old.sha256.to_string());
            }
        })?;
        Ok(())
    }
}
