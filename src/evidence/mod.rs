//! What we have seen: handshakes, and what they add up to.

pub mod handshake;
pub mod ledger;
pub mod network;
pub mod readiness;
pub mod recorder;
pub mod report;
pub mod tally;
