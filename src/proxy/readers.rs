//! HTTP/2 clients that take nothing of what they asked for.
//!
//! A stream whose window stays closed would hold its answer, and the backend's connection behind it, for as long as the
//! client likes (the "slow read" attack). hyper offers no time limit here, but runs each stream as a task of ours.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

/// Runs a connection's streams on its own thread and resets those whose client reads nothing for too long.
#[derive(Clone)]
pub struct Readers {
    limit: Duration,
    /// Whose stream is being polled.
    current: Rc<RefCell<Rc<Reader>>>,
}

/// One stream's client.
#[derive(Default, Debug)]
pub struct Reader {
    /// It has what there is, and asks for more when its window is open.
    has_turn: Cell<bool>,
    turns: Cell<u64>,
}

impl Readers {
    /// Clients may pause for `limit`.
    pub fn new(limit: Duration) -> Self {
        Self { limit, current: Rc::default() }
    }

    /// The client of the stream that is being polled.
    pub fn current(&self) -> Rc<Reader> {
        Rc::clone(&self.current.borrow())
    }
}

impl Reader {
    /// The client was given a part of its answer.
    pub fn gave(&self) {
        self.has_turn.set(true);
        self.turns.set(self.turns.get() + 1);
    }

    /// The client has room for more.
    pub fn asked(&self) {
        self.has_turn.set(false);
    }

    /// Ready when one and the same turn has lasted for `limit`.
    fn poll_gone(&self, pause: &mut Option<Pause>, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_turn.get() {
            *pause = None;
            return Poll::Pending;
        }
        let turn = self.turns.get();
        let pause = match pause {
            Some(pause) if pause.turn == turn => pause,
            other => other.insert(Pause { turn, over: Box::pin(sleep(limit)) }),
        };
        pause.over.as_mut().poll(cx)
    }
}

/// A turn that is being timed.
struct Pause {
    turn: u64,
    over: Pin<Box<Sleep>>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Readers {
    fn execute(&self, stream: F) {
        let readers = self.clone();
        tokio::task::spawn_local(async move {
            let (reader, mut pause) = (Rc::<Reader>::default(), None);
            let mut stream = pin!(stream);
            // A stream that is dropped before its end is reset.
            poll_fn(|cx| {
                readers.current.replace(Rc::clone(&reader));
                match stream.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => reader.poll_gone(&mut pause, readers.limit, cx),
                }
            })
            .await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    async fn is_gone(reader: &Reader, pause: &mut Option<Pause>, limit: Duration) -> bool {
        poll_fn(|cx| Poll::Ready(reader.poll_gone(pause, limit, cx).is_ready())).await
    }

    #[tokio::test]
    async fn only_a_turn_that_lasts_is_too_long() {
        let (reader, mut pause) = (Reader::default(), None);
        assert!(!is_gone(&reader, &mut pause, Duration::ZERO).await, "the backend's turn");
        reader.gave();
        assert!(!is_gone(&reader, &mut pause, LONG).await);
        let begun = pause.as_ref().map(|pause| pause.over.deadline());
        assert!(!is_gone(&reader, &mut pause, LONG).await);
        assert_eq!(pause.as_ref().map(|pause| pause.over.deadline()), begun, "a look is no new turn");
        reader.asked();
        reader.gave();
        assert!(!is_gone(&reader, &mut pause, LONG).await);
        assert_ne!(pause.as_ref().map(|pause| pause.turn), Some(1), "each turn has its own time");
        reader.gave();
        poll_fn(|cx| reader.poll_gone(&mut pause, Duration::ZERO, cx)).await;
        reader.asked();
        assert!(!is_gone(&reader, &mut pause, Duration::ZERO).await);
    }
}
