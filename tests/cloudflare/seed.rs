//! What there is at the beginning: written by a story, or read from a file.

use std::time::Duration;

use originlock::clock::Timestamp;
use originlock::pki::Issued;
use originlock::x509::Fingerprint;
use serde::{Deserialize, Serialize};

use super::faults::Fault;
use super::settings::{Settings, seconds};

const ACCOUNT: &str = "Example Account";

/// The beginning of a fake.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Accounts that are more than the owner of a zone.
    pub accounts: Vec<Account>,
    pub zones: Vec<Zone>,
    pub tokens: Vec<Token>,
    pub settings: Settings,
    pub faults: Vec<Fault>,
    /// What randomness begins with.
    pub random: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    pub name: String,
    /// Whether it may have alerts on origin-pull certificates.
    pub aop_alerts: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self { name: ACCOUNT.to_owned(), aop_alerts: true }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    pub name: String,
    pub account: String,
    pub status: String,
    pub paused: bool,
    pub records: Vec<Record>,
    /// Hostnames outside the zone that it serves too.
    pub custom_hostnames: Vec<String>,
    pub ssl: String,
    pub ssl_editable: bool,
    pub tls_client_auth: bool,
    pub tls_client_auth_editable: bool,
    pub ssl_automatic_mode: String,
    /// When automatic mode raises the encryption mode, and to which.
    pub automatic_raise: Option<Raise>,
    pub post_quantum: String,
    pub rules: Vec<Rule>,
    /// Whether the zone's own certificates are switched on.
    pub zone_switch: bool,
    pub certificates: Vec<Deposit>,
    pub zone_certificates: Vec<Deposit>,
    pub associations: Vec<Association>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    #[serde(with = "seconds")]
    pub after: Duration,
    pub to: String,
}

/// A DNS record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub content: String,
    pub proxied: bool,
}

/// A configuration rule that sets the encryption mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub expression: String,
    pub ssl: String,
    pub enabled: bool,
}

/// A certificate that lies there already, with its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deposit {
    pub certificate: String,
    pub private_key: String,
    /// As the API spells it.
    #[serde(default = "active")]
    pub status: String,
}

fn active() -> String {
    "active".to_owned()
}

/// An association that exists already.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Association {
    pub hostname: String,
    /// Counted from 0 in the zone's list of hostname certificates.
    pub certificate: usize,
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default = "active")]
    pub status: String,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: "example.com".to_owned(),
            account: ACCOUNT.to_owned(),
            status: "active".to_owned(),
            paused: false,
            records: Vec::new(),
            custom_hostnames: Vec::new(),
            ssl: "full".to_owned(),
            ssl_editable: true,
            tls_client_auth: false,
            tls_client_auth_editable: true,
            ssl_automatic_mode: "custom".to_owned(),
            automatic_raise: None,
            post_quantum: "supported".to_owned(),
            rules: Vec::new(),
            zone_switch: false,
            certificates: Vec::new(),
            zone_certificates: Vec::new(),
            associations: Vec::new(),
        }
    }
}

impl Zone {
    /// An active zone without records, in mode `full`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same every time, so that a story can write it down.
    pub fn id(&self) -> String {
        identifier(&["zone", &self.account, &self.name])
    }

    #[must_use]
    pub fn account(mut self, name: &str) -> Self {
        self.account = name.to_owned();
        self
    }

    #[must_use]
    pub fn status(mut self, status: &str) -> Self {
        self.status = status.to_owned();
        self
    }

    #[must_use]
    pub const fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    #[must_use]
    pub fn ssl(mut self, mode: &str) -> Self {
        self.ssl = mode.to_owned();
        self
    }

    #[must_use]
    pub const fn tls_client_auth(mut self, on: bool) -> Self {
        self.tls_client_auth = on;
        self
    }

    /// The switch of Cloudflare's shared certificate cannot be moved.
    #[must_use]
    pub const fn tls_client_auth_fixed(mut self) -> Self {
        self.tls_client_auth_editable = false;
        self
    }

    /// Automatic mode is on, and raises the encryption mode.
    #[must_use]
    pub fn raising(mut self, after: Duration, to: &str) -> Self {
        self.ssl_automatic_mode = "auto".to_owned();
        self.automatic_raise = Some(Raise { after, to: to.to_owned() });
        self
    }

    /// A hostname outside the zone that it serves too.
    #[must_use]
    pub fn custom_hostname(mut self, name: &str) -> Self {
        self.custom_hostnames.push(name.to_owned());
        self
    }

    #[must_use]
    pub fn record(mut self, kind: &str, name: &str, content: &str, proxied: bool) -> Self {
        let (name, kind, content) = (name.to_owned(), kind.to_owned(), content.to_owned());
        self.records.push(Record { name, kind, content, proxied });
        self
    }

    /// An address behind Cloudflare.
    #[must_use]
    pub fn proxied(self, name: &str, address: &str) -> Self {
        let kind = if address.contains(':') { "AAAA" } else { "A" };
        self.record(kind, name, address, true)
    }

    /// An address that visitors go to themselves.
    #[must_use]
    pub fn dns_only(self, name: &str, address: &str) -> Self {
        let kind = if address.contains(':') { "AAAA" } else { "A" };
        self.record(kind, name, address, false)
    }

    /// A name behind a Cloudflare Tunnel.
    #[must_use]
    pub fn tunnel(self, name: &str) -> Self {
        self.record("CNAME", name, "6ff42ae2-765d-4adf-8112-31c55c1551ef.cfargotunnel.com", true)
    }

    #[must_use]
    pub fn rule(mut self, expression: &str, ssl: &str, enabled: bool) -> Self {
        self.rules.push(Rule { expression: expression.to_owned(), ssl: ssl.to_owned(), enabled });
        self
    }

    /// A hostname certificate that is there already, active.
    #[must_use]
    pub fn certificate(self, issued: &Issued) -> Self {
        self.certificate_that_is(issued, "active")
    }

    #[must_use]
    pub fn certificate_that_is(mut self, issued: &Issued, status: &str) -> Self {
        self.certificates.push(Deposit::of(issued, status));
        self
    }

    /// A certificate of the zone's level, active.
    #[must_use]
    pub fn zone_certificate(mut self, issued: &Issued) -> Self {
        self.zone_certificates.push(Deposit::of(issued, "active"));
        self
    }

    /// An active association of `hostname` with the certificate at `index`.
    #[must_use]
    pub fn associated(mut self, hostname: &str, index: usize, enabled: bool) -> Self {
        let (hostname, enabled) = (hostname.to_owned(), Some(enabled));
        self.associations.push(Association { hostname, certificate: index, enabled, status: active() });
        self
    }
}

impl Deposit {
    fn of(issued: &Issued, status: &str) -> Self {
        Self {
            certificate: issued.certificate_pem.clone(),
            private_key: String::from_utf8_lossy(issued.key_pem.expose()).into_owned(),
            status: status.to_owned(),
        }
    }
}

/// What a token may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    SslRead,
    SslWrite,
    ZoneSettingsRead,
    ZoneSettingsWrite,
    ZoneRead,
    DnsRead,
    ConfigRead,
    NotificationsRead,
    NotificationsWrite,
}

impl Permission {
    const READ: [Self; 6] = [
        Self::SslRead,
        Self::ZoneSettingsRead,
        Self::ZoneRead,
        Self::DnsRead,
        Self::ConfigRead,
        Self::NotificationsRead,
    ];
    const WRITE: [Self; 3] = [Self::SslWrite, Self::ZoneSettingsWrite, Self::NotificationsWrite];
}

/// An API token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    /// Appears in the log in the place of the secret.
    pub name: String,
    pub secret: String,
    pub disabled: bool,
    pub expires_on: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub permissions: Vec<Permission>,
    /// The zones it may see, by name; `None`: all.
    pub zones: Option<Vec<String>>,
    /// The account that owns it; `None`: a user's.
    pub account: Option<String>,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            name: "full".to_owned(),
            secret: "cfat_fake-0123456789abcdef".to_owned(),
            disabled: false,
            expires_on: None,
            not_before: None,
            permissions: [&Permission::READ[..], &Permission::WRITE].concat(),
            zones: None,
            account: None,
        }
    }
}

impl Token {
    /// May do everything.
    pub fn full(secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..Self::default() }
    }

    /// May read everything.
    pub fn read_only(secret: &str) -> Self {
        let permissions = Permission::READ.to_vec();
        Self { name: "read-only".to_owned(), secret: secret.to_owned(), permissions, ..Self::default() }
    }

    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    #[must_use]
    pub fn without(mut self, permission: Permission) -> Self {
        self.permissions.retain(|known| *known != permission);
        self
    }

    /// May see these zones alone.
    #[must_use]
    pub fn for_zones(mut self, names: &[&str]) -> Self {
        self.zones = Some(names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    #[must_use]
    pub const fn expires(mut self, moment: Timestamp) -> Self {
        self.expires_on = Some(moment);
        self
    }

    #[must_use]
    pub const fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Belongs to an account instead of a user.
    #[must_use]
    pub fn of_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    pub fn id(&self) -> String {
        identifier(&["token", &self.name])
    }

    pub fn may(&self, needed: &[Permission]) -> bool {
        needed.is_empty() || needed.iter().any(|permission| self.permissions.contains(permission))
    }

    pub fn sees(&self, zone: &str) -> bool {
        self.zones.as_ref().is_none_or(|zones| zones.iter().any(|known| known == zone))
    }
}

/// The id of an account.
pub fn account_id(name: &str) -> String {
    identifier(&["account", name])
}

/// 32 hexadecimal digits that follow from `parts`.
pub fn identifier(parts: &[&str]) -> String {
    let mut digits = Fingerprint::of(parts.join("\0").as_bytes()).to_string();
    digits.truncate(32);
    digits
}
