//! The mode of a host: the one place where observe and enforce differ.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::trust::Trust;
use super::verdict::{Decision, Verdict};

/// What a host demands of a client's certificate. Enforcing without a trust cannot be written.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// No certificate is asked for.
    Off,
    /// Judged as under `Enforce` and recorded; everyone is let in.
    Observe(Arc<Trust>),
    /// Only what the trust verifies is let in.
    Enforce(Arc<Trust>),
}

/// The mode's name, without its trust.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Off,
    Observe,
    Enforce,
}

impl ClientAuth {
    /// What is done about `verdict`.
    pub fn decide(&self, verdict: Verdict) -> Decision {
        match (self, verdict) {
            (Self::Off | Self::Observe(_), _) | (Self::Enforce(_), Verdict::Verified) => Decision::Admit,
            (Self::Enforce(_), Verdict::Absent | Verdict::Failed(_)) => Decision::Refuse,
        }
    }

    /// Whether `enforce` would refuse where this mode admits: what an operator wants to know before enforcing.
    pub fn would_refuse(&self, verdict: Verdict) -> bool {
        matches!((self, verdict), (Self::Observe(_), Verdict::Absent | Verdict::Failed(_)))
    }

    /// The trust that judges, if a certificate is asked for at all.
    pub fn trust(&self) -> Option<&Arc<Trust>> {
        match self {
            Self::Off => None,
            Self::Observe(trust) | Self::Enforce(trust) => Some(trust),
        }
    }

    /// The mode without its trust.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Off => Mode::Off,
            Self::Observe(_) => Mode::Observe,
            Self::Enforce(_) => Mode::Enforce,
        }
    }
}

impl Mode {
    /// The word in configuration, log and metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}
