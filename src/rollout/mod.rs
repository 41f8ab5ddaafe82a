//! The companion: takes hostnames from nothing to enforced, renews their certificates, and takes everything back in the
//! safe order.
//!
//! Its state is read, not remembered: what is wanted is compared with what Cloudflare's API and the origin's admin API
//! tell, again after every step. The journal only settles what neither can tell after a crash.

pub mod apply;
pub mod associations;
pub mod before;
pub mod certificates;
pub mod context;
mod delete;
pub mod desired;
pub mod drift;
mod enforce;
pub mod error;
pub mod journal;
pub mod leaf;
pub mod observed;
pub mod origin;
pub mod patience;
pub mod plan;
pub mod preflight;
pub mod progress;
mod prove;
pub mod release;
pub mod rollback;
pub mod rotate;
pub mod seen;
pub mod settings;
pub mod step;
mod void;
