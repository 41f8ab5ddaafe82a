//! How patiently the API is asked, and what whoever waits is told.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// How patiently the API is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// What counts as a second in every pause, in ours and in those that Cloudflare asks for. Shorter only where the clock
    /// of the other side is faster, too.
    pub second: Duration,
    /// One attempt, from the name's resolution to the answer's last byte.
    pub attempt: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { second: Duration::from_secs(1), attempt: Duration::from_secs(30) }
    }
}

impl Pace {
    pub(super) fn seconds(&self, seconds: f64) -> Duration {
        self.second.mul_f64(seconds.max(0.0))
    }
}

/// A pause before a request is sent, or sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    pub why: WaitReason,
    pub pause: Duration,
}

/// What a pause is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitReason {
    /// It was answered with 429.
    Throttled,
    /// Cloudflare says that few requests are left.
    RunningLow,
    /// As many requests were sent as Cloudflare takes of one user.
    Budget,
    /// Another change of the zone is under way.
    ZoneBusy,
    /// A token that was made a moment ago and is not known everywhere.
    FreshToken,
    /// No answer, half of one, or one of Cloudflare's own trouble.
    Trouble,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            WaitReason::Throttled => "Cloudflare asks to slow down",
            WaitReason::RunningLow => "Cloudflare takes few more requests at the moment",
            WaitReason::Budget => "as many requests were sent as Cloudflare takes in five minutes",
            WaitReason::ZoneBusy => "Cloudflare is busy with another change of this zone",
            WaitReason::FreshToken => "Cloudflare does not know this token everywhere yet",
            WaitReason::Trouble => "no usable answer from Cloudflare",
        })?;
        write!(f, ", waiting {} s", self.pause.as_secs_f64().ceil())
    }
}

/// What is told of every pause that is long enough to be noticed.
#[derive(Clone)]
pub(super) struct Notice(Arc<dyn Fn(&Wait) + Send + Sync>);

impl Notice {
    pub(super) fn new(tell: impl Fn(&Wait) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Pauses below two seconds are nobody's concern.
    pub(super) fn tell(&self, pace: Pace, wait: Wait) {
        if wait.pause >= pace.second * 2 {
            (self.0)(&wait);
        }
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice(…)")
    }
}

/// Numbers from 0 to 1 that keep several clients from asking again at the same moment.
#[derive(Clone)]
pub(super) struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    pub(super) fn new(next: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    pub(super) fn next(&self) -> f64 {
        (self.0)().clamp(0.0, 1.0)
    }
}

/// As random as the standard library keys its hash tables; nothing secret rests on it.
impl Default for Jitter {
    fn default() -> Self {
        Self::new(|| f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX))
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter(…)")
    }
}
