//! How long a message body is (RFC 9112, section 6.3).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::error::HeadError;

/// Where a body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body.
    None,
    /// After this many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// When the peer closes; responses only.
    UntilClose,
}

/// What the fields alone say, before method and status are looked at.
enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

impl Framing {
    pub(super) fn of_request(version: Version, headers: &HeaderMap) -> Result<Self, HeadError> {
        Ok(match declared(version, headers)? {
            Declared::Nothing => Self::None,
            Declared::Length(length) => Self::Length(length),
            Declared::Chunked => Self::Chunked,
        })
    }

    pub(super) fn of_response(
        version: Version,
        headers: &HeaderMap,
        status: StatusCode,
        request_method: &Method,
    ) -> Result<Self, HeadError> {
        // The fields are judged even where they do not count: a backend that contradicts itself is not trusted.
        let declared = declared(version, headers)?;
        let tunnel = *request_method == Method::CONNECT && status.is_success();
        if *request_method == Method::HEAD || tunnel || never_has_body(status) {
            return Ok(Self::None);
        }
        Ok(match declared {
            Declared::Nothing => Self::UntilClose,
            Declared::Length(length) => Self::Length(length),
            Declared::Chunked => Self::Chunked,
        })
    }
}

/// 1xx, 204 and 304 end with their head, whatever their fields say.
pub(super) fn never_has_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

fn declared(version: Version, headers: &HeaderMap) -> Result<Declared, HeadError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(Declared::Nothing),
        (Some(_), Some(_)) => Err(HeadError::ContentLengthWithTransferEncoding),
        (Some(length), None) => match lengths.next() {
            // Even identical ones: the next hop might have read the other (RFC 9112, section 6.3, item 5).
            Some(_) => Err(HeadError::SeveralContentLengths),
            None => Ok(Declared::Length(content_length(length.as_bytes())?)),
        },
        (None, Some(encoding)) => {
            if version == Version::HTTP_10 {
                return Err(HeadError::TransferEncodingInHttp10);
            }
            match encodings.next().is_none() && encoding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                true => Ok(Declared::Chunked),
                false => Err(HeadError::BadTransferEncoding),
            }
        }
    }
}

/// Digits only: `str::parse` would also take `+5`.
fn content_length(text: &[u8]) -> Result<u64, HeadError> {
    if text.is_empty() {
        return Err(HeadError::BadContentLength);
    }
    text.iter().try_fold(0u64, |length, byte| {
        let digit =
            if byte.is_ascii_digit() { u64::from(byte - b'0') } else { return Err(HeadError::BadContentLength) };
        length.checked_mul(10).and_then(|tens| tens.checked_add(digit)).ok_or(HeadError::BadContentLength)
    })
}
