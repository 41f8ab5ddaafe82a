//! One `[[host]]`: its names, what it demands of a client, and where its requests go.

use crate::config::evidence::read_gate;
use crate::config::model::*;
use crate::config::parse::{DAY, assign, non_empty};
use crate::config::reader::{Context, Table, Value, quotable};
use crate::evidence::readiness::Gate;
use crate::hostname::{HostPattern, Hostname};
use crate::policy::client_auth::Mode;
use crate::upstream::address::{Address, Protocol, Target};
use crate::x509::Fingerprint;

const CLIENT_AUTH_HELP: &str = "choose off, observe or enforce:
client_auth = { mode = \"off\" }
client_auth = { mode = \"observe\", ca = \"NAME\" }
client_auth = { mode = \"enforce\", ca = \"NAME\" }";
const CERTIFICATE_HELP: &str = "write certificate = { chain = \"tls/site.pem\", key = \"tls/site.key\" }";
const UPSTREAM_HELP: &str = "write upstream = \"http://127.0.0.1:8080\"";

const MODES: &[(&str, Mode)] = &[("off", Mode::Off), ("observe", Mode::Observe), ("enforce", Mode::Enforce)];
/// Other proxies' words for a mode.
const MODE_HABITS: &[(&str, &str)] = &[
    ("on", "enforce"),
    ("require", "enforce"),
    ("required", "enforce"),
    ("verify", "enforce"),
    ("strict", "enforce"),
    ("optional", "observe"),
    ("optional_no_ca", "observe"),
    ("request", "observe"),
    ("want", "observe"),
    ("none", "off"),
    ("disabled", "off"),
];
const DIALECTS: &[(&str, Dialect)] =
    &[("envoy", Dialect::Envoy), ("nginx", Dialect::Nginx), ("traefik", Dialect::Traefik), ("alb", Dialect::Alb)];
const BALANCES: &[(&str, Balance)] =
    &[("round_robin", Balance::RoundRobin), ("least_connections", Balance::LeastConnections)];

/// `gate` holds where the host says nothing else. `None`: something that every host needs is missing or wrong, which has
/// been reported.
pub fn read_host(context: &Context<'_>, mut table: Table<'_>, gate: Gate) -> Option<Host> {
    let help = "write names = [\"www.example.com\"]";
    let names = table.require("names", help).map(|value| non_empty(value, help)).unwrap_or_default();
    let written = names.len();
    let names: Vec<_> = names.iter().filter_map(read_name).collect();
    let certificate = table.require("certificate", CERTIFICATE_HELP).and_then(|value| read_certificate(&value));
    let client_auth =
        table.require("client_auth", CLIENT_AUTH_HELP).and_then(|value| read_client_auth(context, &value));
    let upstream = table.require("upstream", UPSTREAM_HELP).and_then(|value| read_upstream(context, value));
    let dialects = table.take("identity_headers").map(Value::one_or_many).unwrap_or_default();
    let identity_headers = dialects.iter().filter_map(|value| value.choice(DIALECTS)).collect();
    let own = table.take("readiness").and_then(|value| value.table());
    let gate = own.map_or(gate, |table| read_gate(table, gate));
    table.finish();
    let complete = !names.is_empty() && names.len() == written;
    let (certificate, client_auth, upstream) = (certificate?, client_auth?, upstream?);
    complete.then_some(Host { names, certificate, client_auth, upstream, gate, identity_headers })
}

fn read_name(value: &Value<'_>) -> Option<Placed<HostPattern>> {
    let text = value.string()?;
    match HostPattern::parse(text) {
        Ok(pattern) => Some(value.placed(pattern)),
        Err(error) => {
            let help = "write a name such as \"www.example.com\" or \"*.example.com\"";
            value.error(format!("cannot be \"{}\": it {error}", quotable(text)), help);
            None
        }
    }
}

pub(super) fn read_certificate(value: &Value<'_>) -> Option<CertificateFiles> {
    if !value.is_table() {
        value.error("needs two files", CERTIFICATE_HELP);
        return None;
    }
    let mut table = value.table()?;
    let chain = table.require("chain", CERTIFICATE_HELP).and_then(|value| value.path());
    let key = table.require("key", CERTIFICATE_HELP).and_then(|value| value.path());
    table.finish();
    Some(CertificateFiles { chain: chain?, key: key? })
}

fn read_client_auth(context: &Context<'_>, value: &Value<'_>) -> Option<ClientAuth> {
    if !value.is_table() {
        value.error("is no table", CLIENT_AUTH_HELP);
        return None;
    }
    let mut table = value.table()?;
    let mode = table.require("mode", CLIENT_AUTH_HELP).and_then(|value| read_mode(&value));
    let ca = table.take("ca");
    let pins = table.take("pins").map(Value::one_or_many).unwrap_or_default();
    let has_trust = ca.is_some() || !pins.is_empty();
    let ca = ca.and_then(|value| value.placed_string());
    let pins = pins.iter().filter_map(read_pin).collect();
    table.finish();
    let mode = mode?;
    if mode.value != Mode::Off && !has_trust {
        let message = format!("mode `{}` needs a CA or pins to judge by", mode.value.label());
        let help = "add ca = \"NAME\", defined under [ca.NAME], or pins = [\"sha256:HEX\"]";
        context.error(&mode.place, message, help);
    }
    Some(ClientAuth { mode, ca, pins })
}

fn read_mode(value: &Value<'_>) -> Option<Placed<Mode>> {
    let text = value.string()?;
    if let Some((_, instead)) = MODE_HABITS.iter().find(|(habit, _)| *habit == text) {
        value.error(format!("cannot be \"{text}\""), format!("write \"{instead}\""));
        return None;
    }
    value.choice(MODES).map(|mode| value.placed(mode))
}

fn read_pin(value: &Value<'_>) -> Option<Placed<Pin>> {
    let text = value.string()?;
    let (make, digits): (fn(Fingerprint) -> Pin, _) =
        match (text.strip_prefix("sha256:"), text.strip_prefix("spki-sha256:")) {
            (Some(digits), _) => (Pin::Certificate, digits),
            (_, Some(digits)) => (Pin::PublicKey, digits),
            // A bare digest is a likelier slip than a file of that name.
            _ if Fingerprint::parse(text).is_some() => {
                let help = "write \"sha256:HEX\" for a certificate or \"spki-sha256:HEX\" for a public key";
                value.error("is a bare digest", help);
                return None;
            }
            _ => return value.path().map(|path| Placed { value: Pin::File(path.value), place: path.place }),
        };
    let pin = Fingerprint::parse(digits).map(make);
    if pin.is_none() {
        value.error("needs 64 hexadecimal digits after the colon", "`originlock pki inspect FILE` prints them");
    }
    pin.map(|pin| value.placed(pin))
}

fn read_upstream(context: &Context<'_>, value: Value<'_>) -> Option<Upstream> {
    if !value.is_table() {
        return read_addresses(value).map(Upstream::to);
    }
    let mut table = value.table()?;
    let addresses = table.require("to", "write to = \"http://127.0.0.1:8080\"").and_then(read_addresses);
    let mut upstream = Upstream::to(addresses.clone().unwrap_or_default());
    assign(&mut upstream.balance, table.take("balance").and_then(|value| value.choice(BALANCES)));
    let connect = table.take("connect_timeout_seconds").and_then(|value| value.seconds(0.001..=DAY));
    assign(&mut upstream.connect_timeout, connect);
    let response = table.take("response_timeout_seconds").and_then(|value| value.seconds(0.0..=DAY));
    upstream.response_timeout = response.filter(|timeout| !timeout.is_zero());
    assign(&mut upstream.idle_timeout, table.take("idle_timeout_seconds").and_then(|value| value.seconds(0.0..=DAY)));
    assign(&mut upstream.max_idle, table.take("max_idle").and_then(|value| value.integer(0..=100_000)));
    let tls = [table.take("ca"), table.take("server_name"), table.take("client_certificate")];
    let encrypts = |address: &Placed<Address>| address.value.protocol == Protocol::Https;
    if addresses.as_ref().is_some_and(|addresses| !addresses.iter().any(encrypts)) {
        for value in tls.iter().flatten() {
            value.error("has no meaning without TLS", "write an https:// address or remove it");
        }
    }
    let [ca, server_name, client_certificate] = tls;
    upstream.tls.ca = ca.and_then(|value| value.path());
    upstream.tls.server_name = server_name.and_then(|value| value.placed_string());
    if let Some(name) = &upstream.tls.server_name
        && Hostname::parse(&name.value).is_err()
    {
        let message = format!("`upstream.server_name` cannot be \"{}\"", quotable(&name.value));
        context.error(&name.place, message, "write the hostname in the backend's certificate");
    }
    upstream.tls.client_certificate = client_certificate.and_then(|value| read_certificate(&value));
    upstream.health = table.take("health").and_then(|value| value.table()).and_then(read_health);
    table.finish();
    addresses.map(|_| upstream)
}

fn read_addresses(value: Value<'_>) -> Option<Vec<Placed<Address>>> {
    let values = non_empty(value, UPSTREAM_HELP);
    let addresses: Vec<_> = values.iter().filter_map(read_address).collect();
    (!addresses.is_empty() && addresses.len() == values.len()).then_some(addresses)
}

fn read_address(value: &Value<'_>) -> Option<Placed<Address>> {
    let text = value.string()?;
    let error = match Address::parse(text) {
        Ok(address) => return Some(value.placed(address)),
        Err(error) => error,
    };
    let help = match Address::parse(&format!("http://{text}")) {
        Ok(Address { target: Target::Tcp { .. }, .. }) if !text.contains("://") => {
            format!("write \"http://{}\"", quotable(text))
        }
        _ => "write \"http://127.0.0.1:8080\" or \"unix:/run/site.sock\"".to_owned(),
    };
    // What a password in a URL looks like must not reach the log.
    let shown = if text.contains('@') { "…".to_owned() } else { quotable(text) };
    value.error(format!("cannot be \"{shown}\": it {error}"), help);
    None
}

fn read_health(mut table: Table<'_>) -> Option<Health> {
    let help = "write path = \"/healthz\"";
    let value = table.require("path", help);
    let interval = table.take("interval_seconds").and_then(|value| value.seconds(0.1..=DAY));
    table.finish();
    let value = value?;
    let path = value.string()?;
    if !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        value.error("is no path of a URL", help);
        return None;
    }
    Some(Health { path: path.to_owned(), interval: interval.unwrap_or(Health::DEFAULT_INTERVAL) })
}
