//! A handshake from the chosen policy to its end, and what it came to.

use std::io;
use std::sync::Arc;

use rustls::{Error, ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::alert;
use super::hello::ClientHello;
pub use super::names::Negotiated;
use super::stream::{Farewell, Socket, TlsStream, read_some};
use super::witness::Witness;
use crate::alert::name as alert_name;
use crate::clock::Clock;
use crate::policy::client_auth::ClientAuth;
use crate::policy::judgement::Judgement;
use crate::policy::verdict::{Decision, Reason, Verdict};

/// A handshake that came to an end, one way or the other.
pub struct Handshake {
    /// What is made of the client's certificate.
    pub verdict: Verdict,
    /// The verdict's reason, or why it came to none.
    pub reason: Reason,
    pub decision: Decision,
    /// Whether possession of the certificate's key was proved, here or in the session that was resumed.
    pub proved: bool,
    /// What the verdict rests on.
    pub judgement: Option<Arc<Judgement>>,
    pub negotiated: Negotiated,
    /// The alert that was sent.
    pub alert: Option<&'static str>,
    /// What went wrong, in the TLS library's words.
    pub detail: Option<String>,
    /// The session, if the client was let in.
    pub stream: Option<TlsStream>,
    /// What is left to do for a refused client once the outcome is recorded.
    pub farewell: Option<Farewell>,
}

impl ClientHello {
    /// Goes through the handshake under `config`, which was built for `client_auth`, until `deadline`.
    pub async fn accept(
        self,
        config: Arc<ServerConfig>,
        client_auth: &ClientAuth,
        clock: &Clock,
        deadline: Instant,
    ) -> Handshake {
        let mut witness = Witness::default();
        let Self { mut io, accepted, unfed, .. } = self;
        let mut tls = match witness.attend(|| accepted.into_connection(config)) {
            Ok(tls) => tls,
            Err((error, mut alert)) => {
                let mut record = Vec::new();
                // Writing to a Vec does not fail.
                let _ = alert.write_all(&mut record);
                return Handshake::broken(io, Failure::Tls(error, record), Negotiated::default(), &witness);
            }
        };
        let driven = timeout_at(deadline, drive(&mut io, &mut tls, unfed, &mut witness)).await;
        match driven.unwrap_or(Err(Failure::Timeout)) {
            Ok(unfed) => Handshake::finished(TlsStream::new(io, tls, unfed), &witness, client_auth, clock),
            Err(failure) => Handshake::broken(io, failure, Negotiated::read(&tls), &witness),
        }
    }
}

/// Why a handshake broke off.
enum Failure {
    /// rustls' error, and what it left to be sent.
    Tls(Error, Vec<u8>),
    Socket,
    Timeout,
}

async fn drive(
    io: &mut TcpStream,
    tls: &mut ServerConnection,
    mut unfed: Vec<u8>,
    witness: &mut Witness,
) -> Result<Vec<u8>, Failure> {
    loop {
        let leftovers = std::mem::take(&mut unfed);
        unfed = feed(tls, &leftovers, witness)?;
        send_queued(io, tls).await.map_err(|_| Failure::Socket)?;
        if !tls.is_handshaking() {
            return Ok(unfed);
        }
        let read = read_some(io, usize::MAX, <[u8]>::to_vec).await.map_err(|_| Failure::Socket)?;
        if read.is_empty() {
            return Err(Failure::Socket);
        }
        unfed = read;
    }
}

/// Processes `bytes` until the handshake is over; returns what is left for the session.
fn feed(tls: &mut ServerConnection, mut bytes: &[u8], witness: &mut Witness) -> Result<Vec<u8>, Failure> {
    while !bytes.is_empty() && tls.is_handshaking() {
        match tls.read_tls(&mut bytes) {
            // After a close_notify rustls takes nothing more.
            Ok(0) => return Err(Failure::Socket),
            Ok(_) => {}
            Err(error) => return Err(Failure::Tls(Error::General(error.to_string()), Vec::new())),
        }
        if let Err(error) = witness.attend(|| tls.process_new_packets()) {
            let mut record = Vec::new();
            // Writing to a Vec does not fail.
            while tls.wants_write() && tls.write_tls(&mut record).is_ok() {}
            return Err(Failure::Tls(error, record));
        }
    }
    Ok(bytes.to_vec())
}

async fn send_queued(io: &TcpStream, tls: &mut ServerConnection) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut Socket(io)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => io.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Handshake {
    fn finished(stream: TlsStream, witness: &Witness, client_auth: &ClientAuth, clock: &Clock) -> Self {
        let negotiated = Negotiated::read(stream.tls());
        let judgement = match (negotiated.resumed, client_auth.trust()) {
            // The verifier is not asked about a resumed session, whose chain came out of the ticket.
            (true, Some(trust)) => Some(trust.judge(stream.tls().peer_certificates().unwrap_or_default(), clock.now())),
            _ => witness.judgement.clone(),
        };
        // A ticket is issued only where possession was proved, so a resumed session has that behind it.
        let proved = judgement.as_ref().is_some_and(|judgement| judgement.chain_length > 0)
            && (negotiated.resumed || witness.proved == Some(true));
        let verdict = match judgement.as_ref().map_or(Verdict::Absent, |judgement| judgement.verdict) {
            Verdict::Verified if !proved => Verdict::Failed(Reason::ProofFailed),
            verdict => verdict,
        };
        let decision = client_auth.decide(verdict);
        Self {
            verdict,
            reason: verdict.reason(),
            decision,
            proved,
            judgement,
            negotiated,
            alert: None,
            detail: None,
            stream: (decision == Decision::Admit).then_some(stream),
            farewell: None,
        }
    }

    /// `negotiated` is as far as it got.
    fn broken(io: TcpStream, failure: Failure, negotiated: Negotiated, witness: &Witness) -> Self {
        let judged = witness.judgement.as_ref().map_or(Verdict::Absent, |judgement| judgement.verdict);
        let (verdict, reason, alert, detail, farewell) = match failure {
            Failure::Socket => (judged, Reason::ClientEof, None, None, None),
            Failure::Timeout => (judged, Reason::HandshakeTimeout, None, None, None),
            Failure::Tls(error, record) => {
                let alert = alert::of_error(&error).or_else(|| alert::in_plain_record(&record)).map(alert_name);
                let (verdict, reason, detail) = classify(error, judged);
                (verdict, reason, alert, detail, Farewell::send(io, &record))
            }
        };
        Self {
            verdict,
            reason,
            decision: Decision::Refuse,
            proved: false,
            judgement: witness.judgement.clone(),
            negotiated,
            alert,
            detail,
            stream: None,
            farewell,
        }
    }
}

fn classify(error: Error, judged: Verdict) -> (Verdict, Reason, Option<String>) {
    match error {
        Error::NoCertificatesPresented => (Verdict::Absent, Reason::NoCertificate, None),
        Error::InvalidCertificate(_) => {
            let verdict = match judged {
                Verdict::Failed(_) => judged,
                Verdict::Verified | Verdict::Absent => Verdict::Failed(Reason::ProofFailed),
            };
            (verdict, verdict.reason(), None)
        }
        Error::AlertReceived(alert) => (judged, Reason::ClientAlert, Some(alert_name(alert).to_owned())),
        Error::InvalidMessage(
            rustls::InvalidMessage::CertificatePayloadTooLarge | rustls::InvalidMessage::HandshakePayloadTooLarge,
        ) => (Verdict::Failed(Reason::TooLarge), Reason::TooLarge, None),
        error => (judged, Reason::ProtocolError, Some(error.to_string())),
    }
}
