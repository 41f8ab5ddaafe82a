//! Everything that is counted. The home of `prometheus`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

use crate::clock::{Clock, Timestamp};
use crate::evidence::handshake::HandshakeOutcome;
use crate::evidence::ledger::Ledger;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::{Decision, Verdict};

mod cloudflare;
mod denial;
mod evidence;
mod host;
mod process;
mod refusal;
mod register;
mod shed;

use cloudflare::CloudflareGauges;
pub use cloudflare::CloudflareSeen;
pub use denial::AdminDenial;
use evidence::EvidenceGauges;
use host::HandshakeCounters;
pub use host::HostMetrics;
use process::ProcessGauges;
pub use refusal::Refusal;
use register::{counter, counters, gauge, gauges, histograms, label, prune};
pub use shed::Shed;

/// The host label of handshakes for which no configured host was chosen.
pub const OTHER_HOST: &str = "_other";
/// The host label that hosts beyond the bound share.
pub const REST_HOST: &str = "_rest";
/// The mode label where no host was chosen.
const MODE_NONE: &str = "none";

/// From half a millisecond, a resumed handshake nearby, to the longest handshake that is waited for.
const HANDSHAKE_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Slow answers are legal up to 100 s and more: that is the edge's own bound.
const REQUEST_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 100.0];

/// All that this process counts, in a registry of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    without_host: HandshakeCounters,
    handshake_duration: [Histogram; 3],
    request_duration: Histogram,
    ca_not_after: IntGaugeVec,
    crl_next_update: IntGaugeVec,
    connections_open: IntGauge,
    connections_shed: IntCounterVec,
    admin_denied: IntCounterVec,
    reload_success: IntGauge,
    reload_timestamp: IntGauge,
    reloads: IntCounterVec,
    generation: IntGauge,
    fallbacks: IntCounter,
    log_dropped: IntCounter,
    panics: IntCounter,
    evidence_saves: IntCounterVec,
    evidence: EvidenceGauges,
    cloudflare: CloudflareGauges,
    process: ProcessGauges,
    per_host_series: usize,
    /// Held while series come, go and are rendered, so that no scrape sees a half-done reload.
    hosts: Mutex<Hosts>,
    overflow: AtomicUsize,
}

/// The families whose series belong to hosts. Clones share the series.
#[derive(Clone, Debug)]
struct Families {
    handshakes: IntCounterVec,
    requests: IntCounterVec,
    requests_refused: IntCounterVec,
    upstream_errors: IntCounterVec,
    server_not_after: IntGaugeVec,
    client_not_after: IntGaugeVec,
}

/// The hosts with series of their own.
#[derive(Default, Debug)]
struct Hosts {
    /// Of the configuration in force.
    active: HashMap<(String, Mode), Arc<HostMetrics>>,
    /// Asked for since the last commit: the configuration that is being built.
    pending: HashMap<(String, Mode), Arc<HostMetrics>>,
    pending_overflow: usize,
    /// What the hosts beyond the bound share, by mode.
    rest: HashMap<Mode, Arc<HostMetrics>>,
}

/// When a certificate of a trust ends.
#[derive(Clone, Copy, Debug)]
pub struct CaExpiry<'a> {
    /// The CA's name in the configuration.
    pub ca: &'a str,
    pub subject: &'a str,
    pub not_after: Timestamp,
}

/// When a trust's revocation list has to be renewed.
#[derive(Clone, Copy, Debug)]
pub struct CrlExpiry<'a> {
    /// The CA's name in the configuration.
    pub ca: &'a str,
    pub next_update: Timestamp,
}

impl Metrics {
    /// A fresh set, in which at most `per_host_series` hosts have series of their own.
    pub fn new(per_host_series: usize) -> Arc<Self> {
        let registry = Registry::new();
        let r = &registry;
        let families = Families {
            handshakes: counters(
                r,
                "originlock_handshakes_total",
                "TLS handshakes that ended, by host, mode, reason and whether a session was resumed.",
                &["host", "mode", "reason", "resumed"],
            ),
            requests: counters(
                r,
                "originlock_requests_total",
                "Requests that were answered, by host and class of the status code.",
                &["host", "status_class"],
            ),
            requests_refused: counters(
                r,
                "originlock_requests_refused_total",
                "Requests that were refused before they reached a backend, by host and reason.",
                &["host", "reason"],
            ),
            upstream_errors: counters(
                r,
                "originlock_upstream_errors_total",
                "Requests that a backend failed, by host and reason.",
                &["host", "reason"],
            ),
            server_not_after: gauges(
                r,
                "originlock_server_certificate_not_after_seconds",
                "The moment when the host's own certificate expires, in seconds since the Unix epoch.",
                &["host"],
            ),
            client_not_after: gauges(
                r,
                "originlock_client_certificate_not_after_seconds",
                "The moment when the client certificate that the host's trust last recognised expires, in seconds \
                 since the Unix epoch.",
                &["host"],
            ),
        };
        let handshake_duration = histograms(
            r,
            "originlock_handshake_duration_seconds",
            "The time from accepting a connection to the end of its handshake, by outcome.",
            &["outcome"],
            &HANDSHAKE_BUCKETS,
        );
        let request_duration = histograms(
            r,
            "originlock_request_duration_seconds",
            "The time from a request's head to the end of its response.",
            &[],
            &REQUEST_BUCKETS,
        );
        let connections_shed = counters(
            r,
            "originlock_connections_shed_total",
            "Connections that were closed unread because a limit was reached, by limit.",
            &["reason"],
        );
        for shed in Shed::ALL {
            label(&connections_shed, &[shed.label()]);
        }
        let admin_denied = counters(
            r,
            "originlock_admin_denied_total",
            "Requests to the admin side that were turned away, by reason.",
            &["reason"],
        );
        for denial in AdminDenial::ALL {
            label(&admin_denied, &[denial.label()]);
        }
        let reloads = counters(r, "originlock_reloads_total", "Reloads of the configuration, by result.", &["result"]);
        for result in ["success", "failure"] {
            label(&reloads, &[result]);
        }
        let evidence_saves =
            counters(r, "originlock_evidence_saves_total", "Times that evidence was written, by result.", &["result"]);
        for result in ["success", "failure"] {
            label(&evidence_saves, &[result]);
        }
        let build = gauges(r, "originlock_build_info", "The version that runs; the value is always 1.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Arc::new(Self {
            without_host: HandshakeCounters::without_host(&families.handshakes),
            handshake_duration: ["admit", "refuse", "failed"]
                .map(|outcome| handshake_duration.with_label_values(&[outcome])),
            request_duration: request_duration.with_label_values::<&str>(&[]),
            ca_not_after: gauges(
                r,
                "originlock_ca_certificate_not_after_seconds",
                "The moment when a certificate of a CA bundle expires, in seconds since the Unix epoch.",
                &["ca", "subject"],
            ),
            crl_next_update: gauges(
                r,
                "originlock_crl_next_update_seconds",
                "The moment when the CA's revocation list has to be renewed, in seconds since the Unix epoch.",
                &["ca"],
            ),
            connections_open: gauge(r, "originlock_connections_open", "Client connections that are open."),
            connections_shed,
            admin_denied,
            reload_success: gauge(
                r,
                "originlock_reload_success",
                "Whether the last attempt to load the configuration succeeded: 1 or 0.",
            ),
            reload_timestamp: gauge(
                r,
                "originlock_reload_timestamp_seconds",
                "The moment of the last attempt to load the configuration, in seconds since the Unix epoch.",
            ),
            reloads,
            generation: gauge(
                r,
                "originlock_config_generation",
                "The number of the configuration in force, counted from 1 at the start of the process.",
            ),
            fallbacks: counter(
                &registry,
                "originlock_fallbacks_total",
                "Hosts that fell back from enforce to observe because nobody confirmed or Cloudflare was refused.",
            ),
            log_dropped: counter(
                r,
                "originlock_log_dropped_total",
                "Log lines and handshake records that were dropped because their queue was full.",
            ),
            panics: counter(r, "originlock_panics_total", "Connections that ended in a panic, which is a bug."),
            evidence_saves,
            evidence: EvidenceGauges::new(r),
            cloudflare: CloudflareGauges::new(r),
            process: ProcessGauges::new(r),
            per_host_series,
            hosts: Mutex::default(),
            overflow: AtomicUsize::new(0),
            families,
            registry,
        })
    }

    /// The counters of the host called `name` in `mode`, for the configuration that is being built.
    ///
    /// The same name and mode give the same counters. [`Self::commit_hosts`] puts what was asked for in force.
    pub fn host(&self, name: &str, mode: Mode) -> Arc<HostMetrics> {
        let mut hosts = self.lock();
        let key = (name.to_owned(), mode);
        if let Some(host) = hosts.pending.get(&key) {
            return host.clone();
        }
        if hosts.pending.len() >= self.per_host_series {
            hosts.pending_overflow += 1;
            let new = || Arc::new(HostMetrics::new(&self.families, REST_HOST, mode));
            return hosts.rest.entry(mode).or_insert_with(new).clone();
        }
        let host = match hosts.active.get(&key) {
            Some(host) => host.clone(),
            None => Arc::new(HostMetrics::new(&self.families, name, mode)),
        };
        hosts.pending.insert(key, host.clone());
        host
    }

    /// Puts in force what [`Self::host`] was asked for since the last commit; series of all other hosts end.
    pub fn commit_hosts(&self) {
        let mut hosts = self.lock();
        let pending = std::mem::take(&mut hosts.pending);
        let overflow = std::mem::take(&mut hosts.pending_overflow);
        let old = std::mem::replace(&mut hosts.active, pending);
        self.overflow.store(overflow, Ordering::Relaxed);
        self.remove_series(old, &hosts);
    }

    /// Forgets what [`Self::host`] was asked for since the last commit: the configuration was not taken.
    pub fn discard_hosts(&self) {
        let mut hosts = self.lock();
        let pending = std::mem::take(&mut hosts.pending);
        hosts.pending_overflow = 0;
        self.remove_series(pending, &hosts);
    }

    /// How many hosts of the configuration in force share [`REST_HOST`]'s series.
    pub fn host_overflow(&self) -> usize {
        self.overflow.load(Ordering::Relaxed)
    }

    /// Counts one ended handshake. `host` is `None` when none was chosen.
    pub fn handshake(&self, outcome: &HandshakeOutcome, host: Option<&HostMetrics>) {
        match host {
            Some(host) => host.handshake(outcome.reason, outcome.resumed),
            None => self.without_host.count(outcome.reason, outcome.resumed),
        }
        self.handshake_duration[duration_index(outcome)].observe(outcome.duration.as_secs_f64());
        // A stranger's certificate must not silence, nor ring, the alarm about the real one's expiry.
        let recognised = outcome.proved && (outcome.verdict == Verdict::Verified || outcome.matched.is_some());
        let fields = outcome.certificate.as_ref().and_then(|certificate| certificate.fields.as_ref());
        if let (Some(host), Some(fields), true) = (host, fields, recognised) {
            host.set_client_certificate_not_after(fields.not_after);
        }
    }

    /// Records how long one request took, from its head to the end of its response.
    pub fn request_duration(&self, duration: Duration) {
        self.request_duration.observe(duration.as_secs_f64());
    }

    /// Counts a client connection as open.
    pub fn connection_opened(&self) {
        self.connections_open.inc();
    }

    /// Counts a client connection as closed.
    pub fn connection_closed(&self) {
        self.connections_open.dec();
    }

    /// Client connections that are open.
    pub fn connections_open(&self) -> i64 {
        self.connections_open.get()
    }

    /// Counts a request that the admin side turned away.
    pub fn admin_denied(&self, denial: AdminDenial) {
        label(&self.admin_denied, &[denial.label()]).inc();
    }

    /// Counts a connection that a limit closed unread.
    pub fn connection_shed(&self, shed: Shed) {
        label(&self.connections_shed, &[shed.label()]).inc();
    }

    /// Counts a connection that ended in a panic.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Shows what `ledger` holds, at `clock`'s time, from the next scrape on.
    pub fn follow(&self, ledger: Arc<Ledger>, clock: Clock) {
        self.evidence.follow(ledger, clock);
    }

    /// Counts an attempt to write evidence to the disk.
    pub fn evidence_saved(&self, success: bool) {
        label(&self.evidence_saves, &[if success { "success" } else { "failure" }]).inc();
    }

    /// Replaces all that is said about Cloudflare's side.
    pub fn set_cloudflare(&self, seen: CloudflareSeen<'_>) {
        let _no_scrape_between = self.lock();
        self.cloudflare.show(seen);
    }

    /// Counts a look at a zone that came to nothing.
    pub fn cloudflare_check_failed(&self) {
        self.cloudflare.failed();
    }

    /// Counts log lines or records that were dropped.
    pub fn log_dropped(&self, lines: u64) {
        self.log_dropped.inc_by(lines);
    }

    /// Log lines and records dropped so far.
    pub fn log_dropped_total(&self) -> u64 {
        self.log_dropped.get()
    }

    /// Records that a host fell back to *observe* by itself.
    pub fn fell_back(&self) {
        self.fallbacks.inc();
    }

    /// Records that the configuration of number `generation` is in force, from the first one on.
    pub fn reload_succeeded(&self, generation: u64, at: Timestamp) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.reloaded(true, at);
    }

    /// Records that a configuration was not taken and the old one stays.
    pub fn reload_failed(&self, at: Timestamp) {
        self.reloaded(false, at);
    }

    /// Replaces all that is said about the expiry of CA certificates and revocation lists.
    pub fn set_trust_expiry(&self, authorities: &[CaExpiry<'_>], lists: &[CrlExpiry<'_>]) {
        let _no_scrape_between = self.lock();
        self.ca_not_after.reset();
        self.crl_next_update.reset();
        for CaExpiry { ca, subject, not_after } in authorities {
            self.ca_not_after.with_label_values(&[ca, subject]).set(not_after.seconds());
        }
        for CrlExpiry { ca, next_update } in lists {
            self.crl_next_update.with_label_values(&[ca]).set(next_update.seconds());
        }
    }

    /// All series in Prometheus' text format.
    pub fn render(&self) -> String {
        self.process.update();
        let hosts = self.lock();
        let mut active: Vec<_> = hosts.active.keys().map(|(name, mode)| (name.as_str(), *mode)).collect();
        // Who is left out beyond the bound must not change from scrape to scrape.
        active.sort_unstable_by_key(|(name, _)| *name);
        self.evidence.update(active.into_iter(), self.per_host_series);
        // Encoding fails only for a family without a name or series; ours have both.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    fn reloaded(&self, success: bool, at: Timestamp) {
        self.reload_success.set(i64::from(success));
        self.reload_timestamp.set(at.seconds());
        label(&self.reloads, &[if success { "success" } else { "failure" }]).inc();
    }

    /// Removes the series of those of `gone` that are not in force. A host whose mode changed keeps what has no mode.
    fn remove_series(&self, gone: HashMap<(String, Mode), Arc<HostMetrics>>, hosts: &Hosts) {
        let gone: Vec<_> = gone.into_iter().filter(|(key, _)| !hosts.active.contains_key(key)).collect();
        if gone.is_empty() {
            return;
        }
        let kept: HashSet<(&str, &str)> =
            hosts.active.keys().map(|(name, mode)| (name.as_str(), mode.label())).collect();
        let kept_names: HashSet<&str> = kept.iter().map(|(name, _)| *name).chain([OTHER_HOST, REST_HOST]).collect();
        for ((name, _), host) in &gone {
            if !kept_names.contains(name.as_str()) {
                host.retire();
            }
        }
        let known = |host: &str| kept_names.contains(host);
        let Families { handshakes, requests, requests_refused, upstream_errors, server_not_after, client_not_after } =
            &self.families;
        prune(handshakes, |labels| {
            let (host, mode) = (labels["host"], labels["mode"]);
            [OTHER_HOST, REST_HOST].contains(&host) || kept.contains(&(host, mode))
        });
        for family in [requests, requests_refused, upstream_errors] {
            prune(family, |labels| known(labels["host"]));
        }
        for family in [server_not_after, client_not_after] {
            prune(family, |labels| known(labels["host"]));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        // No code of ours panics half-way through a change of the table, so a poisoned one is still whole.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `admit` and `refuse` are decisions about a client; what broke off before one is `failed`.
fn duration_index(outcome: &HandshakeOutcome) -> usize {
    let judged = outcome.reason == outcome.verdict.reason();
    match outcome.decision {
        Decision::Admit => 0,
        Decision::Refuse if judged => 1,
        Decision::Refuse => 2,
    }
}

#[cfg(test)]
mod tests;
