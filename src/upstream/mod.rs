//! The way to a backend.

pub mod address;
