//! How long a backend may keep a request waiting.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for a whole wait, moved only when it fires: a backend is late if it has kept us waiting that long, not if
/// the client uploads slowly. Without a limit there is no timer.
pub(super) struct Patience {
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: None }
    }

    /// Ready when the backend has kept us waiting too long; `since` says since when it does, `None`: it does not.
    pub(super) fn poll_exhausted(&mut self, cx: &mut Context<'_>, since: impl Fn() -> Option<Instant>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        while timer.as_mut().poll(cx).is_ready() {
            let due = since().unwrap_or_else(Instant::now) + limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}
