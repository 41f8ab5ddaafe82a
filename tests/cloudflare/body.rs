//! Whether a body has the shape that the operation asks for.

use serde_json::Value;

use super::route::{Operation, Setting};

/// The body of a request that may have one.
///
/// # Errors
/// What is wrong with it.
pub fn read(operation: Operation, bytes: &[u8]) -> Result<Value, String> {
    let check = match operation {
        Operation::UploadCertificate(_) => upload,
        Operation::WriteAssociations => associations,
        Operation::WriteZoneSwitch => zone_switch,
        Operation::WriteSetting(setting) => match setting {
            Setting::Ssl => ssl,
            Setting::TlsClientAuth => on_or_off,
            Setting::SslAutomaticMode => automatic_mode,
            Setting::PostQuantum => post_quantum,
        },
        Operation::CreatePolicy => policy,
        Operation::VerifyUserToken
        | Operation::VerifyAccountToken
        | Operation::Ips
        | Operation::Zones
        | Operation::Zone
        | Operation::DnsRecords
        | Operation::ConfigurationRules
        | Operation::ReadSetting(_)
        | Operation::ListCertificates(_)
        | Operation::ReadCertificate(_)
        | Operation::DeleteCertificate(_)
        | Operation::ReadZoneSwitch
        | Operation::ListAssociations
        | Operation::ReadAssociation
        | Operation::AvailableAlerts
        | Operation::ListPolicies => return Ok(Value::Null),
    };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("the body is not JSON: {error}"))?;
    check(&value).map(|()| value)
}

fn upload(body: &Value) -> Result<(), String> {
    text(body, "certificate")?;
    text(body, "private_key")
}

fn associations(body: &Value) -> Result<(), String> {
    let items = body["config"].as_array().ok_or("`config` has to be a list")?;
    for item in items {
        let fields = item.as_object().ok_or("an item of `config` has to be an object")?;
        let text = |name: &str, longest: usize| match fields.get(name) {
            None => true,
            Some(value) => value.as_str().is_some_and(|text| text.len() <= longest),
        };
        let enabled = fields.get("enabled").is_none_or(|enabled| enabled.is_null() || enabled.is_boolean());
        if !text("hostname", 255) || !text("cert_id", 36) || !enabled {
            return Err("an item of `config` has a field of the wrong type".to_owned());
        }
    }
    Ok(())
}

fn zone_switch(body: &Value) -> Result<(), String> {
    body["enabled"].is_boolean().then_some(()).ok_or_else(|| "`enabled` has to be true or false".to_owned())
}

fn ssl(body: &Value) -> Result<(), String> {
    one_of(body, "value", &["off", "flexible", "full", "strict", "origin_pull"])
}

fn on_or_off(body: &Value) -> Result<(), String> {
    one_of(body, "value", &["on", "off"])
}

fn automatic_mode(body: &Value) -> Result<(), String> {
    one_of(body, "value", &["auto", "custom"])
}

fn post_quantum(body: &Value) -> Result<(), String> {
    one_of(body, "value", &["preferred", "supported", "off"])
}

fn policy(body: &Value) -> Result<(), String> {
    text(body, "name")?;
    text(body, "alert_type")?;
    zone_switch(body)?;
    body["mechanisms"].is_object().then_some(()).ok_or_else(|| "`mechanisms` has to be an object".to_owned())
}

fn text(body: &Value, name: &str) -> Result<(), String> {
    body[name].is_string().then_some(()).ok_or_else(|| format!("`{name}` has to be a text"))
}

fn one_of(body: &Value, name: &str, words: &[&str]) -> Result<(), String> {
    let good = body[name].as_str().is_some_and(|word| words.contains(&word));
    good.then_some(()).ok_or_else(|| format!("`{name}` has to be one of {}", words.join(", ")))
}
