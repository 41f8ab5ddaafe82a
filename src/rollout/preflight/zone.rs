//! The zone: found, one, active, not paused.

use super::{Asking, Finding, told};
use crate::cloudflare::{CloudflareError, Zone};
use crate::hostname::Hostname;

/// The zone that is meant, and what is to be said of it.
pub(super) fn look(asking: &Asking<'_>, text: Option<&str>) -> (Option<Zone>, Finding) {
    let found = match (text, asking.desired.hostnames.first()) {
        (Some(text), _) => asking.cloudflare.zone_called(text),
        (None, Some(hostname)) => asking.cloudflare.zone_of(hostname),
        (None, None) => Err(CloudflareError::NoZone { name: String::new() }),
    };
    let zone = match found {
        Ok(zone) => zone,
        Err(error) => return (None, missing(asking, text, &error)),
    };
    let finding = judge(asking, &zone);
    (Some(zone), finding)
}

fn missing(asking: &Asking<'_>, text: Option<&str>, error: &CloudflareError) -> Finding {
    // A name that is written wrong is more likely than a token that sees the hostname's zone and not the one that is meant.
    let own = match (error, text) {
        (CloudflareError::NoZone { .. }, Some(_)) => asking.desired.hostnames.iter().find_map(|hostname| {
            let zone = own_zone(asking, hostname)?;
            Some((hostname, zone))
        }),
        _ => None,
    };
    if let Some((hostname, zone)) = own {
        let next_step = format!("did you mean --zone {zone}? {hostname} belongs to that one");
        return Finding::fails(told(error), next_step);
    }
    let meaning = error.meaning().map(|meaning| format!(": {meaning}")).unwrap_or_default();
    Finding::fails(format!("{}{meaning}", told(error)), error.next_step())
}

/// The zone that the token sees for a hostname.
fn own_zone(asking: &Asking<'_>, hostname: &Hostname) -> Option<String> {
    asking.cloudflare.zones_of(hostname).ok()?.into_iter().next().map(|zone| zone.name)
}

fn judge(asking: &Asking<'_>, zone: &Zone) -> Finding {
    if zone.status != "active" {
        return Finding::fails(
            format!("the zone is {}, not active: Cloudflare does not serve it", zone.status),
            "finish the set-up of the zone at Cloudflare, or give the id of the active one of this name with --zone",
        );
    }
    if zone.paused {
        return Finding::fails(
            "the zone is paused: Cloudflare proxies nothing of it, and visitors come straight to the origin",
            "switch Cloudflare on again for this site in its dashboard (Overview), then run the same command again",
        );
    }
    let outside = asking.desired.hostnames.iter().find(|hostname| !is_within(hostname.as_str(), &zone.name));
    if let Some((outside, own)) = outside.and_then(|outside| Some((outside, own_zone(asking, outside)?))) {
        return Finding::fails(
            format!("{outside} belongs to zone {own}, not to {}", zone.name),
            format!(
                "one command is for one zone: leave {outside} out, and run this once more for it with --zone {own}"
            ),
        );
    }
    if let Some(outside) = outside {
        return Finding::warns(
            format!("{outside} is outside of this zone"),
            "that is well for a custom hostname of the zone (Cloudflare for SaaS); else give its own zone with --zone",
        );
    }
    Finding::holds(format!("active, id {}", zone.id))
}

/// Whether `name` is the zone's own or below it.
pub fn is_within(name: &str, zone: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_holds_what_is_below_it_and_nothing_that_only_looks_like_it() {
        for (name, within) in
            [("example.com", true), ("shop.example.com", true), ("shopexample.com", false), ("example.com.evil", false)]
        {
            assert_eq!(is_within(name, "example.com"), within, "{name}");
        }
    }
}
