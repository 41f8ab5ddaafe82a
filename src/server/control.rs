//! Changes that the admin side may ask for.

use std::sync::{Arc, Mutex, PoisonError};

use super::admin::HealthChecks;
use super::reload::{ReloadError, Reloaded, Reloader};
use crate::admin::control::Control;
use crate::evidence::report::{HostReport, ModeReport, ModeRequest, ProblemReport, ReloadReport, SourceReport};
use crate::proxy::worker::Shared;

/// Reloads; whatever else is asked for cannot be done by this program yet.
pub struct Reloading {
    pub shared: Arc<Shared>,
    pub reloader: Mutex<Reloader>,
    pub checks: HealthChecks,
}

impl Reloading {
    /// Reads the configuration again and puts it in force as a whole, or keeps what is in force.
    pub fn reload_now(&self) -> Result<Reloaded, ReloadError> {
        let mut reloader = self.reloader.lock().unwrap_or_else(PoisonError::into_inner);
        let reloaded = reloader.reload(&self.shared)?;
        self.checks.watch(&self.shared.current.load());
        Ok(reloaded)
    }
}

impl Control for Reloading {
    fn set_mode(&self, _host: &str, _request: &ModeRequest, _by: &str) -> Result<ModeReport, Box<ProblemReport>> {
        Err(not_available())
    }

    fn confirm(&self, _host: &str, _by: &str) -> Result<HostReport, Box<ProblemReport>> {
        Err(not_available())
    }

    fn reload(&self, _by: &str) -> Result<ReloadReport, Box<ProblemReport>> {
        let reloaded = self.reload_now().map_err(|error| Box::new(refused(&error)))?;
        let warnings = reloaded.warnings.iter().map(ToString::to_string).collect();
        Ok(ReloadReport { generation: reloaded.generation, warnings })
    }
}

fn refused(error: &ReloadError) -> ProblemReport {
    let place = error.0.iter().find_map(|problem| problem.place.as_ref());
    ProblemReport {
        kind: "bad_configuration".to_owned(),
        title: "the new configuration cannot be used, the old one stays in force".to_owned(),
        status: 422,
        detail: error.0.to_string().trim_end().to_owned(),
        next_step: Some("correct it; `originlock check` shows the same without a reload".to_owned()),
        readiness: None,
        diff: None,
        source: place
            .map(|place| SourceReport { file: place.file.path.display().to_string(), line: place.line_and_column().0 }),
    }
}

fn not_available() -> Box<ProblemReport> {
    Box::new(ProblemReport {
        kind: "not_available".to_owned(),
        title: "not available".to_owned(),
        status: 501,
        detail: "a mode is changed in the configuration file".to_owned(),
        next_step: Some("edit the file, then POST /api/v1/reload".to_owned()),
        readiness: None,
        diff: None,
        source: None,
    })
}
