//! Request and response heads (RFC 9112, sections 2 to 5).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, UPGRADE};
use http::uri::Scheme;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request, response,
};

use super::error::HeadError;
use super::framing::Framing;
use super::limits::HeadLimits;
use super::scan::HeadScanner;

/// Fields looked at without a heap allocation; larger heads cost one.
const FIELDS_ON_STACK: usize = 96;

/// What every HTTP/1 answer begins with; anything else is HTTP/0.9 or another protocol.
const RESPONSE_PREFIX: &[u8] = b"HTTP/1.";

/// A request up to its body.
#[derive(Debug)]
pub struct RequestHead {
    pub parts: request::Parts,
    pub framing: Framing,
    /// The client allows another request on this connection.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends its body.
    pub expect_continue: bool,
    /// `Connection: upgrade` and `Upgrade` are there.
    pub upgrade: bool,
}

/// A response up to its body.
#[derive(Debug)]
pub struct ResponseHead {
    pub parts: response::Parts,
    pub framing: Framing,
    /// The server allows another request on this connection.
    pub keep_alive: bool,
    /// `Connection: upgrade` and `Upgrade` are there.
    pub upgrade: bool,
}

/// Takes one request head from the front of `buf`; `None` as long as it is incomplete.
///
/// `scanner` belongs to the connection and remembers what an incomplete head has already been checked for.
/// Field values share the memory of `buf`. After an error the connection cannot be used any more.
pub fn parse_request(
    buf: &mut BytesMut,
    limits: &HeadLimits,
    scanner: &mut HeadScanner,
) -> Result<Option<RequestHead>, HeadError> {
    // One is forgiven: old clients end a body with a CRLF that no length counts (RFC 9112, section 2.2).
    if !scanner.skipped_blank_line && buf.starts_with(b"\r\n") {
        buf.advance(2);
        scanner.skipped_blank_line = true;
    }
    let Some(head) = take_head(buf, limits, scanner)? else { return Ok(None) };
    with_fields(limits, |fields| {
        let mut parsed = httparse::Request::new(&mut []);
        parsed.parse_with_uninit_headers(&head, fields).map_err(|error| request_error(error, &head))?;
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HeadError::StartLine);
        };
        let version = version(minor);
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::StartLine)?;
        let uri = target_uri(&method, target, &head)?;
        let headers = header_map(parsed.headers, &head)?;
        let framing = Framing::of_request(version, &headers)?;
        let connection = Connection::read(&headers);
        let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");

        let mut parts = Request::new(()).into_parts().0;
        let expect_continue = version == Version::HTTP_11 && headers.get(EXPECT).is_some_and(expects);
        let upgrade = version == Version::HTTP_11 && connection.upgrade && headers.contains_key(UPGRADE);
        parts.method = method;
        parts.uri = uri;
        parts.version = version;
        parts.headers = headers;
        Ok(Some(RequestHead { parts, framing, keep_alive: connection.keep_alive(version), expect_continue, upgrade }))
    })
}

/// Takes one response head from the front of `buf`; `None` as long as it is incomplete.
///
/// The method decides with the status where the body ends (RFC 9112, section 6.3).
pub fn parse_response(
    buf: &mut BytesMut,
    limits: &HeadLimits,
    scanner: &mut HeadScanner,
    request_method: &Method,
) -> Result<Option<ResponseHead>, HeadError> {
    // At once, not at the end of a line: junk without one would otherwise keep the request waiting.
    let length = buf.len().min(RESPONSE_PREFIX.len());
    if buf[..length] != RESPONSE_PREFIX[..length] {
        return Err(HeadError::StartLine);
    }
    let Some(head) = take_head(buf, limits, scanner)? else { return Ok(None) };
    with_fields(limits, |fields| {
        let mut parsed = httparse::Response::new(&mut []);
        httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut parsed, &head, fields)
            .map_err(response_error)?;
        let (Some(code), Some(minor)) = (parsed.code, parsed.version) else { return Err(HeadError::StartLine) };
        let version = version(minor);
        let status = StatusCode::from_u16(code).map_err(|_| HeadError::StartLine)?;
        let headers = header_map(parsed.headers, &head)?;
        let framing = Framing::of_response(version, &headers, status, request_method)?;
        let connection = Connection::read(&headers);

        let mut parts = Response::new(()).into_parts().0;
        let upgrade = connection.upgrade && headers.contains_key(UPGRADE);
        parts.status = status;
        parts.version = version;
        parts.headers = headers;
        Ok(Some(ResponseHead { parts, framing, keep_alive: connection.keep_alive(version), upgrade }))
    })
}

/// Reads a trailer section that ends in its empty line.
pub(super) fn parse_trailers(section: &Bytes, limits: &HeadLimits) -> Result<HeaderMap, HeadError> {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.headers.min(section.len())];
    match httparse::parse_headers(section, &mut fields) {
        Ok(httparse::Status::Complete((_, fields))) => header_map(fields, section),
        Ok(httparse::Status::Partial) => Err(HeadError::Field),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyFields),
        Err(_) => Err(HeadError::Field),
    }
}

fn take_head(buf: &mut BytesMut, limits: &HeadLimits, scanner: &mut HeadScanner) -> Result<Option<Bytes>, HeadError> {
    let Some(end) = scanner.find_end(buf, limits)? else { return Ok(None) };
    *scanner = HeadScanner::default();
    match end {
        2 => Err(HeadError::BlankLine),
        _ => Ok(Some(buf.split_to(end).freeze())),
    }
}

type Fields<'a> = [MaybeUninit<httparse::Header<'a>>];

fn with_fields<'a, T>(
    limits: &HeadLimits,
    parse: impl Fn(&mut Fields<'a>) -> Result<T, HeadError>,
) -> Result<T, HeadError> {
    let mut few = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
    match parse(&mut few[..limits.headers.min(FIELDS_ON_STACK)]) {
        Err(HeadError::TooManyFields) if limits.headers > FIELDS_ON_STACK => {
            let mut many = vec![MaybeUninit::uninit(); limits.headers];
            parse(&mut many)
        }
        result => result,
    }
}

fn request_error(error: httparse::Error, head: &[u8]) -> HeadError {
    match error {
        // Only a well-formed version of another protocol generation is 505; junk in its place is a bad request.
        httparse::Error::Version if names_http_version(head) => HeadError::Version,
        error => response_error(error),
    }
}

fn response_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::Field,
        _ => HeadError::StartLine,
    }
}

fn names_http_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let version = words.next().unwrap_or_default();
    words.next().is_none() && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

/// The four forms of RFC 9112, section 3.2, each only where it belongs.
fn target_uri(method: &Method, target: &str, head: &Bytes) -> Result<Uri, HeadError> {
    // http::Uri would silently cut a fragment off, and the backend's path would not be the one judged here.
    if target.contains('#') {
        return Err(HeadError::Target);
    }
    let uri = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_| HeadError::Target)?;
    let is_http = |scheme: &Scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
    // A user name in an authority only serves to make it look like another (RFC 9110, section 4.2.4).
    let plain_authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let allowed = if *method == Method::CONNECT {
        plain_authority && uri.scheme().is_none() && uri.port().is_some()
    } else if target == "*" {
        *method == Method::OPTIONS
    } else if target.starts_with('/') {
        uri.authority().is_none()
    } else {
        plain_authority && uri.scheme().is_some_and(is_http)
    };
    if allowed { Ok(uri) } else { Err(HeadError::Target) }
}

fn header_map(fields: &[httparse::Header<'_>], head: &Bytes) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Field)?;
        let value = match field.value {
            [] => HeaderValue::from_static(""),
            value => HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| HeadError::Field)?,
        };
        headers.try_append(name, value).map_err(|_| HeadError::TooManyFields)?;
    }
    Ok(headers)
}

/// The options of `Connection` that a codec acts on (RFC 9112, section 9.3).
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Connection {
    fn read(headers: &HeaderMap) -> Self {
        let mut connection = Self::default();
        for value in headers.get_all(CONNECTION) {
            for option in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                connection.close |= option.eq_ignore_ascii_case(b"close");
                connection.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                connection.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            }
        }
        connection
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}
