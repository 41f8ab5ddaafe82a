//! Connections between two requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::Instant;

use super::connect::Io;

/// Enough for most heads and small bodies.
const FIRST_READ: usize = 8 * 1024;

/// The most read at once while a large body streams.
const LARGEST_READ: usize = 64 * 1024;

/// A connection and what was read from it but not yet used.
pub(super) struct Connection {
    pub(super) io: Io,
    pub(super) buf: BytesMut,
    next_read: usize,
}

/// What a connection that nothing was asked of has to say.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Silence {
    Quiet,
    Closed,
    /// Bytes nobody asked for: whatever answer they pretend to be, it is not the next one's.
    Broken,
}

impl Connection {
    pub(super) fn new(io: Io) -> Self {
        Self { io, buf: BytesMut::new(), next_read: FIRST_READ }
    }

    /// Appends what has arrived to `buf`; 0 at the end of the connection.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buf.reserve(self.next_read);
        let read = std::task::ready!(pin!(self.io.read_buf(&mut self.buf)).poll(cx))?;
        if read >= self.next_read {
            self.next_read = (self.next_read * 2).min(LARGEST_READ);
        }
        Poll::Ready(Ok(read))
    }

    /// Costs no system call unless the driver has seen something arrive.
    pub(super) fn listen(&mut self) -> Silence {
        if !self.buf.is_empty() {
            return Silence::Broken;
        }
        let mut byte = [0];
        let mut read = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.io).poll_read(&mut Context::from_waker(Waker::noop()), &mut read) {
            Poll::Pending => Silence::Quiet,
            Poll::Ready(Ok(())) if !read.filled().is_empty() => Silence::Broken,
            Poll::Ready(_) => Silence::Closed,
        }
    }
}

/// The unused connections of one worker to one address; the youngest is used first, so that the others may grow old.
pub(super) struct Pool {
    idle: RefCell<VecDeque<(Connection, Instant)>>,
    max_idle: usize,
    timeout: Duration,
    reaping: Cell<bool>,
}

impl Pool {
    pub(super) fn new(max_idle: usize, timeout: Duration) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), max_idle, timeout, reaping: Cell::new(false) })
    }

    /// A connection on which nothing has happened since its last response.
    pub(super) fn take(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        while let Some((mut connection, since)) = idle.pop_back() {
            if now.duration_since(since) < self.timeout && connection.listen() == Silence::Quiet {
                return Some(connection);
            }
        }
        None
    }

    /// The caller knows that the last exchange is over on both sides.
    pub(super) fn put(self: &Rc<Self>, connection: Connection) {
        if self.max_idle == 0 {
            return;
        }
        // A new connection object, so that an idle one holds no buffer.
        let connection = Connection::new(connection.io);
        let mut idle = self.idle.borrow_mut();
        if idle.len() == self.max_idle {
            idle.pop_front();
        }
        idle.push_back((connection, Instant::now()));
        if !self.reaping.replace(true) {
            tokio::task::spawn_local(reap(Rc::downgrade(self)));
        }
    }

    /// Closes what is too old and says when the next one will be.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        while let Some((_, since)) = idle.front() {
            let end = *since + self.timeout;
            if end > now {
                return Some(end);
            }
            idle.pop_front();
        }
        self.reaping.set(false);
        None
    }
}

/// Lives only while connections are idle, and not longer than their pool.
async fn reap(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.expire()) {
        tokio::time::sleep_until(next).await;
    }
}
