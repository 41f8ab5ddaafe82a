//! The path of a connection and of its requests, a file per stage.

pub mod admission;
pub mod authority;
mod connection;
mod distinguished_name;
mod error;
pub mod forwarded;
mod frames;
pub mod hop_by_hop;
mod http1;
mod http2;
pub mod identities;
pub mod identity_headers;
pub mod lifetime;
pub mod listener;
mod message;
mod notes;
mod readers;
mod requests;
pub mod respond;
mod standing;
mod strip;
pub mod worker;
