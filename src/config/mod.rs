//! What the operator wrote: read once, every mistake reported at once, each at its place.

pub mod model;
pub mod problem;
