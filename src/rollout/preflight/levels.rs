//! What the three levels show today, side by side, and what is in the way of the wanted one.

use super::token::Readings;
use super::{Asking, Finding};
use crate::cloudflare::{Association, Zone};
use crate::hostname::Hostname;
use crate::rollout::journal::Entries;
use crate::rollout::step::{Check, Level};

/// Certificates that Cloudflare keeps for one zone and level.
const MAX_CERTIFICATES: usize = 10;

const NOT_REMEMBERED: &str = "It shows this certificate already, and nothing is remembered here of what was before";
const WHOSE: &str = "if another user or machine set it up, name its journal with --state FOLDER: without it the way back \
                     voids the association instead of restoring what was";

pub(super) fn look(asking: &Asking<'_>, zone: &Zone, readings: &Readings, entries: Option<&Entries>) -> Vec<Check> {
    let global = readings.tls_client_auth.as_ref().map_or("not known", |setting| setting.value.as_str());
    let of_zone = match readings.zone_level {
        Ok(true) => "on",
        Ok(false) => "off",
        Err(_) => "not known",
    };
    let mut checks = Vec::new();
    for (hostname, reading) in &readings.associations {
        let association = match reading {
            Ok(association) => association.as_ref().filter(|association| association.enabled.is_some()),
            Err(error) => {
                checks.push(Finding::unread(error).of("levels", hostname.as_str()));
                continue;
            }
        };
        let levels = format!("hostname: {}; zone: {of_zone}; global: {global}", shown(association));
        let obstacle = match asking.desired.level {
            Level::Hostname => of_hostname(asking, readings, entries, hostname, association),
            Level::Zone => of_lower_level(hostname, association, None).map(|finding| ("levels", finding)),
            Level::Global => of_lower_level(hostname, association, readings.zone_level.as_ref().ok().copied())
                .map(|finding| ("levels", finding)),
        };
        let (name, obstacle) = obstacle.map_or(("levels", None), |(name, finding)| (name, Some(finding)));
        let finding = match obstacle {
            None => Finding::holds(levels),
            Some(Finding { verdict, found, next_step }) => {
                Finding { verdict, found: format!("{levels}. {found}"), next_step }
            }
        };
        checks.push(finding.of(name, hostname.as_str()));
    }
    checks.extend(replaced(asking, readings).map(|finding| finding.of("replaces", &zone.name)));
    checks.extend(others(asking, readings).map(|finding| finding.of("levels", &zone.name)));
    checks.extend(room(asking, readings).map(|finding| finding.of("room", &zone.name)));
    checks
}

fn shown(association: Option<&Association>) -> String {
    let Some(association) = association else { return "no association".to_owned() };
    let id = association.cert_id.as_ref().map_or("no certificate".to_owned(), ToString::to_string);
    match association.enabled {
        Some(true) => format!("enabled with {id}, {}", association.status),
        Some(false) => format!("disabled with {id} (no certificate is shown), {}", association.status),
        None => "void".to_owned(),
    }
}

fn of_hostname(
    asking: &Asking<'_>,
    readings: &Readings,
    entries: Option<&Entries>,
    hostname: &Hostname,
    association: Option<&Association>,
) -> Option<(&'static str, Finding)> {
    let association = association.filter(|association| association.enabled == Some(true))?;
    let sha256 = asking.desired.leaf.as_ref()?.sha256();
    let listed = readings.certificates.as_ref().ok().into_iter().flatten();
    let listed = listed.filter(|certificate| certificate.sha256 == Some(sha256)).map(|certificate| &certificate.id);
    let remembered = entries.and_then(|entries| entries.uploads.get(&sha256.to_string())?.id.as_ref());
    let is_ours = association.sha256 == Some(sha256)
        || listed.chain(remembered).any(|id| association.cert_id.as_ref() == Some(id));
    if is_ours {
        let remembers = entries.is_some_and(|entries| entries.before.contains_key(hostname.as_str()));
        return (!remembers).then(|| ("levels", Finding::warns(NOT_REMEMBERED, WHOSE)));
    }
    Some((
        "replaces",
        match asking.desired.replace {
            true => Finding::warns("Its certificate will be replaced at once", "nothing; --replace says so"),
            false => Finding::fails(
                "It shows another certificate",
                format!(
                    "`originlock aop rotate {hostname}` replaces it without a gap; --replace does it at once, and whoever \
                 trusts only the old one refuses what comes then"
                ),
            ),
        },
    ))
}

/// `zone_level`: whether the zone's own certificate is shown, where that stands above the wanted level.
fn of_lower_level(hostname: &Hostname, association: Option<&Association>, zone_level: Option<bool>) -> Option<Finding> {
    if association.is_some() {
        return Some(Finding::fails(
            "Its association wins over the wanted level",
            format!("`originlock aop rollback {hostname}` voids it, or use --level hostname"),
        ));
    }
    (zone_level == Some(true)).then(|| {
        Finding::fails(
            "The zone-level certificate wins over the global one",
            "switch it off in SSL/TLS > Origin Server, or use --level zone",
        )
    })
}

/// Of several certificates at the zone's level the one that came last is shown, from the moment it is there.
fn replaced(asking: &Asking<'_>, readings: &Readings) -> Option<Finding> {
    let leaf = asking.desired.leaf.as_ref().filter(|_| asking.desired.level == Level::Zone)?;
    let listed = readings.certificates.as_ref().ok()?;
    let other = listed.iter().find(|other| !other.status.is_leaving() && other.sha256 != Some(leaf.sha256()))?;
    let is = format!("certificate {} is there at the zone's level, {}", other.id, other.status);
    Some(match (readings.zone_level.as_ref().is_ok_and(|on| *on), asking.desired.replace) {
        (true, false) => Finding::fails(
            format!("{is}, and switched on: another one takes its place on all hostnames as soon as it is uploaded"),
            "`originlock aop rotate --level zone` replaces it without a gap; --replace does it at once",
        ),
        (true, true) => Finding::warns(format!("{is}, and will be replaced at once"), "nothing; --replace says so"),
        (false, _) => Finding::warns(
            format!("{is}, and not switched on"),
            "delete it if nobody needs it: of several, Cloudflare shows the one that came last",
        ),
    })
}

/// What stays as it is.
fn others(asking: &Asking<'_>, readings: &Readings) -> Option<Finding> {
    let all = readings.all_associations.as_ref().ok()?.as_ref()?;
    let is_wanted = |name: &str| asking.desired.hostnames.iter().any(|hostname| hostname.as_str() == name);
    let live = all.iter().filter(|association| association.enabled.is_some() && !association.status.is_leaving());
    let count = live.filter(|association| !is_wanted(&association.hostname)).count();
    (count > 0).then(|| {
        let whose = if count == 1 { "one other hostname has" } else { "other hostnames have" };
        let number = if count == 1 { String::new() } else { format!("{count} ") };
        Finding::holds(format!("{number}{whose} an association in this zone, which stays as it is"))
    })
}

fn room(asking: &Asking<'_>, readings: &Readings) -> Option<Finding> {
    let leaf = asking.desired.leaf.as_ref()?;
    let all = readings.certificates.as_ref().ok()?;
    let live: Vec<_> = all.iter().filter(|certificate| !certificate.status.is_leaving()).collect();
    let is_there = live.iter().any(|certificate| certificate.sha256 == Some(leaf.sha256()));
    (!is_there && live.len() >= MAX_CERTIFICATES).then(|| {
        Finding::fails(
            format!("the zone has {} certificates, and Cloudflare keeps {MAX_CERTIFICATES}", live.len()),
            "`originlock aop status` shows which are not used; delete one of them",
        )
    })
}
