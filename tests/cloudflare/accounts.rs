//! Tokens that ask for themselves, alerts, and the published address ranges.

use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::Call;
use super::seed::{Account, Token, account_id, identifier};
use super::state::Policy;

const ALERTS: [&str; 2] =
    ["hostname_aop_custom_certificate_expiration_type", "zone_aop_custom_certificate_expiration_type"];

/// Documentation addresses, and the loopback network that the edges connect from.
const IPV4: [&str; 16] = [
    "127.0.1.0/24",
    "192.0.2.0/26",
    "192.0.2.64/26",
    "192.0.2.128/26",
    "192.0.2.192/26",
    "198.51.100.0/26",
    "198.51.100.64/26",
    "198.51.100.128/26",
    "198.51.100.192/26",
    "203.0.113.0/27",
    "203.0.113.32/27",
    "203.0.113.64/27",
    "203.0.113.96/27",
    "203.0.113.128/27",
    "203.0.113.160/27",
    "203.0.113.192/26",
];
const IPV6: [&str; 7] = [
    "2001:db8::/35",
    "2001:db8:2000::/35",
    "2001:db8:4000::/35",
    "2001:db8:6000::/35",
    "2001:db8:8000::/35",
    "2001:db8:a000::/35",
    "2001:db8:c000::/35",
];

/// `GET /user/tokens/verify`, and the same for an account's token.
pub(super) fn verify(token: &Token, account: Option<&str>, call: &Call<'_>) -> Answer {
    if token.account.as_deref().map(account_id).as_deref() != account {
        return Answer::failure(401, 1000, "Invalid API Token");
    }
    let is_over = token.expires_on.is_some_and(|moment| moment <= call.now);
    let status = match (token.disabled, is_over) {
        (true, _) => "disabled",
        (false, true) => "expired",
        (false, false) => "active",
    };
    let mut result = json!({ "id": token.id(), "status": status });
    for (name, moment) in [("not_before", token.not_before), ("expires_on", token.expires_on)] {
        if let Some(moment) = moment {
            result[name] = moment.to_string().into();
        }
    }
    match status {
        "active" => Answer::told(&result, 10000, "This API Token is valid and active"),
        _ => Answer::ok(&result),
    }
}

/// `GET /ips`.
pub(super) fn ips() -> Answer {
    let etag = identifier(&[&IPV4[..], &IPV6].concat());
    Answer::ok(&json!({ "ipv4_cidrs": IPV4, "ipv6_cidrs": IPV6, "etag": etag }))
}

/// `GET …/alerting/v3/available_alerts`.
pub(super) fn available(account: &Account) -> Answer {
    let alert = |name: &str, kind: &str| json!({ "type": kind, "display_name": name, "description": name, "filter_options": [] });
    let mut result = json!({ "Billing": [alert("Usage Based Billing", "billing_usage_alert")] });
    if account.aop_alerts {
        let names = ["Hostname-level", "Zone-level"]
            .map(|level| format!("{level} Authenticated Origin Pulls Certificate Expiration Alert"));
        let alerts: Vec<Value> = names.iter().zip(ALERTS).map(|(name, kind)| alert(name, kind)).collect();
        result["SSL/TLS"] = alerts.into();
    }
    Answer::ok(&result)
}

/// `GET …/alerting/v3/policies`.
pub(super) fn policies(all: &[Policy], account: &Account) -> Answer {
    let own = all.iter().filter(|policy| policy.account == account.name);
    let items = own.map(|policy| {
        let mut shown = policy.body.clone();
        shown["id"] = policy.id.as_str().into();
        shown["created"] = policy.created.to_string().into();
        shown["modified"] = policy.created.to_string().into();
        shown
    });
    Answer::page(items.collect(), Page::WHOLE)
}

/// `POST …/alerting/v3/policies`. Two may have one name.
pub(super) fn create(all: &mut Vec<Policy>, account: &Account, call: &mut Call<'_>) -> Answer {
    let kind = call.body["alert_type"].as_str().unwrap_or_default();
    if ALERTS.contains(&kind) && !account.aop_alerts {
        return Answer::failure(400, 17003, "This account may not have alerts of this type");
    }
    let mut body = call.body.clone();
    body["filters"] = json!({});
    let policy = Policy { account: account.name.clone(), id: call.random.identifier(), body, created: call.now };
    let answer = Answer::ok(&json!({ "id": policy.id }));
    all.push(policy);
    answer
}
