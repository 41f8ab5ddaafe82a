//! Keeps below Cloudflare's limits, so that nothing else of the same user is shut out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, sleep};
use tower::Service;

use super::pace::{Notice, Pace, Wait, WaitReason};
use super::transport::Request;
use crate::fetch::{Answer, FetchError};

/// Cloudflare takes so many requests of one user, in so many seconds, and refuses all of them for five minutes afterwards.
const BUDGET: usize = 1200;
const BUDGET_SECONDS: f64 = 300.0;
/// With so few requests left, those that are left are spread over the time until there are new ones.
const FEW: u64 = 10;
/// Never longer than this, whatever the header says.
const LONGEST_PAUSE_SECONDS: f64 = 60.0;

/// Sends through `inner`, not before it may.
#[derive(Clone, Debug)]
pub(super) struct Metered<S> {
    pub(super) inner: S,
    pub(super) meter: Arc<Mutex<Meter>>,
    pub(super) pace: Pace,
    pub(super) notice: Notice,
}

/// What was sent, and what Cloudflare says is left.
#[derive(Default, Debug)]
pub(super) struct Meter {
    sent: VecDeque<Instant>,
    not_before: Option<Instant>,
}

type Pending = Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send>>;

impl<S> Service<Request> for Metered<S>
where
    S: Service<Request, Response = Answer, Error = FetchError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = FetchError;
    type Future = Pending;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Pending {
        let clone = self.inner.clone();
        // The one that was made ready is the one to be called.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (meter, pace, notice) = (Arc::clone(&self.meter), self.pace, self.notice.clone());
        Box::pin(async move {
            let wait = look(&meter).before_sending(Instant::now(), pace);
            if let Some(wait) = wait {
                notice.tell(pace, wait);
                sleep(wait.pause).await;
            }
            look(&meter).sends(Instant::now());
            let answer = inner.call(request).await?;
            look(&meter).learns(&answer.headers, Instant::now(), pace);
            Ok(answer)
        })
    }
}

/// What it holds is whole between any two statements.
fn look(meter: &Mutex<Meter>) -> std::sync::MutexGuard<'_, Meter> {
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Meter {
    fn before_sending(&mut self, now: Instant, pace: Pace) -> Option<Wait> {
        let window = pace.seconds(BUDGET_SECONDS);
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= window) {
            self.sent.pop_front();
        }
        let oldest = self.sent.front().filter(|_| self.sent.len() >= BUDGET);
        let budget = oldest.map_or(Duration::ZERO, |sent| (*sent + window).saturating_duration_since(now));
        let low = self.not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let wait = match budget > low {
            true => Wait { why: WaitReason::Budget, pause: budget },
            false => Wait { why: WaitReason::RunningLow, pause: low },
        };
        (!wait.pause.is_zero()).then_some(wait)
    }

    fn sends(&mut self, now: Instant) {
        self.sent.push_back(now);
    }

    fn learns(&mut self, headers: &HeaderMap, now: Instant, pace: Pace) {
        let pauses = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok()).map(pause_seconds);
        let seconds = pauses.fold(0.0, f64::max).min(LONGEST_PAUSE_SECONDS);
        self.not_before = (seconds > 0.0).then(|| now + pace.seconds(seconds));
    }
}

/// Reads `"default";r=50;t=30`: so many requests left, so many seconds until there are new ones. What cannot be read asks
/// for no pause.
fn pause_seconds(header: &str) -> f64 {
    let pause = |policy: &str| {
        let number = |name: &str| {
            let value = policy.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.trim().parse::<u64>().ok())
        };
        let (left, seconds) = (number("r")?, number("t")?);
        (left <= FEW).then(|| seconds as f64 / (left + 1) as f64)
    };
    header.split(',').filter_map(pause).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_is_spread_over_the_time_until_there_is_more() {
        for (header, seconds) in [
            (r#""default";r=50;t=30"#, 0.0),
            (r#""default";r=11;t=30"#, 0.0),
            (r#""default";r=9;t=30"#, 3.0),
            (r#""default";r=3;t=120"#, 30.0),
            (r#""default"; r=0; t=17"#, 17.0),
            (r#""default";r=0;t=0"#, 0.0),
            (r#""default";r=500;t=9, "burst";r=1;t=8"#, 4.0),
            (r#""default";t=30"#, 0.0),
            (r#""default";r=-1;t=x"#, 0.0),
            ("", 0.0),
        ] {
            assert_eq!(pause_seconds(header), seconds, "{header}");
        }
    }

    #[test]
    fn an_absurd_header_is_waited_for_a_minute_at_most_and_forgotten_with_the_next_answer() {
        let (mut meter, now, pace) = (Meter::default(), Instant::now(), Pace::default());
        let headers = |value: &str| {
            HeaderMap::from_iter([("ratelimit".parse().expect("a name"), value.parse().expect("a value"))])
        };
        meter.learns(&headers(r#""default";r=0;t=86400"#), now, pace);
        let wait = meter.before_sending(now, pace).expect("a pause");
        assert_eq!(wait, Wait { why: WaitReason::RunningLow, pause: Duration::from_secs(60) });
        meter.learns(&headers(r#""default";r=90;t=86400"#), now, pace);
        assert_eq!(meter.before_sending(now, pace), None);
    }

    #[test]
    fn no_five_minutes_see_more_than_1200_requests() {
        let (mut meter, begun, pace) = (Meter::default(), Instant::now(), Pace::default());
        for sent in 0..BUDGET {
            let now = begun + Duration::from_millis(sent as u64);
            assert_eq!(meter.before_sending(now, pace), None);
            meter.sends(now);
        }
        let wait = meter.before_sending(begun + Duration::from_secs(10), pace).expect("a pause");
        assert_eq!(wait, Wait { why: WaitReason::Budget, pause: Duration::from_secs(290) });
        assert_eq!(meter.before_sending(begun + Duration::from_secs(300), pace), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_wait_below_zero(header in "[\"a-z;=,rt0-9 -]{0,60}") {
            prop_assert!(pause_seconds(&header) >= 0.0);
        }
    }
}
