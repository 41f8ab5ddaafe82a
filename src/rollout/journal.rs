//! What neither Cloudflare nor the origin can tell after a crash: intents before, results after. No key, no token.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::cloudflare::{CertificateId, ZoneId};
use crate::x509::Fingerprint;

/// Of the file's shape.
const VERSION: u32 = 1;

/// The journal of one zone, held by one process at a time.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Locked as long as it is open. `None`: it was opened to look only.
    lock: Option<File>,
    entries: Entries,
}

/// What a journal remembers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entries {
    version: u32,
    pub zone: ZoneId,
    /// Uploads by the certificate's fingerprint.
    #[serde(default)]
    pub uploads: BTreeMap<String, Upload>,
    /// What a hostname was like before its first change, to be given back on a rollback.
    #[serde(default)]
    pub before: BTreeMap<String, Before>,
    /// What the zone was like before its first change.
    #[serde(default)]
    pub zone_before: Option<ZoneBefore>,
    /// Rotations that are under way: by hostname, at the zone's level by the zone's name.
    #[serde(default)]
    pub rotations: BTreeMap<String, Rotation>,
}

/// An upload that was begun.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Upload {
    pub begun_at: Timestamp,
    /// What Cloudflare called it. `None`: the answer is not known; it may be there or not.
    pub id: Option<CertificateId>,
    /// Whether it lay there before anyone here wanted it: not ours to delete.
    #[serde(default)]
    pub was_there: bool,
    /// Whom it is for. Empty: it was not recorded.
    #[serde(default)]
    pub hostnames: BTreeSet<String>,
}

/// What a hostname was like.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Before {
    pub recorded_at: Timestamp,
    /// `None`: there was no association.
    pub association: Option<AssociationBefore>,
    /// Whether it has been given back since. The next change begins anew.
    #[serde(default)]
    pub restored: bool,
}

/// An association that was there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AssociationBefore {
    pub cert_id: CertificateId,
    pub sha256: Option<Fingerprint>,
    pub enabled: bool,
}

/// What a zone was like.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneBefore {
    pub recorded_at: Timestamp,
    pub tls_client_auth: Option<bool>,
    pub zone_level: Option<bool>,
    /// Whether it has been given back since. The next change begins anew.
    #[serde(default)]
    pub restored: bool,
}

/// A certificate that takes the place of others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rotation {
    /// The one to come.
    pub new: Fingerprint,
    /// When it was asked for, by the origin's clock. `None`: it was not yet.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Those to go.
    #[serde(default)]
    pub old: Vec<Replaced>,
    /// CA certificates at the origin that the old ones needed, and the new one does not.
    #[serde(default)]
    pub old_cas: Vec<Fingerprint>,
    /// Who else was seen to need them, before the first change. `None`: it was not looked up, so that they stay.
    #[serde(default)]
    pub needed_by: Option<Vec<String>>,
}

/// A certificate that another one takes the place of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replaced {
    pub id: CertificateId,
    pub sha256: Fingerprint,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{} is in use: another originlock works on this zone; wait for it to end", path.display())]
    InUse { path: PathBuf },
    #[error("{} cannot be read or written; name another folder with --state", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no journal of this version; look at it, and move it away", path.display())]
    Unreadable { path: PathBuf, source: serde_json::Error },
    #[error("{} is of another version of originlock", path.display())]
    Version { path: PathBuf },
}

impl Journal {
    /// Opens the journal of `zone` in `folder`, which is made if it is not there, and keeps everyone else out of it.
    pub fn open(folder: &Path, zone: &ZoneId) -> Result<Self, JournalError> {
        let path = path_of(folder, zone);
        let failed = |source| JournalError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.with_extension("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Self::read(path, zone, Some(lock))
    }

    /// Reads the journal of `zone` in `folder`. Nothing is made or locked, and nothing can be recorded.
    pub fn look(folder: &Path, zone: &ZoneId) -> Result<Self, JournalError> {
        Self::read(path_of(folder, zone), zone, None)
    }

    fn read(path: PathBuf, zone: &ZoneId, lock: Option<File>) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Io { path: path.clone(), source };
        let entries = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| JournalError::Unreadable { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entries::new(zone.clone()),
            Err(error) => return Err(failed(error)),
        };
        match entries.version {
            VERSION => Ok(Self { path, lock, entries }),
            _ => Err(JournalError::Version { path }),
        }
    }

    /// What is remembered of `zone` in `folder`, for whoever only looks: nothing is made, locked or changed. `None`:
    /// nothing is, or it cannot be read.
    pub fn peek(folder: &Path, zone: &ZoneId) -> Option<Entries> {
        let entries: Entries = serde_json::from_slice(&fs::read(path_of(folder, zone)).ok()?).ok()?;
        (entries.version == VERSION).then_some(entries)
    }

    /// What is remembered.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Changes what is remembered; on the disk when this returns, whole or not at all.
    pub fn record(&mut self, change: impl FnOnce(&mut Entries)) -> Result<(), JournalError> {
        let mut entries = self.entries.clone();
        change(&mut entries);
        if entries == self.entries {
            return Ok(());
        }
        if self.lock.is_none() {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(JournalError::Io { path: self.path.clone(), source });
        }
        let text = serde_json::to_vec_pretty(&entries).expect("our own types are JSON");
        write(&self.path, &text).map_err(|source| JournalError::Io { path: self.path.clone(), source })?;
        self.entries = entries;
        Ok(())
    }
}

impl Entries {
    fn new(zone: ZoneId) -> Self {
        Self {
            version: VERSION,
            zone,
            uploads: BTreeMap::new(),
            before: BTreeMap::new(),
            zone_before: None,
            rotations: BTreeMap::new(),
        }
    }
}

fn path_of(folder: &Path, zone: &ZoneId) -> PathBuf {
    // The id comes from outside, and a file's name is made of it.
    let name: String = zone.0.chars().filter(char::is_ascii_alphanumeric).collect();
    folder.join(format!("aop-{name}.json"))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> ZoneId {
        ZoneId("023e105f4ecef8ad9ca31a8372d0c353".to_owned())
    }

    #[test]
    fn what_was_recorded_is_there_after_a_crash_and_only_one_process_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), &zone()).expect("a journal");
        let upload =
            Upload { begun_at: Timestamp::from_seconds(7), id: None, was_there: false, hostnames: BTreeSet::new() };
        journal.record(|entries| drop(entries.uploads.insert("ab".to_owned(), upload.clone()))).expect("written");
        assert!(matches!(Journal::open(folder.path(), &zone()), Err(JournalError::InUse { .. })));
        drop(journal);
        let journal = Journal::open(folder.path(), &zone()).expect("a journal");
        assert_eq!(journal.entries().uploads["ab"], upload);
    }

    #[test]
    fn what_is_no_journal_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("aop-{}.json", zone()));
        fs::write(&path, "{").expect("a file");
        assert!(matches!(Journal::open(folder.path(), &zone()), Err(JournalError::Unreadable { .. })));
        fs::write(&path, r#"{"version":9,"zone":"a"}"#).expect("a file");
        assert!(matches!(Journal::open(folder.path(), &zone()), Err(JournalError::Version { .. })));
        assert_eq!(fs::read_to_string(&path).expect("a file"), r#"{"version":9,"zone":"a"}"#);
    }
}
