//! A stream whose client does not take its answer ends: it would hold a backend's connection and what is buffered.
//!
//! hyper asks for an answer's next frame when the client's window has room for it. A frame that was handed out and not
//! followed by another question is the client's to take; a question that the body has no answer to yet is the
//! backend's, and may stay open for as long as the backend likes (events, long polls).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    static STREAM: Rc<Sending>;
}

/// How the sending of one stream's answer stands.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// When the client was last given something that it has not yet taken.
    given: Cell<Option<Instant>>,
}

impl Sending {
    /// That of the stream whose task this is.
    pub(super) fn current() -> Rc<Self> {
        STREAM.try_with(Rc::clone).unwrap_or_default()
    }

    /// The client has something to take.
    pub(super) fn given(&self) {
        self.given.set(Some(Instant::now()));
    }

    /// The client has taken all, and the backend is waited for.
    pub(super) fn taken(&self) {
        self.given.set(None);
    }
}

/// Runs a stream's task, at most until its client has taken nothing for `limit`. Dropping it resets the stream.
pub(super) async fn unless_stalled(stream: impl Future<Output = ()>, limit: Duration) {
    let sending = Rc::<Sending>::default();
    let mut stream = pin!(STREAM.scope(Rc::clone(&sending), stream));
    // Made by the first wait and kept: it is set anew when it fires, not with every frame.
    let mut pause = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while let Some(given) = sending.given.get() {
            let end = given + limit;
            let pause = pause.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            pause.as_mut().reset(end);
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_stream_ends_when_its_client_takes_nothing_and_not_while_the_backend_is_slow() {
        let outlived = Cell::new(0);
        let stream = async {
            let sending = Sending::current();
            for _ in 0..3 {
                sending.given();
                tokio::task::yield_now().await;
                sending.taken();
                tokio::time::sleep(LIMIT * 2).await;
                outlived.set(outlived.get() + 1);
            }
            sending.given();
            pending().await
        };
        unless_stalled(stream, LIMIT).await;
        assert_eq!(outlived.get(), 3);
    }
}
