//! How long a connection may go on doing what it does, told by one coarse clock per worker.
//!
//! A timer per phase of every request would cost more than parsing its head. A worker instead walks over its
//! connections twice a second and ends those whose time is up; deadlines are met within that half second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

/// How often a worker looks at its connections.
const TICK: Duration = Duration::from_millis(500);

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// A request's head has begun to arrive.
    Head,
    /// A request is being answered; the backend's timeouts are the operator's.
    Busy,
    /// A request's body, or an answer's reader, is waited for.
    Stalled,
}

/// One connection's time.
#[derive(Debug)]
pub struct Lifetime {
    worker: Rc<Ticks>,
    phase: Cell<Phase>,
    /// The tick after which the phase has lasted too long.
    deadline: Cell<u64>,
    /// The tick after which a head that has begun to arrive on a connection that does other things too is late.
    head_deadline: Cell<u64>,
    /// The tick after which a peer that takes nothing of what is sent beside the present phase has had its time.
    write_deadline: Cell<u64>,
    /// No further request is taken: the process drains, or the connection's trust is gone.
    closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A worker's clock.
#[derive(Debug, Default)]
struct Ticks(Cell<u64>);

/// All connections of one worker.
#[derive(Clone, Debug, Default)]
pub struct Lifetimes {
    ticks: Rc<Ticks>,
    all: Rc<RefCell<Slab<Rc<Lifetime>>>>,
    closing: Rc<Cell<bool>>,
}

/// A connection's place among its worker's; leaves it on drop.
#[derive(Debug)]
pub struct Registered {
    lifetime: Rc<Lifetime>,
    lifetimes: Lifetimes,
    key: usize,
}

impl Lifetime {
    /// Begins `phase`, which may last `limit`; `None`: as long as it likes.
    pub fn enter(&self, phase: Phase, limit: Option<Duration>) {
        self.phase.set(phase);
        self.deadline.set(limit.map_or(u64::MAX, |limit| self.worker.after(limit)));
    }

    /// What the connection is doing.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// A head has begun to arrive beside the present phase and has to be whole within `limit`.
    pub fn begin_head(&self, limit: Duration) {
        self.head_deadline.set(self.worker.after(limit));
    }

    /// That head is whole.
    pub fn end_head(&self) {
        self.head_deadline.set(u64::MAX);
    }

    /// The peer does not take what is sent, and has to within `limit` of the first time that this is said.
    pub fn begin_write(&self, limit: Duration) {
        if self.write_deadline.get() == u64::MAX {
            self.write_deadline.set(self.worker.after(limit));
        }
    }

    /// It has taken something.
    pub fn end_write(&self) {
        self.write_deadline.set(u64::MAX);
    }

    /// Whether the present phase, or a head or a write beside it, has lasted too long.
    pub fn is_overdue(&self) -> bool {
        let earliest = self.deadline.get().min(self.head_deadline.get()).min(self.write_deadline.get());
        self.worker.0.get() > earliest
    }

    /// Whether no further request is to be taken.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Takes no further request from now on.
    pub fn close(&self) {
        self.closing.set(true);
        self.wake();
    }

    /// Has the task of `cx` woken when the time is up or the connection is to close.
    pub fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Ready when the present phase has lasted too long.
    pub fn poll_overdue(&self, cx: &Context<'_>) -> Poll<()> {
        self.watch(cx);
        if self.is_overdue() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Has the connection's task look at it again.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Ticks {
    fn after(&self, limit: Duration) -> u64 {
        let ticks = limit.as_millis().div_ceil(TICK.as_millis());
        self.0.get().saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
    }
}

impl Lifetimes {
    /// Takes a connection in. It is idle, for as long as it likes, until told otherwise.
    pub fn register(&self) -> Registered {
        let lifetime = Rc::new(Lifetime {
            worker: Rc::clone(&self.ticks),
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(u64::MAX),
            head_deadline: Cell::new(u64::MAX),
            write_deadline: Cell::new(u64::MAX),
            closing: Cell::new(self.closing.get()),
            waker: RefCell::default(),
        });
        let key = self.all.borrow_mut().insert(Rc::clone(&lifetime));
        Registered { lifetime, lifetimes: self.clone(), key }
    }

    /// Asks every connection, and every later one, to take no further request.
    pub fn close_all(&self) {
        self.closing.set(true);
        self.all.borrow().iter().for_each(|(_, lifetime)| lifetime.close());
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.all.borrow().len()
    }

    /// Keeps the clock, for as long as the worker runs.
    pub async fn keep_time(self) {
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            self.tick();
        }
    }

    pub(super) fn tick(&self) {
        self.ticks.0.set(self.ticks.0.get() + 1);
        let all = self.all.borrow();
        all.iter().filter(|(_, lifetime)| lifetime.is_overdue()).for_each(|(_, lifetime)| lifetime.wake());
    }
}

impl Registered {
    /// The connection's time.
    pub fn lifetime(&self) -> &Rc<Lifetime> {
        &self.lifetime
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.lifetimes.all.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_after_its_limit_and_not_before() {
        let worker = Lifetimes::default();
        let connection = worker.register();
        connection.lifetime().enter(Phase::Head, Some(Duration::from_secs(1)));
        worker.tick();
        worker.tick();
        assert!(!connection.lifetime().is_overdue());
        worker.tick();
        assert!(connection.lifetime().is_overdue());
        connection.lifetime().enter(Phase::Busy, None);
        assert!(!connection.lifetime().is_overdue());
    }

    #[test]
    fn a_late_head_is_late_whatever_else_the_connection_does() {
        let worker = Lifetimes::default();
        let connection = worker.register();
        connection.lifetime().begin_head(Duration::from_millis(1));
        connection.lifetime().enter(Phase::Busy, None);
        worker.tick();
        worker.tick();
        assert!(connection.lifetime().is_overdue());
        connection.lifetime().end_head();
        assert!(!connection.lifetime().is_overdue());
    }

    #[test]
    fn a_worker_that_closes_closes_later_connections_too() {
        let worker = Lifetimes::default();
        let before = worker.register();
        worker.close_all();
        assert!(before.lifetime().is_closing());
        assert!(worker.register().lifetime().is_closing());
        drop(before);
        assert_eq!(worker.count(), 0);
    }
}
