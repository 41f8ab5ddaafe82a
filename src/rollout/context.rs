//! What every step works with, and how it waits.

use std::thread;
use std::time::{Duration, Instant};

use super::error::RolloutError;
use super::journal::Journal;
use super::observed::Sources;
use super::origin::Origin;
use super::patience::Patience;
use super::progress::Progress;
use super::step::Step;
use crate::clock::Clock;
use crate::cloudflare::{Cloudflare, Zone};
use crate::remote::admin::AdminError;

/// How often whoever watches sees that time passes.
const BLINK: Duration = Duration::from_millis(250);

/// What every step works with.
pub struct Context<'a> {
    pub cloudflare: &'a Cloudflare,
    pub origin: &'a dyn Origin,
    pub zone: Zone,
    pub journal: Journal,
    pub patience: Patience,
    pub progress: &'a mut dyn Progress,
    pub clock: Clock,
}

/// What a look at something that takes time found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look<T> {
    /// It came about.
    Ready(T),
    /// Not yet; what is missing, for whoever watches.
    NotYet(String),
}

impl Context<'_> {
    /// Whom to ask.
    pub fn sources(&self) -> Sources<'_> {
        let Self { cloudflare, origin, zone, journal, .. } = self;
        Sources { cloudflare, origin: *origin, zone, entries: Some(journal.entries()) }
    }

    /// Looks until something came about, for `limit` at most. An origin that does not answer is waited for.
    ///
    /// # Errors
    /// A look failed, or the time is up: with what was missing at the end, and what to do next.
    pub fn wait<T>(
        &mut self,
        step: &Step,
        limit: Duration,
        next_step: &str,
        mut look: impl FnMut(&mut Self) -> Result<Look<T>, RolloutError>,
    ) -> Result<T, RolloutError> {
        let begun = Instant::now();
        loop {
            let missing = match look(self) {
                Ok(Look::Ready(found)) => return Ok(found),
                Ok(Look::NotYet(missing)) => missing,
                // It may be about to start again.
                Err(RolloutError::Origin(AdminError::Fetch(error))) if begun.elapsed() < limit => {
                    format!("the origin does not answer: {error}")
                }
                Err(error) => return Err(error),
            };
            let waited = begun.elapsed();
            if waited >= limit {
                return Err(RolloutError::TimedOut {
                    step: step.name,
                    subject: step.subject.clone(),
                    missing,
                    waited,
                    next_step: next_step.to_owned(),
                });
            }
            let next = (waited + self.patience.poll).min(limit);
            while begun.elapsed() < next {
                self.progress.waits(step, &missing, begun.elapsed(), limit);
                thread::sleep(BLINK.min(next.saturating_sub(begun.elapsed())));
            }
        }
    }
}
