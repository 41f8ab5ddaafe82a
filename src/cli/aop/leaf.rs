//! The certificate for Cloudflare's edges: from files, or made by a CA that is at hand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::private;
use crate::cli::again::Options;
use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::pki::files::{write_beside_key, write_pair};
use crate::pki::{Ca, Issued, LeafOptions, Validity};
use crate::rollout::leaf::Leaf;
use crate::secret::Secret;

/// A certificate file is kilobytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The certificate that Cloudflare's edges show
#[derive(Debug, clap::Args)]
pub(super) struct LeafArguments {
    /// Certificate for Cloudflare's edges to show, PEM: the leaf first
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "Certificate")]
    certificate: Option<PathBuf>,
    /// Its key, PEM without a passphrase
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Certificate")]
    key: Option<PathBuf>,
    /// Make the certificate, by the CA that is named with --ca-certificate and --ca-key; a further run uses the same files
    #[arg(long, requires_all = ["ca_certificate", "ca_key"], conflicts_with = "certificate", help_heading = "Certificate")]
    issue: bool,
    /// Certificate of the CA that issues
    #[arg(long, value_name = "FILE", requires = "issue", help_heading = "Certificate")]
    ca_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "issue", help_heading = "Certificate")]
    ca_key: Option<PathBuf>,
    /// Folder for what is issued: origin-pull-HOST.pem and .key, which are never overwritten
    #[arg(long, value_name = "FOLDER", requires = "issue", default_value = ".", help_heading = "Certificate")]
    out: PathBuf,
    /// Days until what is issued expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500), help_heading = "Certificate")]
    days: u32,
}

/// A leaf, and where it came from.
pub(super) struct Found {
    pub(super) leaf: Leaf,
    /// Made just now, and in no file yet.
    unwritten: Option<(PathBuf, PathBuf, Issued)>,
}

impl Found {
    /// What is told of a certificate that will be made only when something is changed: its fingerprint will be another.
    pub(super) fn to_be_issued(&self) -> Option<String> {
        let (file, _, _) = self.unwritten.as_ref()?;
        let issuer = self.leaf.summary.fields.as_ref().map_or("the CA", |fields| fields.issuer.as_str());
        Some(format!("that will be issued by {issuer} into {}", file.display()))
    }

    /// Writes what was made, so that a further run finds it. Says what was written.
    pub(super) fn keep(&self) -> anyhow::Result<Option<String>> {
        let Some((certificate, key, issued)) = &self.unwritten else { return Ok(None) };
        match key.exists() {
            true => write_beside_key(certificate, issued)?,
            false => write_pair(certificate, key, issued)?,
        }
        Ok(Some(format!("issued {}, key {} (mode 0600)", certificate.display(), key.display())))
    }
}

impl LeafArguments {
    /// What names the same certificate again.
    pub(super) fn again(&self) -> Options {
        let path = |path: &PathBuf| Some(path.display().to_string());
        match (&self.certificate, &self.key, &self.ca_certificate, &self.ca_key) {
            (Some(certificate), Some(key), _, _) => {
                Options::given([("--certificate", path(certificate)), ("--key", path(key))])
            }
            (_, _, Some(certificate), Some(key)) => Options::given([
                ("--ca-certificate", path(certificate)),
                ("--ca-key", path(key)),
                ("--out", path(&self.out).filter(|out| out != ".")),
            ])
            .flag("--issue"),
            _ => Options::default(),
        }
    }

    /// `None`: no certificate was named, and none is to be made.
    pub(super) fn find(&self, hostnames: &[Hostname], now: Timestamp) -> anyhow::Result<Option<Found>> {
        if let Some((certificate, key)) = self.certificate.as_ref().zip(self.key.as_ref()) {
            return Ok(Some(Found { leaf: read_pair(certificate, key)?, unwritten: None }));
        }
        let Some((ca, ca_key)) = self.ca_certificate.as_ref().zip(self.ca_key.as_ref()).filter(|_| self.issue) else {
            return Ok(None);
        };
        let Some(hostname) = self.named_after(hostnames) else { return Ok(None) };
        let [certificate, key] = self.files(hostname);
        match (certificate.exists(), key.exists()) {
            (true, true) => Ok(Some(Found { leaf: read_pair(&certificate, &key)?, unwritten: None })),
            (false, false) => {
                let issued = self.issue(ca, ca_key, hostname, None, now)?;
                let leaf = Leaf::from_pem(issued.certificate_pem.as_bytes(), issued.key_pem.clone())?;
                Ok(Some(Found { leaf, unwritten: Some((certificate, key, issued)) }))
            }
            // Somebody was interrupted between the two.
            (false, true) => {
                let existing = Secret::new(read(&key)?);
                let issued = self.issue(ca, ca_key, hostname, Some(&existing), now);
                let issued = issued.with_context(|| key.display().to_string())?;
                let leaf = Leaf::from_pem(issued.certificate_pem.as_bytes(), existing)?;
                Ok(Some(Found { leaf, unwritten: Some((certificate, key, issued)) }))
            }
            (true, false) => bail!(
                "{} is there, and its key {} is not; bring that back, or move the certificate away",
                certificate.display(),
                key.display()
            ),
        }
    }

    fn files(&self, hostname: &Hostname) -> [PathBuf; 2] {
        ["pem", "key"].map(|end| self.out.join(format!("origin-pull-{hostname}.{end}")))
    }

    /// Whichever order the hostnames come in, the files are the same: those that are there, or else of the first by name.
    fn named_after<'a>(&self, hostnames: &'a [Hostname]) -> Option<&'a Hostname> {
        let mut sorted: Vec<_> = hostnames.iter().collect();
        sorted.sort();
        let there = sorted.iter().find(|hostname| self.files(hostname).iter().any(|file| file.exists()));
        there.or(sorted.first()).copied()
    }

    /// `key`: one that is there; or else a fresh one.
    fn issue(
        &self,
        ca: &Path,
        ca_key: &Path,
        hostname: &Hostname,
        key: Option<&Secret>,
        now: Timestamp,
    ) -> anyhow::Result<Issued> {
        private::warn_if_open(ca_key);
        let loaded = Ca::load(&read(ca)?, &Secret::new(read(ca_key)?))
            .with_context(|| format!("CA {} with key {}", ca.display(), ca_key.display()))?;
        let validity = Validity::days(now, self.days);
        if loaded.not_after() < validity.not_after {
            bail!("the CA {} ends on {}; choose fewer --days", ca.display(), loaded.not_after());
        }
        let name = format!("origin pull {hostname}");
        // RFC 5280, appendix A.1: a common name has 64 characters at most.
        let name: String = name.chars().take(64).collect();
        let options = LeafOptions::client(&name, validity);
        Ok(match key {
            Some(key) => loaded.issue_for(key, &options)?,
            None => loaded.issue(&options)?,
        })
    }
}

fn read_pair(certificate: &Path, key: &Path) -> anyhow::Result<Leaf> {
    private::warn_if_open(key);
    let key = Secret::new(read(key)?);
    Leaf::from_pem(&read(certificate)?, key).with_context(|| certificate.display().to_string())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    if size > MAX_FILE_BYTES {
        bail!("{} is too large to be a certificate or key", path.display());
    }
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}
