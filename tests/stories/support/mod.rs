//! The world that stories happen in: a real proxy with a clock that the story sets, certificates of every shape, clients.

pub mod aop;
pub mod api;
pub mod backend;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod echo;
pub mod frames;
pub mod grpc;
pub mod http2;
pub mod log;
pub mod nginx;
pub mod program;
pub mod prometheus;
pub mod raw;
pub mod schema;
pub mod setup;
pub mod world;

pub use api::{Api, Reply};
pub use backend::Backend;
pub use browser::Browser;
pub use certificates::{Shape, pki};
pub use client::{Client, Version};
pub use frames::Frames;
pub use log::Log;
pub use nginx::Nginx;
pub use raw::Raw;
pub use schema::Document;
pub use setup::{HostSetup, Setup};
pub use world::World;

use std::time::Duration;

/// How long a state may take to come about before the story has failed. Nothing ever waits this long in a good run.
pub const PATIENCE: Duration = Duration::from_secs(30);
