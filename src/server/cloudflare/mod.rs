//! The look at Cloudflare's side now and then: a thread of its own, which nothing waits for.

mod known;
mod look;
mod origin;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use self::known::Known;
use self::look::{LookError, look};
use crate::admin::control::View;
use crate::clock::{Clock, Timestamp};
use crate::cloudflare::Pace;
use crate::config::model::CloudflareWatch;

/// After a look that came to nothing it is tried again this soon, or sooner where looks come sooner.
const RETRY: Duration = Duration::from_mins(5);
/// Whoever reloads all the time has it looked at no more often than this.
const RELOAD_GAP: Duration = Duration::from_mins(1);
/// How often a clock that a test sets is looked at.
const MANUAL_LOOK: Duration = Duration::from_millis(20);
/// What counts as a second then, where the API has to be waited for.
const MANUAL_SECOND: Duration = Duration::from_millis(5);
/// How long the end of the process waits for a look that is under way.
const END_LIMIT: Duration = Duration::from_millis(500);

/// The thread. It ends with this, or soon after: a call that is under way is not waited for.
#[derive(Debug)]
pub struct Watch {
    follow: FollowHandle,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the thread what to do, from wherever.
#[derive(Clone, Debug)]
pub struct FollowHandle {
    ask: Sender<Ask>,
    stop: Arc<AtomicBool>,
}

/// What the thread is told with.
pub struct Asked {
    asked: Receiver<Ask>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Ask {
    /// This is configured now. `None`: nothing is to be looked at.
    Follow(Option<Box<CloudflareWatch>>),
    Stop,
}

impl FollowHandle {
    /// With what the thread is to be started.
    pub fn new() -> (Self, Asked) {
        let (ask, asked) = channel();
        let stop = Arc::<AtomicBool>::default();
        (Self { ask, stop: Arc::clone(&stop) }, Asked { asked, stop })
    }

    /// Looks at what is configured from now on, first at once.
    pub fn follow(&self, configured: Option<&CloudflareWatch>) {
        // Once the thread has ended nothing is looked at any more.
        let _ = self.ask.send(Ask::Follow(configured.cloned().map(Box::new)));
    }

    /// Ends the thread, as soon as the call that may be under way is over.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.ask.send(Ask::Stop);
    }
}

impl Watch {
    /// Starts the thread. `view` tells what this origin demands and saw; what is found goes to `known`.
    pub fn start(
        follow: FollowHandle,
        asked: Asked,
        view: Arc<dyn View>,
        known: Arc<Known>,
        clock: Clock,
    ) -> io::Result<Self> {
        let (alive, ended) = channel();
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let watching = Watching { stop: asked.stop, configured: None, last: None, next: None, view, known, clock };
        let thread = thread::Builder::new().name("cloudflare".into()).spawn(move || {
            let _log = tracing::dispatcher::set_default(&dispatch);
            // Dropped at the end, which is then seen.
            let _alive = alive;
            watching.run(&asked.asked);
        })?;
        Ok(Self { follow, ended, thread: Some(thread) })
    }

    /// A way to tell it what to do.
    pub fn handle(&self) -> FollowHandle {
        self.follow.clone()
    }

    /// Ends the thread, and waits a moment for it.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.follow.stop();
        // Nobody sends: either it ends, or the time is up.
        if matches!(self.ended.recv_timeout(END_LIMIT), Err(RecvTimeoutError::Disconnected)) {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

struct Watching {
    stop: Arc<AtomicBool>,
    configured: Option<Box<CloudflareWatch>>,
    /// When the last look was begun.
    last: Option<Timestamp>,
    next: Option<Due>,
    view: Arc<dyn View>,
    known: Arc<Known>,
    clock: Clock,
}

/// A moment, and the same moment for whom the time of day may jump.
#[derive(Clone, Copy)]
struct Due {
    at: Timestamp,
    instant: Instant,
}

impl Watching {
    fn run(mut self, asked: &Receiver<Ask>) {
        loop {
            let next = match self.next {
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => asked.recv_timeout(self.until(due)),
            };
            match next {
                Ok(Ask::Follow(configured)) => self.follow(configured),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.next.is_some_and(|due| self.until(due).is_zero()) {
                self.look();
            }
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn follow(&mut self, configured: Option<Box<CloudflareWatch>>) {
        self.known.follow(configured.as_deref());
        let same = match (self.configured.as_deref(), configured.as_deref()) {
            (Some(old), Some(new)) => asks_alike(old, new),
            (None, _) | (_, None) => false,
        };
        let since = self.last.filter(|_| same).map(|last| self.clock.now().since(last));
        let wait = since.map_or(Duration::ZERO, |since| RELOAD_GAP.saturating_sub(since));
        self.next = configured.is_some().then(|| self.after(wait));
        self.configured = configured;
    }

    fn after(&self, wait: Duration) -> Due {
        Due { at: self.clock.now().after(wait), instant: Instant::now() + wait }
    }

    /// How long to wait before it is looked again.
    fn until(&self, due: Due) -> Duration {
        match self.clock {
            Clock::System => due.instant.saturating_duration_since(Instant::now()),
            Clock::Manual(_) => due.at.since(self.clock.now()).min(MANUAL_LOOK),
        }
    }

    /// A clock that a test sets stands still while something is waited for: pauses are short then.
    fn pace(&self) -> Pace {
        match self.clock {
            Clock::System => Pace::default(),
            Clock::Manual(_) => Pace { second: MANUAL_SECOND, ..Pace::default() },
        }
    }

    /// Looks at every zone. One that cannot be looked at keeps nobody from the others.
    fn look(&mut self) {
        let Some(configured) = self.configured.as_deref() else { return };
        self.last = Some(self.clock.now());
        let mut failed = false;
        for zone in &configured.zones {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let now = self.clock.now();
            let looked = AssertUnwindSafe(|| look(configured, &zone.value, &*self.view, self.pace(), now));
            // A bug here must not be the end of looking: what panics has said so itself.
            let looked = catch_unwind(looked).unwrap_or(Err(LookError::Panicked));
            failed |= looked.is_err();
            self.known.looked(&zone.value, looked, now);
        }
        self.next = Some(self.after(if failed { configured.every.min(RETRY) } else { configured.every }));
    }
}

/// Whether both ask the same of the same.
fn asks_alike(one: &CloudflareWatch, other: &CloudflareWatch) -> bool {
    let zones = |watch: &CloudflareWatch| watch.zones.iter().map(|zone| zone.value.clone()).collect::<Vec<_>>();
    let api = |watch: &CloudflareWatch| watch.api.as_ref().map(|api| api.value.clone());
    let ca = |watch: &CloudflareWatch| watch.ca.as_ref().map(|ca| ca.value.clone());
    zones(one) == zones(other) && one.token.value == other.token.value && api(one) == api(other) && ca(one) == ca(other)
}
