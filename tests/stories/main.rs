//! Promises kept: each story uses a real proxy, real TLS and a clock that it sets.

mod http_framing;
mod observe;
mod support;
