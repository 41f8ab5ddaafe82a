//! An admin side that tells of one host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::*;
use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::evidence::readiness;
use crate::evidence::report::*;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::CertificateSummary;

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_001);
const WINDOW: Duration = Duration::from_hours(24);
pub(super) const HOST: &str = "shop.example.com";

/// Knows one host with two names. Whoever holds the lock holds up every reload.
#[derive(Default)]
pub(super) struct Stub(pub(super) tokio::sync::Mutex<()>);

pub(super) fn state() -> AdminState {
    AdminState {
        metrics: Metrics::new(10),
        recent: Arc::default(),
        view: Arc::new(Stub::default()),
        control: Arc::new(Stub::default()),
        ready: Arc::default(),
        access: Arc::new(Arc::default),
        clock: Clock::manual(NOW),
        bounds: Bounds::default(),
    }
}

fn host() -> HostReport {
    HostReport {
        name: HOST.into(),
        names: vec![HOST.into(), format!("*.{HOST}")],
        mode: Mode::Observe,
        trust: None,
        certificate_not_after: Some(Timestamp::from_seconds(1_900_000_000)),
        upstream: vec!["http://127.0.0.1:8080".into()],
        source: Some(SourceReport { file: "/etc/originlock/originlock.toml".into(), line: 7 }),
        confirm_by: None,
        readiness: ready(),
        evidence: EvidenceReport::default(),
    }
}

fn judged_over(window: Option<Duration>) -> HostReport {
    let window_seconds = window.unwrap_or(WINDOW).as_secs();
    HostReport { evidence: EvidenceReport { window_seconds, ..EvidenceReport::default() }, ..host() }
}

fn ready() -> readiness::Readiness {
    readiness::Readiness { ready: true, shortfalls: Vec::new(), notices: Vec::new() }
}

impl View for Stub {
    fn status(&self) -> StatusReport {
        StatusReport {
            at: NOW,
            version: "0.0.0".into(),
            started_at: NOW,
            generation: 7,
            config: "/etc/originlock/originlock.toml".into(),
            listeners: vec!["127.0.0.1:443".into()],
            networks: NetworksReport { source: "shipped".into(), dated: None, ranges: 22 },
            unknown_names: Vec::new(),
            evidence_file: None,
            may_change: false,
        }
    }

    fn hosts(&self, window: Option<Duration>) -> HostsReport {
        HostsReport { at: NOW, hosts: vec![judged_over(window)] }
    }

    fn host(&self, name: &str, window: Option<Duration>) -> Option<HostDetail> {
        self.first_name(name)?;
        Some(HostDetail {
            host: judged_over(window),
            last_hour: Vec::new(),
            last_week: Vec::new(),
            by_name: BTreeMap::new(),
            certificates: Vec::new(),
            failures: Vec::new(),
            outsiders: Vec::new(),
        })
    }

    fn certificates(&self) -> CertificatesReport {
        CertificatesReport { at: NOW, certificates: Vec::new() }
    }

    fn failures(&self, _host: Option<&str>) -> FailuresReport {
        FailuresReport { at: NOW, failures: Vec::new() }
    }

    fn cloudflare(&self) -> CloudflareReport {
        CloudflareReport::default()
    }

    fn judge(&self, name: &str, chain: &[CertificateDer<'_>]) -> Option<JudgeReport> {
        let summary = CertificateSummary::read(chain.first()?);
        self.first_name(name).map(|host| JudgeReport {
            host,
            mode: Mode::Observe,
            sha256: summary.fingerprint,
            reason: Reason::UnknownIssuer,
            next_step: Some(format!("{} certificates", chain.len())),
            trust_digest: String::new(),
        })
    }

    fn first_name(&self, name: &str) -> Option<String> {
        host().names.iter().any(|known| known == name).then(|| HOST.to_owned())
    }

    fn window(&self, name: &str) -> Option<Duration> {
        self.first_name(name).map(|_| WINDOW)
    }

    fn network(&self, address: IpAddr) -> Network {
        if address.is_loopback() { Network::Cloudflare } else { Network::Elsewhere }
    }
}

impl Control for Stub {
    fn set_mode(&self, name: &str, request: &ModeRequest, by: &str) -> Result<ModeReport, Box<ProblemReport>> {
        known(name)?;
        Ok(ModeReport {
            host: name.to_owned(),
            names: host().names,
            from: Mode::Observe,
            to: request.mode,
            source: SourceReport { file: by.to_owned(), line: 7 },
            diff: String::new(),
            applied: !request.dry_run,
            forced: request.force,
            readiness: ready(),
            checks: Vec::new(),
            confirm_by: None,
        })
    }

    fn change_trust(
        &self,
        name: &str,
        request: &TrustRequest,
        by: &str,
    ) -> Result<TrustChangeReport, Box<ProblemReport>> {
        known(name)?;
        Ok(TrustChangeReport {
            host: name.to_owned(),
            hosts: vec![name.to_owned()],
            ca: "ours".into(),
            file: by.to_owned(),
            added: Vec::new(),
            removed: request.remove.clone(),
            applied: !request.dry_run,
        })
    }

    fn confirm(&self, name: &str, _by: &str) -> Result<HostReport, Box<ProblemReport>> {
        known(name).map(|()| host())
    }

    fn reload(&self, _by: &str) -> Result<ReloadReport, Box<ProblemReport>> {
        let _one_at_a_time = self.0.blocking_lock();
        Ok(ReloadReport { generation: 8, warnings: Vec::new() })
    }
}

/// The control is told the first name, whichever was asked for.
fn known(name: &str) -> Result<(), Box<ProblemReport>> {
    let unknown = ProblemReport {
        kind: "unknown_host".into(),
        title: "no such host".into(),
        status: 404,
        detail: name.to_owned(),
        next_step: None,
        readiness: None,
        diff: None,
        source: None,
    };
    if name == HOST { Ok(()) } else { Err(Box::new(unknown)) }
}

/// One that serves on a port of its own.
pub(super) struct Admin {
    pub(super) port: u16,
    pub(super) state: AdminState,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) task: JoinHandle<()>,
}

impl Admin {
    pub(super) async fn start() -> Self {
        Self::start_with(state()).await
    }

    pub(super) async fn start_with(state: AdminState) -> Self {
        Self::start_at("127.0.0.1:0", state).await
    }

    pub(super) async fn start_at(address: &str, state: AdminState) -> Self {
        let listener = AdminListener::tcp(address.parse().expect("an address")).await.expect("a listener");
        let port = listener.local_address().expect("an address").port();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, state.clone(), async { drop(stopped.await) }));
        Self { port, state, stop, task }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection")
    }

    pub(super) async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    /// The whole answer to `METHOD path`.
    pub(super) async fn ask(&self, request: &str, headers: &[&str], body: &str) -> String {
        exchange(self.connect().await, request, headers, body).await
    }
}

/// Sends `METHOD path` and reads until the connection is closed. The Host is localhost unless a header says another.
pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    headers: &[&str],
    body: &str,
) -> String {
    let mut head = format!("{request} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        head.push_str("Host: localhost\r\n");
    }
    headers.iter().for_each(|header| head.extend([header, "\r\n"]));
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

pub(super) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

/// The answer's body.
pub(super) fn json(answer: &str) -> serde_json::Value {
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
