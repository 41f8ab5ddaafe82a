//! When a connection is used again.

use super::*;

#[test]
fn a_connection_is_used_again_after_a_whole_exchange() {
    run(async {
        let backend = Backend::new().await;
        let client = backend.client();
        let script = spawn_local(async move {
            let mut peer = backend.accept().await;
            let first = peer.answer(OK).await;
            peer.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
            peer.answer("HTTP/1.1 204 No Content\r\n\r\n").await;
            peer.answer(OK).await;
            first
        });
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "");
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
        assert_eq!(script.await.unwrap(), "GET /a?b HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    });
}

#[test]
fn a_connection_on_which_something_is_left_is_not_used_again() {
    for (method, answer, expected) in [
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", "ok"),
        (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n!", "ok"),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\nx", ""),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", ""),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
        (Method::GET, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
    ] {
        run(async {
            let backend = Backend::new().await;
            let client = backend.client();
            let script = spawn_local(async move {
                let mut peer = backend.accept().await;
                peer.answer(answer).await;
                assert!(peer.is_closed().await, "{answer}");
                backend.accept().await.answer(OK).await;
            });
            let response = client.send(request(method, LocalBody::Empty)).await.unwrap();
            assert_eq!(text(response).await.unwrap(), expected, "{answer}");
            assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
            script.await.unwrap();
        });
    }
}

#[test]
fn a_pooled_connection_that_died_or_spoke_is_replaced_without_an_error() {
    for last_words in ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        run(async {
            let backend = Backend::new().await;
            let client = backend.client();
            let (gone, is_gone) = tokio::sync::oneshot::channel();
            let script = spawn_local(async move {
                let mut peer = backend.accept().await;
                peer.answer(OK).await;
                peer.write(last_words).await;
                if last_words.is_empty() {
                    drop(peer);
                    gone.send(()).unwrap();
                } else {
                    gone.send(()).unwrap();
                    assert!(peer.is_closed().await);
                }
                backend.accept().await.answer(OK).await;
            });
            assert_eq!(client.send(get()).await.unwrap().status(), 200);
            is_gone.await.unwrap();
            turns().await;
            assert_eq!(client.send(get()).await.unwrap().status(), 200);
            script.await.unwrap();
        });
    }
}

#[test]
fn idle_connections_are_closed_in_time() {
    run(async {
        let backend = Backend::new().await;
        let mut spec = UpstreamSpec::new("test", vec![backend.address()]);
        spec.timeouts.idle = Duration::from_millis(20);
        let client = client(spec);
        let script = spawn_local(async move {
            let mut peer = backend.accept().await;
            peer.answer(OK).await;
            peer.is_closed().await
        });
        client.send(get()).await.unwrap();
        assert!(script.await.unwrap(), "without another request");
    });
}

#[test]
fn a_worker_has_one_client_per_upstream_until_it_is_dropped() {
    run(async {
        let backend = Backend::new().await;
        let spec = Arc::new(UpstreamSpec::new("test", vec![backend.address()]));
        let upstreams = Upstreams::default();
        let client = upstreams.client(&spec);
        assert!(Rc::ptr_eq(&client, &upstreams.client(&spec)));
        upstreams.retain(|live| Arc::ptr_eq(live, &spec));
        assert!(Rc::ptr_eq(&client, &upstreams.client(&spec)));
        upstreams.retain(|_| false);
        assert!(!Rc::ptr_eq(&client, &upstreams.client(&spec)));
    });
}
