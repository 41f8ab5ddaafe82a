//! This process as the companion sees an origin: told of, never changed.

use std::time::Duration;

use crate::admin::control::View;
use crate::evidence::report::{
    HostDetail, JudgeReport, JudgeRequest, ModeReport, ModeRequest, ProblemReport, StatusReport, TrustChangeReport,
    TrustRequest,
};
use crate::policy::pem;
use crate::remote::admin::AdminError;
use crate::rollout::origin::Origin;

/// What the view tells, without a way over the network.
pub struct InProcess<'a>(pub &'a dyn View);

impl Origin for InProcess<'_> {
    fn status(&self) -> Result<StatusReport, AdminError> {
        Ok(self.0.status())
    }

    fn host(&self, name: &str, window: Option<Duration>) -> Result<HostDetail, AdminError> {
        self.0.host(name, window).ok_or_else(|| refused(404, "unknown_host", "no such host"))
    }

    fn judge(&self, name: &str, request: &JudgeRequest) -> Result<JudgeReport, AdminError> {
        let chain = pem::certificates(request.certificates.as_bytes())
            .map_err(|_| refused(400, "bad_request", "that is no certificate"))?;
        self.0.judge(name, &chain).ok_or_else(|| refused(409, "no_trust", "nothing to judge by"))
    }

    fn set_mode(&self, _name: &str, _request: &ModeRequest) -> Result<ModeReport, AdminError> {
        Err(only_looks())
    }

    fn change_trust(&self, _name: &str, _request: &TrustRequest) -> Result<TrustChangeReport, AdminError> {
        Err(only_looks())
    }
}

/// Whoever looks in the background changes nothing, whatever Cloudflare says.
fn only_looks() -> AdminError {
    refused(403, "forbidden", "the look at Cloudflare's side changes nothing")
}

fn refused(status: u16, kind: &str, title: &str) -> AdminError {
    AdminError::Problem(Box::new(ProblemReport {
        kind: kind.to_owned(),
        title: title.to_owned(),
        status,
        detail: String::new(),
        next_step: None,
        readiness: None,
        diff: None,
        source: None,
    }))
}
