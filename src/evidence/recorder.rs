//! The handshakes of the last while, for whoever looks or waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::handshake::HandshakeOutcome;

/// Outcomes kept: what a person scrolls through, and a few hundred kilobytes at most.
const CAPACITY: usize = 1000;

/// A bounded ring of the last outcomes. The oldest gives way.
#[derive(Debug, Default)]
pub struct Recent {
    ring: Mutex<Ring>,
    grown: Condvar,
}

/// One outcome and its number, counted from 1 without gaps.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub sequence: u64,
    pub outcome: Arc<HandshakeOutcome>,
}

#[derive(Debug, Default)]
struct Ring {
    outcomes: VecDeque<Recorded>,
    last_sequence: u64,
}

impl Recent {
    /// Adds `outcome` and wakes everyone who waits.
    pub fn push(&self, outcome: Arc<HandshakeOutcome>) {
        let mut ring = self.lock();
        if ring.outcomes.len() == CAPACITY {
            ring.outcomes.pop_front();
        }
        ring.last_sequence += 1;
        let sequence = ring.last_sequence;
        ring.outcomes.push_back(Recorded { sequence, outcome });
        drop(ring);
        self.grown.notify_all();
    }

    /// What came after number `after` and is still kept, oldest first. `0` gives all.
    pub fn snapshot(&self, after: u64) -> Vec<Recorded> {
        self.lock().after(after).cloned().collect()
    }

    /// The last `limit` outcomes, newest first.
    pub fn latest(&self, limit: usize) -> Vec<Recorded> {
        self.lock().outcomes.iter().rev().take(limit).cloned().collect()
    }

    /// The number of the last outcome, 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.lock().last_sequence
    }

    /// Waits until an outcome after number `after` satisfies `wanted`, at most `timeout`. Blocks the thread.
    pub fn wait_for(
        &self,
        after: u64,
        timeout: Duration,
        mut wanted: impl FnMut(&HandshakeOutcome) -> bool,
    ) -> Option<Recorded> {
        let deadline = Instant::now() + timeout;
        let mut seen = after;
        let mut ring = self.lock();
        loop {
            if let Some(found) = ring.after(seen).find(|recorded| wanted(&recorded.outcome)) {
                return Some(found.clone());
            }
            seen = ring.last_sequence.max(seen);
            let left = deadline.checked_duration_since(Instant::now())?;
            ring = self.grown.wait_timeout(ring, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn after(&self, sequence: u64) -> impl Iterator<Item = &Recorded> {
        let start = self.outcomes.partition_point(|recorded| recorded.sequence <= sequence);
        self.outcomes.range(start..)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::hostname::Hostname;
    use crate::policy::client_auth::Mode;
    use crate::policy::verdict::{Decision, Reason, Verdict};

    /// An admitted handshake under observe with a certificate that no CA of the bundle issued.
    pub(crate) fn outcome(server_name: &str) -> HandshakeOutcome {
        HandshakeOutcome {
            at: Timestamp::from_seconds(1_800_000_000),
            peer: "127.0.0.1:53344".parse().expect("an address"),
            server_name: Some(Hostname::parse(server_name).expect("a hostname")),
            host: Some(server_name.into()),
            mode: Some(Mode::Observe),
            trust: None,
            verdict: Verdict::Failed(Reason::UnknownIssuer),
            reason: Reason::UnknownIssuer,
            decision: Decision::Admit,
            would_refuse: true,
            proved: true,
            matched: None,
            certificate: None,
            chain_length: 1,
            tls_version: Some("1.3"),
            cipher: Some("TLS_AES_128_GCM_SHA256"),
            group: Some("X25519MLKEM768"),
            alpn: Some("h2"),
            resumed: false,
            duration: Duration::from_micros(4250),
            alert: None,
            detail: None,
            own: false,
        }
    }

    #[test]
    fn the_oldest_gives_way() {
        let recent = Recent::default();
        for _ in 0..CAPACITY + 5 {
            recent.push(Arc::new(outcome("a.example")));
        }
        let all = recent.snapshot(0);
        assert_eq!((all.len(), all[0].sequence, recent.last_sequence()), (CAPACITY, 6, 1005));
        assert_eq!(recent.snapshot(1004).len(), 1);
        assert_eq!(recent.snapshot(2000).len(), 0);
        assert_eq!(recent.latest(2).iter().map(|recorded| recorded.sequence).collect::<Vec<_>>(), [1005, 1004]);
    }

    #[test]
    fn waiting_ends_with_the_outcome_that_is_waited_for() {
        let recent = Arc::new(Recent::default());
        recent.push(Arc::new(outcome("early.example")));
        let writer = recent.clone();
        let thread = std::thread::spawn(move || {
            for name in ["other.example", "wanted.example"] {
                writer.push(Arc::new(outcome(name)));
            }
        });
        let wanted = |name: &'static str| move |outcome: &HandshakeOutcome| outcome.host.as_deref() == Some(name);
        let found = recent.wait_for(1, Duration::from_secs(30), wanted("wanted.example")).expect("it comes");
        assert_eq!(found.sequence, 3);
        thread.join().expect("the writer ends");
        assert!(recent.wait_for(1, Duration::ZERO, wanted("early.example")).is_none(), "it lies before");
    }
}
