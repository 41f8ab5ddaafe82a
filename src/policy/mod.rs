//! What we demand of a client, and the one judgement of what it presents.

pub mod bundle;
mod chain;
pub mod client_auth;
pub mod cloudflare_ca;
pub mod crl;
pub mod hosts;
pub mod judgement;
mod memo;
pub mod pem;
pub mod pins;
pub mod proof;
pub mod trust;
pub mod verdict;
