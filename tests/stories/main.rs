//! Promises kept: each story uses a real proxy, real TLS and a clock that it sets.

mod certificate_log;
mod live_connections;
mod matrix;
mod reload;
mod sessions;
mod support;
