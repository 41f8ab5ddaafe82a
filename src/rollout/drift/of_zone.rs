//! What does not fit about a whole zone.

use std::time::Duration;

use super::at_origin::AtOrigin;
use super::facts::{HostFacts, ZoneFacts};
use super::finding::{FindingKind, alarm_if};
use crate::clock::Timestamp;
use crate::cloudflare::{Association, CertificateId, Status};
use crate::evidence::report::{FindingReport, FindingWeight};
use crate::evidence::wording::{day, distance};

const TOKEN_EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);
/// As long as an uploaded certificate may wait for its first hostname.
const FRESH: Duration = Duration::from_hours(1);

pub(super) fn findings(zone: &ZoneFacts, hosts: &[HostFacts], now: Timestamp) -> Vec<FindingReport> {
    let enforced = hosts.iter().filter_map(|host| host.origin.as_ref()).any(AtOrigin::is_enforced);
    let mut found = Vec::new();
    found.extend(paused(zone, enforced));
    found.extend(ssl_mode(zone, enforced));
    found.extend(rules(zone));
    found.extend(unused(zone, now));
    found.extend(token(zone, now));
    found.extend(not_checked(zone));
    found
}

fn paused(zone: &ZoneFacts, enforced: bool) -> Option<FindingReport> {
    let what = match (zone.zone.paused, zone.zone.status.as_str()) {
        (true, _) => "paused",
        (false, "active" | "") => return None,
        (false, status) => status,
    };
    let sentence = format!("zone {} is {what}: Cloudflare proxies nothing and presents no certificate", zone.zone.name);
    let next_step = "make it active in Cloudflare's dashboard, under Overview".to_owned();
    Some(FindingKind::ZonePaused.of(alarm_if(enforced), None, &zone.zone, sentence, next_step))
}

fn ssl_mode(zone: &ZoneFacts, enforced: bool) -> Option<FindingReport> {
    let mode = zone.ssl.as_ref().filter(|mode| !mode.is_enough())?;
    let sentence = format!("the SSL mode of zone {} is {mode}: edges present no client certificate", zone.zone.name);
    let next_step = "set it to full (strict) in Cloudflare's dashboard, under SSL/TLS".to_owned();
    Some(FindingKind::SslMode.of(alarm_if(enforced), None, &zone.zone, sentence, next_step))
}

/// Their expressions are not evaluated here: what they match is for a reader to say.
fn rules(zone: &ZoneFacts) -> impl Iterator<Item = FindingReport> {
    let weak = zone.rules.iter().filter(|rule| rule.enabled && !rule.ssl.is_enough());
    weak.map(|rule| {
        let sentence = format!(
            "a configuration rule sets the SSL mode to {}, where no client certificate is presented, for requests that \
             match: {}",
            rule.ssl, rule.expression
        );
        let next_step = "see that it matches none of your hostnames; it is not evaluated here".to_owned();
        FindingKind::SslMode.of(FindingWeight::Warning, None, &zone.zone, sentence, next_step)
    })
}

/// Where associations cannot be listed, nobody knows what is used.
fn unused(zone: &ZoneFacts, now: Timestamp) -> Vec<FindingReport> {
    let Some(associations) = &zone.associations else { return Vec::new() };
    let refers = |association: &Association, id: &CertificateId| {
        association.cert_id.as_ref() == Some(id) && association.status != Status::Deleted
    };
    let is_used = |id| associations.iter().any(|association| refers(association, id));
    let old = |at: Option<Timestamp>| at.is_none_or(|at| at <= now.before(FRESH));
    let active = zone.certificates.iter().filter(|certificate| certificate.status == Status::Active);
    let unused = active.filter(|certificate| old(certificate.uploaded_on) && !is_used(&certificate.id));
    unused
        .map(|certificate| {
            let sentence = format!(
                "certificate {} lies at Cloudflare, and no hostname of zone {} is associated with it",
                certificate.id, zone.zone.name
            );
            let next_step = "associate it or delete it: a zone takes 10".to_owned();
            FindingKind::CertificateUnused.of(FindingWeight::Warning, None, &zone.zone, sentence, next_step)
        })
        .collect()
}

fn token(zone: &ZoneFacts, now: Timestamp) -> Option<FindingReport> {
    let expires_on = zone.token_expires_on.filter(|at| at.since(now) <= TOKEN_EXPIRES_SOON)?;
    let sentence =
        format!("the token for Cloudflare's API expires on {}, {}", day(expires_on), distance(expires_on, now));
    let next_step = "roll it at https://dash.cloudflare.com/profile/api-tokens".to_owned();
    Some(FindingKind::TokenExpiring.of(FindingWeight::Warning, None, &zone.zone, sentence, next_step))
}

fn not_checked(zone: &ZoneFacts) -> Option<FindingReport> {
    let whats: Vec<_> = zone.left_out.iter().map(|left_out| left_out.what).collect();
    let mut permissions: Vec<_> = zone.left_out.iter().map(|left_out| left_out.permission).collect();
    permissions.dedup();
    if whats.is_empty() {
        return None;
    }
    let sentence = format!("not looked at, for the token lacks the right: {}", whats.join(", "));
    let next_step = format!("give it {} on zone {}", permissions.join(", "), zone.zone.name);
    Some(FindingKind::NotChecked.of(FindingWeight::Warning, None, &zone.zone, sentence, next_step))
}
