//! Heads and chunks as they are sent.
//!
//! Nothing here can be talked into a second message: [`HeaderName`] holds token characters and [`HeaderValue`] no CR,
//! LF or NUL, and the fields that frame a body are written from a [`Framing`], never copied.

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::framing::{Framing, never_has_body};
use super::trailers;

/// A usual field, for the one reservation before a head is written.
const FIELD_BYTES: usize = 48;

/// Appends a request head. `target` is a path with query, or `*`; it comes from an [`http::Uri`].
pub fn write_request_head(out: &mut BytesMut, method: &Method, target: &str, headers: &HeaderMap, framing: Framing) {
    out.reserve(method.as_str().len() + target.len() + 64 + headers.len() * FIELD_BYTES);
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            write_field(out, name, value);
        }
    }
    write_framing(out, framing);
    out.put_slice(b"\r\n");
}

/// Appends a response head. `connection`, where given, takes the place of any `Connection` field.
///
/// With [`Framing::None`] a `Content-Length` of the headers is kept: an answer to HEAD and a 304 tell the length of
/// what they do not send.
pub fn write_response_head(
    out: &mut BytesMut,
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    connection: Option<&'static str>,
) {
    let keep_length = framing == Framing::None && (status == StatusCode::NOT_MODIFIED || !never_has_body(status));
    out.reserve(128 + headers.len() * FIELD_BYTES);
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    for (name, value) in headers {
        let replaced = *name == TRANSFER_ENCODING
            || (*name == CONTENT_LENGTH && !keep_length)
            || (*name == CONNECTION && connection.is_some());
        if !replaced {
            write_field(out, name, value);
        }
    }
    if let Some(connection) = connection {
        out.put_slice(b"connection: ");
        out.put_slice(connection.as_bytes());
        out.put_slice(b"\r\n");
    }
    write_framing(out, framing);
    out.put_slice(b"\r\n");
}

/// Appends what stands before a chunk of `length` bytes; `length` is not 0, which would end the body.
pub fn write_chunk_header(out: &mut BytesMut, length: usize) {
    debug_assert_ne!(length, 0);
    let mut digits = [0; 2 * size_of::<usize>()];
    let mut at = digits.len();
    let mut rest = length;
    while rest != 0 || at == digits.len() {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
    }
    out.put_slice(&digits[at..]);
    out.put_slice(b"\r\n");
}

/// Appends what stands behind a chunk.
pub fn write_chunk_end(out: &mut BytesMut) {
    out.put_slice(b"\r\n");
}

/// Appends the end of a chunked body, with those trailers that may stand there.
pub fn write_last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if trailers::is_allowed(name) {
            write_field(out, name, value);
        }
    }
    out.put_slice(b"\r\n");
}

fn write_field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    out.put_slice(name.as_str().as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}

fn write_framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Length(length) => {
            out.put_slice(b"content-length: ");
            write_decimal(out, length);
            out.put_slice(b"\r\n");
        }
    }
}

fn write_decimal(out: &mut BytesMut, number: u64) {
    let mut digits = [0; 20]; // u64::MAX has 20
    let mut at = digits.len();
    let mut rest = number;
    while rest != 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.put_slice(&digits[at..]);
}
