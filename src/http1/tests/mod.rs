//! Messages as they must be read, and every way to smuggle one past us.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::*;

mod properties;
mod tables;

const LIMITS: HeadLimits = HeadLimits { bytes: 8192, headers: 120 };

fn request(text: impl AsRef<[u8]>) -> Result<Option<RequestHead>, HeadError> {
    parse_request(&mut BytesMut::from(text.as_ref()), &LIMITS, &mut HeadScanner::default())
}

fn response(text: impl AsRef<[u8]>, method: &Method) -> Result<Option<ResponseHead>, HeadError> {
    parse_response(&mut BytesMut::from(text.as_ref()), &LIMITS, &mut HeadScanner::default(), method)
}

/// Content, trailers, what is left over, and whether the body ended.
type ReadBody = (Vec<u8>, Option<HeaderMap>, Vec<u8>, bool);

/// Decodes in pieces that end at `cuts`.
fn body(text: &[u8], framing: Framing, cuts: &[usize]) -> Result<ReadBody, BodyError> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([text.len()]).collect();
    cuts.sort_unstable();
    let (mut decoder, mut buf, mut data, mut trailers, mut from) =
        (BodyDecoder::new(framing, LIMITS), BytesMut::new(), Vec::new(), None, 0);
    for cut in cuts {
        buf.extend_from_slice(&text[from..cut]);
        from = cut;
        loop {
            match decoder.decode(&mut buf)? {
                Decoded::Data(bytes) => data.extend_from_slice(&bytes),
                Decoded::Trailers(fields) => trailers = Some(fields),
                Decoded::NeedMore | Decoded::End => break,
            }
        }
    }
    Ok((data, trailers, buf.to_vec(), decoder.is_end()))
}
