//! HTTP/2 to the backend.

use ::hyper::body::Incoming;
use ::hyper::server::conn::http2;
use hyper_util::rt::TokioIo;

use super::*;

/// Answers every request of one connection by `service`; hands out the connection's number.
async fn serve<F, R>(backend: &Backend, service: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + 'static,
    R: Future<Output = Response<LocalBody>> + 'static,
{
    #[derive(Clone)]
    struct Local;
    impl<F: Future<Output: 'static> + 'static> ::hyper::rt::Executor<F> for Local {
        fn execute(&self, future: F) {
            spawn_local(future);
        }
    }
    let io = TokioIo::new(backend.accept().await.0);
    let service = ::hyper::service::service_fn(move |request| {
        let response = service(request);
        async move { Ok::<_, std::convert::Infallible>(response.await) }
    });
    let _ = http2::Builder::new(Local).serve_connection(io, service).await;
}

fn spec(backend: &Backend) -> UpstreamSpec {
    let address = Address { protocol: address::Protocol::H2c, ..backend.address() };
    UpstreamSpec::new("test", vec![address])
}

#[test]
fn trailers_pass_both_ways_while_both_bodies_stream() {
    run(async {
        let backend = Backend::new().await;
        let client = client(spec(&backend));
        spawn_local(async move {
            serve(&backend, async |request: Request<Incoming>| {
                assert_eq!(request.uri().to_string(), "http://shop.example/a?b");
                assert!(!request.headers().contains_key("host"));
                let answer = Fed::default();
                let body = answer.body();
                spawn_local(async move {
                    let mut incoming = request.into_body();
                    while let Some(frame) = incoming.frame().await {
                        answer.push(Some(Ok(frame.unwrap())));
                    }
                    answer.push(None);
                });
                Response::new(body)
            })
            .await
        });
        let fed = Fed::default();
        let mut response = client.send(request(Method::POST, fed.body())).await.unwrap();
        for piece in ["one", "two"] {
            fed.data(piece);
            assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), piece);
        }
        fed.trailers();
        let trailers = response.body_mut().frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["x-sum"], "7");
        assert!(response.body_mut().frame().await.is_none());
    });
}

#[test]
fn requests_share_a_connection_and_a_closed_one_is_dialled_again() {
    run(async {
        let backend = Backend::new().await;
        let client = Rc::new(client(spec(&backend)));
        let connections = Rc::new(std::cell::Cell::new(0));
        let (count, close) = (connections.clone(), Rc::new(tokio::sync::Notify::new()));
        let closing = close.clone();
        spawn_local(async move {
            loop {
                let connection = serve(&backend, async |_| Response::new(LocalBody::from(Bytes::from("ok"))));
                count.set(count.get() + 1);
                tokio::select! { () = connection => {}, () = closing.notified() => {} }
            }
        });
        for _ in 0..3 {
            assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
        }
        assert_eq!(connections.get(), 1);
        close.notify_one();
        while connections.get() == 1 {
            yield_now().await;
        }
        turns().await;
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
    });
}

#[test]
fn a_client_that_breaks_off_is_named_as_the_cause() {
    run(async {
        let backend = Backend::new().await;
        let client = client(spec(&backend));
        spawn_local(async move {
            serve(&backend, async |request: Request<Incoming>| {
                let _ = request.into_body().collect().await;
                std::future::pending().await
            })
            .await
        });
        let fed = Fed::default();
        fed.data("ab");
        fed.push(Some(Err(BodyFailure::Downstream { reason: "client_eof", source: None })));
        let error = client.send(request(Method::POST, fed.body())).await.unwrap_err();
        assert_eq!(error.side(), Side::Downstream, "{error:?}");
    });
}

#[test]
fn an_unsent_request_goes_to_another_address_as_it_came() {
    run(async {
        let dead = Address { protocol: address::Protocol::H2c, ..Backend::new().await.address() };
        let backend = Backend::new().await;
        let client = client(UpstreamSpec::new("test", vec![dead, backend.address()]));
        let script = spawn_local(async move { backend.accept().await.answer(OK).await });
        assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
        assert_eq!(script.await.unwrap(), "GET /a?b HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    });
}

#[test]
fn a_connection_is_left_before_a_backend_would_end_it() {
    run(async {
        let backend = Backend::new().await;
        let client = client(spec(&backend));
        let script = spawn_local(async move {
            // Ends by itself once the client has moved on and the last answer is sent.
            serve(&backend, async |_| Response::new(LocalBody::Empty)).await;
            backend.accept().await
        });
        while !script.is_finished() {
            tokio::select! {
                response = client.send(get()) => drop(response.unwrap()),
                () = until_finished(&script) => {}
            }
        }
    });
}

async fn until_finished<T>(task: &tokio::task::JoinHandle<T>) {
    while !task.is_finished() {
        yield_now().await;
    }
}
