//! The walk through the demonstration: what to ask, as whom, and what to expect.

use crate::policy::verdict::Reason;

pub const OFF: &str = "off.localhost";
pub const OBSERVE: &str = "observe.localhost";
pub const ENFORCE: &str = "enforce.localhost";

/// One request and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub host: &'static str,
    pub identity: Identity,
    /// A header that the client adds.
    pub header: Option<(&'static str, &'static str)>,
    /// What to expect, for a person.
    pub sentence: &'static str,
    /// The reason in the handshake's record.
    pub reason: Reason,
    /// Whether the record says that *enforce* would have refused.
    pub would_refuse: bool,
    pub ending: Ending,
}

/// Whom the client shows itself as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// Without a certificate.
    Nobody,
    /// With a certificate of the CA that the hosts trust, as Cloudflare's edge has one.
    Edge,
    /// With a certificate of another CA.
    Stranger,
}

impl Identity {
    /// The files of certificate and key.
    pub fn files(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Nobody => None,
            Self::Edge => Some(("edge.pem", "edge.key")),
            Self::Stranger => Some(("stranger.pem", "stranger.key")),
        }
    }
}

/// What the client gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The backend's answer; the backend was told this in `X-Client-Verify`.
    Answer(&'static str),
    /// An answer of the proxy's own.
    Status(u16),
    /// This alert instead of a session.
    Alert(&'static str),
}

/// In the order in which they are best tried.
pub const STEPS: [Step; 9] = [
    Step {
        host: OFF,
        identity: Identity::Nobody,
        header: None,
        sentence: "Let in: no client certificate is asked for.",
        reason: Reason::NoCertificate,
        would_refuse: false,
        ending: Ending::Answer("NONE"),
    },
    Step {
        host: OBSERVE,
        identity: Identity::Edge,
        header: None,
        sentence: "Let in: the certificate is of this host's CA, as the edge's would be.",
        reason: Reason::Verified,
        would_refuse: false,
        ending: Ending::Answer("SUCCESS"),
    },
    Step {
        host: OBSERVE,
        identity: Identity::Nobody,
        header: None,
        sentence: "Let in, but the log says that enforce would refuse: no_certificate.",
        reason: Reason::NoCertificate,
        would_refuse: true,
        ending: Ending::Answer("NONE"),
    },
    Step {
        host: OBSERVE,
        identity: Identity::Stranger,
        header: None,
        sentence: "Let in, but the log says that enforce would refuse: unknown_issuer.",
        reason: Reason::UnknownIssuer,
        would_refuse: true,
        ending: Ending::Answer("FAILED:unknown_issuer"),
    },
    Step {
        host: OBSERVE,
        identity: Identity::Nobody,
        header: Some(("X-Client-Verify", "SUCCESS")),
        sentence: "A forged header does not reach the backend: it is told NONE.",
        reason: Reason::NoCertificate,
        would_refuse: true,
        ending: Ending::Answer("NONE"),
    },
    Step {
        host: ENFORCE,
        identity: Identity::Edge,
        header: None,
        sentence: "Let in, as before in observe.",
        reason: Reason::Verified,
        would_refuse: false,
        ending: Ending::Answer("SUCCESS"),
    },
    Step {
        host: ENFORCE,
        identity: Identity::Nobody,
        header: None,
        sentence: "Refused in the handshake: curl reports the alert \"certificate required\".",
        reason: Reason::NoCertificate,
        would_refuse: false,
        ending: Ending::Alert("certificate_required"),
    },
    Step {
        host: ENFORCE,
        identity: Identity::Stranger,
        header: None,
        sentence: "Refused in the handshake: curl reports the alert \"unknown ca\".",
        reason: Reason::UnknownIssuer,
        would_refuse: false,
        ending: Ending::Alert("unknown_ca"),
    },
    Step {
        host: OFF,
        identity: Identity::Nobody,
        header: Some(("Host", ENFORCE)),
        sentence: "421: a connection to one hostname is no back door to another.",
        reason: Reason::NoCertificate,
        would_refuse: false,
        ending: Ending::Status(421),
    },
];
