//! Hostnames, normalised once: lower case, A-labels, no trailing dot.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// RFC 1035, section 2.3.4, in presentation form without the trailing dot.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// A DNS name in its one normal form. Equal names are equal bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(Arc<str>);

/// Why a text is no hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    #[error("is empty")]
    Empty,
    #[error("is longer than 253 characters")]
    TooLong,
    #[error("has an empty label or one longer than 63 characters")]
    BadLabel,
    #[error("has a character that no hostname has")]
    BadCharacter,
    #[error("is an IP address, a hostname is needed")]
    IpAddress,
    #[error("has `*` where only the whole first label may be one")]
    MisplacedWildcard,
}

impl Hostname {
    /// Normalises `text`: case, one trailing dot, Unicode to A-labels (UTS 46).
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        if is_normal(text) {
            return reject_address(text).map(|()| Self(text.into()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_ascii() {
            let lower = text.to_ascii_lowercase();
            check(&lower)?;
            return reject_address(&lower).map(|()| Self(lower.into()));
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| HostnameError::BadCharacter)?;
        check(&ascii)?;
        reject_address(&ascii).map(|()| Self(ascii.into()))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the first dot, the place where a one-label wildcard is looked up.
    pub fn parent(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, parent)| parent)
    }
}

/// What an operator writes: one name, or all names one label below a parent.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum HostPattern {
    /// This very name.
    Exact(Hostname),
    /// `*.parent`: one label more than the parent, as in RFC 6125, section 6.4.3.
    Wildcard(Hostname),
}

impl HostPattern {
    /// Reads `name` or `*.name`.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        if let Some(parent) = text.strip_prefix("*.") {
            return match Hostname::parse(parent)? {
                // `*.com` would take in every site of a registry: a slip of the pen.
                parent if parent.parent().is_none() => Err(HostnameError::MisplacedWildcard),
                parent => Ok(Self::Wildcard(parent)),
            };
        }
        match text.contains('*') {
            true => Err(HostnameError::MisplacedWildcard),
            false => Hostname::parse(text).map(Self::Exact),
        }
    }

    /// Whether `name` is one of those that are meant.
    pub fn covers(&self, name: &Hostname) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Wildcard(parent) => name.parent() == Some(parent.as_str()),
        }
    }
}

/// Whether `text` already is the normal form, the case on every connection.
fn is_normal(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase()) && check(text).is_ok()
}

fn check(text: &str) -> Result<(), HostnameError> {
    if text.is_empty() {
        return Err(HostnameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(HostnameError::TooLong);
    }
    let mut label_bytes = 0;
    for byte in text.bytes() {
        match byte {
            b'.' if label_bytes == 0 => return Err(HostnameError::BadLabel),
            b'.' => label_bytes = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label_bytes += 1,
            _ => return Err(HostnameError::BadCharacter),
        }
        if label_bytes > MAX_LABEL_BYTES {
            return Err(HostnameError::BadLabel);
        }
    }
    match label_bytes {
        0 => Err(HostnameError::BadLabel),
        _ => Ok(()),
    }
}

/// IPv6 literals fail on their colons; what is left to tell apart is IPv4.
fn reject_address(text: &str) -> Result<(), HostnameError> {
    let numeric = text.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    match numeric && text.parse::<IpAddr>().is_ok() {
        true => Err(HostnameError::IpAddress),
        false => Ok(()),
    }
}

/// Hashes and compares as its text does, so that a table of names can be asked with a `&str`.
impl Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
        }
    }
}

impl serde::Serialize for Hostname {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        for spelling in ["shop.example.com", "SHOP.Example.COM", "shop.example.com."] {
            assert_eq!(Hostname::parse(spelling).expect("a hostname").as_str(), "shop.example.com");
        }
        assert_eq!(Hostname::parse("bücher.example").expect("a hostname").as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn what_is_no_hostname_is_refused() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["abcdefghi."; 26].concat();
        for (text, error) in [
            ("", HostnameError::Empty),
            (".", HostnameError::Empty),
            ("a..b", HostnameError::BadLabel),
            (".a", HostnameError::BadLabel),
            ("a.b..", HostnameError::BadLabel),
            ("a b", HostnameError::BadCharacter),
            ("a\0b", HostnameError::BadCharacter),
            ("a/b", HostnameError::BadCharacter),
            ("127.0.0.1", HostnameError::IpAddress),
            ("::1", HostnameError::BadCharacter),
            (long_label.as_str(), HostnameError::BadLabel),
            (long_name.as_str(), HostnameError::TooLong),
        ] {
            assert_eq!(Hostname::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_wildcard_is_the_whole_first_label() {
        assert_eq!(HostPattern::parse("*.Example.com").expect("a pattern").to_string(), "*.example.com");
        for text in ["*", "*.com", "a.*.com", "a*.example.com", "**.example.com"] {
            assert_eq!(HostPattern::parse(text), Err(HostnameError::MisplacedWildcard), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_never_panics(text in ".{0,300}") {
            if let Ok(once) = Hostname::parse(&text) {
                prop_assert_eq!(Hostname::parse(once.as_str()), Ok(once.clone()));
                prop_assert!(once.as_str().len() <= MAX_NAME_BYTES);
                prop_assert_eq!(once.as_str().to_ascii_lowercase(), once.as_str());
            }
        }
    }
}
