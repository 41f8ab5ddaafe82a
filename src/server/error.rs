//! Why a server did not start.

use std::io;
use std::net::SocketAddr;

use crate::config::problem::Problems;
use crate::tls::tickets::NoRandomness;

/// What stands between a configuration and a running server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, with everything that is wrong with it.
    #[error("the configuration cannot be used:\n{0}")]
    Config(Problems),
    #[error(
        "the proxy cannot listen for visitors on {address} (`[[listener]]`); is another server there, or the right missing to bind it?"
    )]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the admin side cannot listen on {address}; set `[admin] address`, or \"off\"")]
    Admin { address: String, source: io::Error },
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<Problems> for StartError {
    fn from(problems: Problems) -> Self {
        Self::Config(problems)
    }
}
