//! Why a request got no answer from its upstream.

use std::io;

use http::StatusCode;

use super::address::Address;
use super::body::BodyFailure;
use crate::http1::HeadError;

/// Whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Downstream,
    Upstream,
}

/// Why [`Client::send`](super::Client::send) has no response.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the upstream has no address")]
    NoAddress,
    #[error("{address}: cannot connect")]
    Connect { address: Address, source: io::Error },
    #[error("{address}: no connection in time")]
    ConnectTimeout { address: Address },
    #[error("{address}: TLS handshake failed")]
    Tls { address: Address, source: io::Error },
    #[error("the backend closed the connection before it answered")]
    Closed { source: Option<io::Error> },
    #[error("the backend sent bytes before it was asked")]
    EarlyBytes,
    #[error("the backend's answer is no HTTP/1.1")]
    BadResponse(#[source] HeadError),
    #[error("the backend's answer ends within its head")]
    TruncatedHead,
    #[error("the backend switched to a protocol that was not asked for")]
    UnexpectedUpgrade,
    #[error("the backend sends interim responses only")]
    TooManyInterimResponses,
    #[error("HTTP/2 to the backend failed")]
    Http2(#[source] hyper::Error),
    #[error("no answer in time")]
    ResponseTimeout,
    #[error("the request body failed")]
    RequestBody(#[source] BodyFailure),
    #[error("the Host field names no authority")]
    BadHost,
}

impl UpstreamError {
    /// Every reason on the backend's side.
    pub const REASONS: [&str; 7] = [
        "connect_failed",
        "connect_timeout",
        "tls_failed",
        "closed_before_response",
        "bad_response",
        "http2_failed",
        "response_timeout",
    ];

    /// What the client is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::ConnectTimeout { .. } | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RequestBody(_) | Self::BadHost => StatusCode::BAD_REQUEST,
            Self::NoAddress
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Closed { .. }
            | Self::EarlyBytes
            | Self::BadResponse(_)
            | Self::TruncatedHead
            | Self::UnexpectedUpgrade
            | Self::TooManyInterimResponses
            | Self::Http2(_) => StatusCode::BAD_GATEWAY,
        }
    }

    pub fn side(&self) -> Side {
        match self {
            Self::RequestBody(_) | Self::BadHost => Side::Downstream,
            _ => Side::Upstream,
        }
    }

    /// Log field and metric label; one of [`Self::REASONS`] where it is the backend's side.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoAddress | Self::Connect { .. } => "connect_failed",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::Tls { .. } => "tls_failed",
            Self::Closed { .. } => "closed_before_response",
            Self::EarlyBytes
            | Self::BadResponse(_)
            | Self::TruncatedHead
            | Self::UnexpectedUpgrade
            | Self::TooManyInterimResponses => "bad_response",
            Self::Http2(_) => "http2_failed",
            Self::ResponseTimeout => "response_timeout",
            Self::RequestBody(_) => "request_body",
            Self::BadHost => "bad_authority",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_on_the_backends_side_is_in_the_list() {
        let address = || Address::parse("http://127.0.0.1:1").expect("an address");
        let failed = || io::Error::from(io::ErrorKind::Other);
        let mut seen = vec!["http2_failed"];
        for error in [
            UpstreamError::NoAddress,
            UpstreamError::Connect { address: address(), source: failed() },
            UpstreamError::ConnectTimeout { address: address() },
            UpstreamError::Tls { address: address(), source: failed() },
            UpstreamError::Closed { source: None },
            UpstreamError::EarlyBytes,
            UpstreamError::BadResponse(HeadError::BareLf),
            UpstreamError::TruncatedHead,
            UpstreamError::UnexpectedUpgrade,
            UpstreamError::TooManyInterimResponses,
            UpstreamError::ResponseTimeout,
        ] {
            assert_eq!(error.side(), Side::Upstream, "{error}");
            assert!(UpstreamError::REASONS.contains(&error.reason()), "{error}: {}", error.reason());
            seen.push(error.reason());
        }
        for reason in UpstreamError::REASONS {
            assert!(seen.contains(&reason), "{reason}: no error has this reason");
        }
    }
}
