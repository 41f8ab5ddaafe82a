//! What does not stand in the way of being ready, and is good to know before enforcing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::DEFAULT_NAME;
use super::network::Network;
use super::readiness::{Case, Gate, Weight};
use super::tally::{Evidence, FirstAndLast, Outsider};
use super::window::grain;
use super::wording::{count, day, distance, moment, window};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;

/// Sources that a sentence names; the report has them all.
const NAMED_OUTSIDERS: usize = 3;
/// A path is a stranger's to choose.
const LONGEST_PATH: usize = 60;
/// The window that is offered where failures of a longer one stand in the way: time enough for an association that was
/// missing to be mended, and for the edge to have come back.
const SHORTER_WINDOW: Duration = Duration::from_mins(30);
/// Broken-off handshakes happen; this many, and more than one in twenty, are worth a look.
const MANY_BROKEN_OFF: u64 = 10;

/// The notices on `case`.
pub(super) fn of(gate: &Gate, case: &Case<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    if case.mode != Mode::Off {
        notices.extend(outsiders(case));
        notices.extend(case.named().filter_map(|(name, evidence)| tolerated(gate, name, evidence)));
        notices.extend(asked_for_others(gate, case));
        if case.mode == Mode::Observe {
            notices.extend(old_failures(gate, case));
        }
        notices.extend(broken_off(gate, case));
        notices.extend(crl_renewal(gate, case));
    }
    if case.trust.cloudflare_shared_ca {
        let notice = "the trust includes the CA that all of Cloudflare's customers share: every one of them passes, \
                      not you alone";
        notices.push(notice.to_owned());
    }
    notices
}

/// The origin-leak report in one sentence.
fn outsiders(case: &Case<'_>) -> Option<String> {
    let whole = Evidence::of_all(case.by_name.values());
    let mut all: Vec<_> = whole.outsiders.iter().collect();
    if all.is_empty() {
        return None;
    }
    all.sort_by_key(|(network, outsider)| (Reverse(outsider.handshakes), *network));
    let mut named: Vec<_> =
        all.iter().take(NAMED_OUTSIDERS).map(|(network, outsider)| about(network, outsider)).collect();
    let at_least = if whole.more_outsiders { "at least " } else { "" };
    if let Some(more) = all.len().checked_sub(NAMED_OUTSIDERS).filter(|more| *more > 0) {
        named.push(format!("and {at_least}{more} more"));
    }
    let networks = format!("{at_least}{}", count(all.len() as u64, "network"));
    let (verb, them) = if all.len() == 1 { ("reaches", "it") } else { ("reach", "them") };
    let fate = match case.mode {
        Mode::Enforce => format!("and {} refused", if all.len() == 1 { "is" } else { "are" }),
        Mode::Off | Mode::Observe => format!("and enforcing will cut {them} off"),
    };
    Some(format!(
        "{networks} outside Cloudflare {verb} this origin without a certificate that verifies, {fate}: {}",
        named.join(", ")
    ))
}

fn about(network: &str, outsider: &Outsider) -> String {
    let mut text = format!("{network} ({}", count(outsider.handshakes, "handshake"));
    if outsider.requests > 0 {
        text += &format!(", {}", count(outsider.requests, "request"));
    }
    if let Some(path) = &outsider.path {
        text += ", last for ";
        text.extend(path.chars().take(LONGEST_PATH).map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        if path.chars().nth(LONGEST_PATH).is_some() {
            text.push('…');
        }
    }
    text + ")"
}

/// What fails although the gate lets the host pass.
fn tolerated(gate: &Gate, name: &str, evidence: &Evidence) -> Option<String> {
    let failing = evidence.weigh(Weight::Failing);
    let judged = failing.saturating_add(evidence.weigh(Weight::Verified));
    let tolerated = failing > 0 && !gate.is_exceeded(failing, judged);
    tolerated.then(|| {
        format!(
            "{failing} of {} from Cloudflare for {name} failed in the last {}, which the gate allows; enforcing refuses \
             such handshakes",
            count(judged, "handshake"),
            window(gate.window)
        )
    })
}

/// Failures under names that are not configured, which the default host takes.
fn asked_for_others(gate: &Gate, case: &Case<'_>) -> Option<String> {
    let evidence = case.by_name.get(DEFAULT_NAME)?;
    let failing = evidence.weigh(Weight::Failing);
    if failing == 0 {
        return None;
    }
    let last = failures_that_count(evidence).map(|seen| &seen.last).max_by_key(|last| last.at);
    let asked_for = last.and_then(|last| last.server_name.as_ref());
    let asked_for = asked_for.map(|name| format!(", the last for {name}")).unwrap_or_default();
    let judged = failing.saturating_add(evidence.weigh(Weight::Verified));
    Some(format!(
        "{failing} of {} from Cloudflare that came here as the default host, and asked for none of its names, failed in \
         the last {}{asked_for}; they do not count here, and enforcing refuses such handshakes",
        count(judged, "handshake"),
        window(gate.window),
    ))
}

/// The first and the last failure of each kind that enforcing refuses Cloudflare for.
fn failures_that_count(evidence: &Evidence) -> impl Iterator<Item = &FirstAndLast> {
    let counts = |network, reason| network == Network::Cloudflare && Weight::of(reason) == Weight::Failing;
    let all = evidence.failures.iter();
    all.filter(move |((network, reason), _)| counts(*network, *reason)).map(|(_, seen)| seen)
}

/// When what stands in the way will be forgotten, if nothing is added to it.
fn old_failures(gate: &Gate, case: &Case<'_>) -> Option<String> {
    let exceeded = |evidence: &&Evidence| {
        let failing = evidence.weigh(Weight::Failing);
        gate.is_exceeded(failing, failing.saturating_add(evidence.weigh(Weight::Verified)))
    };
    let exceeding = case.named().map(|(_, evidence)| evidence).filter(exceeded);
    let last = exceeding.flat_map(failures_that_count).map(|seen| seen.last.at).max()?;
    let leaves = moment(last.after(gate.window).after(grain(gate.window)), case.now);
    let shorter = match case.host.filter(|_| gate.window > SHORTER_WINDOW) {
        Some(host) => {
            format!("; or judge a shorter window: originlock ready {host} --window {}m", SHORTER_WINDOW.as_secs() / 60)
        }
        None => String::new(),
    };
    Some(format!("if no more fail, the last failure from Cloudflare stops counting {leaves} at the latest{shorter}"))
}

fn broken_off(gate: &Gate, case: &Case<'_>) -> Option<String> {
    let mut by_reason: BTreeMap<Reason, u64> = BTreeMap::new();
    for (reason, number) in case.named().flat_map(|(_, evidence)| evidence.of_cloudflare(Weight::BrokenOff)) {
        let sum = by_reason.entry(reason).or_default();
        *sum = sum.saturating_add(number);
    }
    let broken_off = case.weigh(Weight::BrokenOff);
    let all = broken_off.saturating_add(case.weigh(Weight::Verified)).saturating_add(case.weigh(Weight::Failing));
    if broken_off < MANY_BROKEN_OFF || broken_off <= all / 20 {
        return None;
    }
    let parts: Vec<_> = by_reason.iter().map(|(reason, number)| format!("{number} {}", reason.label())).collect();
    Some(format!(
        "{broken_off} of {} from Cloudflare in the last {} were broken off before a judgement ({}); enforcing does not \
         change that",
        count(all, "handshake"),
        window(gate.window),
        parts.join(", ")
    ))
}

/// A revocation list that lasts long enough to start, and not as long as everything else has to.
fn crl_renewal(gate: &Gate, case: &Case<'_>) -> Option<String> {
    let at = case.trust.crl_next_update.filter(|at| *at <= case.now.after(gate.validity))?;
    let (due, far) = (day(at), distance(at, case.now));
    (at > case.now).then(|| {
        format!(
            "a revocation list has to be renewed by {due}, {far}; past that, enforcing refuses everybody it speaks for"
        )
    })
}
