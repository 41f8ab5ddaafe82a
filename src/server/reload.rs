//! A new configuration in place of the one in force: as a whole, or not at all.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::admin::HealthChecks;
use super::{descriptors, evidence};
use crate::config::file;
use crate::config::model::Config;
use crate::config::problem::Problems;
use crate::evidence::report::ReloadReport;
use crate::proxy::worker::Shared;
use crate::snapshot::build::{Ground, build};
use crate::telemetry::metrics::Metrics;

/// The configuration on the disk cannot be used; the one in force stays.
#[derive(Debug, thiserror::Error)]
#[error("the new configuration cannot be used, the old one stays in force:\n{0}")]
pub struct ReloadError(pub Problems);

/// Knows what is in force and where it came from.
pub struct Reloader {
    path: PathBuf,
    in_force: Arc<Config>,
    ground: Ground,
    checks: HealthChecks,
}

impl Reloader {
    pub fn new(path: PathBuf, in_force: Arc<Config>, ground: Ground, checks: HealthChecks) -> Self {
        Self { path, in_force, ground, checks }
    }

    /// What the snapshot in force was built from.
    pub fn in_force(&self) -> Arc<Config> {
        Arc::clone(&self.in_force)
    }

    /// Loads everything anew and swaps it in. `by` says who asked.
    pub fn reload(&mut self, shared: &Shared, by: &str) -> Result<ReloadReport, ReloadError> {
        self.try_reload(shared, by).map_err(|problems| {
            self.ground.metrics.reload_failed(shared.clock.now());
            for problem in problems.iter() {
                error!(config.problem = %problem, "reload refused, the old configuration stays in force");
            }
            ReloadError(problems)
        })
    }

    fn try_reload(&mut self, shared: &Shared, by: &str) -> Result<ReloadReport, Problems> {
        let loaded = file::load(&self.path)?;
        let (snapshot, more) = build(&loaded.config, &self.ground, Some(&shared.current.load()))?;
        let mut warnings = loaded.warnings;
        warnings.append(more);
        log_warnings(&warnings);
        let fixed = warn_of_fixed_settings(&self.in_force, &loaded.config);
        let limits = &loaded.config.limits;
        shared.admission.set_bounds(descriptors::connections(limits), limits.connections_per_address);
        let generation = snapshot.generation;
        evidence::follow(shared.observer.ledger(), &snapshot, shared.clock.now());
        shared.current.swap(snapshot);
        self.checks.watch(&shared.current.load());
        self.ground.metrics.reload_succeeded(generation, shared.clock.now());
        warn_of_overflow(&self.ground.metrics);
        info!(originlock.config.generation = generation, originlock.by = by, "configuration reloaded");
        self.in_force = Arc::new(loaded.config);
        Ok(ReloadReport { generation, warnings: warnings.iter().map(ToString::to_string).chain(fixed).collect() })
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
