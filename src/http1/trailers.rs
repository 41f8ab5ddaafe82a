//! Which fields may stand behind a body (RFC 9110, section 6.5.1).

use http::{HeaderMap, HeaderName, header};

static FORBIDDEN: [HeaderName; 23] = [
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::TRAILER,
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::WWW_AUTHENTICATE,
    header::PROXY_AUTHENTICATE,
    header::COOKIE,
    header::SET_COOKIE,
    header::CACHE_CONTROL,
    header::EXPECT,
    header::MAX_FORWARDS,
    header::PRAGMA,
    header::RANGE,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
];

/// Whether a recipient that merges trailers into the head would do no harm with this one.
///
/// Framing, routing, authentication, request modifiers and content format were decided when the head was read; a
/// trailer that could change them afterwards is an attack on the next hop.
pub fn is_allowed(name: &HeaderName) -> bool {
    !FORBIDDEN.contains(name) && !name.as_str().starts_with("if-")
}

/// Drops what [`is_allowed`] refuses.
pub fn remove_forbidden(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| !is_allowed(name)).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}
