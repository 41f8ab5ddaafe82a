//! The running proxy, as the companion sees it.

use std::time::Duration;

use crate::evidence::report::{
    HostDetail, JudgeReport, JudgeRequest, ModeReport, ModeRequest, StatusReport, TrustChangeReport, TrustRequest,
};
use crate::remote::admin::{AdminClient, AdminError};

/// What the companion asks of an origin: nothing that the admin API does not have.
pub trait Origin {
    /// The process.
    fn status(&self) -> Result<StatusReport, AdminError>;
    /// The host with `name` among its names, judged over `window` or its own.
    fn host(&self, name: &str, window: Option<Duration>) -> Result<HostDetail, AdminError>;
    /// What the host's trust would make of a certificate.
    fn judge(&self, name: &str, request: &JudgeRequest) -> Result<JudgeReport, AdminError>;
    /// Moves a host to another mode, or says what that would change.
    fn set_mode(&self, name: &str, request: &ModeRequest) -> Result<ModeReport, AdminError>;
    /// Adds to or takes from the CA bundle of a host.
    fn change_trust(&self, name: &str, request: &TrustRequest) -> Result<TrustChangeReport, AdminError>;
}

impl Origin for AdminClient {
    fn status(&self) -> Result<StatusReport, AdminError> {
        Self::status(self)
    }

    fn host(&self, name: &str, window: Option<Duration>) -> Result<HostDetail, AdminError> {
        Self::host(self, name, window)
    }

    fn judge(&self, name: &str, request: &JudgeRequest) -> Result<JudgeReport, AdminError> {
        Self::judge(self, name, request)
    }

    fn set_mode(&self, name: &str, request: &ModeRequest) -> Result<ModeReport, AdminError> {
        Self::set_mode(self, name, request)
    }

    fn change_trust(&self, name: &str, request: &TrustRequest) -> Result<TrustChangeReport, AdminError> {
        Self::change_trust(self, name, request)
    }
}
