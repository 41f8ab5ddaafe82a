//! One line per shape.

use super::*;

#[test]
fn every_smuggling_shape_in_a_request_is_refused() {
    let host = "Host: a\r\n";
    for (text, error) in [
        ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), HeadError::BareLf),
        (format!("GET / HTTP/1.1\r\n{host}\n"), HeadError::BareLf),
        (format!("GET / HTTP/1.1\r\n{host}X: a\nY: b\r\n\r\n"), HeadError::BareLf),
        (format!("GET / HTTP/1.1\r\n{host}X: a\rY: b\r\n\r\n"), HeadError::BareCr),
        (format!("GET / HTTP/1.1\r\n{host}X: a\r\r\n\r\n"), HeadError::BareCr),
        (format!("GET /\r HTTP/1.1\r\n{host}\r\n"), HeadError::BareCr),
        (format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\n\r\n"), HeadError::ControlByte),
        (format!("GET /\0 HTTP/1.1\r\n{host}\r\n"), HeadError::ControlByte),
        (format!("GET / HTTP/1.1\r\n{host}X: a\x1bb\r\n\r\n"), HeadError::ControlByte),
        (format!("GET / HTTP/1.1\r\n{host}X: a\x7fb\r\n\r\n"), HeadError::ControlByte),
        (format!("GET / HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}X: a\r\n\tb\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n {host}\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}X : a\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}X\t: a\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}: a\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}X\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}X(: a\r\n\r\n"), HeadError::Field),
        (format!("GET / HTTP/1.1\r\n{host}Tr\u{e4}nsfer: a\r\n\r\n"), HeadError::Field),
        (format!("\r\n\r\nGET / HTTP/1.1\r\n{host}\r\n"), HeadError::BlankLine),
        (format!("GET / HTTP/1.2\r\n{host}\r\n"), HeadError::Version),
        (format!("GET / HTTP/2.0\r\n{host}\r\n"), HeadError::Version),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), HeadError::Version),
        (format!("GET / HTTP/0.9\r\n{host}\r\n"), HeadError::Version),
        (format!("GET / HTTP/1.10\r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET / http/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET / HTTQ/1.1\r\n{host}\r\n"), HeadError::StartLine),
        ("GET /\r\n\r\n".to_owned(), HeadError::StartLine),
        (format!("GET  / HTTP/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET /  HTTP/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET / a HTTP/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET / HTTP/1.1 \r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET\t/ HTTP/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!(" GET / HTTP/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!("G(T / HTTP/1.1\r\n{host}\r\n"), HeadError::StartLine),
        (format!("GET a HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("GET a:80 HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("GET * HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("GET /a#b HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("GET ftp://a/ HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("GET http://b@a/ HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("GET http:///a HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("CONNECT /a HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (format!("CONNECT http://a/ HTTP/1.1\r\n{host}\r\n"), HeadError::Target),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
            HeadError::SeveralContentLengths,
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
            HeadError::SeveralContentLengths,
        ),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: 5, 5\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: +5\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: -5\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: 0x5\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: 5 5\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: 5.0\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length:\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: \u{665}\r\n\r\n"), HeadError::BadContentLength),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: 18446744073709551616\r\n\r\n"), HeadError::BadContentLength),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            HeadError::ContentLengthWithTransferEncoding,
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
            HeadError::ContentLengthWithTransferEncoding,
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n"),
            HeadError::ContentLengthWithTransferEncoding,
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            HeadError::BadTransferEncoding,
        ),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n"), HeadError::BadTransferEncoding),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, chunked\r\n\r\n"),
            HeadError::BadTransferEncoding,
        ),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked;a=b\r\n\r\n"), HeadError::BadTransferEncoding),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n"), HeadError::BadTransferEncoding),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: identity\r\n\r\n"), HeadError::BadTransferEncoding),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: \x0bchunked\r\n\r\n"), HeadError::ControlByte),
        (format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding:\r\n\r\n"), HeadError::BadTransferEncoding),
        (format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n"), HeadError::TransferEncodingInHttp10),
        (format!("GET / HTTP/1.1\r\n{host}{}\r\n", "a: b\r\n".repeat(120)), HeadError::TooManyFields),
        (format!("GET / HTTP/1.1\r\n{host}a: {}\r\n\r\n", "b".repeat(8192)), HeadError::TooLarge),
        (format!("GET /{}", "b".repeat(8192)), HeadError::TooLarge),
        ("\x16\x03\x01\x02".to_owned(), HeadError::ControlByte),
    ] {
        assert_eq!(request(&text).map(|head| head.is_some()), Err(error), "{text:?}");
    }
}

#[test]
fn what_is_legal_is_read() {
    use Framing::*;
    for (text, framing, keep_alive, expect, upgrade) in [
        ("GET / HTTP/1.1\r\n\r\n", None, true, false, false),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", None, true, false, false),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", None, false, false, false),
        ("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", None, true, false, false),
        ("GET / HTTP/1.1\r\nConnection: keep-alive\r\nConnection: x , Close\r\n\r\n", None, false, false, false),
        ("GET http://a:80/b?c HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", None, true, false, false),
        ("GET //a/b HTTP/1.1\r\nHost: a\r\nX: \t a b\t \r\n\r\n", None, true, false, false),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", None, true, false, false),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", None, true, false, false),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Length(0), true, false, false),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", Length(u64::MAX), true, false, false),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: \tChunKed \r\n\r\n", Chunked, true, false, false),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n", Length(5), true, true, false),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", Length(5), false, false, false),
        ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", None, true, false, true),
        ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", None, true, false, false),
        ("GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n", None, true, false, false),
    ] {
        let head = request(text).expect(text).expect(text);
        assert_eq!(
            (head.framing, head.keep_alive, head.expect_continue, head.upgrade),
            (framing, keep_alive, expect, upgrade),
            "{text}"
        );
    }
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(120));
    assert_eq!(request(&many).unwrap().unwrap().parts.headers.get_all("a").iter().count(), 120);
}

#[test]
fn what_follows_a_head_stays_in_the_buffer() {
    let mut buf = BytesMut::from("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET");
    let mut scanner = HeadScanner::default();
    let head = parse_request(&mut buf, &LIMITS, &mut scanner).unwrap().unwrap();
    let mut decoder = BodyDecoder::new(head.framing, LIMITS);
    assert!(matches!(decoder.decode(&mut buf), Ok(Decoded::Data(data)) if data == "ab"));
    assert!(decoder.is_end());
    assert!(matches!(decoder.decode(&mut buf), Ok(Decoded::End)));
    assert_eq!(&buf[..], b"GET");
    assert!(matches!(parse_request(&mut buf, &LIMITS, &mut scanner), Ok(None)));
}

#[test]
fn a_response_ends_where_method_status_and_fields_say() {
    use Framing::*;
    let (get, head, connect) = (Method::GET, Method::HEAD, Method::CONNECT);
    for (text, method, framing, keep_alive) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &get, Length(5), true),
        ("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", &get, Length(5), true),
        ("HTTP/1.1 200 \r\nContent-Length: 5\r\nConnection: close\r\n\r\n", &get, Length(5), false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &get, Chunked, true),
        ("HTTP/1.1 200 OK\r\n\r\n", &get, UntilClose, true),
        ("HTTP/1.0 200 OK\r\n\r\n", &get, UntilClose, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &head, None, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &head, None, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", &get, None, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", &get, None, true),
        ("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", &get, None, true),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", &get, None, true),
        ("HTTP/1.1 200 OK\r\n\r\n", &connect, None, true),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", &connect, Length(5), true),
        ("HTTP/1.1 299 caf\u{e9}\r\nContent-Length: 0\r\n\r\n", &get, Length(0), true),
    ] {
        let parsed = response(text, method).expect(text).expect(text);
        assert_eq!((parsed.framing, parsed.keep_alive), (framing, keep_alive), "{text}");
    }
}

#[test]
fn every_contradictory_or_foreign_response_is_refused() {
    for (text, error) in [
        ("hello", HeadError::StartLine),
        ("<html>", HeadError::StartLine),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/2.0 200 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.2 200 OK\r\n\r\n", HeadError::StartLine),
        ("ICY 200 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.1 20 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.1 099 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.1  200 OK\r\n\r\n", HeadError::StartLine),
        ("HTTP/1.1 200 OK\n\n", HeadError::BareLf),
        ("HTTP/1.1 200 O\rK\r\n\r\n", HeadError::BareCr),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", HeadError::Field),
        ("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", HeadError::Field),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", HeadError::SeveralContentLengths),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n", HeadError::BadContentLength),
        ("HTTP/1.1 204 OK\r\nContent-Length: x\r\n\r\n", HeadError::BadContentLength),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadError::ContentLengthWithTransferEncoding,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", HeadError::BadTransferEncoding),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncodingInHttp10),
    ] {
        assert_eq!(response(text, &Method::GET).map(|head| head.is_some()), Err(error), "{text:?}");
    }
}

#[test]
fn every_bad_chunk_is_refused() {
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(17_000));
    let many_extensions = format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "a".repeat(1000)).repeat(17));
    let many_trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(121));
    let large_trailer = format!("0\r\na: {}", "b".repeat(8192));
    for (text, error) in [
        ("x\r\n", BodyError::ChunkSize),
        ("\r\n", BodyError::ChunkSize),
        (" 5\r\n", BodyError::ChunkSize),
        ("-5\r\n", BodyError::ChunkSize),
        ("0x5\r\n", BodyError::ChunkSize),
        (";a\r\n", BodyError::ChunkSize),
        ("5 5\r\n", BodyError::ChunkSize),
        ("5 \r\n", BodyError::ChunkSize),
        ("10000000000000000\r\n", BodyError::ChunkSize),
        ("00000000000000005\r\n", BodyError::ChunkSize),
        ("5\n", BodyError::ChunkEnd),
        ("5\rx", BodyError::ChunkEnd),
        ("5;a\n", BodyError::ChunkEnd),
        ("5;a\rb", BodyError::ChunkEnd),
        ("5;a\0", BodyError::ChunkExtension),
        ("1\r\nab", BodyError::ChunkEnd),
        ("1\r\na\n", BodyError::ChunkEnd),
        ("1\r\na\r\r", BodyError::ChunkEnd),
        (&extension, BodyError::ChunkExtension),
        (&many_extensions, BodyError::ChunkExtension),
        ("0\r\n\n", BodyError::Trailers(HeadError::BareLf)),
        ("0\r\na: b\n\r\n", BodyError::Trailers(HeadError::BareLf)),
        ("0\r\na : b\r\n\r\n", BodyError::Trailers(HeadError::Field)),
        ("0\r\na: b\r\n c\r\n\r\n", BodyError::Trailers(HeadError::Field)),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", BodyError::Trailers(HeadError::Field)),
        (&many_trailers, BodyError::Trailers(HeadError::TooManyFields)),
        (&large_trailer, BodyError::Trailers(HeadError::TooLarge)),
    ] {
        assert_eq!(body(text.as_bytes(), Framing::Chunked, &[]).map(|_| ()), Err(error), "{text:?}");
    }
}

#[test]
fn trailers_that_could_reframe_or_reroute_are_dropped() {
    let text = "5;x=\"y\"\r\nhello\r\n1 ;z\r\n!\r\n000\r\nGrpc-Status: 0\r\nHost: b\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\nAuthorization: x\r\nTrailer: x\r\nIf-Match: x\r\nConnection: x\r\n\r\nrest";
    let (data, trailers, rest, ended) = body(text.as_bytes(), Framing::Chunked, &[]).unwrap();
    assert_eq!((&data[..], &rest[..], ended), (&b"hello!"[..], &b"rest"[..], true));
    let trailers = trailers.unwrap();
    assert_eq!((trailers.len(), &trailers["grpc-status"]), (1, &HeaderValue::from_static("0")));
}

#[test]
fn an_end_of_connection_is_clean_only_where_the_framing_says_so() {
    for (framing, text, clean) in [
        (Framing::None, "", true),
        (Framing::UntilClose, "abc", true),
        (Framing::Length(3), "abc", true),
        (Framing::Length(4), "abc", false),
        (Framing::Chunked, "3\r\nabc\r\n0\r\n\r\n", true),
        (Framing::Chunked, "3\r\nabc\r\n0\r\n", false),
        (Framing::Chunked, "3\r\nabc\r\n", false),
        (Framing::Chunked, "", false),
    ] {
        let mut decoder = BodyDecoder::new(framing, LIMITS);
        let mut buf = BytesMut::from(text);
        while !matches!(decoder.decode(&mut buf).unwrap(), Decoded::NeedMore | Decoded::End) {}
        assert_eq!(decoder.on_eof().is_ok(), clean, "{framing:?} {text:?}");
    }
}

#[test]
fn a_response_head_carries_the_length_only_where_it_may() {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", HeaderValue::from_static("7"));
    headers.insert("transfer-encoding", HeaderValue::from_static("x"));
    headers.insert("connection", HeaderValue::from_static("upgrade"));
    for (status, framing, connection, expected) in [
        (200, Framing::Length(0), None, "HTTP/1.1 200 OK\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n"),
        (
            200,
            Framing::Chunked,
            Some("close"),
            "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (200, Framing::None, Some("close"), "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n"),
        (200, Framing::UntilClose, Some("close"), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
        (204, Framing::None, Some("close"), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
        (
            304,
            Framing::None,
            Some("keep-alive"),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\n",
        ),
        (799, Framing::None, Some("close"), "HTTP/1.1 799 \r\ncontent-length: 7\r\nconnection: close\r\n\r\n"),
    ] {
        let mut out = BytesMut::new();
        encode::write_response_head(&mut out, StatusCode::from_u16(status).unwrap(), &headers, framing, connection);
        assert_eq!(out, expected);
    }
}
