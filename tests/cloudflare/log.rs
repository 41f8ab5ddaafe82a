//! What was asked and what came of it. Neither token nor private key is kept.

use std::collections::BTreeMap;

use originlock::clock::Timestamp;
use originlock::x509::Fingerprint;
use serde::Serialize;
use serde_json::Value;

use super::pem;

/// Header fields that carry a secret.
const SECRET: [&str; 4] = ["authorization", "x-auth-key", "cookie", "proxy-authorization"];

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Logged {
    /// Counted from 1.
    pub number: usize,
    pub at: Timestamp,
    pub method: String,
    /// Below the API's prefix, without the query.
    pub path: String,
    pub query: String,
    /// Without those that carry a secret.
    pub headers: BTreeMap<String, String>,
    /// The name of the token that it came with, if that is known.
    pub token: Option<String>,
    /// The private key replaced by the SHA-256 of its public key.
    pub body: Value,
    /// Whether it changed anything.
    pub applied: bool,
    /// `None` while it has no answer, and for ever where it never got one.
    pub status: Option<u16>,
    pub answer: Value,
}

impl Logged {
    /// `POST /zones/…`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it wanted to change something.
    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// Whether it is of `method` and its path fits `pattern`, in which `*` stands for one part and `**` for the rest.
    pub fn is(&self, method: &str, pattern: &str) -> bool {
        self.method == method && super::faults::fits(pattern, &self.path)
    }

    /// The code of its first error.
    pub fn code(&self) -> Option<u64> {
        self.answer["errors"][0]["code"].as_u64()
    }
}

/// The header fields that may be kept.
pub fn kept(headers: &hyper::HeaderMap) -> BTreeMap<String, String> {
    let fields = headers.iter().filter(|(name, _)| !SECRET.contains(&name.as_str()));
    fields.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// A body as it may be kept.
pub fn redacted(body: &[u8]) -> Value {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            if let Some(key) = value.get_mut("private_key") {
                *key = key_name(key.as_str().unwrap_or_default()).into();
            }
            value
        }
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => format!("{} bytes that are not JSON", body.len()).into(),
    }
}

fn key_name(text: &str) -> String {
    match pem::private_key(text) {
        Ok(key) => format!("public key sha256 {}", Fingerprint::of(&key.public_key)),
        Err(_) => "unreadable".to_owned(),
    }
}

/// An answer as it is kept.
pub fn answered(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(&body[..body.len().min(1000)]).into())
}
