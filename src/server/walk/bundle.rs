//! What a change of a host's CA bundle would write, and why some are not made at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::in_use::{CutOff, Exchange};
use super::problem::{self, Problem};
use crate::clock::Timestamp;
use crate::config::model::{Ca, Config, Host, Pin, Placed};
use crate::evidence::ledger::Ledger;
use crate::evidence::report::TrustRequest;
use crate::policy::bundle::CaBundle;
use crate::policy::cloudflare_ca::SharedCa;
use crate::policy::pem::{self, PemError, PemText};
use crate::snapshot::Snapshot;
use crate::x509::{CertificateFields, CertificateSummary, Fingerprint};

/// Far larger than the bundle of any origin.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// One file of a bundle with other certificates in it, not yet written.
pub(super) struct BundleChange {
    /// The CA's name in the configuration.
    pub(super) ca: String,
    /// All CAs whose bundle the file belongs to.
    pub(super) affected: BTreeSet<String>,
    /// As configured.
    pub(super) path: PathBuf,
    /// What the file holds, and what it is to hold.
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
    pub(super) added: Vec<Fingerprint>,
    pub(super) removed: Vec<Fingerprint>,
    /// Certificates of edges that enforced hosts refuse from then on, as was asked for by force.
    pub(super) cuts_off: Vec<CutOff>,
}

/// A bundle's file as it lies on the disk.
struct Lying<'a> {
    path: &'a Placed<PathBuf>,
    bytes: Vec<u8>,
    certificates: Vec<CertificateDer<'static>>,
}

impl BundleChange {
    /// What `request` comes to for `host` of `config`, which `snapshot` was built from.
    pub(super) fn plan(
        config: &Config,
        snapshot: &Snapshot,
        ledger: &Ledger,
        host: &Host,
        request: &TrustRequest,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let wanted = certificates_to_add(request)?;
        let name = host.client_auth.ca.as_ref().ok_or_else(|| problem::no_bundle(host))?;
        let (Some(ca), Some(loaded)) = (config.cas.get(&name.value), snapshot.cas.get(&name.value)) else {
            return Err(problem::no_bundle(host));
        };
        let in_force: Vec<_> = loaded.bundle.certificates().iter().map(|ca| ca.der.clone()).collect();
        let lying = read_all(&ca.value, &in_force)?;
        let added: Vec<_> = wanted.into_iter().filter(|der| !in_force.contains(der)).collect();
        added.iter().enumerate().try_for_each(|(at, der)| fit(at + 1, der, now))?;
        let removes = |der: &CertificateDer<'_>| request.remove.contains(&Fingerprint::of(der));
        let file = the_one_to_change(&lying, removes)?;
        let mut change = Self {
            ca: name.value.clone(),
            affected: sharing(config, &file.path.value),
            path: file.path.value.clone(),
            new: edited(file, removes, &added)?,
            added: added.iter().map(|der| Fingerprint::of(der)).collect(),
            removed: in_force.iter().filter(|der| removes(der)).map(|der| Fingerprint::of(der)).collect(),
            old: file.bytes.clone(),
            cuts_off: Vec::new(),
        };
        if !change.is_nothing() {
            change.touches_nothing_else(config)?;
            change.leaves_somebody(snapshot, &added, now)?;
            let exchange = Exchange { added: &added, removed: &change.removed };
            change.cuts_off = CutOff::find(&exchange, &change.affected, snapshot, ledger, now);
            if !request.force && !change.cuts_off.is_empty() {
                return Err(problem::in_use(&change.cuts_off));
            }
        }
        Ok(change)
    }

    /// Whether the bundle is so already.
    pub(super) fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Whether a certificate is one of those that come or go.
    pub(super) fn is_about(&self, certificate: Fingerprint) -> bool {
        self.added.contains(&certificate) || self.removed.contains(&certificate)
    }

    /// The first names of all hosts that are judged by the file.
    pub(super) fn hosts(&self, config: &Config) -> Vec<String> {
        let served = config
            .hosts
            .iter()
            .map(|host| &host.value)
            .filter(|host| host.client_auth.ca.as_ref().is_some_and(|ca| self.affected.contains(&ca.value)));
        served.filter_map(|host| host.names.first()).map(|name| name.value.to_string()).collect()
    }

    /// The file may prove other things, which nobody asked to change.
    fn touches_nothing_else(&self, config: &Config) -> Result<(), Problem> {
        let proofs = config.admin.iter().flat_map(|admin| [("read", &admin.read), ("change", &admin.change)]);
        for (right, proofs) in proofs {
            if proofs.ca.as_ref().is_some_and(|ca| self.affected.contains(&ca.value)) {
                let why = format!("it also vouches for who may {right} here, under [admin]");
                return Err(problem::bundle_not_editable(&self.path, &why));
            }
        }
        for host in &config.hosts {
            let pinned = host.value.client_auth.pins.iter().filter_map(|pin| match &pin.value {
                Pin::File(path) => Some(path),
                Pin::Certificate(_) | Pin::PublicKey(_) => None,
            });
            let of_backend = host.value.upstream.tls.ca.iter().map(|path| &path.value);
            if pinned.chain(of_backend).any(|path| same_file(path, &self.path)) {
                let name = host.value.names.first().map(|name| name.value.to_string()).unwrap_or_default();
                let why = format!("`{name}` also pins its certificates, or judges its backend by it");
                return Err(problem::bundle_not_editable(&self.path, &why));
            }
        }
        Ok(())
    }

    /// A bundle without a CA that is in its time refuses everyone.
    fn leaves_somebody(
        &self,
        snapshot: &Snapshot,
        added: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(), Problem> {
        let vouches = |summary: &CertificateSummary| {
            summary.fields.as_ref().is_some_and(|fields| fields.not_before <= now && now <= fields.not_after)
        };
        let comes = added.iter().any(|der| vouches(&CertificateSummary::read(der)));
        for (name, ca) in self.affected.iter().filter_map(|name| Some((name, snapshot.cas.get(name)?))) {
            let (mut before, mut after) = (false, comes);
            for summary in ca.bundle.certificates().iter().map(|ca| &ca.summary).filter(|summary| vouches(summary)) {
                before = true;
                after |= !self.removed.contains(&summary.fingerprint);
            }
            if before && !after {
                return Err(problem::last_ca(name));
            }
        }
        Ok(())
    }
}

/// Each once, in the order in which they were sent.
fn certificates_to_add(request: &TrustRequest) -> Result<Vec<CertificateDer<'static>>, Problem> {
    if request.add.is_none() && request.remove.is_empty() {
        return Err(problem::bad_request("there is nothing to add or to remove", "give `add`, `remove`, or both"));
    }
    let mut wanted = Vec::new();
    let sent = request.add.as_ref().map(|text| pem::certificates(text.as_bytes())).transpose();
    for der in sent.map_err(|error| problem::bad_pem(&error))?.unwrap_or_default() {
        if request.remove.contains(&Fingerprint::of(&der)) {
            let detail = "a certificate is to be added and removed at once";
            return Err(problem::bad_request(detail, "decide which of the two is meant"));
        }
        if !wanted.contains(&der) {
            wanted.push(der);
        }
    }
    Ok(wanted)
}

/// Whether a certificate, number `number` of those sent, may stand in a bundle.
fn fit(number: usize, der: &CertificateDer<'_>, now: Timestamp) -> Result<(), Problem> {
    let CertificateSummary { fingerprint, fields } = CertificateSummary::read(der);
    let unfit = |why: &str, next_step: &str| Err(problem::unfit_ca(number, fields.as_ref(), why, next_step));
    match &fields {
        None => unfit("cannot be read as X.509", "look at it with `originlock pki inspect FILE`"),
        Some(known) if is_shared(fingerprint, known) => Err(problem::shared_ca()),
        Some(known) if known.version != 3 || !known.is_ca => unfit(
            "is no CA: its basic constraints do not say CA:TRUE",
            "send the certificate of the CA that issued it; a client certificate can be pinned instead",
        ),
        Some(known) if now > known.not_after => unfit(
            &format!("has ended on {}, and vouches for nobody any more", known.not_after),
            "send the CA's current certificate",
        ),
        Some(_) => match CaBundle::new("sent", vec![der.clone().into_owned()]) {
            Ok(_) => Ok(()),
            Err(_) => unfit("cannot be a trust anchor", "look at it with `originlock pki inspect FILE`"),
        },
    }
}

/// By its key as well: whoever wraps that anew lets in the same clients.
fn is_shared(fingerprint: Fingerprint, fields: &CertificateFields) -> bool {
    let shared = CertificateSummary::read(&SharedCa::current()).fields;
    SharedCa::recognise(fingerprint).is_some() || shared.is_some_and(|shared| shared.spki == fields.spki)
}

/// The files of a bundle, if they hold what is in force.
fn read_all<'a>(ca: &'a Ca, in_force: &[CertificateDer<'static>]) -> Result<Vec<Lying<'a>>, Problem> {
    let mut lying = Vec::new();
    for path in &ca.bundle {
        let bytes = read(&path.value).map_err(|error| problem::bundle_unreadable(&path.value, &error))?;
        let read = PemText::read(&bytes).map_err(|error| problem::bundle_unclear(&path.value, &error))?;
        let certificates = read.certificates().cloned().collect();
        lying.push(Lying { path, bytes, certificates });
    }
    let found: BTreeSet<_> = lying.iter().flat_map(|file| &file.certificates).map(|der| der.as_ref()).collect();
    let known: BTreeSet<_> = in_force.iter().map(|der| der.as_ref()).collect();
    match found == known {
        true => Ok(lying),
        false => {
            let paths: Vec<_> = ca.bundle.iter().map(|path| path.value.display().to_string()).collect();
            Err(problem::file_changed(format!("{} holds other certificates than are in force", paths.join(", "))))
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        true => Ok(bytes),
        false => Err(io::Error::other("it is larger than 1 MiB")),
    }
}

/// Where something is to be removed, or else the first. Two files cannot be replaced at once.
fn the_one_to_change<'a, 'f>(
    lying: &'f [Lying<'a>],
    removes: impl Fn(&CertificateDer<'_>) -> bool,
) -> Result<&'f Lying<'a>, Problem> {
    let mut holding = lying.iter().filter(|file| file.certificates.iter().any(&removes));
    match (holding.next(), holding.next()) {
        (Some(file), None) => Ok(file),
        (Some(one), Some(other)) => Err(problem::several_files(&one.path.value, &other.path.value)),
        (None, _) => Ok(lying.first().expect("a bundle names a file")),
    }
}

fn edited(
    file: &Lying<'_>,
    removes: impl Fn(&CertificateDer<'_>) -> bool,
    added: &[CertificateDer<'static>],
) -> Result<Vec<u8>, Problem> {
    let edited = PemText::read(&file.bytes).and_then(|text| text.edited(|der| !removes(der), added));
    edited.map_err(|error| match error {
        PemError::Empty => problem::last_of_file(&file.path.value),
        PemError::PrivateKey | PemError::Broken(_) | PemError::Unclear => {
            problem::bundle_unclear(&file.path.value, &error)
        }
    })
}

/// The CAs whose bundle has a file at `path`.
fn sharing(config: &Config, path: &Path) -> BTreeSet<String> {
    let cas = config.cas.iter().filter(|(_, ca)| ca.value.bundle.iter().any(|other| same_file(&other.value, path)));
    cas.map(|(name, _)| name.clone()).collect()
}

fn same_file(one: &Path, other: &Path) -> bool {
    one == other
        || fs::canonicalize(one).ok().is_some_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}
