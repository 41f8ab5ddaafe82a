//! A new configuration in place of the one in force: as a whole, or not at all.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::admin::HealthChecks;
use super::cloudflare::FollowHandle;
use super::{descriptors, evidence};
use crate::config::file;
use crate::config::model::Config;
use crate::config::problem::Problems;
use crate::evidence::report::ReloadReport;
use crate::hostname::HostPattern;
use crate::policy::client_auth::Mode;
use crate::proxy::worker::Shared;
use crate::snapshot::Snapshot;
use crate::snapshot::build::{Draft, Ground, draft};
use crate::telemetry::metrics::Metrics;

/// The configuration on the disk cannot be used; the one in force stays.
#[derive(Debug, thiserror::Error)]
#[error("the new configuration cannot be used, the old one stays in force:\n{0}")]
pub struct ReloadError(pub Problems);

/// What lies on the disk, loaded and not in force. Either [`Reloader::put_in_force`] or [`Reloader::discard`] ends it.
#[must_use]
pub struct Prepared {
    pub config: Config,
    pub draft: Draft,
    warnings: Problems,
}

/// Knows what is in force and where it came from.
pub struct Reloader {
    path: PathBuf,
    in_force: Arc<Config>,
    ground: Ground,
    checks: HealthChecks,
    /// Has Cloudflare's side looked at.
    watch: FollowHandle,
}

impl Reloader {
    pub fn new(
        path: PathBuf,
        in_force: Arc<Config>,
        ground: Ground,
        checks: HealthChecks,
        watch: FollowHandle,
    ) -> Self {
        watch.follow(in_force.cloudflare.as_ref());
        Self { path, in_force, ground, checks, watch }
    }

    /// What the snapshot in force was built from.
    pub fn in_force(&self) -> Arc<Config> {
        Arc::clone(&self.in_force)
    }

    /// Loads everything anew and swaps it in. `by` says who asked.
    pub fn reload(&mut self, shared: &Shared, by: &str) -> Result<ReloadReport, ReloadError> {
        let prepared = self.prepare(shared)?;
        Ok(self.put_in_force(shared, prepared, by))
    }

    /// Loads everything anew. What is in force stays until [`Self::put_in_force`].
    pub fn prepare(&self, shared: &Shared) -> Result<Prepared, ReloadError> {
        let prepared = file::load(&self.path).and_then(|loaded| {
            let draft = draft(&loaded.config, &self.ground, Some(&shared.current.load()))?;
            Ok(Prepared { config: loaded.config, draft, warnings: loaded.warnings })
        });
        prepared.map_err(|problems| {
            self.ground.metrics.reload_failed(shared.clock.now());
            for problem in problems.iter() {
                error!(config.problem = %problem, "reload refused, the old configuration stays in force");
            }
            ReloadError(problems)
        })
    }

    /// As if it had not been loaded.
    pub fn discard(&self, prepared: Prepared) {
        prepared.draft.discard(&self.ground);
    }

    /// Swaps in what was loaded.
    pub fn put_in_force(&mut self, shared: &Shared, prepared: Prepared, by: &str) -> ReloadReport {
        let Prepared { config, draft, mut warnings } = prepared;
        let (snapshot, more) = draft.accept(&self.ground);
        warnings.append(more);
        log_warnings(&warnings);
        let fixed = warn_of_fixed_settings(&self.in_force, &config);
        shared.admission.set_bounds(descriptors::connections(&config.limits), config.limits.connections_per_address);
        let generation = self.swap(shared, snapshot);
        self.ground.metrics.reload_succeeded(generation, shared.clock.now());
        warn_of_overflow(&self.ground.metrics);
        info!(originlock.config.generation = generation, originlock.by = by, "configuration reloaded");
        self.in_force = Arc::new(config);
        self.watch.follow(self.in_force.cloudflare.as_ref());
        ReloadReport { generation, warnings: warnings.iter().map(ToString::to_string).chain(fixed).collect() }
    }

    /// Has the enforced hosts with any of `names` let everyone in, and reads no file: for when the files cannot be used.
    /// The next reload does what they say.
    pub fn open(&mut self, shared: &Shared, names: &[HostPattern]) {
        let snapshot =
            shared.current.load().opened(&self.ground, |host| host.names.iter().any(|name| names.contains(name)));
        self.swap(shared, snapshot);
        for host in &mut Arc::make_mut(&mut self.in_force).hosts {
            let mode = &mut host.value.client_auth.mode.value;
            if *mode == Mode::Enforce && host.value.names.iter().any(|name| names.contains(&name.value)) {
                *mode = Mode::Observe;
            }
        }
    }

    fn swap(&self, shared: &Shared, snapshot: Snapshot) -> u64 {
        let generation = snapshot.generation;
        evidence::follow(shared.observer.ledger(), &snapshot, shared.clock.now());
        shared.current.swap(snapshot);
        self.checks.watch(&shared.current.load());
        generation
    }
}

/// Says what will bite.
pub fn log_warnings(warnings: &Problems) {
    for problem in warnings.iter() {
        warn!(config.problem = %problem, "configuration");
    }
}

/// Says that not every host has metric series of its own.
pub fn warn_of_overflow(metrics: &Metrics) {
    let overflow = metrics.host_overflow();
    if overflow > 0 {
        warn!(
            originlock.hosts = overflow,
            "these hosts share the metric series `_rest`; raise limits.per_host_series to count them apart"
        );
    }
}

/// Sockets and threads are made once. Says so of each setting that has changed, in the log and to whoever asked.
fn warn_of_fixed_settings(old: &Config, new: &Config) -> Vec<String> {
    let mut said = Vec::new();
    let addresses =
        |config: &Config| config.listeners.iter().map(|listener| listener.address.value).collect::<Vec<_>>();
    let admin = |config: &Config| config.admin.as_ref().map(|admin| admin.address.value.clone());
    let file = |config: &Config| config.evidence.file.as_ref().map(|file| file.value.clone());
    for (setting, changed) in [
        ("[[listener]]", addresses(old) != addresses(new)),
        ("admin.address", admin(old) != admin(new)),
        ("workers", old.workers != new.workers),
        ("[log]", (old.log.format, &old.log.level) != (new.log.format, &new.log.level)),
        ("limits.log_queue", old.limits.log_queue != new.limits.log_queue),
        ("limits.per_host_series", old.limits.per_host_series != new.limits.per_host_series),
        ("evidence.file", file(old) != file(new)),
        ("evidence.save_seconds", old.evidence.save != new.evidence.save),
        ("shutdown", old.shutdown != new.shutdown),
    ] {
        if changed {
            warn!(config.setting = setting, "this setting changes with the next start only");
            said.push(format!("{setting} changes with the next start only"));
        }
    }
    said
}
