//! The CA certificates of a host's bundle changed in its file and in force: that and nothing else, or nothing.

use std::path;
use std::sync::PoisonError;

use tracing::{error, info, warn};

use super::Walk;
use super::bundle::BundleChange;
use super::drift::{State, beside_bundle};
use super::problem::{self, Problem};
use crate::config::diff;
use crate::config::replace::{ReplaceError, replace};
use crate::evidence::report::{TrustChangeReport, TrustRequest};
use crate::server::reload::{ReloadError, Reloader};

impl Walk {
    /// Adds CA certificates to the bundle of the host with `name`, or takes some away.
    pub(super) fn change_bundle(
        &self,
        name: &str,
        request: &TrustRequest,
        by: &str,
    ) -> Result<TrustChangeReport, Problem> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reloader = self.reloader();
        let config = reloader.in_force();
        let host = config.host(name).ok_or_else(|| self.unknown(name))?;
        let (snapshot, ledger) = (self.shared.current.load(), self.shared.observer.ledger());
        let change = BundleChange::plan(&config, &snapshot, ledger, host, request, self.shared.clock.now())?;
        let file = path::absolute(&change.path).unwrap_or_else(|_| change.path.clone());
        let mut report = TrustChangeReport {
            host: host.names.first().map(|name| name.value.to_string()).unwrap_or_default(),
            hosts: change.hosts(&config),
            ca: change.ca.clone(),
            file: file.display().to_string(),
            added: change.added.clone(),
            removed: change.removed.clone(),
            applied: false,
        };
        if request.dry_run || change.is_nothing() {
            return Ok(report);
        }
        self.put_bundle_in_force(&mut reloader, &change, by).inspect_err(|problem| {
            // Whoever asked may make the change instead, and only a reload will then be seen here.
            warn!(
                originlock.ca = change.ca,
                originlock.by = by,
                originlock.problem = problem.kind,
                "a change of a CA bundle was asked for and not made"
            );
        })?;
        report.applied = true;
        for lost in &change.cuts_off {
            warn!(
                originlock.host = lost.host,
                originlock.ca = change.ca,
                originlock.certificate = %lost.sha256,
                originlock.last_seen = %lost.last_seen,
                originlock.by = by,
                "a CA went by force: edges came with a certificate that is refused from now on"
            );
        }
        info!(
            originlock.ca = change.ca,
            originlock.hosts = %report.hosts.join(" "),
            file.path = report.file,
            originlock.added = ?change.added,
            originlock.removed = ?change.removed,
            originlock.by = by,
            "CA bundle changed: evidence under it starts anew"
        );
        Ok(report)
    }

    /// Writes the file and reloads. Where that is refused or would change more, the old text comes back.
    fn put_bundle_in_force(&self, reloader: &mut Reloader, change: &BundleChange, by: &str) -> Result<(), Problem> {
        replace(&change.path, &change.old, &change.new).map_err(|error| not_written(&error, change))?;
        let prepared = match reloader.prepare(&self.shared) {
            Ok(prepared) => prepared,
            Err(ReloadError(problems)) => return Err(problem::bad_configuration(&problems, Some(take_back(change)))),
        };
        let (config, snapshot) = (reloader.in_force(), self.shared.current.load());
        let before = State { config: &config, snapshot: &snapshot };
        let after = State { config: &prepared.config, snapshot: prepared.draft.snapshot() };
        if let Some(differs) = beside_bundle(change, before, after) {
            reloader.discard(prepared);
            return Err(problem::file_changed(format!("{differs}; {}", take_back(change))));
        }
        reloader.put_in_force(&self.shared, prepared, by);
        Ok(())
    }
}

fn not_written(error: &ReplaceError, change: &BundleChange) -> Problem {
    let [old, new] = [&change.old, &change.new].map(|text| String::from_utf8_lossy(text));
    problem::replace(error, diff::between(&change.path, &old, &new), None)
}

/// Puts the old text back and says what became of the file.
fn take_back(change: &BundleChange) -> String {
    match replace(&change.path, &change.new, &change.old) {
        Ok(()) => format!("{} is as it was, the trust has not changed", change.path.display()),
        Err(error) => {
            error!(
                error = &error as &dyn std::error::Error,
                "a change of a CA bundle could not be taken back; the next reload or start will take it"
            );
            format!("the trust has not changed, but {error}: the next reload or start will change it")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;

    use super::*;

    #[test]
    fn what_may_not_be_written_here_is_told_to_whoever_may() {
        let change = BundleChange {
            ca: "ours".into(),
            affected: BTreeSet::new(),
            path: "ca/ours.pem".into(),
            old: b"# caf\xe9\nold\n".to_vec(),
            new: b"# caf\xe9\nnew\n".to_vec(),
            added: Vec::new(),
            removed: Vec::new(),
            cuts_off: Vec::new(),
        };
        let source = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let problem = not_written(&ReplaceError::NotWritable { path: change.path.clone(), source }, &change);
        assert_eq!((problem.kind.as_str(), problem.status), ("not_writable", 409));
        assert!(problem.diff.is_some_and(|diff| diff.ends_with("-old\n+new\n")));
        assert!(
            problem.next_step.is_some_and(|step| step.starts_with("make the change as someone who may, and reload"))
        );
    }
}
