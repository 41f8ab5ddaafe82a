//! TLS towards the client: from the first byte of a ClientHello to a finished session. A home of rustls.

pub mod accept;
mod alert;
pub mod hello;
mod names;
pub mod policy_digest;
pub mod server_config;
pub mod stream;
pub mod tickets;
mod verify;
mod witness;

#[cfg(test)]
mod after_close_notify;
