//! Zones, what they resolve to, and their settings.

use std::time::Duration;

use originlock::clock::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::Call;
use super::route::Setting;
use super::seed::{Record, Rule, Token, account_id, identifier};
use super::state::Zone;

const DAY: Duration = Duration::from_hours(24);

/// `GET /zones`: what the token may see, and nothing said of the rest.
pub(super) fn list(zones: &[Zone], token: &Token, call: &Call<'_>) -> Answer {
    let seen = zones.iter().filter(|zone| token.sees(&zone.name) && token.may(&[super::seed::Permission::ZoneRead]));
    let fits = |field: &str, value: &str| call.field(field).is_none_or(|wanted| wanted == value);
    let wanted = seen.filter(|zone| {
        fits("name", &zone.name) && fits("status", &zone.status) && fits("account.id", &account_id(&zone.account))
    });
    let items = wanted.map(|zone| shown(zone, call.now)).collect();
    match page(call, 20, 5..=50) {
        Some(page) => Answer::page(items, page),
        None => Answer::failure(400, call.settings.codes.bad_body, "per_page is out of bounds"),
    }
}

/// `GET /zones/{zone}`.
pub(super) fn read(zone: &Zone, call: &Call<'_>) -> Answer {
    Answer::ok(&shown(zone, call.now))
}

/// `GET …/dns_records`.
pub(super) fn records(zone: &Zone, call: &Call<'_>) -> Answer {
    let fits = |field: &str, value: &str| call.field(field).is_none_or(|wanted| wanted == value);
    let wanted = zone.records.iter().enumerate().filter(|(_, record)| {
        let name = record.name.to_lowercase();
        fits("name", &name)
            && fits("name.exact", &name)
            && fits("type", &record.kind)
            && fits("proxied", if record.proxied { "true" } else { "false" })
    });
    let items = wanted.map(|(index, record)| record_shown(zone, index, record, call.now)).collect();
    match page(call, 100, 1..=5_000_000) {
        Some(page) => Answer::page(items, page),
        None => Answer::failure(400, call.settings.codes.bad_body, "per_page is out of bounds"),
    }
}

/// `GET …/rulesets/phases/http_config_settings/entrypoint`.
pub(super) fn rules(zone: &Zone, call: &Call<'_>) -> Answer {
    if zone.rules.is_empty() {
        let message = "could not find entrypoint ruleset in the \"http_config_settings\" phase";
        return Answer::failure(404, 10003, message);
    }
    let rules: Vec<Value> =
        zone.rules.iter().enumerate().map(|(at, rule)| rule_shown(zone, at, rule, call.now)).collect();
    Answer::ok(&json!({
        "id": identifier(&["ruleset", &zone.id]),
        "name": "default",
        "description": "",
        "kind": "zone",
        "phase": "http_config_settings",
        "version": "1",
        "last_updated": call.now.before(DAY),
        "rules": rules,
    }))
}

/// `GET …/settings/…`.
pub(super) fn read_setting(zone: &Zone, setting: Setting, call: &Call<'_>) -> Answer {
    Answer::ok(&setting_shown(zone, setting, call.now))
}

/// `PATCH …/settings/…`.
pub(super) fn write_setting(zone: &mut Zone, setting: Setting, call: &Call<'_>) -> Answer {
    let editable = match setting {
        Setting::Ssl => zone.ssl_editable,
        Setting::TlsClientAuth => zone.tls_client_auth_editable,
        Setting::SslAutomaticMode | Setting::PostQuantum => true,
    };
    if !editable {
        return Answer::failure(400, 1006, "This zone setting is not editable for this plan");
    }
    let value = call.body["value"].as_str().unwrap_or_default().to_owned();
    match setting {
        Setting::Ssl => zone.ssl.change(call.now, value),
        Setting::TlsClientAuth => zone.tls_client_auth.change(call.now, value == "on"),
        Setting::SslAutomaticMode => zone.ssl_automatic_mode.change(call.now, value),
        Setting::PostQuantum => zone.post_quantum.change(call.now, value),
    }
    read_setting(zone, setting, call)
}

/// `GET …/origin_tls_client_auth/settings`.
pub(super) fn read_switch(zone: &Zone, call: &Call<'_>) -> Answer {
    Answer::ok(&json!({ "enabled": zone.switch.value(call.now) }))
}

/// `PUT …/origin_tls_client_auth/settings`.
pub(super) fn write_switch(zone: &mut Zone, call: &Call<'_>) -> Answer {
    zone.switch.change(call.now, call.body["enabled"] == true);
    read_switch(zone, call)
}

fn setting_shown(zone: &Zone, setting: Setting, now: Timestamp) -> Value {
    let on = |on| if on { "on" } else { "off" };
    let (id, value, editable) = match setting {
        Setting::Ssl => ("ssl", zone.ssl.value(now), zone.ssl_editable),
        Setting::TlsClientAuth => {
            ("tls_client_auth", on(zone.tls_client_auth.value(now)).to_owned(), zone.tls_client_auth_editable)
        }
        Setting::SslAutomaticMode => ("ssl_automatic_mode", zone.ssl_automatic_mode.value(now), true),
        Setting::PostQuantum => ("origin_post_quantum_encryption", zone.post_quantum.value(now), true),
    };
    let mut shown = json!({ "id": id, "value": value, "editable": editable, "modified_on": now.before(DAY) });
    if setting == Setting::SslAutomaticMode && value == "auto" {
        shown["next_scheduled_scan"] = now.after(DAY).to_string().into();
    }
    shown
}

fn page(call: &Call<'_>, default: usize, bounds: std::ops::RangeInclusive<usize>) -> Option<Page> {
    let number = call.field("page").map_or(Some(1), |text| text.parse().ok())?;
    let size = call.field("per_page").map_or(Some(default), |text| text.parse().ok())?;
    (number > 0 && bounds.contains(&size)).then_some(Page { number, size })
}

fn shown(zone: &Zone, now: Timestamp) -> Value {
    let (account, before) = (account_id(&zone.account), now.before(DAY * 365));
    json!({
        "id": zone.id,
        "name": zone.name,
        "status": zone.status,
        "paused": zone.paused,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["bob.ns.cloudflare.com", "lola.ns.cloudflare.com"],
        "original_name_servers": null,
        "original_registrar": null,
        "original_dnshost": null,
        "modified_on": before,
        "created_on": before,
        "activated_on": if zone.status == "active" { json!(before) } else { Value::Null },
        "meta": { "step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": false },
        "owner": { "id": account, "name": zone.account, "type": "organization" },
        "account": { "id": account, "name": zone.account },
        "permissions": ["#ssl:edit", "#ssl:read", "#zone:read", "#zone_settings:edit", "#zone_settings:read"],
        "plan": { "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0, "currency": "USD",
            "frequency": "", "is_subscribed": false, "can_subscribe": false, "legacy_id": "free",
            "legacy_discount": false, "externally_managed": false },
    })
}

fn record_shown(zone: &Zone, index: usize, record: &Record, now: Timestamp) -> Value {
    json!({
        "id": identifier(&["record", &zone.id, &index.to_string()]),
        "name": record.name,
        "type": record.kind,
        "content": record.content,
        "proxiable": matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME"),
        "proxied": record.proxied,
        "ttl": if record.proxied { 1 } else { 300 },
        "settings": {},
        "meta": {},
        "comment": null,
        "tags": [],
        "created_on": now.before(DAY),
        "modified_on": now.before(DAY),
    })
}

fn rule_shown(zone: &Zone, index: usize, rule: &Rule, now: Timestamp) -> Value {
    let id = identifier(&["rule", &zone.id, &index.to_string()]);
    json!({
        "id": id,
        "ref": id,
        "version": "1",
        "last_updated": now.before(DAY),
        "action": "set_config",
        "action_parameters": { "ssl": rule.ssl },
        "expression": rule.expression,
        "description": "SSL mode",
        "enabled": rule.enabled,
    })
}
