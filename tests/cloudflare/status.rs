//! The states of certificates and associations, as the API spells them.

use std::fmt;

/// Where a certificate or an association stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    Initializing,
    PendingDeployment,
    Active,
    DeploymentTimedOut,
    PendingDeletion,
    Deleted,
    DeletionTimedOut,
    /// One that no documentation names.
    Other(String),
}

impl Status {
    pub const KNOWN: [Self; 7] = [
        Self::Initializing,
        Self::PendingDeployment,
        Self::Active,
        Self::DeploymentTimedOut,
        Self::PendingDeletion,
        Self::Deleted,
        Self::DeletionTimedOut,
    ];

    pub fn word(&self) -> &str {
        match self {
            Self::Initializing => "initializing",
            Self::PendingDeployment => "pending_deployment",
            Self::Active => "active",
            Self::DeploymentTimedOut => "deployment_timed_out",
            Self::PendingDeletion => "pending_deletion",
            Self::Deleted => "deleted",
            Self::DeletionTimedOut => "deletion_timed_out",
            Self::Other(word) => word,
        }
    }

    pub fn of(word: &str) -> Self {
        Self::KNOWN.into_iter().find(|known| known.word() == word).unwrap_or_else(|| Self::Other(word.to_owned()))
    }

    /// Whether it is on its way out, or gone.
    pub const fn is_ending(&self) -> bool {
        match self {
            Self::PendingDeletion | Self::Deleted | Self::DeletionTimedOut => true,
            Self::Initializing | Self::PendingDeployment | Self::Active | Self::DeploymentTimedOut | Self::Other(_) => {
                false
            }
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
