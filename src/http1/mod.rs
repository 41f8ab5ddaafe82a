//! A strict HTTP/1.1 codec (RFC 9112) that does no I/O: bytes in, heads and bodies out, and back.
//!
//! Strict because the proxy stands between two parsers: whatever two recipients could read differently (CL beside TE,
//! bare LF, obs-fold) is refused instead of repaired, so nothing ambiguous is ever passed on.

pub mod body;
pub mod encode;
pub mod error;
pub mod framing;
pub mod head;
pub mod limits;
pub mod scan;
pub mod trailers;

#[cfg(test)]
mod tests;

pub use body::{BodyDecoder, BodyError, Decoded};
pub use error::HeadError;
pub use framing::Framing;
pub use head::{RequestHead, ResponseHead, parse_request, parse_response};
pub use limits::HeadLimits;
pub use scan::HeadScanner;
