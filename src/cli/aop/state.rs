//! Where the companion keeps its journal.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// Where packages put what lasts.
const SYSTEM: &str = "/var/lib/originlock/aop";

/// The folder that was named, or the usual one: root's is the system's, anyone else's is below their home.
pub(super) fn folder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = named {
        return Ok(folder.to_owned());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(SYSTEM));
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let below_home = || Some(variable("HOME")?.join(".local/state"));
    match variable("XDG_STATE_HOME").or_else(below_home) {
        Some(folder) => Ok(folder.join("originlock/aop")),
        None => {
            bail!("there is no place for the journal: neither XDG_STATE_HOME nor HOME is set; name one with --state")
        }
    }
}
