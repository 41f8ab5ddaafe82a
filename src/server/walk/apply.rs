//! The change of one mode in its file and in force: that and nothing else, or nothing.

use tracing::{error, warn};

use super::Walk;
use super::drift::{State, beside};
use super::problem::{self, Problem};
use crate::config::edit::Edited;
use crate::config::replace::{ReplaceError, replace};
use crate::evidence::report::ModeReport;
use crate::server::reload::{Prepared, ReloadError, Reloader};

impl Walk {
    /// Writes the file and reloads. Where that is refused or would change more, the old text comes back.
    pub(super) fn put_in_force(
        &self,
        reloader: &mut Reloader,
        edited: &Edited,
        wanted: &ModeReport,
        by: &str,
    ) -> Result<(), Problem> {
        if let Err(error) = replace(&edited.file.path, &edited.file.text, &edited.text) {
            return Err(self.not_written(reloader, edited, wanted, by, &error));
        }
        let prepared = match reloader.prepare(&self.shared) {
            Ok(prepared) => prepared,
            Err(ReloadError(problems)) => return Err(problem::bad_configuration(&problems, Some(take_back(edited)))),
        };
        if let Some(differs) = self.beside(reloader, Some(edited), &wanted.host, &prepared) {
            reloader.discard(prepared);
            return Err(problem::file_changed(format!("{differs}; {}", take_back(edited))));
        }
        reloader.put_in_force(&self.shared, prepared, by);
        Ok(())
    }

    fn beside(&self, reloader: &Reloader, edited: Option<&Edited>, host: &str, prepared: &Prepared) -> Option<String> {
        let (config, snapshot) = (reloader.in_force(), self.shared.current.load());
        let before = State { config: &config, snapshot: &snapshot };
        beside(edited, host, before, State { config: &prepared.config, snapshot: prepared.draft.snapshot() })
    }

    fn not_written(
        &self,
        reloader: &Reloader,
        edited: &Edited,
        wanted: &ModeReport,
        by: &str,
        error: &ReplaceError,
    ) -> Problem {
        // Whoever asked may make the change instead, and only a reload will then be seen here.
        warn!(
            originlock.host = wanted.host,
            originlock.mode = wanted.to.label(),
            originlock.forced = wanted.forced,
            originlock.by = by,
            error = error as &dyn std::error::Error,
            "a change of mode was asked for and not written"
        );
        if matches!(error, ReplaceError::NotWritable { .. })
            && let Ok(prepared) = reloader.prepare(&self.shared)
        {
            let differs = self.beside(reloader, None, &wanted.host, &prepared);
            reloader.discard(prepared);
            if let Some(differs) = differs {
                return problem::file_changed(differs);
            }
        }
        problem::replace(error, edited.diff.clone(), Some(wanted.source.clone()))
    }
}

/// Puts the old text back and says what became of the file.
fn take_back(edited: &Edited) -> String {
    let path = &edited.file.path;
    match replace(path, &edited.text, &edited.file.text) {
        Ok(()) => format!("{} is as it was, the mode has not changed", path.display()),
        Err(error) => {
            error!(
                error = &error as &dyn std::error::Error,
                "a change of mode could not be taken back; the next reload or start will take it"
            );
            format!("the mode has not changed, but {error}: the next reload or start will change it")
        }
    }
}
