//! What we have seen: handshakes, and what they add up to.

mod account;
pub mod handshake;
pub mod ledger;
pub mod network;
pub mod readiness;
pub mod recorder;
pub mod report;
pub mod requests;
mod sets;
pub mod store;
pub mod strangers;
pub mod tally;
pub mod window;
