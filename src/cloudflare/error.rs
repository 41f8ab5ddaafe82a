//! Why a call came to nothing.

use std::fmt;

use http::StatusCode;

use super::envelope::Message;
use super::persistence::{Effort, FRESH_TOKEN};
use crate::fetch::{Endpoint, FetchError};

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CloudflareError {
    /// There is no answer. A change may have been made or not; [`FetchError::was_not_sent`] tells where it was not.
    #[error("{doing}: there is no answer from Cloudflare{effort}")]
    Fetch { doing: String, effort: Effort, source: Box<FetchError> },
    /// Cloudflare said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// An answer that is none of the API's: HTML, half of something, another shape. A change may have been made or not.
    #[error("{doing}: Cloudflare's answer cannot be read: HTTP {status}{}{effort}", ray(.request_id))]
    Unreadable { doing: String, status: u16, request_id: Option<String>, effort: Effort },
    /// A list that cannot be meant: larger than any, the same pages in turn, or no end in sight.
    #[error("{doing}: Cloudflare's list does not end: {why}")]
    Endless { doing: String, why: String },
    /// The token sees no zone of this name, which is all that the API says about one that it may not see.
    #[error("Cloudflare shows this token no zone {name}")]
    NoZone { name: String },
    /// Several zones have this name.
    #[error("several zones are called {name}: {}", ids.join(", "))]
    SeveralZones { name: String, ids: Vec<String> },
    #[error("{endpoint} is neither https:// nor on this machine: token and keys would cross the network in the clear")]
    InTheClear { endpoint: Endpoint },
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
    pub effort: Effort,
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
    /// Upload: it has expired (1410).
    Expired,
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
    /// Sent elsewhere (3xx): the token does not go there.
    Redirected,
    /// Too many requests (429).
    RateLimited,
    /// Cloudflare's own trouble (5xx).
    ServerError,
    Other,
}

impl CloudflareError {
    /// What Cloudflare refused; `None`: it did not.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Fetch { .. }
            | Self::Unreadable { .. }
            | Self::Endless { .. }
            | Self::NoZone { .. }
            | Self::SeveralZones { .. }
            | Self::InTheClear { .. }
            | Self::Start(_) => None,
        }
    }

    /// What a refusal means; `None`: it is none.
    pub fn kind(&self) -> Option<Kind> {
        self.refusal().map(|refusal| refusal.kind)
    }

    /// Whether a change that was asked for may have been made all the same: the state has to be read before it is asked
    /// for again.
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Self::Fetch { source, .. } => !source.was_not_sent(),
            Self::Refused(refusal) => refusal.kind == Kind::ServerError || refusal.status == 408,
            Self::Unreadable { .. } => true,
            Self::Endless { .. }
            | Self::NoZone { .. }
            | Self::SeveralZones { .. }
            | Self::InTheClear { .. }
            | Self::Start(_) => false,
        }
    }
}

impl Kind {
    /// By endpoint first: the same code means other things elsewhere. `framed`: the answer was in the API's own frame.
    pub(super) fn of(method: &str, path: &str, status: StatusCode, framed: bool, errors: &[Message]) -> Self {
        let has = |code: i64| errors.iter().any(|error| error.code == code);
        let says = |words: &str| errors.iter().any(|error| error.message.contains(words));
        let aop = path.contains("/origin_tls_client_auth");
        match () {
            () if aop && method == "POST" && has(1406) => Self::AlreadyExists,
            () if aop && method == "POST" && has(1408) => Self::Unparsable,
            () if aop && method == "POST" && has(1410) => Self::Expired,
            () if aop && method == "POST" && has(1412) => Self::NotALeaf,
            () if aop && method == "PUT" && has(1404) => Self::CertificateIdRequired,
            () if aop && method != "GET" && has(1415) => Self::UnknownCertificate,
            () if aop && method == "DELETE" && has(1433) => Self::InUse,
            () if aop && method == "DELETE" && has(1434) => Self::PendingDeployment,
            () if aop && method == "DELETE" && (has(1414) || says("already deleted")) => Self::PendingDeletion,
            () if aop && (has(1551) || has(1552) || has(1553)) => Self::NotFound,
            () if has(6003) => Self::MalformedToken,
            () if says(FRESH_TOKEN) => Self::FreshToken,
            () if status == StatusCode::UNAUTHORIZED => Self::InvalidToken,
            () if has(9109) => Self::Foreign,
            () if status == StatusCode::FORBIDDEN => Self::NotPermitted,
            () if has(7003) => Self::NoRoute,
            // Whoever is not the API has nothing to say about what is there.
            () if status == StatusCode::NOT_FOUND => {
                if framed {
                    Self::NotFound
                } else {
                    Self::NoRoute
                }
            }
            () if status == StatusCode::CONFLICT => Self::ZoneBusy,
            () if status == StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            () if status.is_redirection() => Self::Redirected,
            () if status.is_server_error() => Self::ServerError,
            () => Self::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: Cloudflare refused with HTTP {}", self.doing, self.status)?;
        for error in &self.errors {
            match error.code {
                0 => write!(f, ", {}", error.message)?,
                code => write!(f, ", code {code}: {}", error.message)?,
            }
        }
        write!(f, "{}{}", ray(&self.request_id), self.effort)
    }
}

impl fmt::Display for Effort {
    /// Nothing for what was tried once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tries {
            0 | 1 => Ok(()),
            tries => write!(f, ", tried {tries} times in {} s", self.lasted.as_secs_f64().ceil()),
        }
    }
}

fn ray(request_id: &Option<String>) -> String {
    request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default()
}
