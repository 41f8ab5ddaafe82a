//! A server that nobody here wrote.

use ::hyper::body::Incoming;
use ::hyper::server::conn::http1;
use hyper_util::rt::TokioIo;

use super::*;

/// Sends bodies back: with their length where `x-whole` is set, else as they come, with trailers.
async fn echo(request: Request<Incoming>) -> Result<Response<LocalBody>, ::hyper::Error> {
    if request.headers().contains_key("x-whole") {
        return Ok(Response::new(request.into_body().collect().await?.to_bytes().into()));
    }
    let answer = Fed::default();
    let body = answer.body();
    spawn_local(async move {
        let mut incoming = request.into_body();
        while let Some(Ok(frame)) = incoming.frame().await {
            answer.push(Some(Ok(frame)));
        }
        answer.push(None);
    });
    Ok(Response::new(body))
}

#[test]
fn many_exchanges_at_once_each_get_their_own_bytes() {
    run(async {
        let backend = Backend::new().await;
        let client = Rc::new(backend.client());
        let connections = Rc::new(std::cell::Cell::new(0));
        let count = connections.clone();
        spawn_local(async move {
            loop {
                let io = TokioIo::new(backend.accept().await.0);
                count.set(count.get() + 1);
                spawn_local(http1::Builder::new().serve_connection(io, ::hyper::service::service_fn(echo)));
            }
        });
        let tasks: Vec<_> = (0..16usize)
            .map(|task| {
                let client = client.clone();
                spawn_local(async move {
                    for turn in 0..24usize {
                        let size = [0, 1, 700, 16_384, 70_000, 300_000][(task + turn) % 6];
                        let data = Bytes::from(vec![(task * 31 + turn) as u8; size]);
                        let streamed = turn % 2 == 0;
                        let body = if streamed { Pieces::body(data.clone()) } else { LocalBody::from(data.clone()) };
                        let mut request = request(Method::POST, body);
                        if turn % 3 == 0 {
                            request.headers_mut().insert("x-whole", HeaderValue::from_static("1"));
                        }
                        let whole = client.send(request).await.unwrap().into_body().collect().await.unwrap();
                        assert_eq!(whole.to_bytes(), data, "task {task}, turn {turn}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(connections.get() <= 16, "{} connections", connections.get());
    });
}

/// Content in uneven pieces, each after a turn of the runtime.
struct Pieces(Bytes, bool);

impl Pieces {
    fn body(data: Bytes) -> LocalBody {
        Delayed::body(LocalBody::stream(Self(data, false)))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let length = if self.1 { 40_000 } else { 977 }.min(self.0.len());
        self.1 = !self.1;
        Poll::Ready((length > 0).then(|| Ok(Frame::data(self.0.split_to(length)))))
    }
}
