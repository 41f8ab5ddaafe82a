//! Whoever watches while steps are taken.

use std::time::Duration;

use super::step::{Check, Step};

/// Is told what happens, as it happens.
pub trait Progress {
    /// A check was made.
    fn checked(&mut self, check: &Check);
    /// A step begins.
    fn begins(&mut self, step: &Step);
    /// It takes time: what is waited for, since when, and for how long at most. Called at each look.
    fn waits(&mut self, step: &Step, what: &str, since: Duration, limit: Duration);
    /// A step has ended, as its state says.
    fn ended(&mut self, step: &Step);
    /// Something worth a line that is no step.
    fn notes(&mut self, text: &str);
}

/// Nobody watches.
#[derive(Clone, Copy, Default, Debug)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn checked(&mut self, _: &Check) {}
    fn begins(&mut self, _: &Step) {}
    fn waits(&mut self, _: &Step, _: &str, _: Duration, _: Duration) {}
    fn ended(&mut self, _: &Step) {}
    fn notes(&mut self, _: &str) {}
}
