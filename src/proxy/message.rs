//! A request as every backend will read it. The HTTP/1.1 codec refuses what has two meanings; what HTTP/2 lets through
//! and HTTP/1.1 could not carry is dealt with here, before anything is forwarded.

use http::header::{CONTENT_LENGTH, COOKIE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::http1::HeadError;

/// Refuses what cannot be forwarded and keep its meaning; the rest is brought into the one shape that backends know.
pub fn settle(parts: &mut Parts) -> Result<(), HeadError> {
    check_target(&parts.method, &parts.uri)?;
    check_length(&parts.headers)?;
    join_cookies(&mut parts.headers);
    Ok(())
}

/// Origin form, or `*` for OPTIONS (RFC 9113, section 8.3.1; RFC 9112, section 3.2). In a request line anything else
/// would be another host's target, or none.
fn check_target(method: &Method, uri: &Uri) -> Result<(), HeadError> {
    match uri.path_and_query().map(PathAndQuery::as_str) {
        // The authority stands for itself; whether the method may do so is judged elsewhere.
        None => Ok(()),
        Some("*") if *method == Method::OPTIONS => Ok(()),
        Some(target) if target.starts_with('/') => Ok(()),
        Some(_) => Err(HeadError::Target),
    }
}

/// Even identical ones: the next hop might read the other (RFC 9110, section 8.6).
fn check_length(headers: &HeaderMap) -> Result<(), HeadError> {
    match headers.get_all(CONTENT_LENGTH).iter().nth(1) {
        Some(_) => Err(HeadError::SeveralContentLengths),
        None => Ok(()),
    }
}

/// HTTP/2 may send each cookie in a field of its own, HTTP/1.1 has one for all (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).expect("values joined by a semicolon are a value");
    headers.insert(COOKIE, joined);
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn settled(method: &str, uri: &str, fields: &[(&'static str, &'static str)]) -> Option<Parts> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        settle(&mut parts).ok().map(|()| parts)
    }

    #[test]
    fn a_target_is_a_path_or_the_star_of_options() {
        for (method, uri, accepted) in [
            ("GET", "/", true),
            ("GET", "/a?b=//c", true),
            ("GET", "//a", true),
            ("GET", "http://a.example", true),
            ("GET", "http://a.example/b", true),
            ("GET", "http://a.example?b", false),
            ("GET", "*", false),
            ("OPTIONS", "*", true),
        ] {
            assert_eq!(settled(method, uri, &[]).is_some(), accepted, "{method} {uri}");
        }
    }

    #[test]
    fn a_length_is_said_once() {
        assert!(settled("POST", "/", &[("content-length", "3")]).is_some());
        assert!(settled("POST", "/", &[("content-length", "3"), ("content-length", "3")]).is_none());
    }

    #[test]
    fn cookies_arrive_in_one_field() {
        for (crumbs, whole) in [(&["a=b"][..], "a=b"), (&["a=b", "c=d; e=f", "g="], "a=b; c=d; e=f; g=")] {
            let fields: Vec<_> = crumbs.iter().map(|crumb| ("cookie", *crumb)).collect();
            let parts = settled("GET", "/", &fields).unwrap();
            let found: Vec<_> = parts.headers.get_all(COOKIE).iter().collect();
            assert_eq!(found, [whole]);
        }
    }
}
