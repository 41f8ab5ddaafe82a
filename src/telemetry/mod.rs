//! What the process tells about itself: metrics, the log, and the one writer of handshake facts.

pub mod logging;
pub mod metrics;
pub mod observer;
mod own;

pub mod escape;
mod human;
