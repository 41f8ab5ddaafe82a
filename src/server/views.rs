//! What the admin side tells: the hosts in force, and what was seen of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::cloudflare::Known;
use super::walk::Confirmations;
use crate::admin::control::View;
use crate::clock::Timestamp;
use crate::config::problem::Place;
use crate::evidence::explain;
use crate::evidence::known::Recogniser;
use crate::evidence::ledger::{Ledger, Span};
use crate::evidence::network::Network;
use crate::evidence::readiness::{Case, Gate, Readiness, TrustFacts, named};
use crate::evidence::report::{
    CertificateReport, CertificateRole, CertificatesReport, CloudflareReport, EvidenceReport, FailureReport,
    FailuresReport, HostDetail, HostReport, HostsReport, JudgeReport, SourceReport, StatusReport, TrustReport,
};
use crate::evidence::tally::Evidence;
use crate::evidence::window::MIN_WINDOW;
use crate::evidence::wording;
use crate::hostname::HostPattern;
use crate::policy::bundle::{CaBundle, CaCertificate};
use crate::policy::trust::Trust;
use crate::proxy::worker::Shared;
use crate::snapshot::Snapshot;
use crate::snapshot::host::Host;
use crate::x509::{CertificateSummary, Fingerprint};

mod judged;
mod told;

/// Tells of whatever snapshot is in force when it is asked.
pub struct Telling {
    pub shared: Arc<Shared>,
    /// The file that evidence survives in. `None`: a restart forgets it.
    pub evidence_file: Option<PathBuf>,
    /// The main configuration file.
    pub config: PathBuf,
    pub started_at: Timestamp,
    /// Filled in once the listeners are bound.
    pub listeners: Arc<OnceLock<Vec<SocketAddr>>>,
    pub confirmations: Arc<Confirmations>,
    pub cloudflare: Arc<Known>,
}

/// One host and what it rests on, at one moment.
struct Seen<'a> {
    /// Until when its `enforce` wants to be confirmed.
    confirm_by: Option<Timestamp>,
    host: &'a Host,
    facts: TrustFacts,
    /// The gate over the window that was asked for.
    gate: Gate,
    by_name: BTreeMap<String, Evidence>,
    now: Timestamp,
}

impl Telling {
    fn ledger(&self) -> &Ledger {
        self.shared.observer.ledger()
    }

    /// Over `window`, where it is shorter than the host's own.
    fn see<'a>(&self, host: &'a Host, window: Option<Duration>, now: Timestamp) -> Seen<'a> {
        // Never longer than configured, whoever asks: what is ready would otherwise be a matter of asking long enough.
        let window = window.map_or(host.gate.window, |window| window.max(MIN_WINDOW).min(host.gate.window));
        let by_name = self.ledger().evidence(&host.name, window, now);
        let (confirm_by, gate) = (self.confirmations.deadline(&host.names), Gate { window, ..host.gate });
        Seen { confirm_by, host, facts: facts(host), gate, by_name, now }
    }

    /// Someone who knows the certificates of all hosts.
    fn recogniser<'a>(&self, snapshot: &'a Snapshot, now: Timestamp) -> Recogniser<'a> {
        let verified = |host: &Host| self.ledger().verified_certificates(&host.name, host.gate.window, now);
        snapshot.known.recogniser(snapshot.all.iter().map(|host| (&*host.name, verified(host))))
    }
}

impl View for Telling {
    fn status(&self) -> StatusReport {
        StatusReport {
            at: self.shared.clock.now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            generation: self.shared.current.generation(),
            config: self.config.display().to_string(),
            listeners: self.listeners.get().into_iter().flatten().map(ToString::to_string).collect(),
            networks: self.ledger().networks(),
            evidence_file: self.evidence_file.as_ref().map(|file| file.display().to_string()),
            unknown_names: self.ledger().unknown_names(self.shared.clock.now()),
            may_change: false,
        }
    }

    fn hosts(&self, window: Option<Duration>) -> HostsReport {
        let (snapshot, at) = (self.shared.current.load(), self.shared.clock.now());
        let hosts = snapshot.all.iter().map(|host| self.see(host, window, at).report()).collect();
        HostsReport { at, hosts }
    }

    fn host(&self, name: &str, window: Option<Duration>) -> Option<HostDetail> {
        let (snapshot, now) = (self.shared.current.load(), self.shared.clock.now());
        let host = snapshot.hosts.get(&HostPattern::parse(name).ok()?)?;
        let (seen, recogniser) = (self.see(host, window, now), self.recogniser(&snapshot, now));
        Some(HostDetail {
            last_hour: self.ledger().columns(&host.name, Span::Hour, now),
            last_week: self.ledger().columns(&host.name, Span::Week, now),
            by_name: seen.by_name.iter().map(|(name, evidence)| (name.clone(), seen.evidence_of([evidence]))).collect(),
            certificates: soonest_first([seen.certificates(&recogniser), authorities(host, &recogniser)].concat()),
            failures: seen.failures(&recogniser),
            outsiders: explain::outsiders(&seen.by_name),
            host: seen.report(),
        })
    }

    fn certificates(&self) -> CertificatesReport {
        let (snapshot, at) = (self.shared.current.load(), self.shared.clock.now());
        let recogniser = self.recogniser(&snapshot, at);
        let of_hosts = snapshot.all.iter().flat_map(|host| self.see(host, None, at).certificates(&recogniser));
        let cas = snapshot.cas.values().flat_map(|ca| bundled(&ca.bundle, &recogniser));
        CertificatesReport { at, certificates: soonest_first(of_hosts.chain(cas).collect()) }
    }

    fn failures(&self, host: Option<&str>) -> FailuresReport {
        let (snapshot, at) = (self.shared.current.load(), self.shared.clock.now());
        let one = host.and_then(|name| snapshot.hosts.get(&HostPattern::parse(name).ok()?));
        let recogniser = self.recogniser(&snapshot, at);
        let asked = snapshot.all.iter().filter(|known| host.is_none() || one.is_some_and(|one| one.name == known.name));
        let mut failures: Vec<_> = asked.flat_map(|host| self.see(host, None, at).failures(&recogniser)).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.last.at));
        FailuresReport { at, failures }
    }

    fn cloudflare(&self) -> CloudflareReport {
        self.cloudflare.report()
    }

    fn judge(&self, name: &str, chain: &[CertificateDer<'_>]) -> Option<JudgeReport> {
        judged::judge(self, name, chain, self.shared.clock.now())
    }

    fn first_name(&self, name: &str) -> Option<String> {
        let snapshot = self.shared.current.load();
        snapshot.hosts.get(&HostPattern::parse(name).ok()?).map(|host| host.name.to_string())
    }

    fn window(&self, name: &str) -> Option<Duration> {
        let snapshot = self.shared.current.load();
        snapshot.hosts.get(&HostPattern::parse(name).ok()?).map(|host| host.gate.window)
    }

    fn network(&self, address: IpAddr) -> Network {
        self.ledger().network_of(address)
    }
}

impl Seen<'_> {
    fn report(&self) -> HostReport {
        let case = Case {
            host: Some(&self.host.name),
            mode: self.host.client_auth.mode(),
            trust: self.facts,
            by_name: &self.by_name,
            now: self.now,
        };
        let mut readiness = self.gate.judge(&case);
        if self.gate.window < self.host.gate.window {
            let [judged, configured] = [self.gate.window, self.host.gate.window].map(wording::window);
            readiness.notices.insert(0, format!("judged over the last {judged} instead of the last {configured}"));
        }
        readiness.notices.extend(unwritten(self.host));
        HostReport {
            readiness,
            evidence: self.evidence_of(named(&self.by_name).map(|(_, evidence)| evidence)),
            confirm_by: self.confirm_by,
            ..unseen(self.host)
        }
    }

    fn evidence_of<'e>(&self, parts: impl IntoIterator<Item = &'e Evidence>) -> EvidenceReport {
        EvidenceReport::of(self.gate.window, parts)
    }

    /// Its own, and those that its clients presented.
    fn certificates(&self, recogniser: &Recogniser<'_>) -> Vec<CertificateReport> {
        let host = &self.host.name;
        let own = self.host.certificate.chain().first().map(CertificateSummary::read);
        let own = own.and_then(|leaf| told::certificate(CertificateRole::Server, Some(host), &leaf, recogniser));
        let of_clients = told::client_certificates(host, &self.by_name, recogniser);
        own.into_iter().chain(of_clients).collect()
    }

    fn failures(&self, recogniser: &Recogniser<'_>) -> Vec<FailureReport> {
        explain::failures(&self.host.name, self.host.client_auth.mode(), &self.by_name, recogniser)
    }
}

/// One host as it is configured, without anything that was seen.
pub fn unseen(host: &Host) -> HostReport {
    let leaf = host.certificate.chain().first().map(CertificateSummary::read);
    HostReport {
        name: host.name.to_string(),
        names: host.names.iter().map(ToString::to_string).collect(),
        mode: host.client_auth.mode(),
        trust: host.client_auth.trust().map(|trust| trust_report(trust)),
        certificate_not_after: leaf.and_then(|leaf| Some(leaf.fields?.not_after)),
        upstream: host.upstream.addresses().map(ToString::to_string).collect(),
        source: Some(source(&host.mode_place)),
        confirm_by: None,
        readiness: Readiness { ready: false, shortfalls: Vec::new(), notices: Vec::new() },
        evidence: EvidenceReport::default(),
    }
}

/// After a fall back that could not be written.
fn unwritten(host: &Host) -> Option<String> {
    let (mode, written) = (host.client_auth.mode().label(), host.written_mode.label());
    let source = source(&host.mode_place);
    (mode != written).then(|| {
        format!(
            "{}, line {}, says {written} and the host is in {mode}: it fell back, and the file could not be changed; the \
             next reload or start does what the file says",
            source.file, source.line
        )
    })
}

/// Whoever asks may stand in another folder: the path is told in full.
pub(super) fn source(place: &Place) -> SourceReport {
    let path = std::path::absolute(&place.file.path).unwrap_or_else(|_| place.file.path.clone());
    SourceReport { file: path.display().to_string(), line: place.line_and_column().0 }
}

fn trust_report(trust: &Trust) -> TrustReport {
    let facts = TrustFacts::of(trust);
    TrustReport {
        digest: Fingerprint(trust.digest().0).to_string(),
        ca: trust.bundle().map(|bundle| bundle.name().to_owned()).into_iter().collect(),
        pins: trust.pins().len(),
        ca_not_after: facts.ca_not_after,
        crl_next_update: facts.crl_next_update,
        cloudflare_shared_ca: facts.cloudflare_shared_ca,
    }
}

/// How long the trust of `host` holds.
pub fn facts(host: &Host) -> TrustFacts {
    host.client_auth.trust().map(|trust| TrustFacts::of(trust)).unwrap_or_default()
}

fn authorities(host: &Host, recogniser: &Recogniser<'_>) -> Vec<CertificateReport> {
    let bundle = host.client_auth.trust().and_then(|trust| trust.bundle());
    bundle.into_iter().flat_map(|bundle| bundled(bundle, recogniser)).collect()
}

fn bundled(bundle: &CaBundle, recogniser: &Recogniser<'_>) -> impl Iterator<Item = CertificateReport> {
    let told = |ca: &CaCertificate| told::certificate(CertificateRole::Ca, None, &ca.summary, recogniser);
    bundle.certificates().iter().filter_map(told)
}

/// One CA may stand in several bundles.
fn soonest_first(mut certificates: Vec<CertificateReport>) -> Vec<CertificateReport> {
    certificates.sort_by(|one, other| {
        let key = |report: &CertificateReport| (report.not_after, report.sha256, report.role);
        key(one).cmp(&key(other)).then_with(|| one.host.cmp(&other.host))
    });
    certificates.dedup();
    certificates
}
