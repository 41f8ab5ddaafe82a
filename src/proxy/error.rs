//! Why a request was not answered by the backend.

use http::StatusCode;

use super::authority::AuthorityError;
use crate::http1::HeadError;
use crate::telemetry::metrics::Refusal;
use crate::upstream::UpstreamError;

/// A request that ends here.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nothing behind such a head can be trusted to begin where it seems to.
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error("the request's head did not arrive in time")]
    HeadTimeout,
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

/// Whose fault it is that a request ends here.
#[derive(Clone, Copy, Debug)]
pub enum Blame<'a> {
    /// The client's, as far as a backend is concerned: it was refused.
    Client(Refusal),
    Backend(&'a UpstreamError),
}

impl RequestError {
    /// What the client is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Head(error) => error.status(),
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Authority(_) => StatusCode::BAD_REQUEST,
            Self::HostMismatch | Self::TrustChanged => StatusCode::MISDIRECTED_REQUEST,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Upstream(error) => error.status(),
        }
    }

    /// Whose fault it is, as it is counted.
    pub fn blame(&self) -> Blame<'_> {
        Blame::Client(match self {
            Self::Head(HeadError::TooLarge | HeadError::TooManyFields) => Refusal::HeadTooLarge,
            Self::Head(_) => Refusal::MalformedHead,
            Self::HeadTimeout => Refusal::HeadTimeout,
            Self::Authority(_) | Self::Upstream(UpstreamError::BadHost) => Refusal::BadAuthority,
            Self::HostMismatch => Refusal::HostMismatch,
            Self::TrustChanged => Refusal::TrustChanged,
            Self::Method(_) => Refusal::BadMethod,
            Self::Upstream(UpstreamError::RequestBody(_)) => Refusal::RequestBody,
            Self::Upstream(error) => return Blame::Backend(error),
        })
    }

    /// Log field and metric label.
    pub fn reason(&self) -> &'static str {
        match self.blame() {
            Blame::Client(refusal) => refusal.label(),
            Blame::Backend(error) => error.reason(),
        }
    }

    /// What the client is told: a constant sentence, nothing of the reason.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Head(HeadError::TooLarge | HeadError::TooManyFields) => "The request's header is too large.",
            Self::Head(_) => "The request is malformed.",
            Self::HeadTimeout => "The request took too long to arrive.",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{BodyFailure, Side};

    fn side(error: &RequestError) -> Side {
        match error.blame() {
            Blame::Client(_) => Side::Downstream,
            Blame::Backend(_) => Side::Upstream,
        }
    }

    #[test]
    fn what_the_client_did_is_refused_and_what_the_backend_did_is_its_error() {
        let body = || UpstreamError::RequestBody(BodyFailure::Downstream { reason: "client_closed", source: None });
        for (error, whose, reason, status) in [
            (RequestError::Head(HeadError::BareLf), Side::Downstream, "malformed_head", 400),
            (RequestError::Head(HeadError::Version), Side::Downstream, "malformed_head", 505),
            (RequestError::Head(HeadError::TooLarge), Side::Downstream, "head_too_large", 431),
            (RequestError::Head(HeadError::TooManyFields), Side::Downstream, "head_too_large", 431),
            (RequestError::HeadTimeout, Side::Downstream, "head_timeout", 408),
            (RequestError::HostMismatch, Side::Downstream, "host_mismatch", 421),
            (RequestError::TrustChanged, Side::Downstream, "trust_changed", 421),
            (RequestError::Method(http::Method::TRACE), Side::Downstream, "bad_method", 405),
            (body().into(), Side::Downstream, "request_body", 400),
            (UpstreamError::BadHost.into(), Side::Downstream, "bad_authority", 400),
            (UpstreamError::NoAddress.into(), Side::Upstream, "connect_failed", 502),
            (UpstreamError::ResponseTimeout.into(), Side::Upstream, "response_timeout", 504),
        ] {
            assert_eq!((side(&error), error.reason(), error.status().as_u16()), (whose, reason, status), "{error}");
        }
    }

    #[test]
    fn both_sides_agree_on_whose_fault_an_upstream_error_is() {
        for error in [UpstreamError::BadHost, UpstreamError::NoAddress, UpstreamError::ResponseTimeout] {
            let (whose, reason) = (error.side(), error.reason());
            let error = RequestError::from(error);
            assert_eq!((side(&error), error.reason()), (whose, reason));
        }
    }
}
