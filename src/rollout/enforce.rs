//! The origin's mode: observe before anything shows a certificate, enforce when the evidence says so.

use std::time::Duration;

use super::context::{Context, Look};
use super::desired::Desired;
use super::error::RolloutError;
use super::leaf::Leaf;
use super::observed::{Observed, ObservedHostname};
use super::plan::Done;
use super::seen::{Host, Sought};
use super::step::Step;
use crate::clock::Timestamp;
use crate::evidence::report::{HostReport, JudgeRequest, ModeRequest};
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::remote::admin::AdminError;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Has the origin ask for certificates, and log what it gets.
pub(super) fn observe(ctx: &Context<'_>, host: &Host) -> Result<(), RolloutError> {
    ctx.origin.set_mode(&host.configured, &request(Mode::Observe, None))?;
    Ok(())
}

/// Refuses to go on with a certificate that the origin would refuse.
pub(super) fn expect_trust(ctx: &Context<'_>, host: &Host, leaf: &Leaf) -> Result<(), RolloutError> {
    let report = ctx.origin.judge(&host.configured, &JudgeRequest { certificates: leaf.certificate.clone() })?;
    match report.reason {
        Reason::Verified => Ok(()),
        reason => Err(RolloutError::Unsafe {
            what: format!("the origin would refuse this certificate for {}: {}", host.configured, reason.label()),
            next_step: report.next_step.unwrap_or_else(|| "`originlock pki inspect FILE` says what it is".to_owned()),
        }),
    }
}

/// Has the origin enforce as soon as its evidence says that it may.
pub(super) fn enforce(
    ctx: &mut Context<'_>,
    desired: &Desired,
    observed: &Observed,
    done: &Done,
    host: &Host,
    step: &Step,
    limit: Duration,
) -> Result<(), RolloutError> {
    let name = host.configured.as_str();
    let begun = changed_at(observed, desired, done, &host.detail.host.name);
    let next_step = format!("`originlock ready {name}` says what is missing; the same command goes on");
    ctx.wait(step, limit, &next_step, |ctx| {
        let window = match ready_over(ctx, desired, name, begun)? {
            Ok(window) => window,
            Err(missing) => return Ok(Look::NotYet(missing)),
        };
        match ctx.origin.set_mode(name, &request(Mode::Enforce, window)) {
            Ok(_) => Ok(Look::Ready(())),
            // Another failing handshake came in between.
            Err(AdminError::Problem(problem)) if problem.kind == "not_ready" => Ok(Look::NotYet(problem.detail)),
            Err(error) => Err(error.into()),
        }
    })
}

/// The window over which the host is ready, `None` for the origin's own; or else what is missing.
fn ready_over(
    ctx: &Context<'_>,
    desired: &Desired,
    name: &str,
    begun: Option<Timestamp>,
) -> Result<Result<Option<Duration>, String>, RolloutError> {
    let over = |window| -> Result<(Option<String>, Duration), RolloutError> {
        let HostReport { readiness, evidence, .. } = ctx.origin.host(name, window)?.host;
        let missing = readiness.shortfalls.into_iter().next().map(|shortfall| shortfall.sentence);
        let missing = missing.filter(|_| !readiness.ready);
        Ok((missing, Duration::from_secs(evidence.window_seconds)))
    };
    let (missing, longest) = over(None)?;
    let Some(mut missing) = missing else { return Ok(Ok(None)) };
    let now = ctx.origin.status()?.at;
    let windows: Vec<_> = match desired.window {
        Some(window) => vec![window],
        None => windows(ctx.patience.settle, begun, now).into_iter().filter(|window| *window < longest).collect(),
    };
    let left = begun.map(|begun| (MINUTE + MINUTE).saturating_sub(now.since(begun)).as_secs()).filter(|left| *left > 0);
    if let (true, Some(left)) = (windows.is_empty(), left) {
        return Ok(Err(format!(
            "what came before the edges showed the certificate counts for {left} s more: {missing}"
        )));
    }
    for window in windows {
        match over(Some(window))?.0 {
            Some(still) => missing = still,
            None => return Ok(Ok(Some(window))),
        }
    }
    Ok(Err(missing))
}

/// Over which times readiness may be judged where the origin's own says no, the longest first.
///
/// What came before the edges showed the certificate says nothing about what they do since. While they change over, some
/// still show the old state, so that a window may begin when that has settled; not later, or what keeps failing would be
/// overlooked.
fn windows(settle: Duration, begun: Option<Timestamp>, now: Timestamp) -> Vec<Duration> {
    let since = begun.into_iter().flat_map(|begun| [begun, begun.after(settle)]);
    since.filter_map(|since| since_then(now.since(since))).collect()
}

/// The longest window that holds nothing from before `passed`: an origin counts by minutes up to an hour, and by hours
/// beyond. `None`: it is too short to judge over.
fn since_then(passed: Duration) -> Option<Duration> {
    let fine = passed.saturating_sub(MINUTE);
    match fine {
        fine if fine < MINUTE => None,
        fine if fine <= HOUR => Some(fine),
        _ => Some(passed.saturating_sub(HOUR).max(HOUR)),
    }
}

/// When the last of a host's hostnames began to be shown the certificate.
fn changed_at(observed: &Observed, desired: &Desired, done: &Done, host_name: &str) -> Option<Timestamp> {
    let sought = desired.leaf.as_ref().map_or(Sought::Verified, |leaf| Sought::Certificate(leaf.sha256()));
    let began = |(hostname, observed): (&Hostname, &ObservedHostname)| {
        let host = observed.host.as_ref().filter(|host| host.detail.host.name == host_name)?;
        // It may have been shown before, and something else in between.
        let first_seen = host.sighting(sought, None).map(|sighting| sighting.seen.first_seen);
        Some(first_seen.max(done.since(hostname)))
    };
    observed.hostnames.iter().filter_map(began).collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn request(mode: Mode, window: Option<Duration>) -> ModeRequest {
    let window_seconds = window.map(|window| window.as_secs());
    ModeRequest { mode, force: false, dry_run: false, confirm_within_seconds: None, window_seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_nothing_from_before_the_change() {
        let minutes = Duration::from_mins;
        for (passed, window) in [
            (0, None),
            (1, None),
            (2, Some(1)),
            (30, Some(29)),
            (61, Some(60)),
            (62, Some(60)),
            (119, Some(60)),
            (180, Some(120)),
        ] {
            assert_eq!(since_then(minutes(passed)), window.map(minutes), "{passed}");
        }
    }

    #[test]
    fn edges_may_change_over_for_a_while_and_no_longer() {
        let begun = Timestamp::from_seconds(1_800_000_000);
        let minutes = Duration::from_mins;
        let over = |passed| windows(minutes(5), Some(begun), begun.after(minutes(passed)));
        assert_eq!(over(1), Vec::<Duration>::new());
        assert_eq!(over(6), [minutes(5)]);
        assert_eq!(over(11), [minutes(10), minutes(5)]);
        assert_eq!(over(1440), [minutes(1380), minutes(1375)], "what fails later is not overlooked");
        assert_eq!(windows(minutes(5), None, begun), Vec::<Duration>::new());
    }
}
