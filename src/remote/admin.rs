//! The admin API of a running proxy.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Blocking;
use crate::evidence::report::{
    CertificatesReport, CloudflareReport, FailuresReport, HostDetail, HostReport, HostsReport, JudgeReport,
    JudgeRequest, ModeReport, ModeRequest, ProblemReport, ReloadReport, StatusReport, TrustChangeReport, TrustRequest,
};
use crate::fetch::{Answer, Client, Endpoint, FetchError, percent_encoded};

/// Speaks to the admin side of one proxy.
#[derive(Debug)]
pub struct AdminClient(Blocking);

/// Why the admin side did not tell or do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It says why.
    #[error("{}", spoken(.0))]
    Problem(Box<ProblemReport>),
    #[error(
        "{endpoint} answered {status} to {path}: is this the admin address of originlock, and of the same version?"
    )]
    Unexpected { endpoint: Endpoint, path: String, status: u16 },
    #[error("{endpoint} answered {path} with something else than this version of originlock expects")]
    Unreadable { endpoint: Endpoint, path: String, source: serde_json::Error },
}

impl AdminClient {
    /// # Errors
    /// The operating system has no room for it.
    pub fn new(client: Client) -> io::Result<Self> {
        Blocking::new(client).map(Self)
    }

    /// The process.
    pub fn status(&self) -> Result<StatusReport, AdminError> {
        self.get("/api/v1/status".to_owned())
    }

    /// All hosts.
    pub fn hosts(&self) -> Result<HostsReport, AdminError> {
        self.get("/api/v1/hosts".to_owned())
    }

    /// The host with `name` among its names, judged over `window` or its own.
    pub fn host(&self, name: &str, window: Option<Duration>) -> Result<HostDetail, AdminError> {
        let query = window.map(|window| format!("?window_seconds={}", window.as_secs())).unwrap_or_default();
        self.get(format!("/api/v1/hosts/{}{query}", percent_encoded(name)))
    }

    /// Every certificate that matters.
    pub fn certificates(&self) -> Result<CertificatesReport, AdminError> {
        self.get("/api/v1/certificates".to_owned())
    }

    /// Why handshakes fail, on one host or on all.
    pub fn failures(&self, host: Option<&str>) -> Result<FailuresReport, AdminError> {
        let query = host.map(|host| format!("?host={}", percent_encoded(host))).unwrap_or_default();
        self.get(format!("/api/v1/failures{query}"))
    }

    /// What Cloudflare's API said when the proxy last asked it.
    pub fn cloudflare(&self) -> Result<CloudflareReport, AdminError> {
        self.get("/api/v1/cloudflare".to_owned())
    }

    /// Moves a host to another mode, or says what that would change.
    pub fn set_mode(&self, name: &str, request: &ModeRequest) -> Result<ModeReport, AdminError> {
        self.post(format!("/api/v1/hosts/{}/mode", percent_encoded(name)), request)
    }

    /// What the host's trust would make of a certificate.
    pub fn judge(&self, name: &str, request: &JudgeRequest) -> Result<JudgeReport, AdminError> {
        self.post(format!("/api/v1/hosts/{}/judge", percent_encoded(name)), request)
    }

    /// Adds CA certificates to a host's bundle or takes some away, or says what that would change.
    pub fn change_trust(&self, name: &str, request: &TrustRequest) -> Result<TrustChangeReport, AdminError> {
        self.post(format!("/api/v1/hosts/{}/trust", percent_encoded(name)), request)
    }

    /// Has an `enforce` that would fall back stay.
    pub fn confirm(&self, name: &str) -> Result<HostReport, AdminError> {
        self.post(format!("/api/v1/hosts/{}/confirm", percent_encoded(name)), &serde_json::json!({}))
    }

    /// Has the configuration read again.
    pub fn reload(&self) -> Result<ReloadReport, AdminError> {
        self.post("/api/v1/reload".to_owned(), &serde_json::json!({}))
    }

    fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, AdminError> {
        let answer = self.0.get(&path)?;
        self.read(path, &answer)
    }

    fn post<T: DeserializeOwned>(&self, path: String, body: &impl Serialize) -> Result<T, AdminError> {
        let body = serde_json::to_vec(body).expect("our own types are JSON");
        let answer = self.0.post(&path, body)?;
        self.read(path, &answer)
    }

    fn read<T: DeserializeOwned>(&self, path: String, answer: &Answer) -> Result<T, AdminError> {
        let endpoint = || self.0.client.endpoint().clone();
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body).map_err(|source| AdminError::Unreadable {
                endpoint: endpoint(),
                path,
                source,
            });
        }
        Err(match serde_json::from_slice(&answer.body) {
            Ok(problem) => AdminError::Problem(Box::new(problem)),
            Err(_) => AdminError::Unexpected { endpoint: endpoint(), path, status: answer.status.as_u16() },
        })
    }
}

/// "title: detail; next step"
fn spoken(problem: &ProblemReport) -> String {
    let mut text = problem.title.trim_end_matches('.').to_owned();
    for (separator, part) in [(": ", Some(&problem.detail)), ("; ", problem.next_step.as_ref())] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            text += separator;
            text += part;
        }
    }
    text
}
