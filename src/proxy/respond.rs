//! Our own refusals: the same few words for everyone.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

/// An answer of ours instead of the backend's.
///
/// `sentence` is a constant, so nothing of the request is reflected; why a certificate failed is in the log and never
/// here. `no-store`: a cache in between must not keep a refusal for those who come after.
pub fn respond(status: StatusCode, sentence: &'static str) -> Response<Bytes> {
    let body = match status.canonical_reason() {
        Some(phrase) => format!("{} {phrase}: {sentence}\n", status.as_str()),
        None => format!("{}: {sentence}\n", status.as_str()),
    };
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_its_status_and_a_constant_sentence() {
        let response = respond(StatusCode::MISDIRECTED_REQUEST, "this connection is for another host");
        assert_eq!(response.status(), 421);
        assert_eq!(response.body(), "421 Misdirected Request: this connection is for another host\n");
        assert_eq!(response.headers()[CONTENT_LENGTH], response.body().len().to_string());
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers().len(), 3);
    }
}
