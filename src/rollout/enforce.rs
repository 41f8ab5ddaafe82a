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
use crate::evidence::network::Network;
use crate::evidence::readiness::{ShortfallKind, is_failing};
use crate::evidence::report::{FailureReport, HostDetail, HostReport, JudgeRequest, ModeRequest};
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::remote::admin::AdminError;

/// No host is enforced on the evidence of less unless the operator says so, however busy it is: edges of other places come
/// by now and then.
pub(super) const MIN_WINDOW: Duration = Duration::from_mins(15);
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
    let settled = begun.map(|begun| begun.after(ctx.patience.settle));
    let next_step = format!("`originlock ready {name}` says what is missing; the same command goes on");
    ctx.wait(step, limit, &next_step, |ctx| {
        let window = match ready_over(ctx, desired, name, settled)? {
            Ok(window) => window,
            Err(missing) => return Ok(Look::NotYet(missing)),
        };
        match ctx.origin.set_mode(name, &request(Mode::Enforce, window)) {
            Ok(_) => {
                if let Some(window) = window {
                    ctx.progress.notes(&format!("{name}: ready by what came in the last {}", spoken(window)));
                }
                Ok(Look::Ready(()))
            }
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
    settled: Option<Timestamp>,
) -> Result<Result<Option<Duration>, String>, RolloutError> {
    let own = ctx.origin.host(name, None)?;
    let Some(missing) = missing(&own.host) else { return Ok(Ok(None)) };
    let window = match desired.window {
        Some(window) => window,
        None => match since_settled(&own, settled, ctx.origin.status()?.at) {
            Some(window) if window >= Duration::from_secs(own.host.evidence.window_seconds) => return Ok(Err(missing)),
            Some(window) if window < MIN_WINDOW => {
                let at_least = spoken(MIN_WINDOW);
                return Ok(Err(format!("{missing}; what came since is judged alone once that is {at_least}")));
            }
            Some(window) => window,
            None => return Ok(Err(missing)),
        },
    };
    Ok(match self::missing(&ctx.origin.host(name, Some(window))?.host) {
        None => Ok(Some(window)),
        Some(still) => Err(still),
    })
}

fn missing(host: &HostReport) -> Option<String> {
    let shortfall = host.readiness.shortfalls.first().filter(|_| !host.readiness.ready)?;
    Some(shortfall.sentence.clone())
}

/// How long it is since the edges have changed over, if what failed before is all that speaks against the host. What came
/// before they showed the certificate says nothing about what they do since; what fails later does.
fn since_settled(own: &HostDetail, settled: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let settled = settled?;
    let only_failing = own.host.readiness.shortfalls.iter().all(|shortfall| shortfall.kind == ShortfallKind::Failing);
    let failing = |failure: &&FailureReport| failure.network == Network::Cloudflare && is_failing(failure.reason);
    let all_past = own.failures.iter().filter(failing).all(|failure| failure.last.at < settled);
    (only_failing && all_past).then(|| since_then(now.since(settled)))
}

/// The longest window that holds nothing from before `passed`: an origin counts by minutes up to an hour, and by hours
/// beyond.
fn since_then(passed: Duration) -> Duration {
    match passed.saturating_sub(MINUTE) {
        fine if fine <= HOUR => fine,
        _ => passed.saturating_sub(HOUR).max(HOUR),
    }
}

/// A time as people write it.
pub(super) fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds >= 60 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
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
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-20T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    /// A host that is not ready for `kinds`, and what Cloudflare's edges last failed with, and when.
    fn host(kinds: &[&str], failures: &[(&str, &str)]) -> HostDetail {
        let shortfalls: Vec<Value> =
            kinds.iter().map(|kind| json!({ "kind": kind, "name": null, "sentence": "" })).collect();
        let failure = |(reason, at): &(&str, &str)| {
            let example = json!({ "at": at, "client_address": "", "server_name": null, "certificate": null });
            json!({
                "host": "shop.example.com", "network": "cloudflare", "reason": reason, "handshakes": 1, "first": example,
                "last": example, "cause": "", "next_step": "",
            })
        };
        let network = json!({ "handshakes": 0, "verified": 0, "requests": 0, "by_reason": {} });
        let detail = json!({
            "name": "shop.example.com", "names": ["shop.example.com"], "mode": "observe", "trust": null,
            "certificate_not_after": null, "upstream": [], "source": null, "confirm_by": null,
            "readiness": { "ready": false, "shortfalls": shortfalls, "notices": [] },
            "evidence": {
                "window_seconds": 86_400, "cloudflare": network, "elsewhere": network, "edge_addresses": 0,
                "last_verified": null,
            },
            "last_hour": [], "last_week": [], "by_name": {}, "certificates": [],
            "failures": failures.iter().map(failure).collect::<Vec<_>>(), "outsiders": [],
        });
        serde_json::from_value(detail).expect("a host")
    }

    #[test]
    fn a_window_holds_nothing_from_before_the_change() {
        let minutes = Duration::from_mins;
        for (passed, window) in [(0, 0), (1, 0), (30, 29), (61, 60), (62, 60), (119, 60), (180, 120)] {
            assert_eq!(since_then(minutes(passed)), minutes(window), "{passed}");
        }
    }

    #[test]
    fn only_what_failed_before_the_edges_changed_over_is_left_out() {
        let (before, after) = ("2026-11-20T11:29:59Z", "2026-11-20T11:30:00Z");
        let settled = Some(at("2026-11-20T11:30:00Z"));
        let half_an_hour = Some(Duration::from_mins(29));
        for (host, settled, expected) in [
            (host(&["failing"], &[("no_certificate", before)]), settled, half_an_hour),
            (host(&["failing"], &[("no_certificate", after)]), settled, None),
            (host(&["failing"], &[("no_certificate", before), ("unknown_issuer", NOW)]), settled, None),
            (host(&["failing"], &[("no_certificate", before), ("client_eof", NOW)]), settled, half_an_hour),
            (host(&["failing", "too_few_handshakes"], &[("no_certificate", before)]), settled, None),
            (host(&["failing"], &[("no_certificate", before)]), None, None),
            (host(&["failing"], &[("no_certificate", before)]), Some(at("2026-11-20T09:00:00Z")), None),
            (
                host(&["failing"], &[("no_certificate", "2026-11-20T08:00:00Z")]),
                Some(at("2026-11-20T09:00:00Z")),
                Some(HOUR + HOUR),
            ),
        ] {
            assert_eq!(since_settled(&host, settled, at(NOW)), expected, "{:#?}", host.failures);
        }
    }
}
