//! Everything about the service that nobody outside knows for certain, as a setting. A client has to do under all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The fake's ways. Durations are seconds of the fake's own clock, in files and over the wire too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From the upload until `pending_deployment`.
    pub initializing: Delay,
    /// From there until `active`.
    pub deployment: Delay,
    /// From `pending_deletion` until `deleted`.
    pub deletion: Delay,
    /// What becomes of the n-th upload, counted from 1 over all zones and both levels.
    pub uploads: BTreeMap<usize, Outcome>,
    /// What becomes of the n-th deletion.
    pub deletions: BTreeMap<usize, Outcome>,
    /// What becomes of the n-th association that is written, item by item.
    pub associations: BTreeMap<usize, Outcome>,
    /// How long a write keeps the zone to itself; others get 409 meanwhile.
    #[serde(with = "seconds")]
    pub zone_lock: Duration,
    /// How far the list of certificates is behind.
    #[serde(with = "seconds")]
    pub list_lag: Duration,
    /// How far the reading of one certificate or association is behind.
    #[serde(with = "seconds")]
    pub read_lag: Duration,
    /// Whether deleted certificates stand in the list.
    pub list_tombstones: bool,
    /// How long a deleted certificate can be read.
    #[serde(with = "seconds")]
    pub tombstone_ttl: Duration,
    /// From writing an association until it is active.
    pub assoc_delay: Delay,
    /// From voiding an association until it is gone.
    pub void_delay: Delay,
    /// Whether one bad item stops all of a `PUT`, or only itself and what follows.
    pub put_atomic: bool,
    /// Whether the answer to `PUT` brings all other associations of the zone too.
    pub put_echo_all: bool,
    /// Whether the answer to `PUT` is in the reverse order.
    pub put_reversed: bool,
    /// Whether writing what is there already deploys it again.
    pub put_same_redeploys: bool,
    pub void_echo: VoidEcho,
    pub void_read: VoidRead,
    /// Whether associations can be listed; an older API answers 405.
    pub list_supported: bool,
    /// Whether `*.example.com` can be associated.
    pub wildcards: bool,
    /// What becomes of the PEM's last line end.
    pub final_newline: FinalNewline,
    /// Whether a certificate that has expired can be uploaded.
    pub accept_expired: bool,
    /// Whether a chain is cut to its first certificate, or refused.
    pub accept_chain: bool,
    /// Certificates that live in a zone's collection.
    pub max_certificates: usize,
    /// Hostnames that one certificate can be associated with.
    pub max_associations: usize,
    /// The codes of refusals whose real code nobody has seen.
    pub codes: Codes,
    /// How long a fresh token may be refused.
    #[serde(with = "seconds")]
    pub token_propagation: Duration,
    /// In how many of a hundred cases it then is.
    pub token_propagation_percent: u32,
    /// Requests in a window.
    pub rate_limit: u32,
    #[serde(with = "seconds")]
    pub rate_window: Duration,
    pub retry_after: RetryAfter,
    /// Whether an association with `enabled: false` keeps the shared certificate from the origin too.
    pub disabled_suppresses_global: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initializing: Delay::seconds(0),
            deployment: Delay::seconds(5),
            deletion: Delay::seconds(10),
            uploads: BTreeMap::new(),
            deletions: BTreeMap::new(),
            associations: BTreeMap::new(),
            zone_lock: Duration::ZERO,
            list_lag: Duration::ZERO,
            read_lag: Duration::ZERO,
            list_tombstones: true,
            tombstone_ttl: Duration::from_hours(1),
            assoc_delay: Delay::seconds(5),
            void_delay: Delay::seconds(5),
            put_atomic: true,
            put_echo_all: false,
            put_reversed: false,
            put_same_redeploys: false,
            void_echo: VoidEcho::default(),
            void_read: VoidRead::default(),
            list_supported: true,
            wildcards: true,
            final_newline: FinalNewline::default(),
            accept_expired: false,
            accept_chain: true,
            max_certificates: 10,
            max_associations: 100,
            codes: Codes::default(),
            token_propagation: Duration::ZERO,
            token_propagation_percent: 0,
            rate_limit: 1200,
            rate_window: Duration::from_mins(5),
            retry_after: RetryAfter::default(),
            disabled_suppresses_global: true,
        }
    }
}

/// How long something takes: always the same, or anything between two bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Range", into = "Range")]
pub struct Delay {
    pub from: Duration,
    pub to: Duration,
}

impl Delay {
    pub const fn seconds(seconds: u64) -> Self {
        Self { from: Duration::from_secs(seconds), to: Duration::from_secs(seconds) }
    }

    pub const fn between(from: u64, to: u64) -> Self {
        Self { from: Duration::from_secs(from), to: Duration::from_secs(to) }
    }
}

/// As it is written: `5` or `[3, 60]`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Range {
    One(f64),
    Two(f64, f64),
}

impl From<Range> for Delay {
    fn from(range: Range) -> Self {
        let (from, to) = match range {
            Range::One(seconds) => (seconds, seconds),
            Range::Two(from, to) => (from, to),
        };
        let [from, to] = [from, to].map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
        Self { from, to: to.max(from) }
    }
}

impl From<Delay> for Range {
    fn from(delay: Delay) -> Self {
        match delay.from == delay.to {
            true => Self::One(delay.from.as_secs_f64()),
            false => Self::Two(delay.from.as_secs_f64(), delay.to.as_secs_f64()),
        }
    }
}

/// What becomes of a write that was taken.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    #[default]
    Succeeds,
    /// `deployment_timed_out`, `deletion_timed_out`.
    TimesOut,
    /// It stays pending for ever.
    Hangs,
    /// A status that no documentation names.
    Becomes(String),
}

/// What the answer to voiding an association says of `enabled`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidEcho {
    #[default]
    Null,
    False,
    Old,
}

/// How an association that was voided reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidRead {
    /// 404 with code 1553.
    #[default]
    NotFound,
    /// `enabled: null`.
    Null,
    /// Without the field.
    Missing,
    /// `enabled: false`.
    False,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalNewline {
    #[default]
    Kept,
    Dropped,
    Added,
}

/// What stands in `retry-after` of a 429.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// The seconds until the window ends.
    #[default]
    Present,
    Absent,
    Zero,
    /// A day.
    Absurd,
}

/// Codes that the fake had to invent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Codes {
    pub bad_body: u32,
    pub bad_key: u32,
    pub expired: u32,
    pub chain: u32,
    pub too_many_certificates: u32,
    pub too_many_associations: u32,
    pub foreign_hostname: u32,
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            bad_body: 1400,
            bad_key: 1409,
            expired: 1410,
            chain: 1411,
            too_many_certificates: 1407,
            too_many_associations: 1405,
            foreign_hostname: 1416,
        }
    }
}

/// Whole and broken seconds.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
