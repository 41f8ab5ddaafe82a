//! HTTP/2, with hyper's client.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

use super::{Args, Scenario, wait};

const STREAMS: usize = 16;

pub(super) fn run(args: &Args) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let connector = TlsConnector::from(Arc::new(args.config(&[b"h2"])?));
    match args.scenario {
        Scenario::Idle2 => {
            // The connections' tasks live in the runtime, which goes last.
            let _open = runtime.block_on(open_and_ask(args, &connector))?;
            wait()
        }
        _ => LocalSet::new().block_on(&runtime, requests(args, &connector)),
    }
}

async fn open_and_ask(args: &Args, connector: &TlsConnector) -> Result<Vec<SendRequest<Empty<Bytes>>>> {
    let mut open = Vec::new();
    for _ in 0..args.count {
        let mut sender = connect(args, connector).await?;
        get(&mut sender, &uri(args)?).await?;
        open.push(sender);
    }
    Ok(open)
}

async fn requests(args: &Args, connector: &TlsConnector) -> Result<()> {
    let left = Rc::new(Cell::new(args.count));
    let mut streams = Vec::new();
    for _ in 0..args.connections {
        let sender = connect(args, connector).await?;
        for _ in 0..STREAMS {
            let (mut sender, left, uri) = (sender.clone(), Rc::clone(&left), uri(args)?);
            streams.push(tokio::task::spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    get(&mut sender, &uri).await?;
                }
                Result::<()>::Ok(())
            }));
        }
    }
    for stream in streams {
        stream.await??;
    }
    Ok(())
}

async fn connect(args: &Args, connector: &TlsConnector) -> Result<SendRequest<Empty<Bytes>>> {
    let socket = TcpStream::connect(args.address).await?;
    socket.set_nodelay(true)?;
    let stream = connector.connect(args.server_name()?, socket).await?;
    ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "no HTTP/2");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn uri(args: &Args) -> Result<Uri> {
    format!("https://{}{}", args.name, args.path).parse().context("name and path make no URI")
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, uri: &Uri) -> Result<()> {
    sender.ready().await?;
    let request = Request::builder().uri(uri.clone()).header("user-agent", "load").body(Empty::new())?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    response.into_body().collect().await?;
    Ok(())
}
