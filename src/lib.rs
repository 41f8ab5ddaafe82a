//! originlock stands between Cloudflare and an origin and decides who may speak to it.
//!
//! One binary in front of an origin: it terminates TLS, asks for a client certificate per SNI hostname, judges it
//! against that hostname's trust, records every handshake's outcome, and forwards HTTP to the backend.
//! The modules stand in rows; each imports only from rows below it (`docs/design/architecture.md`).
#![forbid(unsafe_code)]

pub mod admin;
pub mod alert;
pub mod cli;
pub mod clock;
pub mod cloudflare;
pub mod config;
pub mod evidence;
pub mod fetch;
pub mod hostname;
pub mod http1;
pub mod pki;
pub mod policy;
pub mod probe;
pub mod proxy;
pub mod remote;
pub mod rollout;
pub mod secret;
pub mod server;
pub mod snapshot;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod x509;
