//! `originlock pki`: make a private CA and client certificates, and say what a certificate file holds.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::clock::{Clock, Timestamp};
use crate::pki::files::write_pair;
use crate::pki::inspect::inspect;
use crate::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, Validity};
use crate::secret::Secret;
use crate::x509::CertificateSummary;

/// A hundred years: beyond it a slip of the finger is likelier than a plan.
const MAX_DAYS: i64 = 36_500;
/// A certificate file is kilobytes; a whole system's bundle is a few hundred of them.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Make a private CA and client certificates for Cloudflare, and inspect certificate files
#[derive(Args, Debug)]
pub struct PkiArgs {
    #[command(subcommand)]
    command: PkiCommand,
}

#[derive(Subcommand, Debug)]
enum PkiCommand {
    /// Make a private CA: its certificate goes into a CA bundle here, its key stays with you
    Ca(CaArgs),
    /// Make a client certificate and key, as Cloudflare's upload wants them
    Leaf(LeafArgs),
    /// Say what a certificate file holds, whether it will work, and which line to write
    Inspect(InspectArgs),
}

#[derive(Args, Debug)]
struct CaArgs {
    /// Common name of the CA
    #[arg(long, value_name = "NAME", default_value = "origin-pull CA")]
    common_name: String,
    /// New certificate file
    #[arg(long, value_name = "FILE", default_value = "origin-pull-ca.pem")]
    certificate: PathBuf,
    /// New key file, mode 0600
    #[arg(long, value_name = "FILE", default_value = "origin-pull-ca.key")]
    key: PathBuf,
    #[command(flatten)]
    new: NewArgs,
    /// Days until it expires
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    days: u32,
}

#[derive(Args, Debug)]
struct LeafArgs {
    /// The CA's certificate file
    #[arg(long, value_name = "FILE", default_value = "origin-pull-ca.pem")]
    ca: PathBuf,
    /// The CA's key file
    #[arg(long, value_name = "FILE", default_value = "origin-pull-ca.key")]
    ca_key: PathBuf,
    /// Common name of the client
    #[arg(long, value_name = "NAME", default_value = "cloudflare-origin-pull")]
    common_name: String,
    /// Alternative name, DNS or IP address; may be given several times
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// New certificate file
    #[arg(long, value_name = "FILE", default_value = "origin-pull.pem")]
    certificate: PathBuf,
    /// New key file, mode 0600
    #[arg(long, value_name = "FILE", default_value = "origin-pull.key")]
    key: PathBuf,
    #[command(flatten)]
    new: NewArgs,
    /// Days until it expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    days: u32,
}

#[derive(Args, Debug)]
struct NewArgs {
    /// Kind of key
    #[arg(long, value_enum, default_value_t)]
    key_type: KeyTypeArg,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Args, Debug)]
struct InspectArgs {
    /// File with certificates, PEM or DER
    file: PathBuf,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Default, Debug, ValueEnum)]
enum KeyTypeArg {
    #[default]
    P256,
    P384,
    Rsa2048,
    Rsa4096,
}

#[derive(Clone, Copy, Default, PartialEq, Debug, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// What was made.
#[derive(Serialize)]
struct Made<'a> {
    certificate: &'a Path,
    key: &'a Path,
    not_after: Timestamp,
    sha256: String,
}

/// Runs the command and writes its answer to `out`.
pub fn run(args: &PkiArgs, clock: &Clock, out: &mut dyn Write) -> anyhow::Result<()> {
    let now = clock.now();
    match &args.command {
        PkiCommand::Ca(args) => make_ca(args, now, out),
        PkiCommand::Leaf(args) => make_leaf(args, now, out),
        PkiCommand::Inspect(args) => show(args, now, out),
    }
}

fn make_ca(args: &CaArgs, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    let options = CaOptions {
        common_name: args.common_name.clone(),
        key_type: args.new.key_type.into(),
        validity: Validity::days(now, args.days),
    };
    let (_, issued) = Ca::create(&options)?;
    write_pair(&args.certificate, &args.key, &issued)?;
    tell(out, args.new.output, &args.certificate, &args.key, &issued)?;
    if args.new.output == Output::Text {
        writeln!(
            out,
            "Next: originlock pki leaf makes the client certificate to upload; the CA's key stays with you."
        )?;
    }
    Ok(())
}

fn make_leaf(args: &LeafArgs, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    let certificate = read(&args.ca)?;
    let key = Secret::new(read(&args.ca_key)?);
    let ca = Ca::load(&certificate, &key)
        .with_context(|| format!("CA {} with key {}", args.ca.display(), args.ca_key.display()))?;
    let validity = Validity::days(now, args.days);
    if ca.not_after() < validity.not_after {
        bail!(
            "the CA {} ends on {}, before the new certificate would; make a new CA, or choose fewer --days",
            args.ca.display(),
            ca.not_after()
        );
    }
    let options = LeafOptions {
        names: args.names.clone(),
        key_type: args.new.key_type.into(),
        ..LeafOptions::client(&args.common_name, validity)
    };
    let issued = ca.issue(&options)?;
    write_pair(&args.certificate, &args.key, &issued)?;
    tell(out, args.new.output, &args.certificate, &args.key, &issued)?;
    if args.new.output == Output::Text {
        writeln!(out, "Next: upload both files to Cloudflare, and name {} in a CA bundle here.", args.ca.display())?;
    }
    Ok(())
}

fn show(args: &InspectArgs, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    // The bytes may hold a key; nothing of them is kept.
    let bytes = Secret::new(read(&args.file)?);
    let inspection = inspect(&args.file.to_string_lossy(), bytes.expose(), now)?;
    match args.output {
        Output::Text => write!(out, "{inspection}")?,
        Output::Json => json(out, &inspection)?,
    }
    Ok(())
}

fn tell(out: &mut dyn Write, output: Output, certificate: &Path, key: &Path, issued: &Issued) -> anyhow::Result<()> {
    let summary = CertificateSummary::read(&issued.certificate_der.as_slice().into());
    let sha256 = summary.fingerprint.to_string();
    match output {
        Output::Json => json(out, &Made { certificate, key, not_after: issued.not_after, sha256 })?,
        Output::Text => {
            writeln!(out, "certificate  {}  (until {})", certificate.display(), issued.not_after)?;
            writeln!(out, "key          {}  (mode 0600)", key.display())?;
            writeln!(out, "SHA-256      {sha256}")?;
        }
    }
    Ok(())
}

fn json(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    if size > MAX_FILE_BYTES {
        bail!("{} is too large to be a certificate or key", path.display());
    }
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

impl From<KeyTypeArg> for KeyType {
    fn from(arg: KeyTypeArg) -> Self {
        match arg {
            KeyTypeArg::P256 => Self::P256,
            KeyTypeArg::P384 => Self::P384,
            KeyTypeArg::Rsa2048 => Self::Rsa2048,
            KeyTypeArg::Rsa4096 => Self::Rsa4096,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        pki: PkiArgs,
    }

    /// Runs `pki` with file names relative to `folder`.
    fn pki(folder: &Path, line: &str) -> anyhow::Result<String> {
        let place = |word: &str| match word.contains('.') && !word.contains("example") {
            true => folder.join(word).to_string_lossy().into_owned(),
            false => word.to_owned(),
        };
        let command = Command::try_parse_from(std::iter::once("pki".to_owned()).chain(line.split(' ').map(place)))?;
        let mut out = Vec::new();
        run(&command.pki, &Clock::System, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_ca_and_a_leaf_are_made_inspected_and_never_overwritten() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let ca = "ca --certificate ca.pem --key ca.key";
        let leaf = "leaf --ca ca.pem --ca-key ca.key --certificate leaf.pem --key leaf.key --name shop.example -o json";
        assert!(pki(folder, ca)?.contains("mode 0600"));
        let made: serde_json::Value = serde_json::from_str(&pki(folder, leaf)?)?;
        assert_eq!(made["sha256"].as_str().map(str::len), Some(64));
        for (file, mode) in [("ca.pem", 0o644), ("ca.key", 0o600), ("leaf.pem", 0o644), ("leaf.key", 0o600)] {
            assert_eq!(fs::metadata(folder.join(file))?.permissions().mode() & 0o777, mode, "{file}");
        }
        assert_eq!(fs::read_dir(folder)?.count(), 4, "no draft is left behind");
        let before = fs::read(folder.join("ca.key"))?;
        for (line, word) in [(ca, "ca.pem exists and is not overwritten"), (leaf, "leaf.pem exists")] {
            let error = pki(folder, line).expect_err("it exists");
            assert!(error.to_string().contains(word), "{error}");
        }
        fs::remove_file(folder.join("ca.pem"))?;
        assert!(pki(folder, ca).expect_err("the key exists").to_string().contains("ca.key exists"));
        assert!(!folder.join("ca.pem").exists(), "no certificate without its key");
        assert_eq!(fs::read(folder.join("ca.key"))?, before);

        let report: serde_json::Value = serde_json::from_str(&pki(folder, "inspect leaf.pem -o json")?)?;
        assert_eq!(report["certificates"][0]["usable"], "client_leaf");
        assert_eq!(report["certificates"][0]["sha256"], made["sha256"]);
        let error = pki(folder, "inspect leaf.key").expect_err("no certificate");
        assert!(error.to_string().contains("no certificate found"), "{error}");
        Ok(())
    }

    #[test]
    fn a_leaf_does_not_outlive_its_ca() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        pki(folder.path(), "ca --certificate ca.pem --key ca.key --days 30")?;
        let leaf = "leaf --ca ca.pem --ca-key ca.key --certificate leaf.pem --key leaf.key --days 31";
        let error = pki(folder.path(), leaf).expect_err("too long").to_string();
        assert!(error.contains("choose fewer --days"), "{error}");
        Ok(())
    }

    #[test]
    fn a_missing_ca_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = pki(folder.path(), "leaf --ca none.pem").expect_err("no CA").to_string();
        assert!(error.contains("none.pem cannot be read"), "{error}");
    }
}
