//! When a request is sent again: only what may be sent twice, and never for ever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use serde::de::IgnoredAny;
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;

use super::pace::{Jitter, Notice, Pace, Wait, WaitReason};
use super::transport::Request;
use crate::fetch::{Answer, FetchError};

/// The longest pause that Cloudflare can ask for.
const LONGEST_ASKED_SECONDS: f64 = 60.0;
/// What `retry-after` does not say: doubled with every attempt, between these.
const BACKOFF_SECONDS: f64 = 0.5;
const LONGEST_BACKOFF_SECONDS: f64 = 16.0;
/// Whoever was over the limit is refused for five minutes.
const THROTTLED_SECONDS: f64 = 330.0;
/// Attempts after the first while there is no usable answer, and the longest that their pauses may be in all.
const TROUBLE_TRIES: u32 = 5;
const TROUBLE_SECONDS: f64 = 120.0;
const BUSY_PAUSE_SECONDS: f64 = 5.0;
const BUSY_SECONDS: f64 = 50.0;
const FRESH_TOKEN_TRIES: u32 = 4;
/// What Cloudflare says of a token that is not known everywhere yet.
pub(super) const FRESH_TOKEN: &str = "Unable to authenticate request";

/// How often something was tried, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Effort {
    pub tries: u32,
    pub lasted: Duration,
}

/// Decides for one request, from its first attempt to its last.
#[derive(Clone, Debug)]
pub(super) struct Persistence {
    pace: Pace,
    jitter: Jitter,
    notice: Notice,
    begun: Instant,
    /// Of all its pauses.
    paused_seconds: f64,
    effort: Arc<Mutex<Effort>>,
}

/// What stands between a request and its answer, if trying again can help.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Obstacle {
    why: WaitReason,
    /// What `retry-after` asks for, in seconds.
    asked: Option<f64>,
}

impl Persistence {
    pub(super) fn new(pace: Pace, jitter: Jitter, notice: Notice) -> Self {
        Self { pace, jitter, notice, begun: Instant::now(), paused_seconds: 0.0, effort: Arc::default() }
    }

    /// How often the request was tried, and for how long, once its last attempt is over. Shared by all clones.
    pub(super) fn effort(&self) -> Effort {
        *self.effort.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many times it was tried.
    fn tried(&self) -> u32 {
        let mut effort = self.effort.lock().unwrap_or_else(PoisonError::into_inner);
        *effort = Effort { tries: effort.tries + 1, lasted: self.begun.elapsed() };
        effort.tries
    }

    /// Before the next attempt, in seconds. `None`: it was tried long enough.
    fn pause(&mut self, obstacle: Obstacle, tries: u32) -> Option<f64> {
        let doubled = BACKOFF_SECONDS * f64::from(1_u32 << (tries - 1).min(16));
        // Never shorter than half of it, and never two clients in step.
        let backoff = doubled.min(LONGEST_BACKOFF_SECONDS) * (0.5 + self.jitter.next() / 2.0);
        let asked = obstacle.asked.map(|seconds| seconds.min(LONGEST_ASKED_SECONDS) + self.jitter.next() / 2.0);
        let (pause, patience, most_tries) = match obstacle.why {
            WaitReason::Throttled => (asked.unwrap_or(backoff * 2.0), THROTTLED_SECONDS, u32::MAX),
            WaitReason::ZoneBusy => (asked.unwrap_or(BUSY_PAUSE_SECONDS), BUSY_SECONDS, u32::MAX),
            WaitReason::FreshToken => (backoff * 4.0, THROTTLED_SECONDS, FRESH_TOKEN_TRIES),
            WaitReason::Trouble | WaitReason::RunningLow | WaitReason::Budget => {
                (asked.unwrap_or(backoff), TROUBLE_SECONDS, TROUBLE_TRIES)
            }
        };
        self.paused_seconds += pause;
        (tries <= most_tries && self.paused_seconds <= patience).then_some(pause)
    }
}

impl Policy<Request, Answer, FetchError> for Persistence {
    type Future = Pin<Box<Sleep>>;

    fn retry(&mut self, request: &mut Request, result: &mut Result<Answer, FetchError>) -> Option<Self::Future> {
        let tries = self.tried();
        let obstacle = obstacle(&request.method, result)?;
        let pause = self.pause(obstacle, tries)?;
        let pause = self.pace.seconds(pause);
        self.notice.tell(self.pace, Wait { why: obstacle.why, pause });
        Some(Box::pin(sleep(pause)))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// `None`: there is an answer, or none that another attempt could bring, or a change may have been made that must not be
/// made twice.
fn obstacle(method: &Method, result: &Result<Answer, FetchError>) -> Option<Obstacle> {
    let may_be_sent_twice = method != Method::POST;
    let trouble = |asked| Some(Obstacle { why: WaitReason::Trouble, asked });
    let answer = match result {
        Ok(answer) => answer,
        Err(FetchError::Connect { .. }) => return trouble(None),
        // What is wrong with a certificate stays wrong.
        Err(FetchError::Tls { source, .. }) if source.kind() != std::io::ErrorKind::InvalidData => {
            return trouble(None);
        }
        Err(FetchError::Deadline { .. } | FetchError::Http { .. }) if may_be_sent_twice => return trouble(None),
        Err(_) => return None,
    };
    let asked = retry_after(answer);
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => Some(Obstacle { why: WaitReason::Throttled, asked }),
        StatusCode::CONFLICT => Some(Obstacle { why: WaitReason::ZoneBusy, asked }),
        StatusCode::FORBIDDEN if holds(&answer.body, FRESH_TOKEN) => {
            Some(Obstacle { why: WaitReason::FreshToken, asked: None })
        }
        StatusCode::REQUEST_TIMEOUT if may_be_sent_twice => trouble(asked),
        status if status.is_server_error() && may_be_sent_twice => trouble(asked),
        status if status.is_success() && may_be_sent_twice && !is_json(&answer.body) => trouble(None),
        _ => None,
    }
}

/// In whole seconds, at least one: what says nothing or 0 leaves it to us.
fn retry_after(answer: &Answer) -> Option<f64> {
    let seconds: u64 = answer.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0).then_some(seconds as f64)
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn holds(body: &[u8], words: &str) -> bool {
    body.windows(words.len()).any(|window| window == words.as_bytes())
}

#[cfg(test)]
#[path = "persistence_tests.rs"]
mod tests;
