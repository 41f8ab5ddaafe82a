//! How many requests a token may make, and what the headers say of it.

use std::collections::BTreeMap;

use originlock::clock::Timestamp;

use super::answer::Answer;
use super::settings::{RetryAfter, Settings};

const DAY_SECONDS: u64 = 86_400;

/// The current window of every token.
#[derive(Clone, Debug, Default)]
pub struct Windows(BTreeMap<String, Window>);

#[derive(Clone, Copy, Debug)]
struct Window {
    begun: Timestamp,
    used: u32,
}

/// What is left after a request was counted.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    left: Option<u32>,
    seconds: u64,
}

impl Windows {
    /// Counts one request.
    pub fn count(&mut self, token: &str, settings: &Settings, now: Timestamp) -> Quota {
        let window = self.0.entry(token.to_owned()).or_insert(Window { begun: now, used: 0 });
        if now.since(window.begun) >= settings.rate_window {
            *window = Window { begun: now, used: 0 };
        }
        window.used += 1;
        let remaining = settings.rate_window.saturating_sub(now.since(window.begun));
        // Rounded up: whoever waits as long finds the next window open.
        let seconds = remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0);
        Quota { left: settings.rate_limit.checked_sub(window.used), seconds }
    }
}

impl Quota {
    /// The refusal of a request that was one too many.
    pub fn refusal(self, retry_after: RetryAfter) -> Option<Answer> {
        if self.left.is_some() {
            return None;
        }
        let answer = Answer::failure(429, 971, "Please wait and consider throttling your request speed");
        let seconds = match retry_after {
            RetryAfter::Present => self.seconds,
            RetryAfter::Absent => return Some(answer),
            RetryAfter::Zero => 0,
            RetryAfter::Absurd => DAY_SECONDS,
        };
        Some(answer.with("retry-after", seconds.to_string()))
    }

    /// The answer with the header fields that every one has.
    pub fn told(self, answer: Answer, settings: &Settings) -> Answer {
        let left = self.left.unwrap_or(0);
        let (limit, window) = (settings.rate_limit, settings.rate_window.as_secs());
        answer
            .with("ratelimit", format!("\"default\";r={left};t={}", self.seconds))
            .with("ratelimit-policy", format!("\"default\";q={limit};w={window}"))
    }
}
