//! HTTP/1.1 towards the client: heads in, answers out, one after the other (RFC 9112).
//!
//! The codec is our own ([`crate::http1`]): a message whose length two readers could understand differently is refused
//! here and never reaches the backend.

mod inbound;
mod outbound;
mod tunnel;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};

use self::inbound::InboundBody;
use self::outbound::Answer;
use self::tunnel::Tunnel;
use self::wire::{NoHead, Wire};
use super::lifetime::{Lifetime, Phase};
use super::requests::Requests;
use crate::config::model::Limits;
use crate::http1::framing::Framing;
use crate::http1::head::RequestHead;
use crate::tls::stream::TlsStream;
use crate::upstream::{LocalBody, UpgradedUpstream};

/// Serves requests until either side closes, time is up or the connection is told to close.
pub async fn serve(stream: TlsStream, requests: Requests, lifetime: &Rc<Lifetime>, limits: &Limits) {
    let wire = Rc::new(RefCell::new(Wire::new(stream, Rc::clone(lifetime), limits)));
    let end = loop {
        let idle_limit = idle_limit(&requests, limits);
        lifetime.enter(Phase::Idle, Some(idle_limit));
        let next = match wire::read_head(&wire).await {
            Ok(head) => Box::pin(exchange(&wire, head, &requests)).await,
            Err(NoHead::End) => Next::Close,
            Err(NoHead::Refused(error)) => {
                refuse_head(&wire, requests.refuse(&error)).await;
                Next::Close
            }
        };
        if !matches!(next, Next::Request) {
            break (next, idle_limit);
        }
    };
    // HTTP/2 to the backend goes on with an upload after the answer's end.
    wire.borrow_mut().end_body();
    match end {
        (Next::Close, _) => wire::close(&wire).await,
        (Next::Tunnel(tunnel), idle_limit) => {
            // Nobody else reads a request's body by now: one that asks for a tunnel has none.
            if let Ok(wire) = Rc::try_unwrap(wire) {
                tunnel.run(wire.into_inner(), &requests, idle_limit).await;
            }
        }
        (Next::Request | Next::Gone, _) => {}
    }
}

/// What follows an exchange.
enum Next {
    Request,
    Close,
    /// The backend switched protocols.
    Tunnel(Box<Tunnel>),
    /// The client left, or was cut off.
    Gone,
}

fn idle_limit(requests: &Requests, limits: &Limits) -> Duration {
    match requests.is_verified() {
        true => limits.idle_verified,
        false => limits.idle_stranger,
    }
}

async fn exchange(wire: &Rc<RefCell<Wire>>, head: RequestHead, requests: &Requests) -> Next {
    let lifetime = wire.borrow().lifetime();
    lifetime.enter(Phase::Busy, None);
    let version = head.parts.version;
    let method = head.parts.method.clone();
    let keep_alive = head.keep_alive;
    let (request, body_follows) = with_body(wire, head);
    let answering = wire::unless_client_leaves(wire, requests.answer(request));
    let Some((mut response, keep_open)) = answering.await else {
        return Next::Gone;
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let backend = response.extensions_mut().remove::<UpgradedUpstream>().and_then(|upgraded| upgraded.take());
        return match backend {
            Some(backend) if !body_follows => Next::Tunnel(Box::new(Tunnel::new(response, backend))),
            Some(_) | None => Next::Close,
        };
    }
    let keep_alive = keep_alive && keep_open && version == Version::HTTP_11 && !lifetime.is_closing();
    let answer = Answer { method, version, keep_alive };
    match outbound::write(wire, response, answer).await {
        Ok(true) if wire.borrow_mut().body_is_over() => Next::Request,
        Ok(_) => Next::Close,
        Err(_) => Next::Gone,
    }
}

/// Gives the request its body, read from the wire as it is asked for.
fn with_body(wire: &Rc<RefCell<Wire>>, head: RequestHead) -> (Request<LocalBody>, bool) {
    let number = wire.borrow_mut().begin_body(head.framing, head.expect_continue);
    let (body, follows) = match head.framing {
        Framing::None | Framing::Length(0) => (LocalBody::Empty, false),
        _ => (LocalBody::stream(InboundBody::new(Rc::clone(wire), number)), true),
    };
    (Request::from_parts(head.parts, body), follows)
}

/// A head that cannot be trusted to end where it seems to is answered, and nothing behind it is read.
async fn refuse_head(wire: &Rc<RefCell<Wire>>, response: Response<LocalBody>) {
    let answer = Answer { method: http::Method::GET, version: Version::HTTP_11, keep_alive: false };
    // The peer may be gone already; there is nobody else to tell.
    let _ = outbound::write(wire, response, answer).await;
}
