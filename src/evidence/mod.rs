//! What we have seen: handshakes, and what they add up to.

pub mod handshake;
pub mod recorder;
