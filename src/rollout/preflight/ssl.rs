//! How Cloudflare connects to the origin: a client certificate is shown over TLS alone.

use super::Finding;
use super::token::Readings;
use crate::cloudflare::ConfigRule;

const CHOOSE: &str = "set SSL/TLS > Overview > encryption mode to Full (strict), or to Full at least";

pub(super) fn look(readings: &Readings) -> [(&'static str, Finding); 2] {
    [("ssl_mode", mode(readings)), ("config_rules", rules(readings))]
}

fn mode(readings: &Readings) -> Finding {
    let mode = match &readings.ssl {
        Ok(setting) => &setting.value,
        Err(error) => return Finding::unread(error),
    };
    let automatic = match readings.automatic {
        Ok(true) => "; automatic mode is on: Cloudflare may raise it by itself",
        Ok(false) | Err(_) => "",
    };
    if !mode.is_enough() {
        return Finding::fails(
            format!("SSL mode is {mode}: Cloudflare shows no client certificate{automatic}"),
            format!("{CHOOSE}, once the origin answers over TLS"),
        );
    }
    Finding::holds(format!("SSL mode is {mode}{automatic}"))
}

fn rules(readings: &Readings) -> Finding {
    let rules = match &readings.rules {
        Ok(rules) => rules,
        Err(error) => return Finding::unread(error),
    };
    let weaker: Vec<_> = rules.iter().filter(|rule| rule.enabled && !rule.ssl.is_enough()).collect();
    match weaker.as_slice() {
        [] => Finding::holds("no configuration rule sets a weaker SSL mode; old page rules are not looked at"),
        weaker => {
            let told: Vec<_> = weaker.iter().map(|rule| shown(rule)).collect();
            Finding::fails(
                format!(
                    "{}; requests that it matches come without a client certificate. Whether it matches these hostnames \
                     is not known: the expression is not evaluated",
                    told.join("; ")
                ),
                "switch it off or narrow it in Rules > Configuration Rules, or go on with --force config_rules if it does \
                 not match",
            )
        }
    }
}

fn shown(rule: &ConfigRule) -> String {
    let ConfigRule { description, expression, ssl, .. } = rule;
    let name = if description.is_empty() { String::new() } else { format!(" `{description}`") };
    format!("the configuration rule{name} sets SSL mode {ssl} where {expression}")
}
