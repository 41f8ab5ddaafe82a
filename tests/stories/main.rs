//! Promises kept: each story uses a real proxy, real TLS and a clock that it sets.

mod http_bodies;
mod http_framing;
mod http_headers;
mod http_hosts;
mod http_upgrade;
mod observe;
mod support;
