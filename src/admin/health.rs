//! Whether the process lives, and whether traffic should come here.

use std::sync::atomic::{AtomicU8, Ordering};

use axum::extract::State;
use axum::http::StatusCode;

use super::App;

/// Where the process stands in its life. Shared and set from anywhere.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

/// A stage of the process's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadyState {
    Starting,
    Ready,
    Draining,
}

impl Readiness {
    /// A process that has just begun.
    pub fn starting() -> Self {
        Self::default()
    }

    /// Moves on to `state`.
    pub fn set(&self, state: ReadyState) {
        self.0.store(state as u8, Ordering::Release);
    }

    /// The present stage.
    pub fn get(&self) -> ReadyState {
        match self.0.load(Ordering::Acquire) {
            0 => ReadyState::Starting,
            1 => ReadyState::Ready,
            _ => ReadyState::Draining,
        }
    }
}

/// 200 as long as anyone can answer.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 when traffic may come, else 503 and why.
pub(super) async fn readyz(State(state): State<App>) -> (StatusCode, &'static str) {
    match state.ready.get() {
        ReadyState::Ready => (StatusCode::OK, "ready\n"),
        ReadyState::Starting => {
            (StatusCode::SERVICE_UNAVAILABLE, "starting: the configuration is being loaded and listeners opened\n")
        }
        ReadyState::Draining => {
            (StatusCode::SERVICE_UNAVAILABLE, "draining: no new connections are taken, open requests finish\n")
        }
    }
}
