//! Backends that are dead, slow, or no HTTP servers.

use super::*;

#[test]
fn a_body_cut_short_is_an_error_of_the_backend() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n",
    ] {
        run(async {
            let backend = Backend::new().await;
            let client = backend.client();
            spawn_local(async move { backend.accept().await.answer(answer).await });
            let failure = text(client.send(get()).await.unwrap()).await.unwrap_err();
            assert_eq!(failure.side(), Side::Upstream, "{answer}");
        });
    }
}

#[test]
fn what_is_no_answer_is_a_bad_gateway() {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17);
    for (answer, reason) in [
        ("", "closed_before_response"),
        ("hello", "bad_response"),
        ("<html>hello</html>", "bad_response"),
        ("HTTP/1.1 200 OK\r\nConte", "bad_response"),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bad_response"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", "bad_response"),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "bad_response"),
        (&interim, "bad_response"),
    ] {
        let answer = answer.to_owned();
        run(async move {
            let backend = Backend::new().await;
            let client = backend.client();
            let shown = answer.clone();
            spawn_local(async move { backend.accept().await.answer(&answer).await });
            let error = client.send(get()).await.unwrap_err();
            assert_eq!((error.status(), error.reason()), (StatusCode::BAD_GATEWAY, reason), "{shown}");
        });
    }
}

#[test]
fn a_client_that_breaks_off_is_not_the_backends_fault() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        let script = spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.read_until("2\r\nab\r\n").await;
            assert!(peer.is_closed().await);
        });
        let fed = Fed::default();
        fed.data("ab");
        fed.push(Some(Err(BodyFailure::Downstream { reason: "client_eof", source: None })));
        let body = fed.body();
        // The first piece leaves before the failure is seen.
        let error = client.send(request(Method::POST, Delayed::body(body))).await.unwrap_err();
        assert_eq!((error.status(), error.side()), (StatusCode::BAD_REQUEST, Side::Downstream));
        script.await.unwrap();
    });
}

#[test]
fn an_address_that_refuses_is_passed_over_and_then_left_out() {
    run(async {
        let dead = Backend::new().await.address();
        let backend = Backend::new().await;
        let spec = Arc::new(UpstreamSpec::new("test", vec![dead, backend.address()]));
        let client = Client::new(spec.clone());
        spawn_local(async move {
            loop {
                let mut peer = backend.accept().await;
                spawn_local(async move { peer.answer("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await });
            }
        });
        let standing = || spec.standings(Instant::now()).map(|(_, usable)| usable).collect::<Vec<_>>();
        for _ in 0..5 {
            assert_eq!(standing(), [true, true]);
            assert_eq!(client.send(get()).await.unwrap().status(), 204);
        }
        assert_eq!(standing(), [false, true]);
        assert_eq!(client.send(get()).await.unwrap().status(), 204);
    });
}

#[test]
fn a_dead_backend_is_a_bad_gateway() {
    run(async {
        let dead = Backend::new().await.address();
        let error = client(UpstreamSpec::new("test", vec![dead])).send(get()).await.unwrap_err();
        assert_eq!((error.status(), error.reason()), (StatusCode::BAD_GATEWAY, "connect_failed"));
        let error = client(UpstreamSpec::new("test", vec![])).send(get()).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    });
}

#[test]
fn a_backend_that_keeps_silent_is_a_gateway_timeout() {
    for h2c in [false, true] {
        run(async {
            let backend = Backend::new().await;
            let mut address = backend.address();
            if h2c {
                address.protocol = address::Protocol::H2c;
            }
            let mut spec = UpstreamSpec::new("test", vec![address]);
            spec.timeouts.response_head = Some(Duration::from_millis(30));
            let _script = spawn_local(async move {
                let peer = backend.accept().await;
                std::future::pending::<()>().await;
                drop(peer);
            });
            let error = client(spec).send(get()).await.unwrap_err();
            assert_eq!((error.status(), error.reason()), (StatusCode::GATEWAY_TIMEOUT, "response_timeout"));
        });
    }
}

#[test]
fn a_slow_upload_does_not_count_against_the_backend() {
    run(async {
        let backend = Backend::new().await;
        let mut spec = UpstreamSpec::new("test", vec![backend.address()]);
        spec.timeouts.response_head = Some(Duration::from_millis(100));
        spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.read_until("0\r\n\r\n").await;
            peer.write(OK).await;
        });
        let fed = Fed::default();
        let late = fed.clone();
        spawn_local(async move {
            // Longer than the timeout: what is tested is that it does not fire.
            tokio::time::sleep(Duration::from_millis(250)).await;
            late.data("slow");
            late.push(None);
        });
        assert_eq!(client(spec).send(request(Method::POST, fed.body())).await.unwrap().status(), 200);
    });
}

#[test]
fn a_unix_socket_is_an_address_like_another() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backend.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let address = Address::parse(&format!("unix:{}", path.display())).unwrap();
        spawn_local(async move { Peer(listener.accept().await.unwrap().0).answer(OK).await });
        let client = client(UpstreamSpec::new("test", vec![address]));
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
    });
}

#[test]
fn a_failing_health_check_takes_an_address_out_and_a_passing_one_back_in() {
    run(async {
        let backend = Backend::new().await;
        let mut spec = UpstreamSpec::new("test", vec![backend.address()]);
        spec.health = Some(HealthCheck {
            path: "/up".parse().unwrap(),
            host: HeaderValue::from_static("shop.example"),
            interval: Duration::from_millis(1),
            timeout: PATIENCE,
        });
        let spec = Arc::new(spec);
        let healthy = Rc::new(std::cell::Cell::new(false));
        let script = healthy.clone();
        spawn_local(async move {
            loop {
                let answer = if script.get() { "HTTP/1.1 302 Found\r\n\r\n" } else { "HTTP/1.1 500 No\r\n\r\n" };
                assert!(backend.accept().await.answer(answer).await.starts_with("GET /up HTTP/1.1\r\n"));
            }
        });
        let watch = spawn_local(health::watch(Arc::downgrade(&spec)));
        let until = async |up: bool| {
            while spec.standings(Instant::now()).any(|(_, usable)| usable != up) {
                yield_now().await;
            }
        };
        until(false).await;
        healthy.set(true);
        until(true).await;
        drop(spec);
        watch.await.unwrap();
    });
}
