//! The fake's time of day: the system's, a faster one, or one that the test moves.

use std::time::{Duration, Instant};

use originlock::clock::{Clock, Timestamp};

/// How time passes for the fake.
#[derive(Clone, Debug, Default)]
pub enum FakeClock {
    #[default]
    Real,
    /// So many times as fast.
    Scaled(u32),
    /// Stands until it is moved.
    Manual,
    /// A hand that others look at too.
    Shared(Clock),
}

/// A clock that has begun.
#[derive(Debug)]
pub struct Running {
    clock: FakeClock,
    start: Timestamp,
    begun: Instant,
    moved: Duration,
}

impl Running {
    /// Begins at `start`; a shared clock says itself what time it is.
    pub fn begin(clock: FakeClock, start: Timestamp) -> Self {
        Self { clock, start, begun: Instant::now(), moved: Duration::ZERO }
    }

    pub fn now(&self) -> Timestamp {
        let passed = match &self.clock {
            FakeClock::Real => self.begun.elapsed(),
            FakeClock::Scaled(factor) => self.begun.elapsed() * *factor,
            FakeClock::Manual => Duration::ZERO,
            FakeClock::Shared(clock) => return clock.now(),
        };
        self.start.after(passed + self.moved)
    }

    /// Moves any clock but the system's own, which a shared one may be.
    pub fn advance(&mut self, by: Duration) {
        match &self.clock {
            FakeClock::Shared(clock) => clock.advance(by),
            FakeClock::Real | FakeClock::Scaled(_) | FakeClock::Manual => self.moved += by,
        }
    }
}
