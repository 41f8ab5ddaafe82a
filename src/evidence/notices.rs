//! What does not stand in the way of being ready, and is good to know before enforcing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::network::Network;
use super::readiness::{Case, Gate, Weight};
use super::tally::{Evidence, Outsider};
use super::wording::{count, day, distance, moment, window};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;

/// Sources that a sentence names; the report has them all.
const NAMED_OUTSIDERS: usize = 3;
/// A path is a stranger's to choose.
const LONGEST_PATH: usize = 60;
/// Broken-off handshakes happen; this many, and more than one in twenty, are worth a look.
const MANY_BROKEN_OFF: u64 = 10;

/// A window reaches back to the beginning of its oldest bucket, which is an hour long at most.
const BUCKET: Duration = Duration::from_hours(1);

/// The notices on `case`.
pub(super) fn of(gate: &Gate, case: &Case<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    if case.mode != Mode::Off {
        notices.extend(outsiders(case));
        notices.extend(case.by_name.iter().filter_map(|(name, evidence)| tolerated(gate, name, evidence)));
        notices.extend(old_failures(gate, case));
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
    if let Some(more) = all.len().checked_sub(NAMED_OUTSIDERS).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    let networks = count(all.len() as u64, "network");
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

/// When what stands in the way will be forgotten, if nothing is added to it.
fn old_failures(gate: &Gate, case: &Case<'_>) -> Option<String> {
    let exceeded = |evidence: &&Evidence| {
        let failing = evidence.weigh(Weight::Failing);
        gate.is_exceeded(failing, failing.saturating_add(evidence.weigh(Weight::Verified)))
    };
    let samples = case.by_name.values().filter(exceeded).flat_map(|evidence| &evidence.failures);
    let counting = |network, reason| network == Network::Cloudflare && Weight::of(reason) == Weight::Failing;
    let last =
        samples.filter(|((network, reason), _)| counting(*network, *reason)).map(|(_, seen)| seen.last.at).max()?;
    let leaves = moment(last.after(gate.window).after(BUCKET), case.now);
    Some(format!("if no more fail, the last failure from Cloudflare stops counting {leaves} at the latest"))
}

fn broken_off(gate: &Gate, case: &Case<'_>) -> Option<String> {
    let mut by_reason: BTreeMap<Reason, u64> = BTreeMap::new();
    for (reason, number) in case.by_name.values().flat_map(|evidence| evidence.of_cloudflare(Weight::BrokenOff)) {
        let sum = by_reason.entry(reason).or_default();
        *sum = sum.saturating_add(number);
    }
    let of_weight = |weight| case.by_name.values().fold(0, |sum: u64, one| sum.saturating_add(one.weigh(weight)));
    let broken_off = of_weight(Weight::BrokenOff);
    let all = broken_off.saturating_add(of_weight(Weight::Verified)).saturating_add(of_weight(Weight::Failing));
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
