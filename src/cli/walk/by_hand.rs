//! The change of mode that the proxy may not write, written by whoever calls: usually an administrator.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use super::{Asked, ask};
use crate::cli::admin::Admin;
use crate::config::edit::{self, EditError, Edited};
use crate::config::file;
use crate::config::replace::replace;
use crate::evidence::report::{ModeReport, ModeRequest, ProblemReport};
use crate::policy::client_auth::Mode;

/// Writes the very change that the proxy would have written, and has it reload and look at itself. `problem` is the
/// proxy's own refusal.
pub(super) fn change(
    admin: &Admin,
    name: &str,
    request: &ModeRequest,
    problem: &ProblemReport,
) -> anyhow::Result<Asked<ModeReport>> {
    let main = admin.ask(|client| client.status())?.config;
    // The file may be another one here: the proxy's own reason is what is told then.
    let Some((from, edited)) = same_change(Path::new(&main), name, request.mode, problem) else {
        return Ok(Asked::Refused(Box::new(problem.clone())));
    };
    let (path, old) = (&edited.file.path, &edited.file.text);
    let judged = trust(admin, name)?;
    if let Err(error) = replace(path, old, &edited.text) {
        let detail = format!("{}\n{error}, by this command", problem.detail);
        return Ok(Asked::Refused(Box::new(ProblemReport { detail, ..problem.clone() })));
    }
    if let Asked::Refused(refused) = ask(admin, |client| client.reload())? {
        replace(path, &edited.text, old).with_context(|| {
            format!("the change could not be taken back, the next reload or start will take it: {}", refused.detail)
        })?;
        return Ok(Asked::Refused(refused));
    }
    if judged.is_some() && trust(admin, name)? != judged {
        replace(path, &edited.text, old).with_context(|| {
            format!("what `{name}` trusts has changed with the mode, and neither could be taken back")
        })?;
        ask(admin, |client| client.reload())?;
        bail!(
            "what `{name}` trusts changed with this reload, and was not what its readiness was judged by: the mode is as it \
             was; look at the CA's files, and let evidence gather anew"
        );
    }
    // It is in that mode already, so it is only looked at.
    Ok(match ask(admin, |client| client.set_mode(name, request))? {
        Asked::Told(report) => {
            let forced = request.mode == Mode::Enforce && !report.readiness.ready;
            Asked::Told(ModeReport { from, diff: edited.diff, applied: true, forced, ..report })
        }
        refused @ Asked::Refused(_) => refused,
    })
}

/// What `name` is judged by. `None` where it is off.
fn trust(admin: &Admin, name: &str) -> anyhow::Result<Option<String>> {
    Ok(admin.ask(|client| client.host(name, None))?.host.trust.map(|trust| trust.digest))
}

/// The change that `problem` tells, if it is the one that the files here make.
fn same_change(main: &Path, name: &str, mode: Mode, problem: &ProblemReport) -> Option<(Mode, Edited)> {
    let config = file::load(main).ok()?.config;
    let host = config.host(name)?;
    let edited = edit::set_mode(&config, host, mode).ok()?;
    let source = problem.source.as_ref()?;
    let same_file = std::path::absolute(&edited.file.path).ok()? == Path::new(&source.file);
    let same_lines = body(&edited.diff) == body(problem.diff.as_ref()?);
    (same_file && same_lines).then_some((host.client_auth.mode.value, edited))
}

/// A diff without the names of its files, which the proxy may have by another way.
fn body(diff: &str) -> Option<&str> {
    diff.split_once("\n@@").map(|(_, body)| body)
}

/// With what to write instead.
pub(super) fn with_remedy(error: &EditError) -> anyhow::Error {
    match error {
        EditError::NoTrust { remedy, .. } => anyhow!("{error}; {remedy}"),
        EditError::NotAlone { .. } => anyhow!("{error}"),
    }
}
