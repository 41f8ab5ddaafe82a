//! What the process tells about itself: metrics, the log, and the one writer of handshake facts.

pub mod logging;
pub mod metrics;
pub mod observer;
mod own;

mod escape;
mod human;
