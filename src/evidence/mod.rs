//! What we have seen: handshakes, and what they add up to.

mod account;
mod advice;
pub mod enforced;
pub mod explain;
pub mod handshake;
pub mod known;
pub mod ledger;
pub mod network;
mod notices;
pub mod published;
pub mod readiness;
pub mod recorder;
pub mod report;
pub mod requests;
mod sets;
pub mod store;
pub mod strangers;
mod sums;
pub mod tally;
pub mod window;
pub mod wording;
