//! Promises kept: each story uses a real proxy, real TLS and a clock that it sets.

mod certificate_log;
mod crowd;
mod curl;
mod drain;
mod live_connections;
mod matrix;
mod metrics;
mod openssl;
mod pins;
mod reload;
mod sessions;
mod sni;
mod support;
