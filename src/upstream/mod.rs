//! The way to a backend: which address, on which connection, one request and its answer.
//!
//! An [`UpstreamSpec`] is immutable, belongs to a snapshot and is shared between workers; a [`Client`] is one worker's
//! part of it (connections, pools) and never leaves its thread.

pub mod address;
pub mod balance;
pub mod body;
pub mod client;
pub mod connect;
pub mod error;
mod exchange;
pub mod health;
mod http2;
mod pool;
mod response;
pub mod spec;
pub mod upgrade;
mod upload;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use balance::Balance;
pub use body::{BodyFailure, LocalBody};
pub use client::{Client, Upstreams};
pub use error::{Side, UpstreamError};
pub use health::HealthCheck;
pub use spec::{Timeouts, UpstreamSpec};
pub use upgrade::{UpgradedIo, UpgradedUpstream};
