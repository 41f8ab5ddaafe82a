//! The calls about a zone: which one it is, its DNS records, its settings.

use http::Method;
use serde_json::{Value, json};

use super::api::{Cloudflare, Result, zone_path};
use super::dns::Dns;
use super::error::CloudflareError;
use super::types::{ConfigRule, DnsRecord, PostQuantum, Setting, SslMode, Zone, ZoneId};
use crate::fetch::percent_encoded as encoded;
use crate::hostname::Hostname;

const ZONES_PER_PAGE: u64 = 50;
const RECORDS_PER_PAGE: u64 = 100;
const ZONE_ID_DIGITS: usize = 32;

impl Cloudflare {
    /// All zones of this very name that the token sees; one that it does not see is no error but missing.
    pub fn zones_named(&self, name: &str) -> Result<Vec<Zone>> {
        let path = format!("/zones?name={}&per_page={ZONES_PER_PAGE}", encoded(name));
        let zones: Vec<Zone> = self.list(&format!("look up zone {name}"), &path, ZONES_PER_PAGE)?;
        Ok(zones.into_iter().filter(|zone| is_same(&zone.name, name)).collect())
    }

    /// One zone by its id.
    pub fn zone(&self, id: &ZoneId) -> Result<Zone> {
        self.get(&format!("look up zone {id}"), format!("/zones/{}", encoded(&id.0)))
    }

    /// The one zone that `text` names, by its id or its name. Of several with one name the active one is meant.
    ///
    /// # Errors
    /// The token sees none, or several that are active.
    pub fn zone_called(&self, text: &str) -> Result<Zone> {
        if text.len() == ZONE_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return self.zone(&ZoneId(text.to_owned()));
        }
        one_of(text, self.zones_named(text)?)
    }

    /// The zones that a hostname can belong to: those of its longest parent that has an active one, else those of the
    /// longest that has any.
    pub fn zones_of(&self, hostname: &Hostname) -> Result<Vec<Zone>> {
        let mut inactive = Vec::new();
        for name in parents(hostname.as_str()) {
            let zones = self.zones_named(name)?;
            if zones.iter().any(|zone| zone.status == "active") {
                return Ok(zones);
            }
            if inactive.is_empty() {
                inactive = zones;
            }
        }
        Ok(inactive)
    }

    /// The zone that a hostname belongs to.
    ///
    /// # Errors
    /// The token sees none, or several that are active.
    pub fn zone_of(&self, hostname: &Hostname) -> Result<Zone> {
        one_of(hostname.as_str(), self.zones_of(hostname)?)
    }

    /// The records of this very name.
    pub fn dns_records(&self, zone: &ZoneId, name: &str) -> Result<Vec<DnsRecord>> {
        let path = zone_path(zone, &format!("dns_records?name.exact={}&per_page={RECORDS_PER_PAGE}", encoded(name)));
        let records: Vec<DnsRecord> = self.list(&format!("read DNS records of {name}"), &path, RECORDS_PER_PAGE)?;
        let is_named = |record: &DnsRecord| record.name.is_empty() || is_same(&record.name, name);
        Ok(records.into_iter().filter(is_named).collect())
    }

    /// Where Cloudflare's DNS leads visitors of a hostname; where it has no records of its own, by the wildcard above it.
    pub fn dns(&self, zone: &Zone, hostname: &Hostname) -> Result<Dns> {
        let wildcards = parents(hostname.as_str()).skip(1).map(|parent| (parent, format!("*.{parent}")));
        let inside = |parent: &str| parent.len() >= zone.name.len();
        let wildcards = wildcards.filter(|(parent, _)| inside(parent)).map(|(_, wildcard)| wildcard);
        for name in std::iter::once(hostname.as_str().to_owned()).chain(wildcards) {
            let dns = Dns::of(self.dns_records(&zone.id, &name)?);
            if let Some(dns) = dns {
                return Ok(Dns { name, ..dns });
            }
        }
        Ok(Dns::none(hostname.as_str()))
    }

    /// How Cloudflare connects to the zone's origins.
    pub fn ssl_mode(&self, zone: &ZoneId) -> Result<Setting<SslMode>> {
        self.get("read setting ssl", zone_path(zone, "settings/ssl"))
    }

    /// Whether Cloudflare may raise the SSL mode by itself.
    pub fn ssl_is_automatic(&self, zone: &ZoneId) -> Result<bool> {
        let read: Setting<String> =
            self.get("read setting ssl_automatic_mode", zone_path(zone, "settings/ssl_automatic_mode"))?;
        Ok(read.value == "auto")
    }

    /// Whether the zone presents Cloudflare's shared certificate: `on` or `off`.
    pub fn tls_client_auth(&self, zone: &ZoneId) -> Result<Setting<String>> {
        self.get("read setting tls_client_auth", zone_path(zone, "settings/tls_client_auth"))
    }

    /// Switches it.
    pub fn set_tls_client_auth(&self, zone: &ZoneId, on: bool) -> Result<()> {
        let body = json!({ "value": if on { "on" } else { "off" } });
        let path = zone_path(zone, "settings/tls_client_auth");
        self.ask("set tls_client_auth", Method::PATCH, path, Some(&body))
    }

    /// The zone's key agreement with origins.
    pub fn post_quantum(&self, zone: &ZoneId) -> Result<Setting<PostQuantum>> {
        let path = zone_path(zone, "cache/origin_post_quantum_encryption");
        self.get("read setting origin_post_quantum_encryption", path)
    }

    /// Sets it.
    pub fn set_post_quantum(&self, zone: &ZoneId, value: PostQuantum) -> Result<()> {
        let path = zone_path(zone, "cache/origin_post_quantum_encryption");
        self.ask("set origin_post_quantum_encryption", Method::PUT, path, Some(&json!({ "value": value })))
    }

    /// The configuration rules that set an SSL mode.
    pub fn config_rules(&self, zone: &ZoneId) -> Result<Vec<ConfigRule>> {
        let path = zone_path(zone, "rulesets/phases/http_config_settings/entrypoint");
        let ruleset: Option<Value> = self.find("read configuration rules", path)?;
        let rules = ruleset.as_ref().and_then(|set| set["rules"].as_array()).map(Vec::as_slice).unwrap_or_default();
        Ok(rules.iter().filter_map(config_rule).collect())
    }
}

/// `name` and what it is below of, without the top-level domain.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    let parents = std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent));
    parents.filter(|name| name.contains('.'))
}

/// Whether two spellings are of one name: an international one may come in letters of its own, or as `xn--`.
fn is_same(one: &str, other: &str) -> bool {
    let normal = |name: &str| {
        let (wildcard, name) = name.strip_prefix("*.").map_or((false, name), |parent| (true, parent));
        Some((wildcard, Hostname::parse(name).ok()?))
    };
    one.eq_ignore_ascii_case(other) || normal(one).is_some_and(|one| normal(other) == Some(one))
}

fn one_of(name: &str, mut zones: Vec<Zone>) -> Result<Zone> {
    if zones.iter().any(|zone| zone.status == "active") {
        zones.retain(|zone| zone.status == "active");
    }
    match (zones.pop(), zones.is_empty()) {
        (Some(zone), true) => Ok(zone),
        (None, _) => Err(CloudflareError::NoZone { name: name.to_owned() }),
        (Some(last), false) => {
            let ids = zones.into_iter().chain([last]).map(|zone| zone.id.0).collect();
            Err(CloudflareError::SeveralZones { name: name.to_owned(), ids })
        }
    }
}

fn config_rule(rule: &Value) -> Option<ConfigRule> {
    let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let ssl = rule["action_parameters"]["ssl"].as_str()?.to_owned();
    let enabled = rule["enabled"].as_bool().unwrap_or(true);
    Some(ConfigRule { description: text("description"), expression: text("expression"), enabled, ssl: ssl.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_either_spelling() {
        for (one, other, same) in [
            ("example.com", "Example.COM", true),
            ("bücher.example", "xn--bcher-kva.example", true),
            ("*.bücher.example", "*.xn--bcher-kva.example", true),
            ("*.example.com", "example.com", false),
            ("_dmarc.example.com", "_DMARC.example.com", true),
            ("a b", "c d", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn nobody_asks_for_a_top_level_domain() {
        assert_eq!(parents("a.b.example.com").collect::<Vec<_>>(), ["a.b.example.com", "b.example.com", "example.com"]);
        assert_eq!(parents("localhost").count(), 0);
    }
}
