//! Why a head is refused, and what its sender is told.

use http::StatusCode;

/// Why a head or a trailer section is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("a line ends in LF without CR")]
    BareLf,
    #[error("a CR without LF")]
    BareCr,
    #[error("a control character")]
    ControlByte,
    #[error("an empty line where the start line belongs")]
    BlankLine,
    #[error("head too large")]
    TooLarge,
    #[error("too many header fields")]
    TooManyFields,
    #[error("malformed start line")]
    StartLine,
    #[error("HTTP version other than 1.0 and 1.1")]
    Version,
    #[error("malformed request target")]
    Target,
    #[error("malformed header field")]
    Field,
    #[error("several Content-Length fields")]
    SeveralContentLengths,
    #[error("malformed or overflowing Content-Length")]
    BadContentLength,
    #[error("Content-Length beside Transfer-Encoding")]
    ContentLengthWithTransferEncoding,
    #[error("Transfer-Encoding other than one `chunked`")]
    BadTransferEncoding,
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferEncodingInHttp10,
}

impl HeadError {
    /// What a server answers to such a request; a client that got such a response answers 502 instead.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::BareLf
            | Self::BareCr
            | Self::ControlByte
            | Self::BlankLine
            | Self::StartLine
            | Self::Target
            | Self::Field
            | Self::SeveralContentLengths
            | Self::BadContentLength
            | Self::ContentLengthWithTransferEncoding
            | Self::BadTransferEncoding
            | Self::TransferEncodingInHttp10 => StatusCode::BAD_REQUEST,
        }
    }
}
