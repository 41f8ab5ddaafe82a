//! How long what takes time may take.

use std::time::Duration;

/// How long what takes time may take, and how often it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Between two looks.
    pub poll: Duration,
    /// For Cloudflare to deploy or delete something.
    pub deploy: Duration,
    /// For evidence and readiness.
    pub evidence: Duration,
    /// How long an old certificate must not have been shown before it counts as gone.
    pub settle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(2),
            deploy: Duration::from_mins(10),
            evidence: Duration::from_mins(30),
            settle: Duration::from_mins(5),
        }
    }
}
