//! What the admin side can have told and done. The server does it.

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::evidence::network::Network;
use crate::evidence::report::{
    CertificatesReport, CloudflareReport, FailuresReport, HostDetail, HostReport, HostsReport, JudgeReport, ModeReport,
    ModeRequest, ProblemReport, ReloadReport, StatusReport, TrustChangeReport, TrustRequest,
};

/// Tells what there is. Every call may take a while: it is made off the runtime's thread.
pub trait View: Send + Sync {
    /// `may_change` is left for the caller to fill in.
    fn status(&self) -> StatusReport;
    /// Judged over `window` where that is shorter than a host's own.
    fn hosts(&self, window: Option<Duration>) -> HostsReport;
    /// `name` is any of the host's configured names; `window` as above.
    fn host(&self, name: &str, window: Option<Duration>) -> Option<HostDetail>;
    fn certificates(&self) -> CertificatesReport;
    /// Of one host, or of all.
    fn failures(&self, host: Option<&str>) -> FailuresReport;
    /// What Cloudflare's API said when it was last asked.
    fn cloudflare(&self) -> CloudflareReport;
    /// What the host with `name` among its names makes of `chain`, which nobody has presented. `None` for no host, and for
    /// one in `off`, which judges by nothing.
    fn judge(&self, name: &str, chain: &[CertificateDer<'_>]) -> Option<JudgeReport>;
    /// The first of the names of the host that has `name` among them. Quick.
    fn first_name(&self, name: &str) -> Option<String>;
    /// How far back evidence of the host that has `name` among its names counts. Quick.
    fn window(&self, name: &str) -> Option<Duration>;
    /// Where an address belongs. Quick.
    fn network(&self, address: IpAddr) -> Network;
}

/// Changes what there is. Every call blocks until it is done. `by` says who asked, for the log: never a secret.
pub trait Control: Send + Sync {
    /// # Errors
    /// Not ready, not writable, unknown, …: as it is told to whoever asked.
    fn set_mode(&self, host: &str, request: &ModeRequest, by: &str) -> Result<ModeReport, Box<ProblemReport>>;
    /// Adds CA certificates to the host's bundle, or takes some away.
    ///
    /// # Errors
    /// Unknown, not writable, the last CA, no CA, …: as it is told to whoever asked.
    fn change_trust(
        &self,
        host: &str,
        request: &TrustRequest,
        by: &str,
    ) -> Result<TrustChangeReport, Box<ProblemReport>>;
    /// Has an `enforce` that would fall back stay.
    ///
    /// # Errors
    /// Unknown host, or nothing to confirm.
    fn confirm(&self, host: &str, by: &str) -> Result<HostReport, Box<ProblemReport>>;
    /// # Errors
    /// All that is wrong with the new configuration.
    fn reload(&self, by: &str) -> Result<ReloadReport, Box<ProblemReport>>;
}
