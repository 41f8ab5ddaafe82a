//! What we demand of a client, and the one judgement of what it presents.

pub mod client_auth;
pub mod hosts;
pub mod pins;
pub mod proof;
pub mod trust;
pub mod verdict;
