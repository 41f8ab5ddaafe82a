//! Cloudflare's side as the admin API tells it.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// `GET /api/v1/cloudflare`: what Cloudflare's API says, beside what its edges present.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct CloudflareReport {
    /// Whether the configuration asks for this look at all.
    pub watched: bool,
    pub zones: Vec<String>,
    /// When it was last looked at with success.
    pub checked_at: Option<Timestamp>,
    /// Why the latest look came to nothing; `None` after a success.
    pub error: Option<String>,
    pub findings: Vec<FindingReport>,
}

/// Something at Cloudflare that does not fit what this origin demands, or soon will not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FindingReport {
    /// A word of a closed set: `association_off`, `old_certificate`, `certificate_expiring`, …
    pub kind: String,
    pub weight: FindingWeight,
    /// The hostname; `None`: the whole zone.
    pub host: Option<String>,
    pub zone: String,
    /// What is, in a sentence.
    pub sentence: String,
    pub next_step: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingWeight {
    /// Cloudflare's requests are refused, or could come without proof.
    Alarm,
    /// It will become an alarm unless something is done.
    Warning,
}
