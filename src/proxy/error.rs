//! Why a request was not answered by the backend.

use http::StatusCode;

use super::authority::AuthorityError;
use crate::policy::verdict::Reason;
use crate::upstream::{Side, UpstreamError};

/// A request that ends here.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    #[error("no single usable authority")]
    Authority(#[from] AuthorityError),
    /// RFC 9110, section 15.5.20: the client may try again on another connection.
    #[error("the request names a host under another policy than the handshake did")]
    HostMismatch,
    /// The same answer: a new handshake will tell the client where it stands.
    #[error("the host's trust changed and would no longer let this connection in")]
    TrustChanged,
    #[error("the method {0} has no meaning in front of an origin")]
    Method(http::Method),
    #[error("the backend did not answer")]
    Upstream(#[from] UpstreamError),
}

impl RequestError {
    /// What the client is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Authority(_) => StatusCode::BAD_REQUEST,
            Self::HostMismatch | Self::TrustChanged => StatusCode::MISDIRECTED_REQUEST,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Upstream(error) => error.status(),
        }
    }

    /// On which side of the proxy it went wrong.
    pub fn side(&self) -> Side {
        match self {
            Self::Malformed(_) | Self::Authority(_) | Self::HostMismatch | Self::TrustChanged | Self::Method(_) => {
                Side::Downstream
            }
            Self::Upstream(error) => error.side(),
        }
    }

    /// Log field and metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Authority(_) => "bad_authority",
            Self::HostMismatch => Reason::HostMismatch.label(),
            Self::TrustChanged => Reason::TrustChanged.label(),
            Self::Method(_) => "bad_method",
            Self::Upstream(error) => error.reason(),
        }
    }

    /// What the client is told: a constant sentence, nothing of the reason.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "The request is malformed.",
            Self::Authority(_) => "The request does not name exactly one host.",
            Self::HostMismatch | Self::TrustChanged => "This connection does not serve that host; open another one.",
            Self::Method(_) => "This method is not served here.",
            Self::Upstream(error) if error.status() == StatusCode::GATEWAY_TIMEOUT => {
                "The origin's backend did not answer in time."
            }
            Self::Upstream(error) if error.status() == StatusCode::BAD_REQUEST => "The request body broke off.",
            Self::Upstream(_) => "The origin's backend could not be reached.",
        }
    }
}
