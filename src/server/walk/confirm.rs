//! An `enforce` that takes itself back unless somebody confirms it. It fails open, so it is asked for each time and loud.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::Walk;
use super::tally::Tally;
use crate::clock::{Clock, Timestamp};
use crate::evidence::ledger::DEFAULT_NAME;
use crate::evidence::network::Network;
use crate::evidence::report::ModeRequest;
use crate::hostname::HostPattern;
use crate::policy::client_auth::Mode;
use crate::snapshot::Snapshot;
use crate::snapshot::host::Host;

/// How often it is looked whether time is up.
const LOOK: Duration = Duration::from_millis(100);
/// Fewer handshakes that fail may be one edge server's mistake.
const FEWEST_REFUSED: u64 = 3;

/// The names whose `enforce` waits for a confirmation.
#[derive(Debug, Default)]
pub struct Confirmations(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// No two share a name.
    pending: Vec<Pending>,
    /// Whether a thread watches.
    watched: bool,
}

/// An `enforce` that wants to be confirmed, and how it goes. It is known by its names in any order: a reload may have
/// them change their places, their company and their host.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    within: Duration,
    deadline: Timestamp,
    /// The same moment for whom the time of day may jump.
    ends: Instant,
    tally: Tally,
    failing_share: f64,
    verified: u64,
    refused: u64,
}

impl Pending {
    /// Falls back at `deadline`, which is `within` from now, or when more than `failing_share` of the handshakes that
    /// `tally` counts are refused.
    pub(super) fn new(within: Duration, deadline: Timestamp, tally: Tally, failing_share: f64) -> Self {
        Self { within, deadline, ends: Instant::now() + within, tally, failing_share, verified: 0, refused: 0 }
    }

    /// The system's clock may be set while somebody waits; time goes on all the same.
    fn is_over(&self, clock: &Clock) -> bool {
        match clock {
            Clock::System => Instant::now() >= self.ends,
            Clock::Manual(_) => clock.now() >= self.deadline,
        }
    }

    fn is_about(&self, names: &[HostPattern]) -> bool {
        self.tally.names().any(|name| names.contains(name))
    }

    /// Whether too many are refused.
    fn is_failing(&self) -> bool {
        let all = self.verified + self.refused;
        self.refused >= FEWEST_REFUSED && self.refused as f64 / all as f64 > self.failing_share
    }
}

impl Confirmations {
    /// Until when a host of these names wants to be confirmed.
    pub fn deadline(&self, names: &[HostPattern]) -> Option<Timestamp> {
        self.lock().pending.iter().find(|pending| pending.is_about(names)).map(|pending| pending.deadline)
    }

    /// Waits from now on.
    pub(super) fn wait_for(&self, pending: Pending) {
        self.lock().pending.push(pending);
    }

    /// `names` do not wait any longer. Whether any did.
    pub(super) fn release(&self, names: &[HostPattern]) -> bool {
        let mut waiting = self.lock();
        let did = waiting.pending.iter().any(|pending| pending.is_about(names));
        waiting.keep(|name| !names.contains(name));
        did
    }

    /// Nobody is left who could confirm or fall back.
    pub(super) fn end(&self) {
        for pending in std::mem::take(&mut self.lock().pending) {
            let host = pending.tally.names().next().map(ToString::to_string);
            warn!(originlock.host = host, "ends before enforce was confirmed; it stays enforced with the next start");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the watching end if nobody waits.
    fn is_over(&self) -> bool {
        let mut waiting = self.lock();
        waiting.watched = !waiting.pending.is_empty();
        !waiting.watched
    }
}

impl Waiting {
    /// Has the names that `keep` does not pick wait no longer.
    fn keep(&mut self, keep: impl Fn(&HostPattern) -> bool) {
        self.pending.iter_mut().for_each(|pending| pending.tally.retain(&keep));
        self.pending.retain(|pending| !pending.tally.is_empty());
    }
}

/// Sees to it that a thread watches until nobody waits. It does not keep the server alive.
pub(super) fn watch(confirmations: &Arc<Confirmations>, walk: Weak<Walk>) {
    let mut waiting = confirmations.lock();
    if waiting.watched {
        return;
    }
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let work = move || {
        let _log = tracing::dispatcher::set_default(&dispatch);
        while let Some(walk) = walk.upgrade() {
            walk.look_at_confirmations();
            if walk.confirmations.is_over() {
                return;
            }
            drop(walk);
            thread::sleep(LOOK);
        }
    };
    waiting.watched = thread::Builder::new().name("confirm".into()).spawn(work).is_ok();
    if !waiting.watched {
        warn!("no thread can be started to fall back to observe; confirm or change the mode by hand");
    }
}

impl Walk {
    fn look_at_confirmations(&self) {
        self.release_unenforced();
        for (names, why) in self.due() {
            self.fall_back(&names, &why);
        }
    }

    /// A reload may have done what was waited for.
    fn release_unenforced(&self) {
        let snapshot = self.shared.current.load();
        let enforced =
            |name: &HostPattern| snapshot.hosts.get(name).is_some_and(|host| host.client_auth.mode() == Mode::Enforce);
        self.confirmations.lock().keep(|name| {
            let stays = enforced(name);
            if !stays {
                info!(originlock.host = %name, "is not enforced any more; nothing is left to confirm");
            }
            stays
        });
    }

    /// The names that have to fall back, and why.
    fn due(&self) -> Vec<(Vec<HostPattern>, String)> {
        let mut waiting = self.confirmations.lock();
        let due = waiting.pending.iter_mut().filter_map(|pending| {
            let more = pending.tally.more(self.shared.observer.ledger());
            pending.verified += more.admitted;
            pending.refused += more.refused;
            Some((pending.tally.names().cloned().collect(), self.why_to_fall_back(pending)?))
        });
        due.collect()
    }

    fn why_to_fall_back(&self, pending: &Pending) -> Option<String> {
        if pending.is_failing() {
            let (all, refused) = (pending.verified + pending.refused, pending.refused);
            let last = self.last_refusal(pending).map(|last| format!(", the last {last}")).unwrap_or_default();
            return Some(format!("{refused} of {all} handshakes from Cloudflare were refused{last}"));
        }
        let over = pending.is_over(&self.shared.clock);
        over.then(|| format!("not confirmed within {} s", pending.within.as_secs()))
    }

    fn last_refusal(&self, pending: &Pending) -> Option<String> {
        let (snapshot, now) = (self.shared.current.load(), self.shared.clock.now());
        let host = snapshot.hosts.get(pending.tally.names().next()?)?;
        let by_name = self.shared.observer.ledger().evidence(&host.name, host.gate.window, now);
        let of_names = by_name.iter().filter(|(name, _)| *name != DEFAULT_NAME);
        let failures = of_names.flat_map(|(_, evidence)| &evidence.failures);
        let from_cloudflare = failures.filter(|((network, _), _)| *network == Network::Cloudflare);
        let ((_, reason), both) = from_cloudflare.max_by_key(|(_, both)| both.last.at)?;
        Some(format!("{} from {}", reason.label(), both.last.peer.ip()))
    }

    /// Back to *observe*, because nobody confirmed or because Cloudflare's handshakes fail: in the file and in force, or
    /// where the file cannot be changed in force alone.
    fn fall_back(&self, names: &[HostPattern], why: &str) {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        if self.confirmations.deadline(names).is_none() {
            // Somebody was faster.
            return;
        }
        let request = ModeRequest {
            mode: Mode::Observe,
            force: false,
            dry_run: false,
            confirm_within_seconds: None,
            window_seconds: None,
        };
        for host in enforced(&self.shared.current.load(), names) {
            match self.change(&host.name, &request, "confirm-within") {
                // A reload has done it.
                Ok(changed) if !changed.report.applied => continue,
                Ok(_) => error!(originlock.host = &*host.name, originlock.why = why, "fell back to observe"),
                Err(problem) => {
                    self.reloader().open(&self.shared, &host.names);
                    error!(
                        originlock.host = &*host.name,
                        originlock.why = why,
                        originlock.file = %host.mode_place.file.path.display(),
                        error = problem.detail,
                        "fell back to observe in memory alone: the file still says enforce, and so do the next reload and \
                         start; change it by hand"
                    );
                }
            }
            self.shared.observer.metrics().fell_back();
        }
        self.confirmations.release(names);
    }
}

fn enforced(snapshot: &Snapshot, names: &[HostPattern]) -> Vec<Arc<Host>> {
    let about = |host: &&Arc<Host>| host.names.iter().any(|name| names.contains(name));
    let enforced = snapshot.all.iter().filter(|host| host.client_auth.mode() == Mode::Enforce);
    enforced.filter(about).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::ledger::Ledger;

    fn pending(names: &[&str], within: Duration, deadline: Timestamp) -> Pending {
        let names: Vec<_> = names.iter().map(|name| HostPattern::parse(name).expect("a name")).collect();
        Pending::new(within, deadline, Tally::new(&Ledger::default(), &names), 0.0)
    }

    #[test]
    fn the_end_does_not_move_with_the_time_of_day() {
        let (past, future) = (Timestamp::from_seconds(0), Timestamp::MAX);
        let (over, hour) = (Duration::ZERO, Duration::from_hours(1));
        assert!(pending(&["a.example"], over, future).is_over(&Clock::System), "the clock was set back");
        assert!(!pending(&["a.example"], hour, past).is_over(&Clock::System), "the clock was set forward");
        let (before, after) = (Timestamp::from_seconds(9), Timestamp::from_seconds(10));
        for (now, is_over) in [(before, false), (after, true)] {
            assert_eq!(pending(&["a.example"], hour, after).is_over(&Clock::manual(now)), is_over, "a story's clock");
        }
    }

    #[test]
    fn one_name_of_several_may_wait_no_longer() {
        let waits = Confirmations::default();
        let name = |name: &str| [HostPattern::parse(name).expect("a name")];
        waits.wait_for(pending(&["a.example", "b.example"], Duration::ZERO, Timestamp::MAX));
        assert!(waits.release(&name("a.example")) && !waits.release(&name("a.example")));
        assert_eq!(waits.deadline(&name("a.example")), None);
        assert_eq!(waits.deadline(&name("b.example")), Some(Timestamp::MAX));
        assert!(waits.release(&name("b.example")) && waits.is_over());
    }
}
