//! Why a call came to nothing.

use http::StatusCode;

use super::envelope::Message;
use crate::fetch::FetchError;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CloudflareError {
    /// There is no answer. A change may have been made or not; [`FetchError::was_not_sent`] tells where it was not.
    #[error("{doing}")]
    Fetch { doing: String, source: FetchError },
    /// Cloudflare said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// An answer that is none of the API's: HTML, half of something, another shape. A change may have been made or not.
    #[error("{doing}: Cloudflare's answer cannot be read (HTTP {status}{})", ray(.request_id))]
    Unreadable { doing: String, status: u16, request_id: Option<String> },
    #[error("this machine has no room for a client")]
    Start(#[source] std::io::Error),
}

/// What Cloudflare answered instead of doing it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What was tried: "associate shop.example.com".
    pub doing: String,
    pub method: &'static str,
    /// Below the base URL.
    pub path: String,
    pub status: u16,
    pub errors: Vec<Message>,
    /// `cf-ray`, by which Cloudflare's support finds the request.
    pub request_id: Option<String>,
    pub kind: Kind,
}

/// What a refusal means, by endpoint and code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Upload: the zone has this certificate already, or is still deleting it (1406).
    AlreadyExists,
    /// Upload: it cannot be parsed (1408).
    Unparsable,
    /// Upload: CA:TRUE (1412).
    NotALeaf,
    /// Another change of the zone's client certificates is under way (409).
    ZoneBusy,
    /// Association without a certificate's id (1404).
    CertificateIdRequired,
    /// Association or deletion with an id that the collection does not know (1415).
    UnknownCertificate,
    /// Deletion of what an association refers to (1433).
    InUse,
    /// Deletion of what is still being deployed (1434).
    PendingDeployment,
    /// Deletion of what is being deleted (1414).
    PendingDeletion,
    /// There is none (404).
    NotFound,
    /// The token is no token (6003).
    MalformedToken,
    /// Nobody's token (1000).
    InvalidToken,
    /// The token has not the permission, or was switched off (10000).
    NotPermitted,
    /// Not this account's or zone's token (9109).
    Foreign,
    /// A token that was made a moment ago and is not known everywhere.
    FreshToken,
    /// No such zone or path (7003).
    NoRoute,
    /// Too many requests (429).
    RateLimited,
    /// Cloudflare's own trouble (5xx).
    ServerError,
    Other,
}

impl CloudflareError {
    /// What a refusal means; `None`: it is none.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Refused(refusal) => Some(refusal.kind),
            Self::Fetch { .. } | Self::Unreadable { .. } | Self::Start(_) => None,
        }
    }

    /// Whether a change that was asked for may have been made all the same: the state has to be read before it is asked
    /// for again.
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Self::Fetch { source, .. } => !source.was_not_sent(),
            Self::Refused(refusal) => refusal.kind == Kind::ServerError,
            Self::Unreadable { .. } => true,
            Self::Start(_) => false,
        }
    }
}

impl Kind {
    /// By endpoint first: the same code means other things elsewhere.
    pub(super) fn of(method: &str, path: &str, status: StatusCode, errors: &[Message]) -> Self {
        let has = |code: i64| errors.iter().any(|error| error.code == code);
        let says = |words: &str| errors.iter().any(|error| error.message.contains(words));
        let aop = path.contains("/origin_tls_client_auth");
        match () {
            () if aop && method == "POST" && has(1406) => Self::AlreadyExists,
            () if aop && method == "POST" && has(1408) => Self::Unparsable,
            () if aop && method == "POST" && has(1412) => Self::NotALeaf,
            () if aop && method == "PUT" && has(1404) => Self::CertificateIdRequired,
            () if aop && method != "GET" && has(1415) => Self::UnknownCertificate,
            () if aop && method == "DELETE" && has(1433) => Self::InUse,
            () if aop && method == "DELETE" && has(1434) => Self::PendingDeployment,
            () if aop && method == "DELETE" && (has(1414) || says("already deleted")) => Self::PendingDeletion,
            () if aop && (has(1551) || has(1552) || has(1553)) => Self::NotFound,
            () if has(6003) => Self::MalformedToken,
            () if says("Unable to authenticate request") => Self::FreshToken,
            () if status == StatusCode::UNAUTHORIZED => Self::InvalidToken,
            () if has(9109) => Self::Foreign,
            () if status == StatusCode::FORBIDDEN => Self::NotPermitted,
            () if has(7003) => Self::NoRoute,
            () if status == StatusCode::NOT_FOUND => Self::NotFound,
            () if status == StatusCode::CONFLICT => Self::ZoneBusy,
            () if status == StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            () if status.is_server_error() => Self::ServerError,
            () => Self::Other,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: Cloudflare refused with HTTP {}", self.doing, self.status)?;
        for error in &self.errors {
            write!(f, ", code {}: {}", error.code, error.message)?;
        }
        f.write_str(&ray(&self.request_id))
    }
}

fn ray(request_id: &Option<String>) -> String {
    request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default()
}
