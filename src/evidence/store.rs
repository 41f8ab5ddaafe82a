//! Evidence on the disk: what survives a restart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::account::{Account, Entries};
use super::ledger::Ledger;
use super::strangers::Strangers;
use crate::clock::Timestamp;
use crate::policy::trust::TrustDigest;
use crate::x509::Fingerprint;

/// What this version reads and writes.
const FORMAT: u32 = 1;
/// Ten thousand busy names come to half of this.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Files set aside that are kept.
const MAX_SET_ASIDE: usize = 3;
/// Evidence names clients: nobody else's business.
const MODE: u32 = 0o600;

/// The file that evidence is kept in.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot be read")]
    Read(#[source] io::Error),
    #[error("is larger than 256 MiB")]
    TooLarge,
    #[error("is not evidence, or broken")]
    Broken(#[source] serde_json::Error),
    #[error("has format {0}, this version reads {FORMAT}")]
    OtherFormat(u32),
}

/// A file that could not be used, and where it is now; `None` if it could not be moved.
#[derive(Debug)]
pub struct SetAside {
    pub error: LoadError,
    pub to: Option<PathBuf>,
}

/// Why evidence could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("cannot be written")]
    Write(#[source] io::Error),
    #[error("would be larger than 256 MiB")]
    TooLarge,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    saved_at: Timestamp,
    strangers: Strangers,
    accounts: Accounts<'a>,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// What a file remembers.
#[derive(Deserialize)]
struct Remembered {
    strangers: Strangers,
    accounts: Vec<WrittenAccount>,
}

#[derive(Serialize, Deserialize)]
struct WrittenAccount {
    name: String,
    trust: Fingerprint,
    entries: Entries,
}

/// Copied one after the other, so that no account is locked for longer and no second ledger fills the memory.
struct Accounts<'a> {
    ledger: &'a Ledger,
    now: Timestamp,
}

impl Store {
    /// Evidence in the file at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives `ledger`, before it adopts its first configuration, what the file remembers; nothing where there is none.
    ///
    /// # Errors
    /// The file cannot be used. It is set aside, so that the next save does not destroy it.
    pub fn load(&self, ledger: &Ledger, now: Timestamp) -> Result<(), SetAside> {
        let remembered = match self.read() {
            Ok(Some(remembered)) => remembered,
            Ok(None) => return Ok(()),
            Err(error) => return Err(SetAside { error, to: self.set_aside(now).ok() }),
        };
        let account =
            |WrittenAccount { name, trust, entries }| Arc::new(Account::of(name.into(), TrustDigest(trust.0), entries));
        ledger.remember(remembered.accounts.into_iter().map(account), remembered.strangers);
        Ok(())
    }

    /// Finds out whether a save can succeed at all, before there is anything to lose.
    ///
    /// # Errors
    /// The folder is missing or not writable.
    pub fn try_folder(&self) -> Result<(), SaveError> {
        let temporary = self.temporary();
        create(&temporary).and_then(|_| fs::remove_file(&temporary)).map_err(SaveError::Write)
    }

    /// Writes all of `ledger`: the file is the old one or the new one, whatever happens in between.
    ///
    /// # Errors
    /// The folder is missing or not writable, the disk is full, or it is too much. The old file stays.
    pub fn save(&self, ledger: &Ledger, now: Timestamp) -> Result<(), SaveError> {
        let temporary = self.temporary();
        let written = self.write(&temporary, ledger, now);
        if written.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write(&self, temporary: &Path, ledger: &Ledger, now: Timestamp) -> Result<(), SaveError> {
        let accounts = Accounts { ledger, now };
        let written = Written { format: FORMAT, saved_at: now, strangers: ledger.copy_strangers(now), accounts };
        let file = create(temporary).map_err(SaveError::Write)?;
        let mut writer = BufWriter::new(file);
        serde_json::to_writer(&mut writer, &written).map_err(|error| SaveError::Write(error.into()))?;
        writer.write_all(b"\n").map_err(SaveError::Write)?;
        let file = writer.into_inner().map_err(|error| SaveError::Write(error.into_error()))?;
        if file.metadata().map_err(SaveError::Write)?.len() > MAX_FILE_BYTES {
            return Err(SaveError::TooLarge);
        }
        file.sync_all().map_err(SaveError::Write)?;
        fs::rename(temporary, &self.path).map_err(SaveError::Write)?;
        // The new name has to be on the disk as well. Not every file system lets a folder be synced.
        let _ = File::open(self.folder()).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn read(&self) -> Result<Option<Remembered>, LoadError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LoadError::Read(error)),
        };
        if file.metadata().map_err(LoadError::Read)?.len() > MAX_FILE_BYTES {
            return Err(LoadError::TooLarge);
        }
        let mut bytes = Vec::new();
        let mut limited = BufReader::new(file).take(MAX_FILE_BYTES + 1);
        limited.read_to_end(&mut bytes).map_err(LoadError::Read)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            // It is no file, or it grew meanwhile.
            return Err(LoadError::TooLarge);
        }
        let header: Header = serde_json::from_slice(&bytes).map_err(LoadError::Broken)?;
        if header.format != FORMAT {
            return Err(LoadError::OtherFormat(header.format));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(LoadError::Broken)
    }

    /// Renames the file; of those set aside before, the oldest give way.
    fn set_aside(&self, now: Timestamp) -> io::Result<PathBuf> {
        let to = self.beside(&format!("bad-{}", now.seconds()));
        fs::rename(&self.path, &to)?;
        let mut aside = self.all_set_aside()?;
        aside.sort_unstable();
        let surplus = aside.len().saturating_sub(MAX_SET_ASIDE);
        for (_, oldest) in aside.into_iter().filter(|(_, path)| *path != to).take(surplus) {
            // One that stays does no harm.
            let _ = fs::remove_file(oldest);
        }
        Ok(to)
    }

    /// With the time of each.
    fn all_set_aside(&self) -> io::Result<Vec<(i64, PathBuf)>> {
        let prefix = self.beside("bad-");
        let prefix = prefix.file_name().unwrap_or_default().to_string_lossy();
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(time) = name.strip_prefix(&*prefix).and_then(|time| time.parse().ok()) {
                found.push((time, path));
            }
        }
        Ok(found)
    }

    fn temporary(&self) -> PathBuf {
        self.beside(&format!("tmp-{}", std::process::id()))
    }

    /// `evidence.json.SUFFIX`, in the same folder.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{suffix}"));
        self.path.with_file_name(name)
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

impl Serialize for Accounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let accounts = self.ledger.all_accounts();
        let copies = accounts.iter().map(|account| WrittenAccount {
            name: account.name.to_string(),
            trust: Fingerprint(account.trust.0),
            entries: account.entries(self.now),
        });
        serializer.collect_seq(copies)
    }
}

/// A new file that nobody else may read. One that a killed process left behind gives way.
fn create(path: &Path) -> io::Result<File> {
    let new = || OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    match new() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            new()
        }
        created => created,
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
