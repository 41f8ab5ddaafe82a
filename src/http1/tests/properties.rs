//! What holds for every message.

use proptest::prelude::*;

use super::*;

fn field_name() -> impl Strategy<Value = HeaderName> {
    "x-[a-z0-9!#$%&'*+.^_`|~-]{0,12}".prop_map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap())
}

fn field_value() -> impl Strategy<Value = HeaderValue> {
    "([!-~\u{80}-\u{ff}]([ -~\t]{0,20}[!-~])?)?".prop_map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap())
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    proptest::collection::vec((field_name(), field_value()), 0..20).prop_map(|fields| fields.into_iter().collect())
}

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![Just(Framing::None), any::<u64>().prop_map(Framing::Length), Just(Framing::Chunked)]
}

/// Pieces of messages, so that chance gets past the first line.
fn almost_http() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        proptest::sample::select(vec![
            "GET ",
            "POST ",
            "/",
            "a",
            "*",
            " HTTP/1.1",
            " HTTP/1.0",
            "HTTP/1.1 ",
            "200",
            "204",
            "\r\n",
            "\r\n\r\n",
            "\r",
            "\n",
            ": ",
            "host: a\r\n",
            "content-length: ",
            "transfer-encoding: chunked\r\n",
            "connection: close\r\n",
            "0",
            "5",
            "ff",
            ";",
            ",",
            " ",
            "\t",
            "\0",
            "0\r\n\r\n",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in almost_http()) {
        let _ = request(&bytes);
        let _ = response(&bytes, &Method::GET);
        for framing in [Framing::None, Framing::Length(7), Framing::Chunked, Framing::UntilClose] {
            let _ = body(&bytes, framing, &[]);
        }
    }

    #[test]
    fn a_request_cut_anywhere_reads_as_the_whole(bytes in almost_http(), cuts in proptest::collection::vec(any::<usize>(), 0..6)) {
        let mut whole = BytesMut::from(&bytes[..]);
        let expected = parse_request(&mut whole, &LIMITS, &mut HeadScanner::default());
        let (mut buf, mut scanner, mut got, mut from) = (BytesMut::new(), HeadScanner::default(), Ok(None), 0);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
        cuts.sort_unstable();
        for cut in cuts {
            buf.extend_from_slice(&bytes[from..cut]);
            from = cut;
            if matches!(got, Ok(None)) {
                got = parse_request(&mut buf, &LIMITS, &mut scanner);
            }
        }
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
        if matches!(got, Ok(Some(_))) {
            prop_assert_eq!(buf, whole);
        }
    }

    #[test]
    fn a_body_cut_anywhere_reads_as_the_whole(
        bytes in prop_oneof![almost_http(), Just(b"5;a\r\nhello\r\n1\r\n!\r\n0\r\nx-a: b\r\n\r\nrest".to_vec())],
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
        length in 0u64..40,
    ) {
        for framing in [Framing::None, Framing::Length(length), Framing::Chunked, Framing::UntilClose] {
            prop_assert_eq!(body(&bytes, framing, &cuts), body(&bytes, framing, &[]));
        }
    }

    #[test]
    fn a_request_head_reads_back_as_it_was_written(headers in fields(), framing in framing(), path in "/[a-z0-9/?=&%]{0,30}") {
        let mut buf = BytesMut::new();
        encode::write_request_head(&mut buf, &Method::PUT, &path, &headers, framing);
        let head = parse_request(&mut buf, &LIMITS, &mut HeadScanner::default()).unwrap().unwrap();
        let mut read = head.parts.headers;
        read.remove("content-length");
        read.remove("transfer-encoding");
        prop_assert_eq!((head.parts.method, head.parts.uri.to_string(), head.framing), (Method::PUT, path, framing));
        prop_assert_eq!(read, headers);
        prop_assert!(buf.is_empty());
    }

    #[test]
    fn a_response_head_reads_back_as_it_was_written(headers in fields(), framing in framing(), status in 205u16..304) {
        let (mut buf, status) = (BytesMut::new(), StatusCode::from_u16(status).unwrap());
        encode::write_response_head(&mut buf, status, &headers, framing, None);
        let head = parse_response(&mut buf, &LIMITS, &mut HeadScanner::default(), &Method::GET).unwrap().unwrap();
        let expected = if framing == Framing::None { Framing::UntilClose } else { framing };
        let mut read = head.parts.headers;
        read.remove("content-length");
        read.remove("transfer-encoding");
        prop_assert_eq!((head.parts.status, head.framing), (status, expected));
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn a_chunked_body_reads_back_as_it_was_written(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
        trailers in fields(),
    ) {
        let mut out = BytesMut::new();
        for chunk in &chunks {
            encode::write_chunk_header(&mut out, chunk.len());
            out.extend_from_slice(chunk);
            encode::write_chunk_end(&mut out);
        }
        encode::write_last_chunk(&mut out, Some(&trailers));
        let (data, read, rest, ended) = body(&Bytes::from(out), Framing::Chunked, &[]).unwrap();
        prop_assert_eq!((data, rest, ended), (chunks.concat(), Vec::new(), true));
        prop_assert_eq!(read.unwrap_or_default(), trailers);
    }
}
