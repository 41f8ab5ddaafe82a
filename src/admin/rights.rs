//! Who may read, and who may change. Only what proves itself may; a socket file's owner and mode are such a proof.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::Problem;

/// What a route asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Right {
    /// To know what is seen and configured.
    Read,
    /// To change what is demanded. Includes reading.
    Change,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// A process of this user, through the socket file.
    Unix {
        uid: u32,
    },
    Tcp {
        address: SocketAddr,
    },
}

/// Whoever sent a request, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) may_change: bool,
    /// For the log: never a secret.
    pub(super) by: Arc<str>,
}

/// Lets a request pass that has `right`.
pub(super) async fn check(State((_state, right)): State<(App, Right)>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let caller = match peer {
        Some(Peer::Unix { uid }) => Caller { may_change: true, by: format!("unix socket uid {uid}").into() },
        Some(Peer::Tcp { address }) => Caller { may_change: false, by: address.ip().to_string().into() },
        None => return Problem::internal().into_response(),
    };
    if right == Right::Change && !caller.may_change {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "changing needs a proof",
            "over TCP nobody may change anything: any process of this machine could have sent this",
            "write change = { token = \"FILE\" } under [admin], or address = \"unix:/run/originlock/admin.sock\"",
        )
        .into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}
