//! Why a request never reached a backend.

use crate::policy::verdict::Reason;

/// A closed set: log field and metric label are the same word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It names a host under another policy than the handshake did.
    HostMismatch,
    /// The host's trust changed, and would no longer let the connection in.
    TrustChanged,
    /// It does not name exactly one host.
    BadAuthority,
    /// Its method has no meaning in front of an origin.
    BadMethod,
    /// Its head breaks the rules of HTTP/1.1 or could be read in two ways.
    MalformedHead,
    /// Its head is longer, or has more fields, than the limits allow.
    HeadTooLarge,
    /// Its head did not arrive in time.
    HeadTimeout,
    /// Its body broke off, paused too long or broke the rules before the backend had answered.
    RequestBody,
}

impl Refusal {
    /// All of them; a configured host has a series for each from the start.
    pub const ALL: [Self; 8] = [
        Self::HostMismatch,
        Self::TrustChanged,
        Self::BadAuthority,
        Self::BadMethod,
        Self::MalformedHead,
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::RequestBody,
    ];

    /// The word in log and metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::HostMismatch => Reason::HostMismatch.label(),
            Self::TrustChanged => Reason::TrustChanged.label(),
            Self::BadAuthority => "bad_authority",
            Self::BadMethod => "bad_method",
            Self::MalformedHead => "malformed_head",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::RequestBody => "request_body",
        }
    }
}
