//! Why there is no answer.

use std::io;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::tls::TlsFileError;

/// Why there is no answer; names whom was asked.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{endpoint} cannot be reached")]
    Connect { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint}: no TLS connection comes about")]
    Tls { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint} gave no complete answer in {} s", deadline.as_secs())]
    Deadline { endpoint: Endpoint, deadline: Duration },
    #[error("{endpoint} did not answer as an HTTP server does")]
    Http { endpoint: Endpoint, source: hyper::Error },
    #[error("{endpoint} answered with more than {bytes} bytes")]
    TooLarge { endpoint: Endpoint, bytes: usize },
    #[error("{endpoint}: this cannot be asked for")]
    Request { endpoint: Endpoint, source: http::Error },
    #[error("the token is empty or has characters that no token has; it has to stand alone in its file")]
    Token,
    #[error(transparent)]
    TlsFiles(TlsFileError),
}

impl FetchError {
    /// Whether the server, if there is one, was never spoken to.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Tls { .. } | Self::Deadline { .. } | Self::Http { .. })
    }

    /// Whether the request cannot have reached the server: nothing was done, and it may be sent again.
    pub fn was_not_sent(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Tls { .. } | Self::Request { .. } | Self::Token | Self::TlsFiles(_) => true,
            Self::Deadline { .. } | Self::Http { .. } | Self::TooLarge { .. } => false,
        }
    }
}
