//! The walk through the demonstration: what to ask, as whom, and what to expect.

use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;

pub const OFF: &str = "off.localhost";
pub const OBSERVE: &str = "observe.localhost";
pub const ENFORCE: &str = "enforce.localhost";
/// Goes from observe to enforce and back.
pub const WALK: &str = "walk.localhost";

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

/// One turn of the walk from observe to enforce.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// Is the host ready?
    Ready(bool),
    /// The edge connects as often as evidence needs.
    Visits,
    /// The host's mode is changed.
    Mode(Mode),
    /// One request.
    Ask(Step),
}

/// A turn, and what to expect of it, for a person.
#[derive(Clone, Copy, Debug)]
pub struct WalkStep {
    pub turn: Turn,
    pub sentence: &'static str,
}

/// Handshakes from the edge that the demonstration calls enough.
pub const ENOUGH_VISITS: u64 = 5;

/// In order: each turn rests on those before it.
pub const TURNS: [WalkStep; 6] = [
    WalkStep { turn: Turn::Ready(false), sentence: "Not ready: nobody has been there yet. The exit code is 3." },
    WalkStep {
        turn: Turn::Visits,
        sentence: "The edge comes five times: in this demonstration that is enough evidence.",
    },
    WalkStep { turn: Turn::Ready(true), sentence: "Ready." },
    WalkStep {
        turn: Turn::Mode(Mode::Enforce),
        sentence: "One word of the configuration changes, it is reloaded, and the proxy looks at itself.",
    },
    WalkStep {
        turn: Turn::Ask(Step {
            host: WALK,
            identity: Identity::Nobody,
            header: None,
            sentence: "",
            reason: Reason::NoCertificate,
            would_refuse: false,
            ending: Ending::Alert("certificate_required"),
        }),
        sentence: "Refused in the handshake from now on.",
    },
    WalkStep { turn: Turn::Mode(Mode::Observe), sentence: "And back: everyone is let in again." },
];
