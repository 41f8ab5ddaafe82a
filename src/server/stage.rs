//! The stages of a process's life, told to all its workers.

use std::time::Duration;

use tokio::sync::watch;

/// Where the process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Run,
    /// Nothing new is accepted; what runs may finish within this time.
    Drain(Duration),
    /// Nothing is waited for.
    Cut,
}

/// The present stage, and who waits for it to change. Stages are only moved on, never back.
#[derive(Clone)]
pub struct Stages(watch::Sender<Stage>);

impl Stages {
    pub fn new() -> Self {
        Self(watch::Sender::new(Stage::Run))
    }

    /// Moves on to `next`, unless the process is past it.
    pub fn enter(&self, next: Stage) {
        self.0.send_if_modified(|stage| {
            let forward = matches!((*stage, next), (Stage::Run, _) | (Stage::Drain(_), Stage::Cut));
            if forward {
                *stage = next;
            }
            forward
        });
    }

    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }
}
