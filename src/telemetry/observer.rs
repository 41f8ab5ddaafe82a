//! The only writer of handshake facts, so that log, metric and record cannot disagree.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{Level, event, warn};

use crate::evidence::handshake::HandshakeOutcome;
use crate::evidence::ledger::Ledger;
use crate::evidence::recorder::Recent;
use crate::evidence::requests::RequestNote;
use crate::telemetry::logging::LineDrops;
use crate::telemetry::metrics::{HostMetrics, Metrics};
use crate::telemetry::own::OwnConnections;

/// The log event's target, by which the human format knows it.
pub(crate) const HANDSHAKE_TARGET: &str = "originlock::handshake";

/// How long the recorder lets outcomes gather: while it sleeps nobody has to wake it, so that a thousand handshakes in a
/// second cost two hundred wake-ups of two threads and not a thousand.
const GATHERING: Duration = Duration::from_millis(5);

/// How often dropped lines are looked for, and at most told.
const DROPS_INTERVAL: Duration = Duration::from_secs(5);

/// Takes the outcome of every handshake. Clones feed the same recorder.
#[derive(Clone, Debug)]
pub struct Observer {
    metrics: Arc<Metrics>,
    recent: Arc<Recent>,
    ledger: Arc<Ledger>,
    own: Arc<OwnConnections>,
    queue: SyncSender<Message>,
}

/// The thread that writes what the observers took. Dropping it writes what is queued and ends it.
#[derive(Debug)]
pub struct RecorderThread {
    queue: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Outcome(Arc<HandshakeOutcome>),
    Stop,
}

impl Observer {
    /// Starts the recorder thread behind a queue of `capacity` outcomes.
    ///
    /// `line_drops` counts what the log's own queue dropped; it is told here, because no worker waits for this thread.
    pub fn start(
        metrics: Arc<Metrics>,
        recent: Arc<Recent>,
        ledger: Arc<Ledger>,
        capacity: usize,
        line_drops: LineDrops,
    ) -> io::Result<(Self, RecorderThread)> {
        let (queue, outcomes) = sync_channel(capacity);
        let drops = Drops::new(line_drops);
        let recorder = Recorder { metrics: metrics.clone(), recent: recent.clone(), ledger: ledger.clone(), drops };
        // The thread inherits a subscriber that only its starter's thread has, as tests do.
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new().name("recorder".into()).spawn(move || {
            match dispatch.is::<tracing::subscriber::NoSubscriber>() {
                true => recorder.run(&outcomes),
                false => tracing::dispatcher::with_default(&dispatch, || recorder.run(&outcomes)),
            }
        })?;
        let thread = RecorderThread { queue: queue.clone(), thread: Some(thread) };
        Ok((Self { metrics, recent, ledger, own: Arc::default(), queue }, thread))
    }

    /// Counts `outcome` at once and hands it on to log, record and ledger. Never waits for the queue: what finds it full
    /// is dropped from the log, and counted; the ledger gets it all the same. `host` is `None` when no host was chosen.
    pub fn record(&self, outcome: HandshakeOutcome, host: Option<&HostMetrics>) {
        if !outcome.own {
            self.metrics.handshake(&outcome, host);
        }
        if let Err(
            TrySendError::Full(Message::Outcome(refused)) | TrySendError::Disconnected(Message::Outcome(refused)),
        ) = self.queue.try_send(Message::Outcome(Arc::new(outcome)))
        {
            self.metrics.log_dropped(1);
            keep(&self.ledger, &refused);
        }
    }

    /// Adds requests of one connection to the ledger, at once: they take no place of the log's queue, which strangers
    /// would fill with a request on each of their connections.
    pub fn note(&self, note: &RequestNote) {
        self.ledger.note(note);
    }

    /// Has the next connection from `peer` be told but not counted, neither as evidence nor as failure: this process is
    /// about to connect to itself from there.
    pub fn expect_own(&self, peer: SocketAddr) {
        self.own.expect(peer);
    }

    /// Whether [`Self::expect_own`] was told of a connection from `peer`. Each telling is for one connection.
    pub fn is_own(&self, peer: SocketAddr) -> bool {
        self.own.take(peer)
    }

    /// The last outcomes.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.recent
    }

    /// What handshakes and requests add up to.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

impl RecorderThread {
    /// Writes what is queued and ends the thread. Blocks until it has.
    pub fn finish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Sending fails only if the thread has ended, and then there is nothing left to say.
            let _ = self.queue.send(Message::Stop);
            let _ = thread.join();
        }
    }
}

impl Drop for RecorderThread {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Recorder {
    metrics: Arc<Metrics>,
    recent: Arc<Recent>,
    ledger: Arc<Ledger>,
    drops: Drops,
}

impl Recorder {
    fn run(mut self, outcomes: &Receiver<Message>) {
        loop {
            match outcomes.recv_timeout(DROPS_INTERVAL) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Message::Outcome(outcome)) => {
                    thread::sleep(GATHERING);
                    self.write(outcome);
                }
                Err(RecvTimeoutError::Timeout) => self.tell_if_due(),
            }
            if self.write_gathered(outcomes) == Next::Stop {
                break;
            }
        }
        self.drops.tell(&self.metrics);
    }

    fn write_gathered(&mut self, outcomes: &Receiver<Message>) -> Next {
        while let Ok(message) = outcomes.try_recv() {
            match message {
                Message::Stop => return Next::Stop,
                Message::Outcome(outcome) => self.write(outcome),
            }
        }
        Next::Wait
    }

    fn write(&mut self, outcome: Arc<HandshakeOutcome>) {
        // Before the record: who waits for an outcome there finds it counted.
        keep(&self.ledger, &outcome);
        emit(&outcome);
        self.recent.push(outcome);
        self.tell_if_due();
    }

    fn tell_if_due(&mut self) {
        if self.drops.is_due() {
            self.drops.tell(&self.metrics);
        }
    }
}

fn keep(ledger: &Ledger, outcome: &HandshakeOutcome) {
    if !outcome.own {
        ledger.record(outcome);
    }
}

/// What the recorder does when all that was gathered is written.
#[derive(PartialEq, Eq)]
enum Next {
    Wait,
    Stop,
}

/// What was dropped, and how much of it was told.
struct Drops {
    lines: LineDrops,
    lines_counted: u64,
    told: u64,
    looked: Instant,
}

impl Drops {
    fn new(lines: LineDrops) -> Self {
        Self { lines, lines_counted: 0, told: 0, looked: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.looked.elapsed() >= DROPS_INTERVAL
    }

    fn tell(&mut self, metrics: &Metrics) {
        self.looked = Instant::now();
        let lines = self.lines.total();
        metrics.log_dropped(lines.saturating_sub(self.lines_counted));
        self.lines_counted = lines;
        let total = metrics.log_dropped_total();
        if total > self.told {
            warn!(originlock.dropped = total - self.told, "log lines dropped");
            self.told = total;
        }
    }
}

/// One event per handshake. Absent values are left out. Names follow OpenTelemetry where it has one.
fn emit(outcome: &HandshakeOutcome) {
    let certificate = outcome.certificate.as_deref();
    let fields = certificate.and_then(|certificate| certificate.fields.as_ref());
    event!(
        target: HANDSHAKE_TARGET,
        Level::INFO,
        client.address = %outcome.peer.ip(),
        client.port = outcome.peer.port(),
        server.address = outcome.server_name.as_ref().map(|name| name.as_str()),
        tls.protocol.version = outcome.tls_version,
        tls.cipher = outcome.cipher,
        tls.curve = outcome.group,
        tls.next_protocol = outcome.alpn,
        tls.resumed = outcome.resumed,
        tls.client.subject = fields.map(|fields| fields.subject.as_str()),
        tls.client.issuer = fields.map(|fields| fields.issuer.as_str()),
        tls.client.hash.sha256 = certificate.map(|certificate| display(certificate.fingerprint)),
        tls.client.not_before = fields.map(|fields| display(fields.not_before)),
        tls.client.not_after = fields.map(|fields| display(fields.not_after)),
        originlock.host = outcome.host.as_deref(),
        originlock.mode = outcome.mode.map(|mode| mode.label()),
        originlock.verdict = outcome.verdict.label(),
        originlock.reason = outcome.reason.label(),
        originlock.decision = outcome.decision.label(),
        originlock.would_refuse = outcome.would_refuse,
        originlock.matched = outcome.matched.as_deref(),
        originlock.certificate.serial = fields.map(|fields| fields.serial.as_str()),
        originlock.chain_length = outcome.chain_length,
        originlock.duration_ms = milliseconds(outcome.duration),
        originlock.alert = outcome.alert,
        originlock.detail = outcome.detail.as_deref(),
        originlock.own = outcome.own.then_some(true),
        "client handshake"
    );
}

/// Microseconds are as fine as such a time means anything.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::evidence::ledger::Subject;
    use crate::evidence::network::Network;
    use crate::evidence::recorder::tests::outcome;
    use crate::hostname::HostPattern;
    use crate::pki::{LeafOptions, Validity, self_signed};
    use crate::policy::client_auth::Mode;
    use crate::policy::trust::TrustDigest;
    use crate::policy::verdict::Reason;
    use crate::telemetry::logging::LogFormat;
    use crate::telemetry::logging::tests::written;
    use crate::x509::CertificateSummary;

    /// A certificate whose subject is `CN=wrong`, valid for clients.
    fn certificate() -> Arc<CertificateSummary> {
        let validity = Validity::days(Timestamp::from_seconds(1_800_000_000), 30);
        let issued = self_signed(&LeafOptions::client("wrong\x1b[2J", validity)).expect("a certificate");
        Arc::new(CertificateSummary::read(&issued.certificate_der.as_slice().into()))
    }

    fn logged(format: LogFormat, outcome: HandshakeOutcome) -> String {
        written(format, || {
            let metrics = Metrics::new(10);
            let host = metrics.host("observe.localhost", Mode::Observe);
            let (observer, thread) =
                Observer::start(metrics, Arc::default(), Arc::default(), 10, LineDrops::default()).expect("a thread");
            observer.record(outcome, Some(&host));
            thread.finish();
        })
    }

    #[test]
    fn a_handshake_is_one_event_with_the_fields_names_of_the_field() {
        let certificate = certificate();
        let text = logged(
            LogFormat::Json,
            HandshakeOutcome { certificate: Some(certificate.clone()), ..outcome("a.example") },
        );
        let event: serde_json::Value = serde_json::from_str(&text).expect("one JSON line");
        for (name, value) in [
            ("message", "client handshake"),
            ("client.address", "127.0.0.1"),
            ("server.address", "a.example"),
            ("tls.protocol.version", "1.3"),
            ("tls.curve", "X25519MLKEM768"),
            ("tls.next_protocol", "h2"),
            ("tls.client.subject", "CN=wrong\u{fffd}[2J"),
            ("tls.client.hash.sha256", &certificate.fingerprint.to_string()),
            ("originlock.mode", "observe"),
            ("originlock.verdict", "failed"),
            ("originlock.reason", "unknown_issuer"),
            ("originlock.decision", "admit"),
        ] {
            assert_eq!(event[name], value, "{name}");
        }
        assert_eq!(event["client.port"], 53344);
        assert_eq!(event["tls.resumed"], false);
        assert_eq!(event["originlock.would_refuse"], true);
        assert_eq!(event["originlock.duration_ms"], 4.25);
        for absent in ["originlock.alert", "originlock.detail", "originlock.matched"] {
            assert!(event.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_person_reads_the_facts_and_below_them_who_it_was_and_why() {
        let text = logged(
            LogFormat::Human,
            HandshakeOutcome { certificate: Some(certificate()), ..outcome("observe.localhost") },
        );
        let (first, second) = text.trim_end().split_once('\n').expect("two lines");
        let (_time, facts) = first.split_once(' ').expect("a time");
        assert_eq!(facts, "would refuse  observe.localhost   observe  unknown_issuer  127.0.0.1 TLS1.3 h2");
        assert_eq!(second, "         CN=wrong\u{fffd}[2J: no CA of this host's bundle issued the certificate");
    }

    #[test]
    fn a_duration_has_three_decimals() {
        for (nanoseconds, expected) in [(1_234_567, 1.235), (999, 0.001), (0, 0.0), (2_000_000_000, 2000.0)] {
            assert_eq!(milliseconds(Duration::from_nanos(nanoseconds)), expected);
        }
    }

    #[test]
    fn requests_take_no_place_in_the_logs_queue() {
        let metrics = Metrics::new(10);
        // Nobody reads this queue.
        let (queue, _stuck) = sync_channel(4);
        let (ledger, trust) = (Arc::new(Ledger::default()), TrustDigest([7; 32]));
        let subject = Subject {
            host: "a.example".into(),
            names: vec![HostPattern::parse("a.example").expect("a pattern")],
            is_default: false,
            trust: Some(trust),
            window: Duration::from_hours(1),
        };
        let at = outcome("a.example").at;
        ledger.adopt(&[subject], at);
        let (recent, own) = (Arc::default(), Arc::default());
        let observer = Observer { metrics: metrics.clone(), recent, ledger: ledger.clone(), own, queue };
        for _ in 0..4 {
            observer.note(&RequestNote {
                at,
                peer: outcome("a.example").peer,
                server_name: outcome("a.example").server_name,
                trust,
                reason: Reason::Verified,
                requests: 2,
                path: None,
                user_agent: None,
            });
            observer.record(outcome("a.example"), None);
        }
        assert_eq!(metrics.log_dropped_total(), 0);
        let evidence = ledger.evidence("a.example", Duration::from_hours(1), at);
        assert_eq!(evidence["a.example"].requests, [(Network::Elsewhere, 8)].into());
    }

    #[test]
    fn a_flood_is_counted_whole_and_never_waits() {
        let metrics = Metrics::new(10);
        let host = metrics.host("a.example", Mode::Observe);
        let recent: Arc<Recent> = Arc::default();
        // Nobody reads this queue: a recorder that hangs.
        let (queue, stuck) = sync_channel(4);
        let (ledger, trust) = (Arc::new(Ledger::default()), TrustDigest([7; 32]));
        let name = HostPattern::parse("a.example").expect("a pattern");
        let subject = Subject {
            host: "a.example".into(),
            names: vec![name],
            is_default: false,
            trust: Some(trust),
            window: Duration::from_hours(1),
        };
        ledger.adopt(&[subject], outcome("a.example").at);
        let own = Arc::default();
        let observer =
            Observer { metrics: metrics.clone(), recent: recent.clone(), ledger: ledger.clone(), own, queue };
        for _ in 0..100 {
            observer.record(HandshakeOutcome { trust: Some(trust), ..outcome("a.example") }, Some(&host));
        }
        let counted = || {
            let evidence = ledger.evidence("a.example", Duration::from_hours(1), outcome("a.example").at);
            evidence["a.example"].count(Network::Elsewhere, Reason::UnknownIssuer)
        };
        assert_eq!(counted(), 96, "what the queue did not take");
        assert_eq!(metrics.log_dropped_total(), 96);
        let series = r#"originlock_handshakes_total{host="a.example",mode="observe",reason="unknown_issuer",resumed="false"} 100"#;
        assert!(metrics.render().contains(series));
        drop(observer);
        let drops = Drops::new(LineDrops::default());
        let recorder = Recorder { metrics, recent: recent.clone(), ledger: ledger.clone(), drops };
        let text = written(LogFormat::Json, || recorder.run(&stuck));
        assert_eq!((recent.last_sequence(), counted()), (4, 100));
        let warning = text.lines().last().expect("lines");
        assert!(
            warning.contains(r#""message":"log lines dropped""#) && warning.contains(r#"dropped":96"#),
            "{warning}"
        );
    }
}
