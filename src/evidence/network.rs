//! Where a peer's address belongs: inside Cloudflare's published ranges, or elsewhere.

use serde::{Deserialize, Serialize};

/// A peer's side of the line that evidence is split by.
///
/// Scanners would otherwise keep a host unready for ever: what they bring is told apart from what the edge brings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Inside Cloudflare's published ranges.
    Cloudflare,
    /// Anywhere else.
    Elsewhere,
}

impl Network {
    /// The word in log, metric and API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cloudflare => "cloudflare",
            Self::Elsewhere => "elsewhere",
        }
    }
}
