//! Promises kept: each story uses a real proxy, real TLS and a clock that it sets.

mod observe;
mod support;
