//! One verdict over a fleet: what its machines export, added up, and judged as one host's evidence is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::prometheus::{Prometheus, PrometheusError, Sample, matcher};
use crate::clock::Timestamp;
use crate::evidence::ledger::DEFAULT_NAME;
use crate::evidence::network::Network;
use crate::evidence::readiness::{Case, Gate, Shortfall, ShortfallKind, TrustFacts, named};
use crate::evidence::report::{EvidenceReport, HostReport};
use crate::evidence::tally::{Evidence, Failure, FirstAndLast, SeenCertificate};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// Labels that a machine writes itself; all others say which machine it is.
const OWN_LABELS: [&str; 9] = ["__name__", "host", "name", "trust", "network", "reason", "mode", "ca", "subject"];
/// What is counted of handshakes that chose no host, and of hosts beyond the bound on series.
const NO_HOST: [&str; 2] = ["_other", "_rest"];

/// Which machines are meant, and how many they have to be.
#[derive(Clone, Default, Debug)]
pub struct Fleet {
    /// Further matchers, as they stand between the braces of a selector: `cluster="a"`.
    pub matchers: Vec<String>,
    /// `None`: however many are heard of.
    pub instances: Option<usize>,
}

/// What is asked of one host, and what its configuration knows beside.
#[derive(Clone, Debug)]
pub struct Demand {
    pub gate: Gate,
    /// The CA in the configuration by which its clients are judged.
    pub ca: Option<String>,
}

/// All that a fleet's machines say, as one Prometheus has it.
#[derive(Debug)]
pub struct FleetView {
    hosts: BTreeMap<String, FleetHost>,
    /// By CA and machine: when its last certificate expires, when its first list has to be renewed.
    cas: Vec<Sample>,
    crls: Vec<Sample>,
    expected: Option<usize>,
}

/// What the machines say of one host.
#[derive(Default, Debug)]
struct FleetHost {
    modes: BTreeMap<String, Machines>,
    trusts: BTreeMap<String, Machines>,
    windows: BTreeMap<u64, Machines>,
    by_name: BTreeMap<String, Evidence>,
    edges_at_least: u64,
    client_certificate_ends: Option<Timestamp>,
    server_certificate_ends: Option<Timestamp>,
    /// Under which further labels a machine is counted: under more than one, it is counted twice.
    counted_as: BTreeMap<String, BTreeSet<String>>,
}

type Machines = BTreeSet<String>;

impl Fleet {
    /// Asks for all that is exported of `host` (the first of its names), or of every host.
    ///
    /// # Errors
    /// The Prometheus does not answer, or not to this.
    pub fn look(&self, prometheus: &Prometheus, host: Option<&str>) -> Result<FleetView, PrometheusError> {
        FleetView::of(self.instances, |metric| {
            // A CA belongs to no host.
            let host = host.filter(|_| !PER_CA.contains(&metric)).map(|host| matcher("host", host));
            prometheus.query(&self.selector(metric, host))
        })
    }

    /// The host that has `name` among its configured names: the first of its names.
    ///
    /// # Errors
    /// As of [`Fleet::look`].
    pub fn host_of(&self, prometheus: &Prometheus, name: &str) -> Result<Option<String>, PrometheusError> {
        for (metric, label) in [("originlock_host_mode", "host"), ("originlock_evidence_handshakes", "name")] {
            let selector = self.selector(metric, Some(matcher(label, name)));
            let found = prometheus.query(&format!("count by (host) ({selector})"))?;
            if let Some(sample) = found.first() {
                return Ok(Some(sample.label("host").to_owned()));
            }
        }
        Ok(None)
    }

    fn selector(&self, metric: &str, own: Option<String>) -> String {
        let matchers: Vec<_> = own.into_iter().chain(self.matchers.iter().cloned()).collect();
        format!("{metric}{{{}}}", matchers.join(","))
    }
}

impl FleetView {
    /// Puts together what `ask` has of each metric.
    fn of<E>(expected: Option<usize>, ask: impl Fn(&str) -> Result<Vec<Sample>, E>) -> Result<Self, E> {
        let mut hosts = BTreeMap::new();
        for (metric, add) in PER_HOST {
            each(&mut hosts, ask(metric)?, add);
        }
        // Beyond a bound a machine leaves hosts out; without a mode one is not known well enough to judge.
        hosts.retain(|_, host| !host.modes.is_empty());
        let [cas, crls] = PER_CA;
        Ok(Self { hosts, cas: ask(cas)?, crls: ask(crls)?, expected })
    }

    /// The hosts' first names.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// What the fleet's evidence of `host` comes to. `None` where no machine has such a host.
    pub fn judge(&self, host: &str, demand: &Demand, now: Timestamp) -> Option<HostReport> {
        let seen = self.hosts.get(host)?;
        let window = seen.windows.keys().max().map_or(demand.gate.window, |seconds| Duration::from_secs(*seconds));
        let gate = Gate { window, ..demand.gate };
        let by_name = seen.evidence();
        // Machines that disagree are a shortfall of their own; what they saw is judged all the same.
        let agreed = seen.modes.keys().next().filter(|_| seen.modes.len() == 1);
        let mode = agreed.and_then(|mode| parse_mode(mode)).unwrap_or(Mode::Observe);
        let trust = self.facts(demand.ca.as_deref());
        let mut readiness = gate.judge(&Case { host: None, mode, trust, by_name: &by_name, now });
        let mut shortfalls = seen.disagreements(host);
        shortfalls.extend(self.incomplete(seen));
        shortfalls.extend(seen.silent(host));
        shortfalls.append(&mut readiness.shortfalls);
        readiness.ready = shortfalls.is_empty();
        readiness.shortfalls = shortfalls;
        Some(HostReport {
            name: host.to_owned(),
            names: by_name.keys().filter(|name| *name != DEFAULT_NAME).cloned().collect(),
            mode,
            trust: None,
            certificate_not_after: seen.server_certificate_ends,
            upstream: Vec::new(),
            source: None,
            confirm_by: None,
            readiness,
            evidence: EvidenceReport::of(window, named(&by_name).map(|(_, evidence)| evidence)),
        })
    }

    fn facts(&self, ca: Option<&str>) -> TrustFacts {
        let of_ca = |samples: &[Sample]| -> Vec<(String, Timestamp)> {
            let of_ca = samples.iter().filter(|sample| ca.is_some_and(|ca| sample.label("ca") == ca));
            of_ca.map(|sample| (machine(sample), seconds(sample.value))).collect()
        };
        // Any of a bundle's certificates may do the work on one machine; it has to do it on all.
        let mut last_by_machine: BTreeMap<String, Timestamp> = BTreeMap::new();
        for (machine, end) in of_ca(&self.cas) {
            let last = last_by_machine.entry(machine).or_insert(end);
            *last = end.max(*last);
        }
        TrustFacts {
            ca_not_after: last_by_machine.into_values().min(),
            crl_next_update: of_ca(&self.crls).into_iter().map(|(_, due)| due).min(),
            cloudflare_shared_ca: false,
        }
    }

    fn incomplete(&self, seen: &FleetHost) -> Option<Shortfall> {
        let expected = self.expected?;
        let heard: Machines = seen.modes.values().flatten().cloned().collect();
        let sentence = format!("{} of {expected} machines are heard of: {}", heard.len(), listed(&heard));
        let kind = ShortfallKind::FleetIncomplete;
        (heard.len() != expected).then_some(Shortfall { kind, name: None, sentence })
    }
}

/// Takes one sample in.
type Add = fn(&mut FleetHost, &Sample);

/// What is asked for, and what becomes of it.
const PER_HOST: [(&str, Add); 7] = [
    ("originlock_host_mode", FleetHost::add_mode),
    ("originlock_evidence_window_seconds", FleetHost::add_window),
    ("originlock_evidence_handshakes", FleetHost::add_handshakes),
    ("originlock_evidence_edge_addresses", FleetHost::add_edges),
    ("originlock_evidence_client_certificate_not_after_seconds", FleetHost::add_client_certificate),
    ("originlock_server_certificate_not_after_seconds", FleetHost::add_server_certificate),
    ("originlock_evidence_last_failure_timestamp_seconds", FleetHost::add_last_failure),
];
const PER_CA: [&str; 2] = ["originlock_ca_certificate_not_after_seconds", "originlock_crl_next_update_seconds"];

fn each(hosts: &mut BTreeMap<String, FleetHost>, samples: Vec<Sample>, add: Add) {
    for sample in &samples {
        let host = sample.label("host");
        if host.is_empty() || NO_HOST.contains(&host) || sample.value.is_nan() {
            continue;
        }
        let known = hosts.entry(host.to_owned()).or_default();
        known.counted_as.entry(machine(sample)).or_default().insert(further_labels(sample));
        add(known, sample);
    }
}

impl FleetHost {
    fn add_mode(&mut self, sample: &Sample) {
        self.modes.entry(sample.label("mode").to_owned()).or_default().insert(machine(sample));
    }

    fn add_window(&mut self, sample: &Sample) {
        self.windows.entry(whole(sample.value)).or_default().insert(machine(sample));
    }

    fn add_handshakes(&mut self, sample: &Sample) {
        self.trusts.entry(sample.label("trust").to_owned()).or_default().insert(machine(sample));
        if let Some(kind) = kind(sample) {
            let evidence = self.by_name.entry(sample.label("name").to_owned()).or_default();
            let count = evidence.handshakes.entry(kind).or_default();
            *count = count.saturating_add(whole(sample.value));
        }
    }

    /// Two machines may have seen the same addresses: together they are at least as many as the one that saw the most.
    fn add_edges(&mut self, sample: &Sample) {
        self.edges_at_least = self.edges_at_least.max(whole(sample.value));
    }

    fn add_client_certificate(&mut self, sample: &Sample) {
        let end = seconds(sample.value);
        self.client_certificate_ends = Some(self.client_certificate_ends.map_or(end, |known| known.min(end)));
    }

    fn add_server_certificate(&mut self, sample: &Sample) {
        let end = seconds(sample.value);
        self.server_certificate_ends = Some(self.server_certificate_ends.map_or(end, |known| known.min(end)));
    }

    fn add_last_failure(&mut self, sample: &Sample) {
        let Some(kind) = kind(sample) else { return };
        // No machine exports addresses. An unspecified one is told as none.
        let peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let failure = Failure { at: seconds(sample.value), peer, server_name: None, certificate: None };
        let evidence = self.by_name.entry(sample.label("name").to_owned()).or_default();
        let seen = FirstAndLast::only(failure);
        evidence.failures.entry(kind).and_modify(|known| known.merge(seen.clone())).or_insert(seen);
    }

    /// By name; what is counted for all its configured names stands with one of them.
    fn evidence(&self) -> BTreeMap<String, Evidence> {
        let mut by_name = self.by_name.clone();
        if let Some((_, first)) = by_name.iter_mut().find(|(name, _)| *name != DEFAULT_NAME) {
            first.edges.at_least = self.edges_at_least;
            if let Some(not_after) = self.client_certificate_ends {
                let seen = SeenCertificate {
                    subject: "in use".to_owned(),
                    issuer: String::new(),
                    not_after,
                    reason: Reason::Verified,
                    first_seen: Timestamp::default(),
                    last_seen: Timestamp::default(),
                    handshakes: 0,
                };
                first.certificates.insert((Network::Cloudflare, Fingerprint([0; 32])), seen);
            }
        }
        by_name
    }

    /// Beyond a bound a machine tells of a host that it is there, and nothing of what it saw.
    fn silent(&self, host: &str) -> Option<Shortfall> {
        let watching =
            self.modes.iter().filter(|(mode, _)| *mode != Mode::Off.label()).flat_map(|(_, machines)| machines);
        let telling: Machines = self.trusts.values().flatten().cloned().collect();
        let silent: Machines = watching.filter(|machine| !telling.contains(*machine)).cloned().collect();
        let sentence = format!(
            "{} {} nothing of what {} saw on {host}: {} more names than limits.per_host_series",
            listed(&silent),
            if silent.len() == 1 { "tells" } else { "tell" },
            if silent.len() == 1 { "it" } else { "they" },
            if silent.len() == 1 { "it has" } else { "they have" },
        );
        let kind = ShortfallKind::FleetIncomplete;
        (!silent.is_empty()).then_some(Shortfall { kind, name: None, sentence })
    }

    fn disagreements(&self, host: &str) -> Vec<Shortfall> {
        let mut sentences = Vec::new();
        if self.modes.len() > 1 {
            sentences.push(format!("the machines are not in one mode on {host}: {}", by_value(&self.modes, "mode")));
        }
        if self.trusts.len() > 1 {
            let trusts = by_value(&self.trusts, "trust");
            sentences.push(format!("the machines do not trust the same clients on {host}: {trusts}"));
        }
        if self.windows.len() > 1 {
            let windows = by_value(&self.windows, "seconds");
            sentences.push(format!("the machines do not look back equally far on {host}: {windows}"));
        }
        for (machine, labels) in self.counted_as.iter().filter(|(_, labels)| labels.len() > 1) {
            let labels: Vec<_> = labels.iter().map(|labels| format!("{{{labels}}}")).collect();
            let labels = labels.join(" and ");
            sentences.push(format!("{machine} is counted more than once, as {labels}; choose one with --match"));
        }
        let shortfall = |sentence| Shortfall { kind: ShortfallKind::FleetDisagrees, name: None, sentence };
        sentences.into_iter().map(shortfall).collect()
    }
}

/// `mode observe on a:9090, b:9090; mode off on c:9090`
fn by_value<T: std::fmt::Display>(machines: &BTreeMap<T, Machines>, noun: &str) -> String {
    let parts: Vec<_> =
        machines.iter().map(|(value, machines)| format!("{noun} {value} on {}", listed(machines))).collect();
    parts.join("; ")
}

fn listed(machines: &Machines) -> String {
    match machines.is_empty() {
        true => "none".to_owned(),
        false => machines.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn machine(sample: &Sample) -> String {
    sample.label("instance").to_owned()
}

/// The labels that scraping added, beside the instance.
fn further_labels(sample: &Sample) -> String {
    let further = sample.labels.iter().filter(|(name, _)| *name != "instance" && !OWN_LABELS.contains(&name.as_str()));
    further.map(|(name, value)| matcher(name, value)).collect::<Vec<_>>().join(",")
}

fn kind(sample: &Sample) -> Option<(Network, Reason)> {
    let network = [Network::Cloudflare, Network::Elsewhere]
        .into_iter()
        .find(|network| network.label() == sample.label("network"))?;
    Some((network, Reason::parse(sample.label("reason"))?))
}

fn parse_mode(label: &str) -> Option<Mode> {
    [Mode::Off, Mode::Observe, Mode::Enforce].into_iter().find(|mode| mode.label() == label)
}

/// Floats saturate: what is less than nothing is nothing.
fn whole(value: f64) -> u64 {
    value as u64
}

fn seconds(value: f64) -> Timestamp {
    Timestamp::from_seconds(value as i64)
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
