//! What an attacker would try, tried from outside: attempt by attempt, whether it is turned away.

mod attempt;
mod backend;
mod caller;
mod certificates;
mod conversation;
mod essentials;
mod judge;
mod names;
mod raw;
mod resumption;
mod run;
mod sessions;
mod target;
mod wardrobe;
mod wire;

use std::time::Duration;

use rustls::pki_types::CertificateDer;

pub use attempt::Attempt;
pub use essentials::essentials;
pub use run::run;
pub use target::Target;

/// All attempts at one server, in the order of [`Attempt::ALL`].
#[derive(Clone, Debug)]
pub struct Battery {
    /// The leaf that the server showed. Nobody checked whose it is.
    pub certificate: CertificateDer<'static>,
    pub tried: Vec<Tried>,
}

/// One attempt, and what it showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    pub attempt: Attempt,
    pub finding: Finding,
    /// What happened, or why nothing was found out. Parts of it may be the server's words: not for a terminal as it is.
    pub detail: String,
    pub took: Duration,
}

/// What an attempt shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The server does what it should.
    Holds,
    /// Someone was let in who should not be.
    Hole,
    /// The right certificate was turned away.
    ShutOut,
    /// It was not tried; the detail says what is missing.
    Skipped,
    /// It was tried and cannot be told.
    Unclear,
}

impl Tried {
    /// Whether the attempt was made and did not show that the server does what it should.
    pub fn failed(&self) -> bool {
        self.finding.failed()
    }
}

impl Finding {
    /// Its word in tables and reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Hole => "hole",
            Self::ShutOut => "shut_out",
            Self::Skipped => "skipped",
            Self::Unclear => "unclear",
        }
    }

    /// Whether whoever relies on the server has to look. What was left out is no failure.
    pub fn failed(self) -> bool {
        match self {
            Self::Hole | Self::ShutOut | Self::Unclear => true,
            Self::Holds | Self::Skipped => false,
        }
    }
}
