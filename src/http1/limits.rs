//! How large a head may be.

/// What a peer may send before its body, or as trailers behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadLimits {
    /// Bytes from the first of the start line to the empty line, both included.
    pub bytes: usize,
    /// Header fields.
    pub headers: usize,
}
