//! Requests, answers and tunnels as they should be.

use super::*;

#[test]
fn a_head_that_may_have_no_body_ends_with_its_head() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
            peer.answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").await;
            peer.answer("HTTP/1.1 204 No Content\r\n\r\n").await;
        });
        let response = client.send(request(Method::HEAD, LocalBody::Empty)).await.unwrap();
        assert_eq!(response.headers()["content-length"], "9");
        assert!(response.body().is_end_stream());
        for status in [304, 204] {
            let response = client.send(get()).await.unwrap();
            assert_eq!(response.status(), status);
            assert!(response.body().is_end_stream());
        }
    });
}

#[test]
fn the_body_is_framed_by_what_is_known_of_it() {
    let fed = Fed::default();
    fed.data("ab");
    fed.data("cde");
    fed.trailers();
    for (method, body, framed) in [
        (Method::GET, LocalBody::Empty, "\r\n"),
        (Method::DELETE, LocalBody::Empty, "\r\n"),
        (Method::POST, LocalBody::Empty, "content-length: 0\r\n\r\n"),
        (Method::PUT, LocalBody::Full(Bytes::new()), "content-length: 0\r\n\r\n"),
        (Method::GET, LocalBody::Full(Bytes::from_static(b"abc")), "content-length: 3\r\n\r\nabc"),
        (Method::POST, fed.body(), "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nx-sum: 7\r\n\r\n"),
    ] {
        run(async {
            let backend = Backend::new().await;
            let client = backend.client();
            let script = spawn_local(async move {
                let mut peer = backend.accept().await;
                let head = peer.read_until("host: shop.example\r\n").await;
                let rest = peer.read_until(framed).await;
                peer.write(OK).await;
                (head, rest)
            });
            let request = request(method.clone(), body);
            assert_eq!(text(client.send(request).await.unwrap()).await.unwrap(), "ok");
            let (head, rest) = script.await.unwrap();
            assert_eq!(head, format!("{method} /a?b HTTP/1.1\r\nhost: shop.example\r\n"));
            assert_eq!(rest, framed);
        });
    }
}

#[test]
fn large_bodies_pass_both_ways_at_once() {
    run(async {
        const SIZE: usize = 3_000_000;
        let backend = Backend::new().await;
        let client = backend.client();
        let script = spawn_local(async move {
            let mut peer = backend.accept().await;
            let head = peer.answer(&format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
            // An echo: it stops reading as soon as nobody reads what it writes.
            let (mut from, mut to) = peer.0.split();
            tokio::io::copy(&mut (&mut from).take(SIZE as u64), &mut to).await.unwrap();
            head
        });
        let sent: Bytes = (0..SIZE).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        let response = client.send(request(Method::POST, LocalBody::Full(sent.clone()))).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(SIZE as u64));
        assert!(response.into_body().collect().await.unwrap().to_bytes() == sent);
        assert!(script.await.unwrap().contains("content-length: 3000000\r\n"));
    });
}

#[test]
fn response_trailers_arrive_and_the_connection_lives_on() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n")
                .await;
            peer.answer(OK).await;
        });
        let body = client.send(get()).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-sum"], "9");
        assert_eq!(body.to_bytes(), "ok");
        assert_eq!(client.send(get()).await.unwrap().status(), 200);
    });
}

#[test]
fn an_early_answer_is_delivered_while_the_upload_goes_on() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        let script = spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            assert_eq!(peer.read_until("later\r\n").await, "5\r\nlater\r\n");
            peer.write("4\r\nseen\r\n").await;
            peer.read_until("0\r\n\r\n").await;
            peer.write("0\r\n\r\n").await;
            peer.answer(OK).await;
        });
        let fed = Fed::default();
        let mut response = client.send(request(Method::POST, fed.body())).await.unwrap();
        fed.data("later");
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "seen");
        fed.push(None);
        assert!(response.body_mut().frame().await.is_none());
        assert_eq!(client.send(get()).await.unwrap().status(), 200, "on the same connection");
        script.await.unwrap();
    });
}

#[test]
fn an_answer_that_ends_before_the_upload_closes_the_connection() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        let script = spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
            assert!(peer.is_closed().await);
        });
        let fed = Fed::default();
        let response = client.send(request(Method::POST, fed.body())).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(text(response).await.unwrap(), "big");
        script.await.unwrap();
    });
}

#[test]
fn an_answer_to_an_upload_the_backend_refused_to_read_still_counts() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
            // Closed with the upload unread: the connection is reset.
        });
        let large = LocalBody::Full(vec![0; 20_000_000].into());
        let response = client.send(request(Method::POST, large)).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(text(response).await.unwrap(), "big");
    });
}

#[test]
fn a_body_without_a_length_ends_with_its_connection() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        spawn_local(async move { backend.accept().await.answer("HTTP/1.0 200 OK\r\n\r\nall of it").await });
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "all of it");
    });
}

#[test]
fn interim_answers_are_not_the_answer() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").await;
            peer.write(OK).await;
        });
        let response = client.send(get()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("link"));
    });
}

#[test]
fn a_tunnel_opens_only_for_the_protocol_that_was_asked_for() {
    for (protocol, opens) in [("WebSocket", true), ("websocket, x", false), ("other", false)] {
        run(async move {
            let backend = Backend::new().await;
            let client = backend.client();
            let script = spawn_local(async move {
                let mut peer = backend.accept().await;
                let head = format!("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\nhi");
                peer.answer(&head).await;
                if opens {
                    peer.read_until("ping").await;
                    peer.write("pong").await;
                }
            });
            let mut request = get();
            request.headers_mut().insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
            request.headers_mut().insert("upgrade", HeaderValue::from_static("websocket"));
            let result = client.send(request).await;
            if !opens {
                assert!(matches!(result, Err(UpstreamError::UnexpectedUpgrade)), "{protocol}");
                return;
            }
            let response = result.unwrap();
            let upgraded = response.extensions().get::<UpgradedUpstream>().unwrap();
            let mut tunnel = upgraded.take().unwrap();
            assert!(upgraded.take().is_none());
            tunnel.write_all(b"ping").await.unwrap();
            let mut read = [0; 6];
            tunnel.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"hipong");
            script.await.unwrap();
        });
    }
}
