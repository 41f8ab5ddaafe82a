//! The life of a connection, in the order of the wire.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::forwarded::Peer;
use super::lifetime::Lifetime;
use super::notes::Notes;
use super::requests::Requests;
use super::standing::{Proof, Standing};
use super::worker::Worker;
use super::{http1, http2};
use crate::config::model::Limits;
use crate::evidence::handshake::HandshakeOutcome;
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::snapshot::Snapshot;
use crate::snapshot::host::Host;
use crate::tls::accept::{Handshake, Negotiated};
use crate::tls::hello::{ClientHello, NoHello};
use crate::tls::stream::TlsStream;

/// Serves one accepted socket to its end.
pub async fn run(worker: &Rc<Worker>, socket: TcpStream, peer: SocketAddr) {
    let registered = worker.lifetimes.register();
    let snapshot = worker.shared.current.load();
    // On the heap and gone with its end: a handshake's state is larger than what the connection needs ever after.
    if let Some(session) = Box::pin(shake_hands(worker, &snapshot, socket, peer)).await {
        session.serve(worker, registered.lifetime(), &snapshot).await;
    }
}

/// From the first byte to the recorded outcome; the session, if the client is let in.
async fn shake_hands(worker: &Rc<Worker>, snapshot: &Snapshot, socket: TcpStream, peer: SocketAddr) -> Option<Session> {
    let own = worker.shared.observer.is_own(peer);
    let arrival = Arrival { worker, peer, own, at: Instant::now() };
    let deadline = tokio::time::Instant::from_std(arrival.at + snapshot.limits.handshake);
    let hello = match ClientHello::read(socket, snapshot.limits.client_hello_bytes, deadline).await {
        Ok(hello) => hello,
        Err(none) => return arrival.without_host(None, none).await,
    };
    let name = hello.server_name().cloned();
    let host = match snapshot.hosts.select(name.as_ref()) {
        Ok(host) => Arc::clone(host),
        Err(reason) => return arrival.without_host(name, hello.refuse_name(reason)).await,
    };
    // Where everyone is let in, a browser's user may first be asked which certificate to show.
    let deadline = match host.client_auth.mode() {
        Mode::Observe => deadline.max(tokio::time::Instant::from_std(arrival.at + Limits::MAX_HANDSHAKE)),
        Mode::Off | Mode::Enforce => deadline,
    };
    let clock = &worker.shared.clock;
    let mut handshake = hello.accept(Arc::clone(&host.tls), &host.client_auth, clock, deadline).await;
    arrival.record(&host, name.clone(), &handshake);
    if let Some(judgement) = handshake.judgement.as_deref().filter(|_| handshake.proved) {
        snapshot.known.meet(judgement, clock.now());
    }
    // After the record: how long a refused client stays is not how long its handshake took.
    if let Some(farewell) = handshake.farewell.take() {
        farewell.linger().await;
    }
    Session::new(&arrival, handshake, host, name, snapshot)
}

/// A connection that is being shaken hands with.
struct Arrival<'a> {
    worker: &'a Worker,
    peer: SocketAddr,
    /// Whether this process connects to itself.
    own: bool,
    at: Instant,
}

impl Arrival<'_> {
    async fn without_host(&self, name: Option<Hostname>, none: NoHello) -> Option<Session> {
        // A peer that never said a word (a port check, a load balancer's probe) is no handshake.
        let outcome = self.outcome(name, Facts::without_host(none.reason?, none.alert, none.detail));
        self.worker.shared.observer.record(outcome, None);
        none.farewell?.linger().await;
        None
    }

    fn record(&self, host: &Host, name: Option<Hostname>, handshake: &Handshake) {
        let outcome = self.outcome(name, Facts::of(host, handshake));
        self.worker.shared.observer.record(outcome, Some(&host.metrics));
    }

    fn outcome(&self, server_name: Option<Hostname>, facts: Facts) -> HandshakeOutcome {
        HandshakeOutcome {
            at: self.worker.shared.clock.now(),
            peer: self.peer,
            server_name,
            duration: self.at.elapsed(),
            own: self.own,
            ..facts.0
        }
    }
}

/// What is to be recorded of a handshake, time and peer aside.
struct Facts(HandshakeOutcome);

impl Facts {
    fn without_host(reason: Reason, alert: Option<&'static str>, detail: Option<String>) -> Self {
        Self(HandshakeOutcome { alert, detail, ..HandshakeOutcome::refused(reason) })
    }

    fn of(host: &Host, handshake: &Handshake) -> Self {
        let Negotiated { version, cipher, group, alpn, resumed } = handshake.negotiated;
        let judgement = handshake.judgement.as_deref();
        Self(HandshakeOutcome {
            host: Some(Arc::clone(&host.name)),
            mode: Some(host.client_auth.mode()),
            trust: host.client_auth.trust().map(|trust| trust.digest()),
            verdict: handshake.verdict,
            reason: handshake.reason,
            decision: handshake.decision,
            would_refuse: handshake.decision == Decision::Admit && host.client_auth.would_refuse(handshake.verdict),
            proved: handshake.proved,
            matched: judgement.and_then(|judgement| judgement.matched.clone()),
            certificate: judgement.and_then(|judgement| judgement.certificate.clone()),
            chain_length: judgement.map_or(0, |judgement| judgement.chain_length),
            tls_version: version,
            cipher,
            group,
            alpn,
            resumed,
            alert: handshake.alert,
            detail: handshake.detail.clone(),
            ..HandshakeOutcome::refused(handshake.reason)
        })
    }
}

/// A client that was let in.
struct Session {
    stream: TlsStream,
    standing: Standing,
    http2: bool,
    peer: SocketAddr,
    own: bool,
}

impl Session {
    fn new(
        arrival: &Arrival<'_>,
        handshake: Handshake,
        host: Arc<Host>,
        server_name: Option<Hostname>,
        snapshot: &Snapshot,
    ) -> Option<Self> {
        let proof = Proof { server_name, judgement: handshake.judgement, proved: handshake.proved };
        let verdict: Verdict = handshake.verdict;
        Some(Self {
            stream: handshake.stream?,
            standing: Standing::new(host, verdict, proof, snapshot, &arrival.worker.identities),
            http2: handshake.negotiated.alpn == Some("h2"),
            peer: arrival.peer,
            own: arrival.own,
        })
    }

    async fn serve(self, worker: &Rc<Worker>, lifetime: &Rc<Lifetime>, snapshot: &Snapshot) {
        let notes = (!self.own).then(|| Notes::new(Rc::clone(worker), self.peer));
        let requests = Requests::new(Rc::clone(worker), self.standing, Peer::new(self.peer), notes);
        match self.http2 {
            // On the heap: an HTTP/1.1 connection is not to carry the room of an HTTP/2 one.
            true => Box::pin(http2::serve(self.stream, requests, lifetime, &snapshot.limits)).await,
            false => http1::serve(self.stream, requests, lifetime, &snapshot.limits).await,
        }
    }
}

impl HandshakeOutcome {
    /// The outcome of a peer about whom nothing else is known.
    fn refused(reason: Reason) -> Self {
        Self {
            at: crate::clock::Timestamp::default(),
            peer: SocketAddr::from(([0, 0, 0, 0], 0)),
            server_name: None,
            host: None,
            mode: None,
            trust: None,
            verdict: Verdict::Absent,
            reason,
            decision: Decision::Refuse,
            would_refuse: false,
            proved: false,
            matched: None,
            certificate: None,
            chain_length: 0,
            tls_version: None,
            cipher: None,
            group: None,
            alpn: None,
            resumed: false,
            duration: Duration::ZERO,
            alert: None,
            detail: None,
            own: false,
        }
    }
}
