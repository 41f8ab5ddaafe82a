//! A fresh folder that only its owner may enter and that does not outlive its use.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const OWNER_ONLY: u32 = 0o700;
/// Folders that earlier processes of the same number left behind are stepped over, up to this many.
const MAX_TRIES: u32 = 100;

/// Removed with everything in it when it is dropped.
#[derive(Debug)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes one in the system's place for temporary files. What exists already, a link included, is never used.
    pub fn create(name: &str) -> io::Result<Self> {
        let parent = std::path::absolute(std::env::temp_dir())?;
        let process = std::process::id();
        for turn in 0..MAX_TRIES {
            let path = match turn {
                0 => parent.join(format!("{name}-{process}")),
                _ => parent.join(format!("{name}-{process}-{turn}")),
            };
            match DirBuilder::new().mode(OWNER_ONLY).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // Whatever cannot be removed is a temporary file that nobody else can read.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_its_owners_alone_and_gone_in_the_end() -> io::Result<()> {
        let first = PrivateFolder::create("originlock-folder-test")?;
        let second = PrivateFolder::create("originlock-folder-test")?;
        assert_ne!(first.path(), second.path());
        assert_eq!(fs::metadata(first.path())?.permissions().mode() & 0o777, OWNER_ONLY);
        fs::write(first.path().join("file"), "x")?;
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
        Ok(())
    }
}
