//! New files for certificates and keys. Nothing that exists is ever overwritten.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Issued;

/// Only the owner reads a key.
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} exists and is not overwritten; move it away, or choose another name", path.display())]
    Exists { path: PathBuf },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Writes certificate (0644) and key (0600), or neither.
pub fn write_pair(certificate: &Path, key: &Path, issued: &Issued) -> Result<(), FileError> {
    refuse_existing(certificate)?;
    write_new(key, issued.key_pem.expose(), KEY_MODE)?;
    write_new(certificate, issued.certificate_pem.as_bytes(), CERTIFICATE_MODE).inspect_err(|_| {
        // A key without its certificate is of no use and would stand in the way of the next attempt.
        let _ = fs::remove_file(key);
    })
}

/// Writes the certificate (0644) beside a key that is there.
pub fn write_beside_key(certificate: &Path, issued: &Issued) -> Result<(), FileError> {
    write_public(certificate, issued.certificate_pem.as_bytes())
}

/// Writes what everybody may read (0644) to the new file `path`: whole or not at all.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_new(path, bytes, CERTIFICATE_MODE)
}

/// Writes `bytes` to the new file `path`: whole or not at all.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    refuse_existing(path)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
        _ => FileError::Write { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // Unlike a rename, a link never replaces a file that came into being in the meantime.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    linked.map_err(failed)
}

fn refuse_existing(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(FileError::Exists { path: path.to_owned() }),
        Err(_) => Ok(()),
    }
}
