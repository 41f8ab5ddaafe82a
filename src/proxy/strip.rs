//! Removing header fields by a rule over their names.

use http::{HeaderMap, HeaderName};

/// Removes every field whose name `listed` holds for. One pass; nothing is allocated while nothing is found.
pub fn remove_where<V>(headers: &mut HeaderMap<V>, listed: impl Fn(&str) -> bool) {
    let doomed: Vec<HeaderName> = headers.keys().filter(|name| listed(name.as_str())).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

/// Whether `name` is `listed` under any spelling that a backend may take for it.
///
/// CGI and WSGI (RFC 3875, section 4.1.18) turn `-` into `_`, and some servers every character that is neither letter
/// nor digit, so `x_client.verify` would arrive there as ours. `listed` itself is lower case with `-`.
pub fn is_spelling_of(name: &str, listed: &str) -> bool {
    name.len() == listed.len() && starts_like(name, listed)
}

/// Whether `name` begins with `prefix`, under any spelling that a backend may take for it.
pub fn starts_like(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(byte, wanted)| canonical(byte) == wanted)
}

fn canonical(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte,
        false => b'-',
    }
}
