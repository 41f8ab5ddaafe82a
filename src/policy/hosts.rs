//! From a hostname to what is demanded there: exact name first, then the one-label wildcard, then the default.

use std::collections::HashMap;

use super::verdict::Reason;
use crate::hostname::{HostPattern, Hostname};

/// An immutable table of hosts.
#[derive(Clone, Debug)]
pub struct HostTable<T> {
    exact: HashMap<Hostname, T>,
    wildcard: HashMap<Hostname, T>,
    default: Option<T>,
}

impl<T> Default for HostTable<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new(), default: None }
    }
}

impl<T> HostTable<T> {
    /// Adds `value` under `pattern`. The first one stays when a pattern comes twice, which a configuration refuses.
    pub fn insert(&mut self, pattern: &HostPattern, value: T) {
        match pattern {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_insert(value),
            HostPattern::Wildcard(parent) => self.wildcard.entry(parent.clone()).or_insert(value),
        };
    }

    /// The value that was added under `pattern`, and under no other.
    pub fn get(&self, pattern: &HostPattern) -> Option<&T> {
        match pattern {
            HostPattern::Exact(name) => self.exact.get(name),
            HostPattern::Wildcard(parent) => self.wildcard.get(parent),
        }
    }

    /// Names the host for clients that name none, or one that is not configured.
    pub fn set_default(&mut self, value: T) {
        self.default = Some(value);
    }

    /// The host that `name` belongs to.
    ///
    /// # Errors
    /// [`Reason::SniMissing`] or [`Reason::SniUnknown`] where there is none and no default.
    pub fn select(&self, name: Option<&Hostname>) -> Result<&T, Reason> {
        let found = name.and_then(|name| {
            self.exact.get(name.as_str()).or_else(|| name.parent().and_then(|parent| self.wildcard.get(parent)))
        });
        found.or(self.default.as_ref()).ok_or(match name {
            None => Reason::SniMissing,
            Some(_) => Reason::SniUnknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        Hostname::parse(text).expect("a hostname")
    }

    fn table(patterns: &[&'static str]) -> HostTable<&'static str> {
        let mut table = HostTable::default();
        for pattern in patterns {
            table.insert(&HostPattern::parse(pattern).expect("a pattern"), *pattern);
        }
        table
    }

    #[test]
    fn the_exact_name_wins_over_the_wildcard() {
        let table = table(&["*.example.com", "shop.example.com", "example.com"]);
        for (asked, found) in [
            ("shop.example.com", Ok("shop.example.com")),
            ("SHOP.example.com.", Ok("shop.example.com")),
            ("other.example.com", Ok("*.example.com")),
            ("example.com", Ok("example.com")),
            ("a.b.example.com", Err(Reason::SniUnknown)),
            ("example.org", Err(Reason::SniUnknown)),
        ] {
            assert_eq!(table.select(Some(&name(asked))).copied(), found, "{asked}");
        }
        assert_eq!(table.select(None), Err(Reason::SniMissing));
        let get = |text: &str| table.get(&HostPattern::parse(text).expect("a pattern")).copied();
        assert_eq!(get("*.example.com"), Some("*.example.com"));
        assert_eq!((get("shop.example.com"), get("other.example.com")), (Some("shop.example.com"), None));
    }

    #[test]
    fn a_default_host_takes_missing_and_unknown_names() {
        let mut table = table(&["shop.example.com"]);
        table.set_default("default");
        assert_eq!(table.select(None), Ok(&"default"));
        assert_eq!(table.select(Some(&name("example.org"))), Ok(&"default"));
        assert_eq!(table.select(Some(&name("shop.example.com"))), Ok(&"shop.example.com"));
    }
}
