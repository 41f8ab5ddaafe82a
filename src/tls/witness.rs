//! What the verifier saw of the connection that is being worked on.
//!
//! rustls calls one verifier for all connections of a policy and hands it no connection. But a step of a handshake
//! runs from start to end on one thread: what is noted between its start and its end is about that connection. So the
//! connection's witness lies in a thread-local place for the length of a step, and nowhere else.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::policy::judgement::Judgement;
use crate::policy::verdict::Verdict;

/// How long sessions may be resumed from one to the next until the client has to prove possession of its key again;
/// well within the seven days of RFC 8446, section 4.6.1.
const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

thread_local! {
    static AT_WORK: RefCell<Witness> = RefCell::default();
}

/// One connection's notes from its handshake.
#[derive(Clone, Default, Debug)]
pub(super) struct Witness {
    /// The judgement of the chain that was presented, if one was.
    pub(super) judgement: Option<Arc<Judgement>>,
    /// Whether possession of the leaf's key was proved; `None` before it was tried.
    pub(super) proved: Option<bool>,
    /// The end of the session that was offered for resumption and opened.
    pub(super) offered_until: Option<Timestamp>,
}

impl Witness {
    /// Runs one step of the handshake with this witness at work.
    pub(super) fn attend<T>(&mut self, step: impl FnOnce() -> T) -> T {
        AT_WORK.with_borrow_mut(|at_work| *at_work = mem::take(self));
        let result = step();
        *self = AT_WORK.take();
        result
    }

    /// Changes the witness at work.
    pub(super) fn note(note: impl FnOnce(&mut Self)) {
        AT_WORK.with_borrow_mut(note);
    }

    /// Asks the witness at work.
    pub(super) fn ask<T>(question: impl FnOnce(&Self) -> T) -> T {
        AT_WORK.with_borrow(question)
    }

    /// Until when a session of this connection, given out `now`, may be resumed; `None`: not at all.
    pub(super) fn resumable_until(&self, now: Timestamp) -> Option<Timestamp> {
        let at_most = now.after(SESSION_LIFETIME);
        match (&self.judgement, self.proved) {
            // No chain was judged here: none was presented, or an earlier handshake judged it and set the end.
            (None, _) => Some(self.offered_until.unwrap_or(at_most)),
            // A resumed session is judged by its chain alone: one without proof must not turn into one with.
            (Some(_), None | Some(false)) => None,
            (Some(judgement), Some(true)) => Some(match judgement.verdict {
                Verdict::Verified => at_most.min(judgement.valid.1),
                Verdict::Failed(_) | Verdict::Absent => at_most,
            }),
        }
    }
}
