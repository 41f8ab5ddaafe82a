//! The running proxy, as the verbs of Cloudflare's side ask it.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::admin::{Admin, AdminArguments, Right};
use crate::cli::again::Again;
use crate::cli::walk::{self, Asked};
use crate::evidence::report::{
    HostDetail, HostsReport, JudgeReport, JudgeRequest, ModeReport, ModeRequest, ProblemReport, StatusReport,
    TrustChangeReport, TrustRequest,
};
use crate::remote::admin::AdminError;
use crate::rollout::origin::Origin;

/// Which running proxy is asked. Its client certificate keeps clear of the one for Cloudflare
#[derive(Debug, clap::Args)]
pub(super) struct OriginArguments {
    /// The proxy's admin address: http://HOST:PORT, https://HOST:PORT or unix:/PATH [default: $ORIGINLOCK_ADMIN, then
    /// the configuration's, then http://127.0.0.1:9090]
    #[arg(long, value_name = "URL", help_heading = "Which proxy")]
    admin: Option<String>,
    /// Its configuration, for the address and token that stand there [default: /etc/originlock/originlock.toml]
    #[arg(short, long, value_name = "FILE", help_heading = "Which proxy")]
    config: Option<PathBuf>,
    /// File with the token to show [default: $ORIGINLOCK_TOKEN_FILE, then the configuration's]
    #[arg(long, value_name = "FILE", help_heading = "Which proxy")]
    token_file: Option<PathBuf>,
    /// CA that the proxy's certificate must chain to [default: the system's]
    #[arg(long, value_name = "FILE", help_heading = "Which proxy")]
    ca: Option<PathBuf>,
    /// Client certificate to show to the proxy's admin side
    #[arg(long, value_name = "FILE", requires = "admin_key", help_heading = "Which proxy")]
    admin_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "admin_certificate", help_heading = "Which proxy")]
    admin_key: Option<PathBuf>,
}

/// A proxy whose configuration is written by whoever calls, where the proxy itself may not.
pub(super) struct RunningProxy {
    admin: Admin,
    /// The caller's own idea of where the configuration is.
    config: PathBuf,
}

impl OriginArguments {
    /// What asks the same proxy again: with the words of other verbs, and with those of this one.
    pub(super) fn again(&self, again: Again) -> Again {
        let admin = self.arguments();
        Again { admin: admin.again(), origin: admin.options("--admin-certificate", "--admin-key"), ..again }
    }

    fn arguments(&self) -> AdminArguments {
        AdminArguments {
            admin: self.admin.clone(),
            config: self.config.clone(),
            token_file: self.token_file.clone(),
            ca: self.ca.clone(),
            certificate: self.admin_certificate.clone(),
            key: self.admin_key.clone(),
        }
    }

    /// The running proxy, with the token that `right` needs.
    pub(super) fn find(&self, right: Right) -> anyhow::Result<RunningProxy> {
        let arguments = self.arguments();
        let admin = arguments.find(right)?;
        // Who is not there is told with the reason why it was this one.
        admin.ask(|client| client.status())?;
        Ok(RunningProxy { admin, config: arguments.config_path().to_owned() })
    }
}

impl RunningProxy {
    /// Its admin address, and why it is this one.
    pub(super) fn place(&self) -> (String, String) {
        self.admin.place()
    }

    /// All its hosts.
    pub(super) fn hosts(&self) -> Result<HostsReport, AdminError> {
        self.admin.ask_plainly(|client| client.hosts())
    }
}

impl Origin for RunningProxy {
    fn status(&self) -> Result<StatusReport, AdminError> {
        self.admin.ask_plainly(|client| client.status())
    }

    fn host(&self, name: &str, window: Option<Duration>) -> Result<HostDetail, AdminError> {
        self.admin.ask_plainly(|client| client.host(name, window))
    }

    fn judge(&self, name: &str, request: &JudgeRequest) -> Result<JudgeReport, AdminError> {
        self.admin.ask_plainly(|client| client.judge(name, request))
    }

    fn set_mode(&self, name: &str, request: &ModeRequest) -> Result<ModeReport, AdminError> {
        match walk::set_mode(&self.admin, &self.config, name, request) {
            Ok(Asked::Told(report)) => Ok(report),
            Ok(Asked::Refused(problem)) => Err(AdminError::Problem(problem)),
            Err(error) => Err(error.downcast().unwrap_or_else(|error| by_hand(&error))),
        }
    }

    fn change_trust(&self, name: &str, request: &TrustRequest) -> Result<TrustChangeReport, AdminError> {
        self.admin.ask_plainly(|client| client.change_trust(name, request))
    }
}

/// What went wrong on this side, in the words of the other.
fn by_hand(error: &anyhow::Error) -> AdminError {
    AdminError::Problem(Box::new(ProblemReport {
        kind: "not_written".to_owned(),
        title: "The configuration was not changed".to_owned(),
        status: 0,
        detail: format!("{error:#}"),
        next_step: None,
        readiness: None,
        diff: None,
        source: None,
    }))
}
