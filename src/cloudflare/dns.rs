//! Where Cloudflare's DNS leads the visitors of a hostname.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::types::DnsRecord;

/// What the records of a hostname mean for Authenticated Origin Pulls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Through Cloudflare's edges: they show the client certificate.
    Proxied,
    /// Straight to the origin: visitors show none.
    DnsOnly,
    /// Some records are proxied, some are not: some visitors come straight to the origin.
    Mixed,
    /// Through Cloudflare Tunnel, which shows no client certificate whatever is set.
    Tunnel,
    /// There is no record.
    None,
}

impl Routing {
    /// The word for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Proxied => "proxied",
            Self::DnsOnly => "DNS only",
            Self::Mixed => "mixed",
            Self::Tunnel => "tunnel",
            Self::None => "no record",
        }
    }
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The records that lead to a hostname's origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dns {
    /// Whose records they are: the hostname's own, or those of a wildcard above it.
    pub name: String,
    pub routing: Routing,
    /// Of its A and AAAA records: where Cloudflare connects to, if they are proxied.
    pub addresses: Vec<IpAddr>,
    /// Of its CNAME records.
    pub targets: Vec<String>,
}

impl Dns {
    /// Of the records of one name. `None`: none of them leads anywhere.
    pub(super) fn of(records: Vec<DnsRecord>) -> Option<Self> {
        let leading: Vec<_> =
            records.into_iter().filter(|record| ["A", "AAAA", "CNAME"].contains(&&*record.kind)).collect();
        let name = leading.first()?.name.clone();
        let targets = leading.iter().filter(|record| record.kind == "CNAME");
        let targets: Vec<_> = targets.map(|record| record.content.trim_end_matches('.').to_lowercase()).collect();
        let proxied = leading.iter().filter(|record| record.proxied).count();
        let routing = match proxied {
            _ if targets.iter().any(|target| target.ends_with(".cfargotunnel.com")) => Routing::Tunnel,
            0 => Routing::DnsOnly,
            some if some < leading.len() => Routing::Mixed,
            _ => Routing::Proxied,
        };
        let addresses = leading.iter().filter_map(|record| record.content.parse().ok()).collect();
        Some(Self { name, routing, addresses, targets })
    }

    pub(super) fn none(name: &str) -> Self {
        Self { name: name.to_owned(), routing: Routing::None, addresses: Vec::new(), targets: Vec::new() }
    }
}
