//! Why the admin side turned a request away.

/// A reason of the closed set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdminDenial {
    /// The Host header names another host: a rebound name, or an address that is not written down.
    WrongHost,
    /// A page of another site sent it.
    CrossSite,
    /// Nothing was proved where something has to be.
    NoProof,
    /// A token that is not the one.
    WrongToken,
    /// What was proved is the right to read, and a change was asked for.
    ReadOnly,
    /// A change was asked for where nothing would prove the right to it.
    ChangeNotConfigured,
}

impl AdminDenial {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::WrongHost, Self::CrossSite, Self::NoProof, Self::WrongToken, Self::ReadOnly, Self::ChangeNotConfigured];

    /// The metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WrongHost => "wrong_host",
            Self::CrossSite => "cross_site",
            Self::NoProof => "no_proof",
            Self::WrongToken => "wrong_token",
            Self::ReadOnly => "read_only",
            Self::ChangeNotConfigured => "change_not_configured",
        }
    }
}
