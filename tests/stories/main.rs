//! Promises kept: each story uses a real proxy, real TLS and a clock that it sets.

mod admin;
mod certificate_log;
mod crowd;
mod curl;
mod drain;
mod evidence;
mod http_bodies;
mod http_bounds;
mod http_framing;
mod http_grpc;
mod http_headers;
mod http_hosts;
mod http_upgrade;
mod http_upstreams;
mod live_connections;
mod matrix;
mod metrics;
mod nginx;
mod openssl;
mod pins;
mod reload;
mod sessions;
mod sni;
mod stalls;
mod support;
