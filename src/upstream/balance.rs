//! Which of several addresses a request goes to.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::address::Address;
use super::spec::UpstreamSpec;

/// Connect failures in a row until an address is left out.
const FAILURES_UNTIL_EJECTED: u32 = 3;

/// The first time out; it doubles with every further failure, up to the longest.
const FIRST_EJECTION: Duration = Duration::from_secs(1);
const LONGEST_EJECTION: Duration = Duration::from_secs(60);

/// How requests are spread over addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Balance {
    #[default]
    RoundRobin,
    /// The address with the fewest requests in flight, over all workers.
    LeastConnections,
}

/// One address and what all workers know about it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    failures: AtomicU32,
    /// Milliseconds since [`EPOCH`]; 0 if not ejected.
    ejected_until: AtomicU64,
    /// By the active health check.
    down: AtomicBool,
    in_flight: AtomicUsize,
}

/// Instants have no number; milliseconds since the first use do, and fit an atomic.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Endpoint {
    pub(super) fn new(address: Address) -> Self {
        LazyLock::force(&EPOCH);
        Self {
            address,
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            down: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_usable(&self, now: Instant) -> bool {
        !self.down.load(Relaxed) && self.ejected_until.load(Relaxed) <= milliseconds(now)
    }

    pub(super) fn connected(&self) {
        // Read first: in good times no worker writes to the shared line.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
    }

    pub(super) fn connect_failed(&self, now: Instant) {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if let Some(beyond) = failures.checked_sub(FAILURES_UNTIL_EJECTED) {
            let time_out = FIRST_EJECTION.saturating_mul(1 << beyond.min(16)).min(LONGEST_EJECTION);
            self.ejected_until.store(milliseconds(now + time_out), Relaxed);
        }
    }

    /// Returns whether that is news.
    pub(super) fn mark(&self, up: bool) -> bool {
        self.down.swap(!up, Relaxed) == up
    }
}

impl UpstreamSpec {
    /// The next address, by the worker's own `turn`; `None` once all were tried.
    pub(super) fn pick(&self, turn: usize, tried: &[usize], now: Instant) -> Option<usize> {
        let count = self.endpoints.len();
        if count == 1 {
            return tried.is_empty().then_some(0);
        }
        // When none is usable any may be: a wrong guess costs one failed connect, a refusal costs the request.
        let any = !self.endpoints.iter().any(|endpoint| endpoint.is_usable(now));
        let candidates = (0..count)
            .map(|step| turn.wrapping_add(step) % count)
            .filter(|index| !tried.contains(index) && (any || self.endpoints[*index].is_usable(now)));
        match self.policy {
            Balance::RoundRobin => { candidates }.next(),
            Balance::LeastConnections => candidates.min_by_key(|index| self.endpoints[*index].in_flight.load(Relaxed)),
        }
    }
}

/// Counts a request at its address for as long as it lives.
#[derive(Debug)]
pub(super) struct InFlight {
    spec: Arc<UpstreamSpec>,
    index: usize,
}

impl InFlight {
    /// `None` where nobody would read the count.
    pub(super) fn begin(spec: &Arc<UpstreamSpec>, index: usize) -> Option<Self> {
        (spec.policy == Balance::LeastConnections && spec.endpoints.len() > 1).then(|| {
            spec.endpoints[index].in_flight.fetch_add(1, Relaxed);
            Self { spec: spec.clone(), index }
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.spec.endpoints[self.index].in_flight.fetch_sub(1, Relaxed);
    }
}

fn milliseconds(instant: Instant) -> u64 {
    u64::try_from(instant.saturating_duration_since(*EPOCH).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(count: u16, policy: Balance) -> Arc<UpstreamSpec> {
        let address = |port| Address::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        Arc::new(UpstreamSpec { policy, ..UpstreamSpec::new("test", (1..=count).map(address).collect()) })
    }

    #[test]
    fn round_robin_takes_turns_and_ends_when_all_were_tried() {
        let (spec, now) = (spec(3, Balance::RoundRobin), Instant::now());
        let turns: Vec<_> = (0..4).map(|turn| spec.pick(turn, &[], now)).collect();
        assert_eq!(turns, [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(spec.pick(0, &[0], now), Some(1));
        assert_eq!(spec.pick(0, &[0, 1, 2], now), None);
    }

    #[test]
    fn the_address_with_the_fewest_requests_is_next() {
        let (spec, now) = (spec(2, Balance::LeastConnections), Instant::now());
        let first = InFlight::begin(&spec, 0);
        assert_eq!(spec.pick(0, &[], now), Some(1));
        drop(first);
        assert_eq!(spec.pick(0, &[], now), Some(0));
    }

    #[test]
    fn an_address_that_keeps_failing_is_left_out_for_a_growing_time() {
        let (spec, now) = (spec(2, Balance::RoundRobin), Instant::now());
        let endpoint = &spec.endpoints[0];
        endpoint.connect_failed(now);
        endpoint.connect_failed(now);
        assert!(endpoint.is_usable(now));
        for (seconds, failures) in [(1, 3), (2, 4), (4, 5), (8, 6), (16, 7), (32, 8), (60, 9), (60, 10)] {
            endpoint.connect_failed(now);
            assert!(!endpoint.is_usable(now + Duration::from_millis(seconds * 1000 - 10)), "{failures} failures");
            assert!(endpoint.is_usable(now + Duration::from_millis(seconds * 1000 + 10)), "{failures} failures");
        }
        assert_eq!(spec.pick(0, &[], now), Some(1));
        endpoint.connected();
        assert_eq!(spec.pick(0, &[], now), Some(0));
    }

    #[test]
    fn when_all_are_out_all_are_tried() {
        let (spec, now) = (spec(2, Balance::RoundRobin), Instant::now());
        assert!(spec.endpoints[0].mark(false));
        assert!(!spec.endpoints[0].mark(false));
        assert_eq!(spec.pick(0, &[], now), Some(1));
        assert!(spec.endpoints[1].mark(false));
        assert_eq!((spec.pick(0, &[], now), spec.pick(0, &[0], now)), (Some(0), Some(1)));
        assert!(spec.endpoints[1].mark(true));
        assert_eq!(spec.pick(0, &[], now), Some(1));
    }
}
