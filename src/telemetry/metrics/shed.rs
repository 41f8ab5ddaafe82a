//! Why a connection was shed.

/// Why a connection was closed before its first byte was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shed {
    /// The process has all the connections that it may have.
    Connections,
    /// One address has all the connections that it may have.
    ConnectionsPerAddress,
}

impl Shed {
    pub(super) const ALL: [Self; 2] = [Self::Connections, Self::ConnectionsPerAddress];

    /// The metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
        }
    }
}
