//! The words of a plan: its steps, and what was found before the first of them.

use serde::Serialize;

/// How far a certificate of Cloudflare's edge reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Cloudflare's shared certificate on all hostnames of the zone.
    Global,
    /// An own certificate on all hostnames of the zone.
    Zone,
    /// An own certificate on the named hostnames.
    Hostname,
}

impl Level {
    /// As it is written after `--level`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Zone => "zone",
            Self::Hostname => "hostname",
        }
    }

    /// What an admitted handshake proves then.
    pub fn proves(self) -> &'static str {
        match self {
            Self::Global => {
                "that a request came through Cloudflare, of any customer's zone: everyone with an account passes"
            }
            Self::Zone => "that a request came through this zone at Cloudflare, whichever hostname of it was meant",
            Self::Hostname => "that a request came through this hostname at Cloudflare",
        }
    }
}

/// What a step is about. The word stands in plans, in JSON, and in the documentation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// The origin asks for a certificate and logs what it gets.
    Observe,
    /// The origin trusts the issuer of the certificate.
    Trust,
    /// The certificate is at Cloudflare, and deployed.
    Upload,
    /// The zone setting `tls_client_auth`.
    ZoneSetting,
    /// The zone-level switch.
    ZoneLevel,
    /// The hostname shows this certificate.
    Associate,
    /// The zone setting for post-quantum key agreement with origins.
    PostQuantum,
    /// The origin has seen this very certificate from Cloudflare's edge.
    Seen,
    /// The origin has not seen the old certificate from Cloudflare's edge for a while.
    Unseen,
    /// The origin refuses whoever does not verify.
    Enforce,
    /// Direct connections without and with a wrong certificate fail, with the right one succeed.
    Prove,
    /// The hostname shows no certificate of its own any more.
    Void,
    /// The certificate is gone from Cloudflare.
    Delete,
    /// The origin no longer trusts the old issuer.
    Distrust,
}

impl StepName {
    /// As it stands in plans, in JSON and in the documentation.
    pub fn label(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Trust => "trust",
            Self::Upload => "upload",
            Self::ZoneSetting => "zone_setting",
            Self::ZoneLevel => "zone_level",
            Self::Associate => "associate",
            Self::PostQuantum => "post_quantum",
            Self::Seen => "seen",
            Self::Unseen => "unseen",
            Self::Enforce => "enforce",
            Self::Prove => "prove",
            Self::Void => "void",
            Self::Delete => "delete",
            Self::Distrust => "distrust",
        }
    }
}

/// One step, before or after it is taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    pub name: StepName,
    /// The hostname, or the zone.
    pub subject: String,
    /// What is.
    pub is: String,
    /// What will be.
    pub will_be: String,
    /// Why, in a line.
    pub why: String,
    pub state: StepState,
}

/// Where a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It is so already, or was done.
    Done,
    /// It will be done.
    Todo,
    /// Nothing has to be done but to wait.
    Waiting,
    /// Left out because the operator says so.
    LeftOut,
    /// It was tried, and did not come about.
    Failed,
}

/// Something that is looked at before anything is changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// A stable word, which `--force` takes: `token`, `zone`, `ssl_mode`, `dns`, …
    pub name: &'static str,
    /// The hostname, or the zone.
    pub subject: String,
    pub verdict: CheckVerdict,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do about it; empty where nothing has to be done.
    pub next_step: String,
}

/// What a check says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    Holds,
    /// Good to know, and in nobody's way.
    Warning,
    /// Stands in the way.
    Fails,
    /// Stood in the way, and was overruled.
    Forced,
}
