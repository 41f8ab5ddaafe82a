//! Who may read, and who may change. Only what proves itself may; a socket file's owner and mode are such a proof.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rustls::pki_types::CertificateDer;
use tracing::debug;

use super::problem::Problem;
use super::{App, guard};
use crate::clock::Timestamp;
use crate::snapshot::admin::AdminAccess;
use crate::telemetry::metrics::AdminDenial;
use crate::x509::CertificateSummary;

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
    Tcp(TcpPeer),
}

/// Who is at the other end of a TCP connection.
#[derive(Clone, Debug)]
pub(super) struct TcpPeer {
    pub(super) address: SocketAddr,
    /// Whether the listener's address is one that only this machine reaches.
    pub(super) loopback: bool,
    pub(super) tls: bool,
    /// The client's certificates, once possession of the leaf's key was proved.
    pub(super) chain: Option<Arc<[CertificateDer<'static>]>>,
}

/// Whoever sent a request, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Caller {
    pub(super) may_change: bool,
    /// For the log: never a secret.
    pub(super) by: Arc<str>,
}

/// What a request brings to prove itself by.
enum Token<'a> {
    None,
    One(&'a [u8]),
    /// Several, or one of another scheme.
    Unusable,
}

/// Lets a request pass that has `right`.
pub(super) async fn check(State((app, right)): State<(App, Right)>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>() else { return Problem::internal().into_response() };
    let tls = matches!(peer, Peer::Tcp(TcpPeer { tls: true, .. }));
    let admitted = match guard::is_cross_site(request.headers(), tls) {
        true => Err(AdminDenial::CrossSite),
        false => admit(right, peer, request.headers(), &(app.access)(), app.clock.now()),
    };
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denial) => {
            tell_why(peer, &(app.access)(), app.clock.now());
            deny(&app, denial)
        }
    }
}

/// What is wrong with a certificate that proved nothing is for the log; whoever presented it is not told.
fn tell_why(peer: &Peer, access: &AdminAccess, now: Timestamp) {
    let Peer::Tcp(TcpPeer { address, chain: Some(chain), .. }) = peer else { return };
    for (right, proofs) in [("read", &access.read), ("change", &access.change)] {
        let Some(trust) = &proofs.trust else { continue };
        debug!(
            client.address = %address.ip(),
            originlock.right = right,
            originlock.reason = trust.judge(chain, now).verdict.reason().label(),
            "a client certificate on the admin side was judged"
        );
    }
}

/// Who it is, if they may.
pub(super) fn admit(
    right: Right,
    peer: &Peer,
    headers: &HeaderMap,
    access: &AdminAccess,
    now: Timestamp,
) -> Result<Caller, AdminDenial> {
    let peer = match peer {
        Peer::Unix { uid } => return Ok(Caller { may_change: true, by: format!("unix socket uid {uid}").into() }),
        Peer::Tcp(peer) => peer,
    };
    let from = peer.address.ip();
    let caller = |may_change, proof: &str| Caller { may_change, by: format!("{proof} from {from}").into() };
    // What a proxy in between may have added means nothing where no token is one.
    let token = if access.takes_tokens() { Token::of(headers) } else { Token::None };
    let proved = match token {
        Token::One(token) if access.change.hold_for_token(token) => Some(caller(true, "token")),
        Token::One(token) if access.read.hold_for_token(token) => Some(caller(false, "token")),
        Token::One(_) | Token::Unusable => return Err(AdminDenial::WrongToken),
        Token::None => None,
    };
    // A certificate may prove more than a token that came with it.
    let certified = peer.chain.as_deref().and_then(|chain| {
        let may_change = access.change.hold_for_chain(chain, now);
        let holds = may_change || access.read.hold_for_chain(chain, now);
        holds.then(|| caller(may_change, &certificate(chain)))
    });
    let proved = certified.filter(|caller| caller.may_change || proved.is_none()).or(proved);
    match (right, proved) {
        (Right::Read, Some(caller)) => Ok(caller),
        (Right::Read, None) if access.read.is_empty() && peer.loopback => Ok(caller(false, "nobody in particular")),
        (Right::Change, Some(caller)) if caller.may_change => Ok(caller),
        (Right::Change, _) if access.change.is_empty() => Err(AdminDenial::ChangeNotConfigured),
        (Right::Change, Some(_)) => Err(AdminDenial::ReadOnly),
        (Right::Read | Right::Change, None) => Err(AdminDenial::NoProof),
    }
}

/// The leaf's subject: text that whoever has the right has chosen with their CA.
fn certificate(chain: &[CertificateDer<'_>]) -> String {
    let leaf = chain.first().map(CertificateSummary::read);
    format!("client certificate {}", leaf.as_ref().map_or("(none)", CertificateSummary::subject))
}

impl<'a> Token<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::None,
            (Some(value), None) => value.as_bytes(),
            (Some(_), Some(_)) => return Self::Unusable,
        };
        match value.split_at_checked("Bearer ".len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => Self::One(token.trim_ascii()),
            _ => Self::Unusable,
        }
    }
}

/// Counts a request that is turned away, and says what to do about it.
pub(super) fn deny(app: &App, denial: AdminDenial) -> Response {
    app.metrics.admin_denied(denial);
    let forbidden = |kind, title, detail, next_step| {
        Problem::new(StatusCode::FORBIDDEN, kind, title, detail, next_step).into_response()
    };
    match denial {
        AdminDenial::WrongHost => forbidden(
            "wrong_host",
            "meant for another host",
            "the Host header names neither the admin address nor a name of it",
            "ask by the address that is written under [admin] or by localhost, or add the name there: hostnames = [\"NAME\"]",
        ),
        AdminDenial::CrossSite => forbidden(
            "cross_site",
            "sent by another site",
            "the Origin or Sec-Fetch-Site header names another site than this one",
            "open the page at the admin address itself",
        ),
        AdminDenial::ReadOnly => forbidden(
            "forbidden",
            "this proof is for reading",
            "what was proved is the right to read, and this is a change",
            "send the token, or the certificate, that is written under [admin] as `change`",
        ),
        AdminDenial::ChangeNotConfigured => forbidden(
            "forbidden",
            "changing needs a proof",
            "over TCP nobody may change anything here: any process of this machine could have sent this",
            "write change = { token = \"FILE\" } under [admin], or address = \"unix:/run/originlock/admin.sock\"",
        ),
        // One answer for both: whether a token was nearly right is nobody's business.
        AdminDenial::NoProof | AdminDenial::WrongToken => {
            let problem = Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "a proof is needed",
                "this needs a token or a client certificate that is written under [admin]",
                "send Authorization: Bearer TOKEN, or present the certificate",
            );
            let mut response = problem.into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    }
}
