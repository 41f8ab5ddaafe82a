//! A file of the operator's replaced by another text: whole, or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Until the draft has the old file's mode, only its owner reads it.
const DRAFT_MODE: u32 = 0o600;

/// Why a file was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Someone else was faster.
    #[error("{} has changed since it was loaded; reload, look at it, and try again", path.display())]
    Changed { path: PathBuf },
    /// This process may not, or the file system takes no change.
    #[error("{} cannot be replaced ({})", path.display(), source.kind())]
    NotWritable { path: PathBuf, source: io::Error },
    #[error("{} cannot be written ({})", path.display(), source.kind())]
    Write { path: PathBuf, source: io::Error },
}

/// Puts `text` in the place of `expected` at `path`, with the same owner, group and mode. A link stays and its target is
/// replaced. Whoever reads the file meanwhile gets one text or the other.
///
/// # Errors
/// The file is not `expected` any more, or cannot be written; it is then left as it is.
pub fn replace(path: &Path, expected: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> Result<(), ReplaceError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ReplaceError::Changed { path: path.to_owned() },
        // A file that is mounted by itself, as containers do, cannot be renamed over.
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::ResourceBusy
        | io::ErrorKind::CrossesDevices => ReplaceError::NotWritable { path: path.to_owned(), source },
        _ => ReplaceError::Write { path: path.to_owned(), source },
    };
    let target = fs::canonicalize(path).map_err(failed)?;
    let draft = draft_of(&target);
    let written = write_draft(&draft, &target, text.as_ref()).and_then(|()| {
        if fs::read(&target)? != expected.as_ref() {
            return Ok(false);
        }
        fs::rename(&draft, &target)?;
        Ok(true)
    });
    if !matches!(written, Ok(true)) {
        // What cannot be removed was never made, or is a hidden file that nothing includes.
        let _ = fs::remove_file(&draft);
    }
    match written {
        Ok(true) => {
            // After a power cut, too. The text is in place for everyone even where a folder cannot be synced.
            let _ = target.parent().and_then(|folder| File::open(folder).ok()).map(|folder| folder.sync_all());
            Ok(())
        }
        Ok(false) => Err(ReplaceError::Changed { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}

/// Hidden, so that no `include` takes it for a configuration.
fn draft_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn write_draft(draft: &Path, target: &Path, text: &[u8]) -> io::Result<()> {
    let old = fs::metadata(target)?;
    // What an earlier process of the same number left behind.
    let _ = fs::remove_file(draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(DRAFT_MODE).open(draft)?;
    file.write_all(text)?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode()))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const OLD: &str = "mode = \"observe\"\n";
    const NEW: &str = "mode = \"enforce\"\n";

    fn folder_with(name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, OLD).expect("a file");
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn owner_group_and_mode_stay() {
        let (folder, path) = folder_with("originlock.toml");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("a mode");
        // Only root can give a file away; elsewhere they stay because they are one's own.
        let gave = std::os::unix::fs::chown(&path, Some(12), Some(34)).is_ok();
        let before = fs::metadata(&path).expect("a file");
        replace(&path, OLD, NEW).expect("it is written");
        let after = fs::metadata(&path).expect("a file");
        assert_eq!(fs::read_to_string(&path).expect("a file"), NEW);
        assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
        assert_eq!((after.mode() & 0o777, after.uid() == 12), (0o640, gave));
        assert_eq!(names(folder.path()), ["originlock.toml"], "no draft is left");
    }

    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let (folder, target) = folder_with("real.toml");
        let link = folder.path().join("link.toml");
        symlink("real.toml", &link).expect("a link");
        replace(&link, OLD, NEW).expect("it is written");
        assert_eq!(fs::read_link(&link).expect("still a link"), Path::new("real.toml"));
        assert_eq!(fs::read_to_string(&target).expect("a file"), NEW);
    }

    #[test]
    fn where_nothing_can_be_written_it_is_said_so() {
        // Not even root makes a file there.
        let path = Path::new("/sys/kernel/uevent_seqnum");
        let text = fs::read_to_string(path).expect("sysfs");
        let error = replace(path, &text, NEW).expect_err("it cannot be written");
        assert!(matches!(error, ReplaceError::NotWritable { .. }), "{error}");
    }

    #[test]
    fn a_file_that_someone_else_changed_is_left_alone() {
        let (folder, path) = folder_with("originlock.toml");
        fs::write(&path, "# mine\n").expect("a file");
        let error = replace(&path, OLD, NEW).expect_err("it is not what was loaded");
        assert!(matches!(error, ReplaceError::Changed { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "# mine\n");
        assert_eq!(names(folder.path()), ["originlock.toml"]);
        fs::remove_file(&path).expect("a file");
        let error = replace(&path, OLD, NEW).expect_err("it is gone");
        assert!(matches!(error, ReplaceError::Changed { .. }), "{error}");
    }
}
