//! Changing a host's trust, and its mode safely: is it ready, the one word in the operator's file, the reload, the look whether it came out as
//! meant. And back, by itself, where that was asked for.

mod apply;
mod bundle;
mod check;
mod confirm;
mod drift;
mod in_use;
mod problem;
mod tally;
mod trust;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tracing::{error, info, warn};

pub use self::confirm::Confirmations;
use self::confirm::Pending;
use self::problem::Problem;
use self::tally::Tally;
use super::reload::{ReloadError, Reloader};
use super::views;
use crate::admin::control::{Control, View};
use crate::clock::Timestamp;
use crate::config::edit;
use crate::evidence::report::{
    CheckReport, HostReport, ModeReport, ModeRequest, ReloadReport, TrustChangeReport, TrustRequest,
};
use crate::hostname::{HostPattern, Hostname};
use crate::policy::client_auth::Mode;
use crate::proxy::worker::Shared;

/// The times within which a confirmation can be asked for.
const CONFIRM_WITHIN: std::ops::RangeInclusive<u64> = 10..=86_400;

/// Changes what is in force: one change at a time.
pub struct Walk {
    shared: Arc<Shared>,
    view: Arc<dyn View>,
    reloader: Mutex<Reloader>,
    /// Held for a whole walk, its checks included; the reloader only while the configuration changes.
    one_at_a_time: Mutex<()>,
    /// Where to connect to oneself, once the listeners are bound.
    addresses: Arc<OnceLock<Vec<SocketAddr>>>,
    confirmations: Arc<Confirmations>,
    /// For the thread that watches over confirmations.
    myself: Weak<Self>,
}

/// What a change of mode came to, before it was looked at.
struct Changed {
    report: ModeReport,
    names: Vec<HostPattern>,
    /// The last handshake before the change.
    before: u64,
    /// What enforcing does from then on.
    tally: Tally,
    /// The share of Cloudflare's handshakes that may fail.
    failing_share: f64,
}

impl Walk {
    /// `view` tells how ready a host is.
    pub fn new(
        shared: Arc<Shared>,
        view: Arc<dyn View>,
        reloader: Reloader,
        addresses: Arc<OnceLock<Vec<SocketAddr>>>,
        confirmations: Arc<Confirmations>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            shared,
            view,
            reloader: Mutex::new(reloader),
            one_at_a_time: Mutex::default(),
            addresses,
            confirmations,
            myself: Weak::clone(myself),
        })
    }

    /// What tells how ready a host is.
    pub fn view(&self) -> &Arc<dyn View> {
        &self.view
    }

    /// Reads the configuration again and puts it in force as a whole, or keeps what is in force.
    pub fn reload(&self, by: &str) -> Result<ReloadReport, ReloadError> {
        self.reloader().reload(&self.shared, by)
    }

    /// The process is about to end: what waits for a confirmation stays enforced.
    pub fn end(&self) {
        self.confirmations.end();
    }

    fn reloader(&self) -> MutexGuard<'_, Reloader> {
        self.reloader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that changes something, up to the moment at which it is in force.
    fn change(&self, name: &str, request: &ModeRequest, by: &str) -> Result<Changed, Problem> {
        // From here on nobody else reloads: what is ready is what will be enforced.
        let mut reloader = self.reloader();
        let config = reloader.in_force();
        let host = config.host(name).ok_or_else(|| self.unknown(name))?;
        let window = request.window_seconds.map(Duration::from_secs);
        let readiness = self.view.host(name, window).ok_or_else(|| self.unknown(name))?.host.readiness;
        let patterns: Vec<_> = host.names.iter().map(|name| name.value.clone()).collect();
        let names: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        let edited = edit::set_mode(&config, host, request.mode).map_err(|error| problem::edit(&error))?;
        let (from, to) = (host.client_auth.mode.value, request.mode);
        let too_early = to == Mode::Enforce && !readiness.ready;
        if too_early && from != to && !request.force && !request.dry_run {
            return Err(problem::not_ready(&names[0], readiness));
        }
        let report = ModeReport {
            host: names[0].clone(),
            names,
            from,
            to,
            source: views::source(&host.client_auth.mode.place),
            diff: edited.diff.clone(),
            applied: false,
            forced: false,
            readiness,
            checks: Vec::new(),
            confirm_by: self.confirmations.deadline(&patterns),
        };
        let observer = &self.shared.observer;
        let mut changed = Changed {
            report,
            before: observer.recent().last_sequence(),
            tally: Tally::new(observer.ledger(), &patterns),
            names: patterns,
            failing_share: host.gate.failing_share,
        };
        // What fell back in memory alone is in its mode already, and its file is not.
        if (from == to && edited.diff.is_empty()) || request.dry_run {
            return Ok(changed);
        }
        changed.report.forced = too_early;
        self.put_in_force(&mut reloader, &edited, &changed.report, by)?;
        changed.report.applied = true;
        log(&changed.report, request.window_seconds, by);
        Ok(changed)
    }

    /// The proxy looks at itself.
    fn checks(&self, name: &str, changed: &mut Changed) -> Vec<CheckReport> {
        let snapshot = self.shared.current.load();
        let Some(host) = snapshot.all.iter().find(|host| *host.name == changed.report.host) else { return Vec::new() };
        let address = self.addresses.get().and_then(|addresses| addresses.first());
        let mut checks =
            address.map(|address| check::connect_to_self(&self.shared, *address, host)).unwrap_or_default();
        if host.client_auth.mode() == Mode::Enforce {
            checks.push(check::wait_for_edge(&self.shared, &*self.view, host, changed.before, &mut changed.tally));
        }
        for failed in checks.iter().filter(|check| check.failed()) {
            error!(
                originlock.host = name,
                originlock.check = failed.what,
                originlock.expected = failed.expected,
                originlock.got = failed.got,
                "the proxy does not do what its configuration says"
            );
        }
        checks
    }

    fn unknown(&self, name: &str) -> Problem {
        let snapshot = self.shared.current.load();
        let covering = Hostname::parse(name).ok().and_then(|name| snapshot.hosts.select(Some(&name)).ok().cloned());
        let wildcard = covering.and_then(|host| {
            let parent = name.split_once('.')?.1.to_ascii_lowercase();
            host.names.iter().map(ToString::to_string).find(|known| *known == format!("*.{parent}"))
        });
        problem::unknown_host(name, wildcard)
    }
}

impl Control for Walk {
    fn set_mode(&self, name: &str, request: &ModeRequest, by: &str) -> Result<ModeReport, Problem> {
        let within = confirm_within(request)?;
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = self.change(name, request, by)?;
        if request.dry_run {
            return Ok(changed.report);
        }
        let host = changed.report.host.clone();
        match (changed.report.applied, within) {
            (true, _) => drop(self.confirmations.release(&changed.names)),
            (false, Some(_)) => return Err(problem::nothing_to_fall_back_from(&host)),
            (false, None) => {}
        }
        if let Some(within) = within {
            let deadline = Timestamp::from_seconds(self.shared.clock.now().after(within).seconds());
            changed.report.confirm_by = Some(deadline);
            let pending = Pending::new(within, deadline, changed.tally.clone(), changed.failing_share);
            self.confirmations.wait_for(pending);
            warn!(
                originlock.host = host,
                originlock.confirm_by = %deadline,
                originlock.by = by,
                "falls back to observe, and so open, unless confirmed in time"
            );
            confirm::watch(&self.confirmations, Weak::clone(&self.myself));
        }
        changed.report.checks = self.checks(&host, &mut changed);
        Ok(changed.report)
    }

    fn change_trust(&self, name: &str, request: &TrustRequest, by: &str) -> Result<TrustChangeReport, Problem> {
        self.change_bundle(name, request, by)
    }

    fn confirm(&self, name: &str, by: &str) -> Result<HostReport, Problem> {
        // Not while it is falling back.
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.view.host(name, None).ok_or_else(|| self.unknown(name))?;
        let names: Vec<_> = found.host.names.iter().filter_map(|name| HostPattern::parse(name).ok()).collect();
        if !self.confirmations.release(&names) {
            return Err(problem::nothing_to_confirm(&found.host.name));
        }
        info!(originlock.host = found.host.name, originlock.by = by, "enforce confirmed");
        Ok(HostReport { confirm_by: None, ..found.host })
    }

    fn reload(&self, by: &str) -> Result<ReloadReport, Problem> {
        Self::reload(self, by).map_err(|ReloadError(problems)| problem::bad_configuration(&problems, None))
    }
}

fn confirm_within(request: &ModeRequest) -> Result<Option<Duration>, Problem> {
    let Some(seconds) = request.confirm_within_seconds else { return Ok(None) };
    if request.mode != Mode::Enforce {
        return Err(problem::bad_request(
            "a confirmation can be asked for with `enforce` only",
            "leave confirm_within_seconds out",
        ));
    }
    if !CONFIRM_WITHIN.contains(&seconds) {
        return Err(problem::bad_request(
            &format!("confirm_within_seconds cannot be {seconds}"),
            "give a number of seconds from 10 to 86400",
        ));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

fn log(report: &ModeReport, window_seconds: Option<u64>, by: &str) {
    let (from, to) = (report.from.label(), report.to.label());
    match report.to {
        Mode::Enforce if report.forced => warn!(
            originlock.host = report.host,
            originlock.from = from,
            originlock.mode = to,
            originlock.by = by,
            originlock.window_seconds = window_seconds,
            "mode changed by force: the host is not ready"
        ),
        Mode::Enforce => info!(
            originlock.host = report.host,
            originlock.from = from,
            originlock.mode = to,
            originlock.by = by,
            originlock.window_seconds = window_seconds,
            "mode changed"
        ),
        // This opens.
        Mode::Observe | Mode::Off => warn!(
            originlock.host = report.host,
            originlock.from = from,
            originlock.mode = to,
            originlock.by = by,
            "mode changed"
        ),
    }
}
