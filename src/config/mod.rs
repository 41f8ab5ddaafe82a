//! What the operator wrote: read once, every mistake reported at once, each at its place.

mod admin;
mod cloudflare;
pub mod diff;
pub mod edit;
mod evidence;
pub mod file;
mod host;
pub mod model;
mod parse;
pub mod problem;
mod reader;
mod render;
pub mod replace;
