//! After a change of mode the proxy connects to itself, and looks whether it does what it says.

use std::iter;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::tally::{More, Tally};
use crate::admin::control::View;
use crate::clock::Timestamp;
use crate::evidence::network::Network;
use crate::evidence::report::CheckReport;
use crate::hostname::Hostname;
use crate::pki::{LeafOptions, Validity, self_signed};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::{Decision, Verdict};
use crate::probe::{Answer, Identity, Probe, ProbeError, Probed, name_within, reachable};
use crate::proxy::worker::Shared;
use crate::snapshot::Snapshot;
use crate::snapshot::host::Host;

/// A host with more names answers for the others as for these: they share one policy.
const MAX_NAMES: usize = 8;
/// A handshake with oneself takes milliseconds.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// All handshakes with oneself together. Whoever asked waits meanwhile, and not for long.
const CHECKS_LIMIT: Duration = Duration::from_secs(10);
/// How long the edge is waited for. It keeps its connections, so that a new handshake may take much longer.
const EDGE_LIMIT: Duration = Duration::from_secs(3);
/// The stranger's certificate serves for some seconds.
const STRANGER_DAYS: u32 = 1;

/// Connects to `host` at `address` by each of its names as somebody without a certificate, and where it is enforced
/// also as a stranger. Stops where the proxy cannot be reached at all.
pub fn connect_to_self(shared: &Shared, address: SocketAddr, host: &Host) -> Vec<CheckReport> {
    let snapshot = shared.current.load();
    let mode = host.client_auth.mode();
    let stranger = (mode == Mode::Enforce).then(|| stranger(shared.clock.now())).flatten();
    let visits = asked_for(&snapshot, host).into_iter().flat_map(|name| {
        let as_stranger = stranger.as_ref().map(|stranger| (name.clone(), Some(stranger)));
        iter::once((name, None)).chain(as_stranger)
    });
    visit_all(visits, CHECKS_LIMIT, |(name, who), limit| {
        let what = match who {
            None => format!("{name} without a certificate"),
            Some(_) => format!("{name} with a stranger's certificate"),
        };
        let probed = probe(shared, reachable(address), &name, who, limit);
        (probed.is_ok(), report(host, mode, what, probed))
    })
}

/// Makes one visit after the other, until one does not get there or the time that all of them have is up.
fn visit_all<V>(
    visits: impl Iterator<Item = V>,
    limit: Duration,
    mut visit: impl FnMut(V, Duration) -> (bool, CheckReport),
) -> Vec<CheckReport> {
    let end = Instant::now() + limit;
    let mut checks = Vec::new();
    for one in visits {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let got = format!("not tried, the others took {} s", limit.as_secs());
            checks.push(CheckReport {
                what: "the rest".to_owned(),
                expected: "tried".to_owned(),
                got,
                passed: Some(false),
            });
            return checks;
        }
        let (reached, check) = visit(one, left.min(PROBE_LIMIT));
        checks.push(check);
        if !reached {
            return checks;
        }
    }
    checks
}

/// Waits a moment for the next handshake from Cloudflare with one of the names of `host`, number `after` and before
/// aside. That none comes is no failure: the edge keeps its connections.
pub fn wait_for_edge(shared: &Shared, view: &dyn View, host: &Host, after: u64, tally: &mut Tally) -> CheckReport {
    let next = shared.observer.recent().wait_for(after, EDGE_LIMIT, |outcome| {
        let is_of_host = outcome.host.as_deref() == Some(&host.name) && outcome.mode == Some(Mode::Enforce);
        let by_name = outcome.server_name.as_ref().is_some_and(|name| host.names.iter().any(|own| own.covers(name)));
        let from_cloudflare = !outcome.own && view.network(outcome.peer.ip()) == Network::Cloudflare;
        is_of_host && by_name && outcome.is_judged() && from_cloudflare
    });
    let (got, passed) = match next.map(|recorded| recorded.outcome) {
        Some(outcome) => (
            format!("{} from {} at {}", outcome.reason.label(), outcome.peer.ip(), outcome.at),
            Some(outcome.verdict == Verdict::Verified && outcome.decision == Decision::Admit),
        ),
        None => unseen(tally.more(shared.observer.ledger())),
    };
    CheckReport { what: "the next handshake from Cloudflare".to_owned(), expected: "verified".to_owned(), got, passed }
}

/// Strangers may have pushed it out of the last handshakes. It is counted all the same.
fn unseen(more: More) -> (String, Option<bool>) {
    match more {
        More { refused: 1.., .. } => (format!("{} refused since", more.refused), Some(false)),
        More { admitted: 1.., .. } => (format!("{} verified since", more.admitted), Some(true)),
        More { .. } => (format!("none yet after {} s; the edge keeps its connections", EDGE_LIMIT.as_secs()), None),
    }
}

/// Names that lead to `host`.
fn asked_for(snapshot: &Snapshot, host: &Host) -> Vec<Hostname> {
    let leads_here = |name: &Hostname| snapshot.hosts.select(Some(name)).is_ok_and(|found| found.name == host.name);
    host.names.iter().filter_map(name_within).filter(leads_here).take(MAX_NAMES).collect()
}

fn probe(
    shared: &Shared,
    address: SocketAddr,
    name: &Hostname,
    who: Option<&Identity>,
    limit: Duration,
) -> Result<Probed, ProbeError> {
    // A server's own address reaches it from that very address.
    let probe = Probe::from(address.ip()).map_err(|source| ProbeError::Connect { address, source })?;
    shared.observer.expect_own(probe.local());
    probe.handshake(address, name, who, limit)
}

fn report(host: &Host, mode: Mode, what: String, probed: Result<Probed, ProbeError>) -> CheckReport {
    let expected = match mode {
        Mode::Enforce => "refused",
        Mode::Observe | Mode::Off => "let in",
    };
    let (got, passed) = match probed {
        Err(error) => (chain(&error), false),
        Ok(Probed { certificate: Some(shown), .. }) if Some(&shown) != host.certificate.chain().first() => {
            ("another server answered: its certificate is not this host's".to_owned(), false)
        }
        Ok(Probed { answer: Answer::Admitted, .. }) => ("let in".to_owned(), mode != Mode::Enforce),
        Ok(Probed { answer: Answer::Refused(Some(alert)), .. }) => {
            (format!("refused with {alert}"), mode == Mode::Enforce)
        }
        Ok(Probed { answer: Answer::Refused(None), .. }) => ("cut off without an alert".to_owned(), false),
    };
    CheckReport { what, expected: expected.to_owned(), got, passed: Some(passed) }
}

/// A certificate that nobody's CA issued. Without one only half of the check is made.
fn stranger(now: Timestamp) -> Option<Identity> {
    let issued = self_signed(&LeafOptions::client("originlock self check", Validity::days(now, STRANGER_DAYS))).ok()?;
    Identity::from_pem(issued.certificate_pem.as_bytes(), &issued.key_pem).ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_end_when_their_time_is_up() {
        let visit = |number: usize, _| {
            let what = number.to_string();
            (number < 2, CheckReport { what, expected: String::new(), got: String::new(), passed: Some(true) })
        };
        let whats = |limit| visit_all(0..9, limit, visit).into_iter().map(|check| check.what).collect::<Vec<_>>();
        assert_eq!(whats(Duration::from_hours(1)), ["0", "1", "2"], "the third one does not get there");
        assert_eq!(whats(Duration::ZERO), ["the rest"]);
        assert!(visit_all(0..9, Duration::ZERO, visit).iter().all(CheckReport::failed));
    }

    #[test]
    fn what_was_pushed_out_of_sight_is_told_by_number() {
        for (admitted, refused, told) in
            [(0, 0, ("none yet", None)), (4, 0, ("4 verified", Some(true))), (4, 1, ("1 refused", Some(false)))]
        {
            let (got, passed) = unseen(More { admitted, refused });
            assert!(got.starts_with(told.0) && passed == told.1, "{got}");
        }
    }
}
