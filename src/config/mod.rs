//! What the operator wrote: read once, every mistake reported at once, each at its place.

mod evidence;
pub mod file;
mod host;
pub mod model;
mod parse;
pub mod problem;
mod reader;
mod render;
