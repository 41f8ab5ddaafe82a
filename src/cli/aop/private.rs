//! Files that nobody else should be able to read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::cli::again;

/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// Says on standard error that others may read a secret, and how to mend it.
pub(super) fn warn_if_open(path: &Path) {
    if let Some(warning) = open(path) {
        eprintln!("originlock: {warning}");
    }
}

fn open(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.mode() & 0o777;
    let path = path.display().to_string();
    (mode & OTHERS != 0).then(|| {
        format!("warning: {path} has mode {mode:04o}: others may use this secret; `chmod 600 {}`", again::quoted(&path))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_what_others_may_use_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a key");
        fs::write(&path, "secret").expect("a file");
        for (mode, is_told) in [(0o600, false), (0o400, false), (0o644, true), (0o640, true), (0o602, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let told = open(&path);
            assert_eq!(told.is_some(), is_told, "{mode:o}: {told:?}");
            assert!(told.is_none_or(|told| told.contains(&format!("`chmod 600 '{}'`", path.display()))));
        }
        assert_eq!(open(folder.path()), None);
    }
}
