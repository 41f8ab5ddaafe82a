//! The path of a connection and of its requests, a file per stage.

pub mod authority;
mod distinguished_name;
pub mod forwarded;
pub mod hop_by_hop;
pub mod identity_headers;
pub mod respond;
mod strip;
