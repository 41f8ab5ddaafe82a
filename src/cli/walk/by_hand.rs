//! The change of mode that the proxy may not write, written by whoever calls: usually an administrator.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::{Asked, ask};
use crate::cli::admin::Admin;
use crate::config::edit::{self, EditError, Edited};
use crate::config::file;
use crate::config::replace::replace;
use crate::evidence::report::{ModeReport, ModeRequest, ProblemReport, ReloadReport};
use crate::policy::client_auth::Mode;

/// Writes the very change that the proxy would have written, and has it reload and look at itself. `config` is the
/// caller's own: whoever listens where the proxy should may not choose the file that root writes. `problem` is the proxy's
/// own refusal.
pub(super) fn change(
    admin: &Admin,
    config: &Path,
    name: &str,
    request: &ModeRequest,
    problem: &ProblemReport,
) -> anyhow::Result<Asked<ModeReport>> {
    let refused = |why: &str| {
        let detail = format!("{}\n{why}", problem.detail);
        Ok(Asked::Refused(Box::new(ProblemReport { detail, ..problem.clone() })))
    };
    let (from, edited) = match same_change(config, name, request.mode, problem) {
        Ok(change) => change,
        Err(why) => return refused(&why),
    };
    let (path, old) = (&edited.file.path, &edited.file.text);
    if let Some((folder, owner)) = fs::canonicalize(path).ok().and_then(|path| foreign_folder(&path, own_user())) {
        let folder = folder.display();
        return refused(&format!(
            "this command does not write there: {folder} belongs to user {owner}, who could have it write elsewhere"
        ));
    }
    let judged = trust(admin, name)?;
    if let Err(error) = replace(path, old, &edited.text) {
        return refused(&format!("{error}, by this command"));
    }
    if let Some(refused) = reload_or_restore(admin, &edited)? {
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
    let looked_at = ask(admin, |client| client.set_mode(name, request))
        .context("the change is in the file and in force; how the proxy does with it is not known")?;
    Ok(match looked_at {
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

/// Has the proxy reload. Unless it says that it did, the old text comes back.
fn reload_or_restore(admin: &Admin, edited: &Edited) -> anyhow::Result<Option<Box<ProblemReport>>> {
    let (path, old) = (&edited.file.path, &edited.file.text);
    let asked: anyhow::Result<Asked<ReloadReport>> = ask(admin, |client| client.reload());
    if matches!(asked, Ok(Asked::Told(_))) {
        return Ok(None);
    }
    let why = match &asked {
        Ok(Asked::Refused(refused)) => refused.detail.clone(),
        Ok(Asked::Told(_)) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    let shown = path.display();
    replace(path, &edited.text, old).with_context(|| {
        format!("the change of {shown} could not be taken back, the next reload or start will take it: {why}")
    })?;
    let unsure = || {
        format!(
            "{shown} is as it was, since nobody says that the change was loaded; `originlock status` shows whether it was, \
             `originlock reload` has the file read again"
        )
    };
    match asked.with_context(unsure)? {
        Asked::Refused(refused) => Ok(Some(refused)),
        Asked::Told(_) => Ok(None),
    }
}

/// The change that `problem` tells, if it is the one that the files here make.
fn same_change(config: &Path, name: &str, mode: Mode, problem: &ProblemReport) -> Result<(Mode, Edited), String> {
    let own = config.display();
    let unusable = || {
        format!(
            "this command could have made the change, but {own} cannot be used here; name the configuration with -c FILE"
        )
    };
    let loaded = file::load(config).map_err(|_| unusable())?.config;
    let host = loaded.host(name).ok_or_else(|| {
        format!("this command could have made the change, but {own} has no such host; name the proxy's configuration with -c FILE")
    })?;
    let edited = edit::set_mode(&loaded, host, mode).map_err(|error| error.to_string())?;
    let theirs = problem.source.as_ref().map_or("no file", |source| &source.file);
    let ours = std::path::absolute(&edited.file.path).unwrap_or_else(|_| edited.file.path.clone());
    if ours != Path::new(theirs) {
        let ours = ours.display();
        return Err(format!(
            "this command could have made the change, but by {own} it belongs into {ours}, and the proxy names {theirs}; \
             if that is right, name its configuration with -c FILE"
        ));
    }
    match problem.diff.as_ref().is_some_and(|diff| body(&edited.diff) == body(diff)) {
        true => Ok((host.client_auth.mode.value, edited)),
        false => Err(format!("{theirs} is not what the proxy has loaded; `originlock reload` first")),
    }
}

/// A diff without the names of its files, which the proxy may have by another way.
fn body(diff: &str) -> Option<&str> {
    diff.split_once("\n@@").map(|(_, body)| body)
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The folder above `file` that belongs to neither root nor `user`, with its owner, who can put another in its place at any
/// moment. `file` has no links in it.
fn foreign_folder(file: &Path, user: u32) -> Option<(PathBuf, u32)> {
    file.ancestors().skip(1).find_map(|folder| {
        let owner = fs::metadata(folder).ok()?.uid();
        (owner != 0 && owner != user).then(|| (folder.to_owned(), owner))
    })
}

/// With what to write instead.
pub(super) fn with_remedy(error: &EditError) -> anyhow::Error {
    match error {
        EditError::NoTrust { remedy, .. } => anyhow!("{error}; {remedy}"),
        EditError::NotAlone { .. } => anyhow!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_found_however_far_above_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let top = fs::canonicalize(folder.path()).expect("a folder");
        let file = top.join("hosts.d/shop.toml");
        fs::create_dir(top.join("hosts.d")).expect("a folder");
        assert_eq!(foreign_folder(&file, own_user()), None);
        // Only root can give a folder away; to root, one's own is somebody else's.
        let _ = chown(&top, Some(12), None);
        let owner = fs::metadata(&top).expect("a folder").uid();
        assert_eq!(foreign_folder(&file, 12), None);
        let found = match owner {
            12 => Some((top, 12)),
            _ => Some((top.join("hosts.d"), owner)),
        };
        assert_eq!(foreign_folder(&file, 13), found);
    }
}
