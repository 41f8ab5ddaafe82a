//! Bodies on their way through one worker.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::error::Side;

/// A request or response body; it stays on its worker's thread.
#[derive(Default)]
pub enum LocalBody {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BodyFailure>>>),
}

/// Why a body breaks off.
#[derive(Debug, thiserror::Error)]
pub enum BodyFailure {
    /// The client's body could not be read on, or is not what its head said.
    #[error("the client's body broke off: {reason}")]
    Downstream { reason: &'static str, source: Option<Box<dyn Error + Send + Sync>> },
    /// The backend's body could not be read on.
    #[error("the backend's body broke off: {reason}")]
    Upstream { reason: &'static str, source: Option<Box<dyn Error + Send + Sync>> },
}

impl BodyFailure {
    pub fn side(&self) -> Side {
        match self {
            Self::Downstream { .. } => Side::Downstream,
            Self::Upstream { .. } => Side::Upstream,
        }
    }

    /// Log field and metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Downstream { reason, .. } | Self::Upstream { reason, .. } => reason,
        }
    }

    pub(super) fn upstream(reason: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Upstream { reason, source: Some(source.into()) }
    }
}

impl LocalBody {
    /// Boxes a body that is neither empty nor complete.
    pub fn stream(body: impl Body<Data = Bytes, Error = BodyFailure> + 'static) -> Self {
        Self::Stream(Box::pin(body))
    }
}

impl Body for LocalBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(data) => {
                let data = std::mem::take(data);
                *self = Self::Empty;
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(data) => data.is_empty(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(data) => SizeHint::with_exact(data.len() as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for LocalBody {
    fn from(data: Bytes) -> Self {
        if data.is_empty() { Self::Empty } else { Self::Full(data) }
    }
}

impl fmt::Debug for LocalBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(data) => write!(f, "Full({} bytes)", data.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
