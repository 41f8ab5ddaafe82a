//! What we have seen: handshakes, and what they add up to.

mod advice;
pub mod explain;
pub mod handshake;
pub mod known;
pub mod ledger;
pub mod network;
mod notices;
pub mod readiness;
pub mod recorder;
pub mod report;
pub mod tally;
mod wording;
