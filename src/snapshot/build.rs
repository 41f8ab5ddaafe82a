//! From what the operator wrote to a snapshot: everything is loaded, everything wrong is reported, nothing is half done.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::Snapshot;
use super::caution::Caution;
use super::files::{self, Files};
use super::host::Host;
use super::upstream;
use crate::config::model::{self, Ca, CertificateFiles, Config, KnownCertificate, Limits, Placed, TokenSource};
use crate::config::problem::Problems;
use crate::evidence::known::KnownCertificates;
use crate::evidence::network::Networks;
use crate::hostname::HostPattern;
use crate::policy::bundle::CaBundle;
use crate::policy::client_auth::{ClientAuth, Mode};
use crate::policy::crl::Crl;
use crate::policy::hosts::HostTable;
use crate::policy::pins::Pin;
use crate::policy::trust::{ChainBounds, Trust};
use crate::telemetry::metrics::{CaExpiry, CrlExpiry, Metrics};
use crate::tls::policy_digest::PolicyDigest;
use crate::tls::server_config::{self, ServerCertificate, ServerCertificateError, Shared};
use crate::x509::{CertificateSummary, Fingerprint};

mod admin;

/// What outlives every snapshot.
#[derive(Clone, Debug)]
pub struct Ground {
    pub tls: Shared,
    pub metrics: Arc<Metrics>,
}

/// A CA with its lists, loaded.
#[derive(Clone, Debug)]
pub struct LoadedCa {
    pub bundle: Arc<CaBundle>,
    pub crls: Vec<Arc<Crl>>,
}

/// Builds the snapshot after `previous`, whose unchanged parts are carried over. Returns warnings beside it.
///
/// # Errors
/// All that is wrong with any file, each at the place that names it. Metrics are then as if nothing had been built.
pub fn build(config: &Config, ground: &Ground, previous: Option<&Snapshot>) -> Result<(Snapshot, Problems), Problems> {
    draft(config, ground, previous).map(|draft| draft.accept(ground))
}

/// A snapshot that may yet be thrown away: the metrics know nothing of it.
#[must_use]
pub struct Draft {
    snapshot: Snapshot,
    warnings: Problems,
}

impl Draft {
    /// What it would be.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The metrics follow it from now on.
    pub fn accept(self, ground: &Ground) -> (Snapshot, Problems) {
        ground.metrics.commit_hosts();
        export_expiry(&self.snapshot.cas, &ground.metrics);
        self.snapshot.all.iter().for_each(|host| export_certificate(host));
        (self.snapshot, self.warnings)
    }

    /// As if nothing had been built.
    pub fn discard(self, ground: &Ground) {
        ground.metrics.discard_hosts();
    }
}

/// What [`build`] builds, before anything is done about it.
///
/// # Errors
/// As of [`build`].
pub fn draft(config: &Config, ground: &Ground, previous: Option<&Snapshot>) -> Result<Draft, Problems> {
    let mut builder = Builder::new(config, ground, previous);
    let cas = builder.load_cas(config);
    let all: Vec<_> = config.hosts.iter().map(|host| builder.host(&host.value, &cas)).collect();
    let admin = config.admin.as_ref().map(|admin| builder.admin(admin, &cas)).unwrap_or_default();
    let networks = builder.networks(config);
    let known = builder.known_certificates(config);
    builder.cloudflare_token(config);
    let problems = builder.problems;
    if problems.has_errors() {
        ground.metrics.discard_hosts();
        return Err(problems);
    }
    let all: Vec<_> = all.into_iter().flatten().collect();
    let snapshot = Snapshot {
        generation: previous.map_or(1, |previous| previous.generation + 1),
        hosts: table(&all, config),
        all,
        limits: config.limits.clone(),
        networks: Arc::new(networks),
        cas,
        admin: Arc::new(admin),
        known: Arc::new(KnownCertificates::new(known, previous.map(|previous| &*previous.known))),
        trusts: builder.trusts,
        upstreams: builder.upstreams,
    };
    Ok(Draft { snapshot, warnings: problems })
}

struct Builder<'a> {
    ground: &'a Ground,
    previous: Option<&'a Snapshot>,
    limits: &'a Limits,
    problems: Problems,
    files: Files,
    certificates: HashMap<(PathBuf, PathBuf), Option<ServerCertificate>>,
    trusts: super::Trusts,
    upstreams: super::UpstreamsBySetting,
}

impl<'a> Builder<'a> {
    fn new(config: &'a Config, ground: &'a Ground, previous: Option<&'a Snapshot>) -> Self {
        Self {
            ground,
            previous,
            limits: &config.limits,
            problems: Problems::default(),
            files: Files::default(),
            certificates: HashMap::new(),
            trusts: HashMap::new(),
            upstreams: HashMap::new(),
        }
    }

    /// The shipped ranges where none are named, and after a report.
    fn networks(&mut self, config: &Config) -> Networks {
        let path = config.evidence.cloudflare_ranges.as_ref();
        path.and_then(|path| files::ranges(path, &mut self.problems)).unwrap_or_default()
    }

    /// A credential is the service manager's, and this may not be the service.
    fn cloudflare_token(&mut self, config: &Config) {
        if let Some(Placed { value: TokenSource::File(path), place }) = config.cloudflare.as_ref().map(|it| &it.token) {
            files::later_token(&Placed { value: path.clone(), place: place.clone() }, &mut self.problems);
        }
    }

    fn load_cas(&mut self, config: &Config) -> BTreeMap<String, LoadedCa> {
        let loaded = config.cas.iter().map(|(name, ca)| Some((name.clone(), self.load_ca(name, ca)?)));
        loaded.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn load_ca(&mut self, name: &str, ca: &Placed<Ca>) -> Option<LoadedCa> {
        let now = self.ground.tls.clock.now();
        let mut certificates = Vec::new();
        for path in &ca.value.bundle {
            let read = self.files.certificates(path, &mut self.problems)?;
            Caution { problems: &mut self.problems, now }.ca_file(path, &read);
            certificates.extend(read.iter().cloned());
        }
        let crls: Vec<_> = ca.value.crl.iter().map(|path| self.load_crls(path)).collect::<Option<Vec<_>>>()?;
        match CaBundle::new(name, certificates) {
            Ok(bundle) => Some(LoadedCa { bundle: Arc::new(bundle), crls: crls.into_iter().flatten().collect() }),
            Err(error) => {
                self.problems.error(
                    &ca.place,
                    format!("ca `{name}`: {error}"),
                    "replace the file by the CA's certificate",
                );
                None
            }
        }
    }

    fn load_crls(&mut self, path: &Placed<PathBuf>) -> Option<Vec<Arc<Crl>>> {
        let now = self.ground.tls.clock.now();
        let lists = files::revocation_lists(path, &mut self.problems)?;
        let mut crls = Vec::new();
        for list in lists {
            match Crl::new(&list) {
                Ok(crl) => {
                    Caution { problems: &mut self.problems, now }.crl(path, &crl);
                    crls.push(Arc::new(crl));
                }
                Err(error) => {
                    let message = format!("{}: {error}", path.value.display());
                    self.problems.error(&path.place, message, "fetch the list again from the CA");
                    return None;
                }
            }
        }
        Some(crls)
    }

    fn host(&mut self, host: &model::Host, cas: &BTreeMap<String, LoadedCa>) -> Option<Arc<Host>> {
        let certificate = self.server_certificate(&host.certificate, &host.names);
        let client_auth = self.client_auth(&host.client_auth, cas);
        let upstream = self.upstream(host);
        let (certificate, client_auth, upstream) = (certificate?, client_auth?, upstream?);
        let names: Vec<_> = host.names.iter().map(|name| name.value.clone()).collect();
        let digest = PolicyDigest::of(&names, &client_auth);
        let name: Arc<str> = names.first().map(HostPattern::to_string).unwrap_or_default().into();
        let metrics = self.ground.metrics.host(&name, client_auth.mode());
        let tls = server_config::build(&self.ground.tls, &certificate, &client_auth, digest);
        Some(Arc::new(Host {
            name,
            names,
            client_auth,
            written_mode: host.client_auth.mode.value,
            mode_place: host.client_auth.mode.place.clone(),
            digest,
            certificate,
            tls: Arc::new(tls),
            upstream,
            dialects: host.identity_headers.clone(),
            gate: host.gate,
            metrics,
        }))
    }

    fn server_certificate(
        &mut self,
        paths: &CertificateFiles,
        names: &[Placed<HostPattern>],
    ) -> Option<ServerCertificate> {
        let key = (paths.chain.value.clone(), paths.key.value.clone());
        let certificate = match self.certificates.get(&key) {
            Some(known) => known.clone()?,
            None => {
                let loaded = self.load_server_certificate(paths);
                self.certificates.insert(key, loaded.clone());
                loaded?
            }
        };
        let now = self.ground.tls.clock.now();
        Caution { problems: &mut self.problems, now }.server_certificate(paths, certificate.chain(), names);
        Some(certificate)
    }

    fn load_server_certificate(&mut self, paths: &CertificateFiles) -> Option<ServerCertificate> {
        let chain = self.files.certificates(&paths.chain, &mut self.problems);
        let key = files::private_key(&paths.key, &mut self.problems);
        match ServerCertificate::new(chain?.to_vec(), key?) {
            Ok(certificate) => Some(certificate),
            Err(error) => {
                let (place, help) = match error {
                    ServerCertificateError::KeyMismatch => (
                        &paths.key,
                        "name the key that the certificate was issued for; the leaf stands first in the chain",
                    ),
                    ServerCertificateError::UnsupportedKey(_) => {
                        (&paths.key, "use an RSA, ECDSA P-256/P-384/P-521 or Ed25519 key")
                    }
                    ServerCertificateError::Unreadable(_) => {
                        (&paths.chain, "replace the file by the certificate's PEM")
                    }
                };
                self.problems.error(&place.place, format!("{}: {error}", place.value.display()), help);
                None
            }
        }
    }

    fn client_auth(&mut self, client_auth: &model::ClientAuth, cas: &BTreeMap<String, LoadedCa>) -> Option<ClientAuth> {
        if client_auth.mode.value == Mode::Off {
            return Some(ClientAuth::Off);
        }
        let trust = self.trust(client_auth, cas)?;
        Some(match client_auth.mode.value {
            Mode::Off => ClientAuth::Off,
            Mode::Observe => ClientAuth::Observe(trust),
            Mode::Enforce => ClientAuth::Enforce(trust),
        })
    }

    fn trust(&mut self, client_auth: &model::ClientAuth, cas: &BTreeMap<String, LoadedCa>) -> Option<Arc<Trust>> {
        // A CA that is named but did not load has been reported.
        let ca = match &client_auth.ca {
            Some(name) => Some(cas.get(&name.value)?),
            None => None,
        };
        let pins = self.pins(&client_auth.pins)?;
        if let (Some(name), Some(ca)) = (&client_auth.ca, ca) {
            let now = self.ground.tls.clock.now();
            Caution { problems: &mut self.problems, now }.trusted_ca(name, &ca.bundle, pins.is_empty());
        }
        let bounds = self.chain_bounds();
        let bundle = ca.map(|ca| Arc::clone(&ca.bundle));
        let crls = ca.map(|ca| ca.crls.clone()).unwrap_or_default();
        match Trust::new(bundle, crls, pins, bounds) {
            Ok(trust) => Some(self.carried_over(trust)),
            Err(error) => {
                self.problems.error(
                    &client_auth.mode.place,
                    error.to_string(),
                    "add ca = \"NAME\" or pins = [\"sha256:…\"]",
                );
                None
            }
        }
    }

    fn chain_bounds(&self) -> ChainBounds {
        ChainBounds { certificates: self.limits.chain_length, certificate_bytes: self.limits.certificate_bytes }
    }

    /// An equal trust of the previous snapshot brings along the chains that it has verified.
    fn carried_over(&mut self, trust: Trust) -> Arc<Trust> {
        let digest = trust.digest();
        let known = self.trusts.get(&digest).or_else(|| self.previous?.trusts.get(&digest)).cloned();
        let trust = known.unwrap_or_else(|| Arc::new(trust));
        self.trusts.insert(digest, Arc::clone(&trust));
        trust
    }

    fn pins(&mut self, pins: &[Placed<model::Pin>]) -> Option<Vec<Pin>> {
        let mut found = Vec::new();
        for pin in pins {
            match &pin.value {
                model::Pin::Certificate(fingerprint) => found.push(Pin::Certificate(*fingerprint)),
                model::Pin::PublicKey(fingerprint) => found.push(Pin::PublicKey(*fingerprint)),
                model::Pin::File(path) => {
                    let path = Placed { value: path.clone(), place: pin.place.clone() };
                    let certificates = self.files.certificates(&path, &mut self.problems)?;
                    let now = self.ground.tls.clock.now();
                    Caution { problems: &mut self.problems, now }.pinned(&path, &certificates);
                    found.extend(
                        certificates.iter().map(|der| Pin::Certificate(CertificateSummary::read(der).fingerprint)),
                    );
                }
            }
        }
        Some(found)
    }

    fn known_certificates(&mut self, config: &Config) -> BTreeMap<Fingerprint, String> {
        let mut known = BTreeMap::new();
        for (name, certificate) in &config.known_certificates {
            match &certificate.value {
                KnownCertificate::Fingerprint(fingerprint) => drop(known.insert(*fingerprint, name.clone())),
                KnownCertificate::File(path) => {
                    let path = Placed { value: path.clone(), place: certificate.place.clone() };
                    let read = self.files.certificates(&path, &mut self.problems);
                    known.extend(
                        read.iter().flat_map(|read| read.iter()).map(|der| (Fingerprint::of(der), name.clone())),
                    );
                }
            }
        }
        known
    }

    fn upstream(&mut self, host: &model::Host) -> Option<Arc<crate::upstream::UpstreamSpec>> {
        let setting = upstream::setting(&host.upstream);
        let known = self.upstreams.get(&setting).or_else(|| self.previous?.upstreams.get(&setting)).cloned();
        let spec = match known {
            // Certificates towards the backend may have changed in their files.
            Some(spec) if spec.tls.is_none() => spec,
            _ => upstream::load(&host.upstream, &mut self.files, &mut self.problems)?,
        };
        self.upstreams.insert(setting, Arc::clone(&spec));
        Some(spec)
    }
}

fn table(all: &[Arc<Host>], config: &Config) -> HostTable<Arc<Host>> {
    let mut table = HostTable::default();
    for host in all {
        host.names.iter().for_each(|name| table.insert(name, Arc::clone(host)));
    }
    if let Some(name) = &config.default_host
        && let Ok(host) = table.select(Some(&name.value)).cloned()
    {
        table.set_default(host);
    }
    table
}

pub(super) fn export_certificate(host: &Host) {
    if let Some(fields) = host.certificate.chain().first().and_then(|leaf| CertificateSummary::read(leaf).fields) {
        host.metrics.set_server_certificate_not_after(fields.not_after);
    }
}

fn export_expiry(cas: &BTreeMap<String, LoadedCa>, metrics: &Metrics) {
    let authorities: Vec<_> = cas
        .iter()
        .flat_map(|(ca, loaded)| loaded.bundle.certificates().iter().map(move |certificate| (ca, certificate)))
        .filter_map(|(ca, certificate)| {
            let not_after = certificate.summary.fields.as_ref()?.not_after;
            Some(CaExpiry { ca, subject: &certificate.subject, not_after })
        })
        .collect();
    let lists: Vec<_> = cas
        .iter()
        .flat_map(|(ca, loaded)| loaded.crls.iter().map(move |crl| CrlExpiry { ca, next_update: crl.next_update() }))
        .collect();
    metrics.set_trust_expiry(&authorities, &lists);
}
