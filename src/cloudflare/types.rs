//! What the API tells, after it was read: nothing in it is promised, so nearly everything may be missing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::envelope::clipped;
use super::lenient::{fingerprint, fingerprint_of, is_said, or_default, says_something, timestamp, unless_false};
use crate::clock::Timestamp;
use crate::x509::Fingerprint;

/// Ids are opaque: whatever the API gave is given back.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Of a zone, 32 hexadecimal digits.
    ZoneId
);
id!(
    /// Of an uploaded certificate, in one of the two collections.
    CertificateId
);
id!(
    /// Of an account.
    AccountId
);

/// Where a certificate or an association is on its way to the edges, or away from them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(into = "String")]
pub enum Status {
    Initializing,
    PendingDeployment,
    Active,
    DeploymentTimedOut,
    PendingDeletion,
    Deleted,
    DeletionTimedOut,
    /// A word that this version does not know, or none at all.
    Other(String),
}

impl Status {
    const KNOWN: [(&'static str, Self); 7] = [
        ("initializing", Self::Initializing),
        ("pending_deployment", Self::PendingDeployment),
        ("active", Self::Active),
        ("deployment_timed_out", Self::DeploymentTimedOut),
        ("pending_deletion", Self::PendingDeletion),
        ("deleted", Self::Deleted),
        ("deletion_timed_out", Self::DeletionTimedOut),
    ];

    /// As the API spells it.
    pub fn label(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => Self::KNOWN.iter().find(|(_, status)| status == known).map_or("", |(label, _)| label),
        }
    }

    /// Gone, or on its way out: nothing can refer to it any more.
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::PendingDeletion | Self::Deleted | Self::DeletionTimedOut)
    }
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|(label, _)| *label == text);
        known.map_or_else(|| Self::Other(text.to_owned()), |(_, status)| status)
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.label().to_owned()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(Self::from(text.unwrap_or_default().as_str()))
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

/// The two separate collections of certificates that a zone has. An id of one is unknown in the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collection {
    /// For associations with hostnames.
    Hostname,
    /// For the zone-level switch.
    Zone,
}

/// `GET /zones`
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Zone {
    pub id: ZoneId,
    pub name: String,
    /// `active`, `pending`, `initializing`, `moved`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// Whether Cloudflare only answers DNS for it and proxies nothing.
    #[serde(default, deserialize_with = "or_default")]
    pub paused: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub account: Option<Account>,
}

/// Whose a zone is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Account {
    pub id: AccountId,
}

/// A client certificate at Cloudflare.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "RawCertificate")]
pub struct UploadedCertificate {
    pub id: CertificateId,
    pub status: Status,
    /// Of the certificate itself. `None`: the API did not give one that can be read.
    pub sha256: Option<Fingerprint>,
    /// As the API gave it: to be judged, never to be compared.
    pub pem: Option<String>,
    pub expires_on: Option<Timestamp>,
    pub uploaded_on: Option<Timestamp>,
}

/// [`UploadedCertificate`] as it comes.
#[derive(Deserialize)]
struct RawCertificate {
    id: CertificateId,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
    #[serde(default, deserialize_with = "or_default")]
    certificate: Option<String>,
    #[serde(default, deserialize_with = "timestamp")]
    expires_on: Option<Timestamp>,
    #[serde(default, deserialize_with = "timestamp")]
    uploaded_on: Option<Timestamp>,
}

impl From<RawCertificate> for UploadedCertificate {
    fn from(raw: RawCertificate) -> Self {
        let RawCertificate { id, status, certificate: pem, expires_on, uploaded_on } = raw;
        Self { id, status, sha256: pem.as_deref().and_then(fingerprint_of), pem, expires_on, uploaded_on }
    }
}

/// Which certificate Cloudflare shows for a hostname.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Association {
    #[serde(default, deserialize_with = "or_default")]
    pub hostname: String,
    #[serde(default, deserialize_with = "or_default")]
    pub cert_id: Option<CertificateId>,
    /// `Some(false)`: no certificate is shown, not even the zone's. `None`: void.
    #[serde(default, deserialize_with = "or_default")]
    pub enabled: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub status: Status,
    #[serde(default, deserialize_with = "or_default")]
    pub cert_status: Status,
    #[serde(default, rename = "certificate", deserialize_with = "fingerprint")]
    pub sha256: Option<Fingerprint>,
    #[serde(default, deserialize_with = "timestamp")]
    pub expires_on: Option<Timestamp>,
    /// When it was last written.
    #[serde(default, deserialize_with = "timestamp")]
    pub updated_at: Option<Timestamp>,
}

/// One item of the associations that are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AssociationChange {
    pub hostname: String,
    /// Wanted by the service even to void.
    pub cert_id: CertificateId,
    /// `None` voids the association; it goes out as `null`.
    pub enabled: Option<bool>,
}

/// A zone setting.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Setting<T> {
    pub value: T,
    /// Whether the plan or the account lets it be changed.
    #[serde(default = "yes", deserialize_with = "unless_false")]
    pub editable: bool,
}

/// How Cloudflare connects to origins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SslMode {
    Off,
    Flexible,
    Full,
    Strict,
    /// Enterprise: full and strict for origins only.
    OriginPull,
    Other(String),
}

impl SslMode {
    /// Whether the edge speaks TLS to the origin whatever the visitor spoke. A client certificate is shown only then.
    pub fn is_enough(&self) -> bool {
        match self {
            Self::Full | Self::Strict | Self::OriginPull => true,
            Self::Off | Self::Flexible | Self::Other(_) => false,
        }
    }

    /// As the API spells it.
    pub fn label(&self) -> &str {
        match self {
            Self::Off => "off",
            Self::Flexible => "flexible",
            Self::Full => "full",
            Self::Strict => "strict",
            Self::OriginPull => "origin_pull",
            Self::Other(text) => text,
        }
    }
}

impl From<String> for SslMode {
    fn from(text: String) -> Self {
        match text.as_str() {
            "off" => Self::Off,
            "flexible" => Self::Flexible,
            "full" => Self::Full,
            "strict" => Self::Strict,
            "origin_pull" => Self::OriginPull,
            _ => Self::Other(text),
        }
    }
}

impl From<SslMode> for String {
    fn from(mode: SslMode) -> Self {
        mode.label().to_owned()
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Whether Cloudflare offers post-quantum key agreement to origins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostQuantum {
    /// The key share is in the first message.
    Preferred,
    /// Offered, used if the origin asks for it.
    Supported,
    Off,
}

impl PostQuantum {
    /// As the API spells it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Supported => "supported",
            Self::Off => "off",
        }
    }
}

/// `GET /zones/{zone_id}/dns_records`
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct DnsRecord {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, …
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
    #[serde(default, deserialize_with = "or_default")]
    pub proxied: bool,
}

/// A configuration rule that sets the SSL mode of the requests its expression matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigRule {
    pub description: String,
    pub expression: String,
    pub enabled: bool,
    pub ssl: SslMode,
}

/// What the API makes of the token.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct TokenState {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// `active`, `disabled`, `expired`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    #[serde(default, deserialize_with = "timestamp")]
    pub expires_on: Option<Timestamp>,
    #[serde(default, deserialize_with = "timestamp")]
    pub not_before: Option<Timestamp>,
}

/// `GET /ips`: where Cloudflare's edges connect from.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct AddressRanges {
    #[serde(default, deserialize_with = "or_default")]
    pub ipv4_cidrs: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub ipv6_cidrs: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub etag: String,
}

/// A notification policy of an account.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct AlertPolicy {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub alert_type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub enabled: bool,
    #[serde(default)]
    pub mechanisms: Mechanisms,
    /// Whether it is about a part only. Which one is not read.
    #[serde(default, rename = "filters", deserialize_with = "is_said")]
    pub is_filtered: bool,
}

/// Where notifications go.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Mechanisms {
    /// E-mail addresses.
    pub email: Vec<String>,
    /// Kinds of other places, as the API spells them: `webhooks`, `pagerduty`. Only those with an entry.
    pub others: Vec<String>,
}

/// A notification policy to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewAlertPolicy {
    pub name: String,
    pub alert_type: String,
    /// E-mail addresses.
    pub email: Vec<String>,
}

impl<'de> Deserialize<'de> for Mechanisms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Value::deserialize(deserializer)?;
        let addresses = read["email"].as_array().into_iter().flatten().filter_map(|entry| entry["id"].as_str());
        let email = addresses.map(str::to_owned).collect();
        let others = read.as_object().into_iter().flatten();
        let others = others.filter(|(kind, places)| *kind != "email" && says_something(places));
        Ok(Self { email, others: others.map(|(kind, _)| clipped(kind)).collect() })
    }
}

fn yes() -> bool {
    true
}
