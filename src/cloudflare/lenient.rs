//! Reads what is not promised: of nearly every field null or another kind of value is as good as none.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::x509::Fingerprint;

/// A field that says nothing of use has its default.
pub(super) fn or_default<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// What can be changed unless the API says that it cannot.
pub(super) fn unless_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_bool().unwrap_or(true))
}

/// Of the first certificate in PEM, whatever its line ends. Text is no way to compare certificates: the API adds and
/// drops the last line end.
pub(super) fn fingerprint_of(text: &str) -> Option<Fingerprint> {
    CertificateDer::from_pem_slice(text.as_bytes()).ok().map(|der| Fingerprint::of(&der))
}

/// A field that holds a certificate.
pub(super) fn fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fingerprint>, D::Error> {
    let text: String = or_default(deserializer)?;
    Ok(fingerprint_of(&text))
}

/// What is no time is no reason to refuse the whole answer.
pub(super) fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: String = or_default(deserializer)?;
    Ok(Timestamp::parse(&text))
}

/// Whether a field says anything.
pub(super) fn is_said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let read = Value::deserialize(deserializer)?;
    Ok(read.as_object().is_some_and(|parts| parts.values().any(says_something)))
}

pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(entries) => entries.iter().any(|entry| !entry.is_null()),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
