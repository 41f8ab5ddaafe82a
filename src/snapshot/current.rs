//! The snapshot in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::Snapshot;

/// Where every worker finds the snapshot in force; a swap is seen by all at once.
#[derive(Debug)]
pub struct Current {
    snapshot: ArcSwap<Snapshot>,
    generation: AtomicU64,
}

impl Current {
    /// Starts with `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        let generation = snapshot.generation.into();
        Self { snapshot: ArcSwap::from_pointee(snapshot), generation }
    }

    /// The snapshot in force.
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The generation in force: one load, for the question "has anything changed?" on every request.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts `snapshot` in force.
    pub fn swap(&self, snapshot: Snapshot) {
        let generation = snapshot.generation;
        self.snapshot.store(Arc::new(snapshot));
        // After the snapshot: who sees the new generation finds the new snapshot.
        self.generation.store(generation, Ordering::Release);
    }
}
