//! The zone that is meant.

use super::error::RolloutError;
use crate::cloudflare::{Cloudflare, Zone, ZoneId};
use crate::hostname::Hostname;

const ID_DIGITS: usize = 32;

/// The zone of this name or id. Of several that share a name the active one, if there is one only.
///
/// # Errors
/// Cloudflare does not tell, or the token sees none of that name, or two.
pub fn find(cloudflare: &Cloudflare, text: &str) -> Result<Zone, RolloutError> {
    if text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(cloudflare.zone(&ZoneId(text.to_owned()))?);
    }
    let mut zones = cloudflare.zones_named(text)?;
    if zones.len() > 1 && zones.iter().any(is_active) {
        zones.retain(is_active);
    }
    let unfit = |what: String, next_step: &str| RolloutError::Unsafe { what, next_step: next_step.to_owned() };
    match zones.len() {
        1 => Ok(zones.remove(0)),
        0 => Err(unfit(
            format!("the token sees no zone {text}"),
            "is it the zone's own name, example.com for shop.example.com? The token needs the permission Zone Read on it",
        )),
        several => Err(unfit(
            format!("{several} zones are called {text}"),
            "name the one that is meant by its id, with --zone",
        )),
    }
}

/// Whether a name lies in a zone.
pub fn has(zone: &Zone, hostname: &Hostname) -> bool {
    let name = hostname.as_str();
    name == zone.name || name.strip_suffix(zone.name.as_str()).is_some_and(|rest| rest.ends_with('.'))
}

fn is_active(zone: &Zone) -> bool {
    zone.status == "active"
}
