//! The way back, in the order in which nobody is refused: the origin first, then Cloudflare, to what was there before.

mod plan;

pub use plan::{Plan, plan};

use super::apply::Outcome;
use super::context::Context;
use super::error::RolloutError;
use super::release;
use super::step::{Level, Step, StepName, StepState};
use super::{delete, settings, void};
use crate::hostname::Hostname;
use plan::Act;

/// What is to be taken back.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub level: Level,
    /// Each once.
    pub hostnames: Vec<Hostname>,
    /// Whether the certificate stays at Cloudflare.
    pub keep_certificate: bool,
    /// Whether a certificate goes too that was not uploaded by whoever keeps this journal.
    pub delete_certificate: bool,
    /// Whether `tls_client_auth` stays as it is.
    pub keep_zone_setting: bool,
    /// Whether the switch of the level goes off where nobody recorded what it was before.
    pub switch_off: bool,
}

/// Takes the steps of `plan`. Everything done so far stays when one fails; the same command goes on from there.
pub fn take(ctx: &mut Context<'_>, wanted: &Wanted, mut plan: Plan) -> Outcome {
    let mut errors = Vec::new();
    let taken = release::take(ctx.origin, ctx.progress, &mut plan.releases)
        .and_then(|()| plan.claim(ctx, wanted))
        .and_then(|()| take_all(ctx, wanted, &mut plan))
        .and_then(|()| plan.forget(ctx, wanted));
    errors.extend(taken.err());
    Outcome { steps: plan.steps(), errors }
}

fn take_all(ctx: &mut Context<'_>, wanted: &Wanted, plan: &mut Plan) -> Result<(), RolloutError> {
    let voids = plan.open_voids();
    let asked = voids.len() > 1 && void::ask_all(ctx, &voids);
    for (step, act) in plan.acts.iter_mut().filter(|(step, _)| step.state == StepState::Todo) {
        ctx.progress.begins(step);
        let taken = take_one(ctx, wanted, step, act, asked);
        step.state = if taken.is_ok() { StepState::Done } else { StepState::Failed };
        ctx.progress.ended(step);
        taken?;
    }
    Ok(())
}

fn take_one(ctx: &mut Context<'_>, wanted: &Wanted, step: &Step, act: &Act, asked: bool) -> Result<(), RolloutError> {
    match act {
        Act::Void(hostname, _) => void::ensure(ctx, step, hostname, asked),
        Act::Restore(hostname, before) => void::restore(ctx, step, hostname, before),
        Act::ZoneSetting(on) => settings::ensure_tls_client_auth(ctx, step, *on),
        Act::ZoneLevel(on) => settings::ensure_zone_level(ctx, step, *on),
        Act::Delete { collection, id, .. } => delete::ensure(ctx, step, *collection, id, &wanted.hostnames),
        Act::Nothing => Ok(()),
    }
}

/// What would be left to do at Cloudflare, for whoever cannot reach it now.
pub fn left_to_do(wanted: &Wanted) -> Vec<StepName> {
    match wanted.level {
        Level::Hostname if wanted.keep_certificate => vec![StepName::Void],
        Level::Hostname => vec![StepName::Void, StepName::Delete],
        Level::Zone if wanted.keep_certificate => vec![StepName::ZoneLevel],
        Level::Zone => vec![StepName::ZoneLevel, StepName::Delete],
        Level::Global => vec![StepName::ZoneSetting],
    }
}
