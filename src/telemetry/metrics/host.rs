//! The counters of one host, looked up once so that counting is an atomic add.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::register::label;
use super::{Families, MODE_NONE, OTHER_HOST, REST_HOST, Refusal};
use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::upstream::UpstreamError;

/// Status classes `1xx` to `5xx`.
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// How a handshake can end before any host is chosen.
const REASONS_WITHOUT_HOST: [Reason; 8] = [
    Reason::TooLarge,
    Reason::SniMissing,
    Reason::SniUnknown,
    Reason::HandshakeTimeout,
    Reason::ClientAlert,
    Reason::ClientEof,
    Reason::NotTls,
    Reason::ProtocolError,
];

/// How a handshake can break off once a host is chosen, whatever its mode.
const REASONS_BROKEN_OFF: [Reason; 4] =
    [Reason::HandshakeTimeout, Reason::ClientAlert, Reason::ClientEof, Reason::ProtocolError];

/// The counters of one configured host in one mode. Counting needs neither a lock nor a hash.
#[derive(Debug)]
pub struct HostMetrics {
    handshakes: HandshakeCounters,
    requests: [IntCounter; STATUS_CLASSES.len()],
    families: Families,
    client_not_after: OnceLock<IntGauge>,
    /// Set when the host left the configuration: connections that live on must not bring its series back.
    retired: AtomicBool,
}

impl HostMetrics {
    pub(super) fn new(families: &Families, host: &str, mode: Mode) -> Self {
        for refusal in Refusal::ALL {
            label(&families.requests_refused, &[host, refusal.label()]);
        }
        for reason in UpstreamError::REASONS {
            label(&families.upstream_errors, &[host, reason]);
        }
        Self {
            handshakes: HandshakeCounters::of_host(&families.handshakes, host, mode),
            requests: STATUS_CLASSES.map(|class| label(&families.requests, &[host, class])),
            families: families.clone(),
            client_not_after: OnceLock::new(),
            retired: AtomicBool::new(false),
        }
    }

    /// The host label that these counters carry.
    pub fn host(&self) -> &str {
        &self.handshakes.host
    }

    /// Counts one answered request by its status code.
    pub fn request(&self, status: u16) {
        if let Some(counter) = self.requests.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.inc();
        }
    }

    /// Counts a request that never reached the backend.
    pub fn request_refused(&self, refusal: Refusal) {
        self.count(&self.families.requests_refused, refusal.label());
    }

    /// Counts a request that the backend failed, by one of [`UpstreamError::REASONS`].
    pub fn upstream_error(&self, reason: &'static str) {
        self.count(&self.families.upstream_errors, reason);
    }

    /// Sets when the host's own certificate ends. Hosts beyond the bound have no such series.
    pub fn set_server_certificate_not_after(&self, not_after: Timestamp) {
        if self.has_dates() {
            self.families.server_not_after.with_label_values(&[self.host()]).set(not_after.seconds());
        }
    }

    pub(super) fn handshake(&self, reason: Reason, resumed: bool) {
        self.handshakes.count(reason, resumed);
    }

    pub(super) fn set_client_certificate_not_after(&self, not_after: Timestamp) {
        if !self.has_dates() {
            return;
        }
        let gauge =
            self.client_not_after.get_or_init(|| self.families.client_not_after.with_label_values(&[self.host()]));
        gauge.set(not_after.seconds());
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn count(&self, family: &IntCounterVec, reason: &'static str) {
        if !self.is_retired() {
            label(family, &[self.host(), reason]).inc();
        }
    }

    /// Counts of several hosts add up, dates do not.
    fn has_dates(&self) -> bool {
        !self.is_retired() && self.host() != REST_HOST
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

/// `originlock_handshakes_total` of one host and mode, by reason and whether a session was resumed.
#[derive(Debug)]
pub(super) struct HandshakeCounters {
    family: IntCounterVec,
    host: String,
    mode: &'static str,
    /// Indexed by [`Reason`] and `resumed`; `None` where the combination is not expected.
    counters: [[Option<IntCounter>; 2]; Reason::HANDSHAKE.len()],
}

impl HandshakeCounters {
    /// For handshakes that ended before a host was chosen.
    pub(super) fn without_host(family: &IntCounterVec) -> Self {
        Self::new(family, OTHER_HOST, MODE_NONE, |reason, resumed| !resumed && REASONS_WITHOUT_HOST.contains(&reason))
    }

    fn of_host(family: &IntCounterVec, host: &str, mode: Mode) -> Self {
        Self::new(family, host, mode.label(), |reason, resumed| {
            if REASONS_BROKEN_OFF.contains(&reason) {
                return !resumed;
            }
            match mode {
                Mode::Off => reason == Reason::NoCertificate,
                Mode::Observe | Mode::Enforce => {
                    !matches!(reason, Reason::SniMissing | Reason::SniUnknown | Reason::NotTls)
                }
            }
        })
    }

    fn new(family: &IntCounterVec, host: &str, mode: &'static str, expected: impl Fn(Reason, bool) -> bool) -> Self {
        let counter = |reason: Reason, resumed: bool| {
            expected(reason, resumed)
                .then(|| label(family, &[host, mode, reason.label(), if resumed { "true" } else { "false" }]))
        };
        Self {
            family: family.clone(),
            host: host.to_owned(),
            mode,
            counters: Reason::HANDSHAKE.map(|reason| [counter(reason, false), counter(reason, true)]),
        }
    }

    pub(super) fn count(&self, reason: Reason, resumed: bool) {
        match self.counters.get(reason as usize).and_then(|pair| pair[usize::from(resumed)].as_ref()) {
            Some(counter) => counter.inc(),
            // Not expected, but a fact must not get lost because we did not expect it.
            None => {
                let resumed = if resumed { "true" } else { "false" };
                label(&self.family, &[&self.host, self.mode, reason.label(), resumed]).inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reasons_place_in_the_list_is_its_index() {
        for (index, reason) in Reason::HANDSHAKE.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.label());
        }
    }
}
