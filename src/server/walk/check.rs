//! After a change of mode the proxy connects to itself, and looks whether it does what it says.

use std::net::SocketAddr;
use std::time::Duration;

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
    let mut checks = Vec::new();
    for name in asked_for(&snapshot, host) {
        let identities = [(None, "without a certificate"), (stranger.as_ref(), "with a stranger's certificate")];
        for (identity, what) in identities.into_iter().take(1 + usize::from(stranger.is_some())) {
            let probed = probe(shared, reachable(address), &name, identity);
            let reached = probed.is_ok();
            checks.push(report(host, mode, format!("{name} {what}"), probed));
            if !reached {
                return checks;
            }
        }
    }
    checks
}

/// Waits a moment for the next handshake from Cloudflare with `host`, number `after` and before aside. That none comes
/// is no failure: the edge keeps its connections.
pub fn wait_for_edge(shared: &Shared, view: &dyn View, host: &Host, after: u64) -> CheckReport {
    let next = shared.observer.recent().wait_for(after, EDGE_LIMIT, |outcome| {
        let is_of_host = outcome.host.as_deref() == Some(&host.name) && outcome.mode == Some(Mode::Enforce);
        let from_cloudflare = !outcome.own && view.network(outcome.peer.ip()) == Network::Cloudflare;
        is_of_host && outcome.is_judged() && from_cloudflare
    });
    let (got, passed) = match next.map(|recorded| recorded.outcome) {
        None => (format!("none yet after {} s; the edge keeps its connections", EDGE_LIMIT.as_secs()), true),
        Some(outcome) => (
            format!("{} from {} at {}", outcome.reason.label(), outcome.peer.ip(), outcome.at),
            outcome.verdict == Verdict::Verified && outcome.decision == Decision::Admit,
        ),
    };
    CheckReport { what: "the next handshake from Cloudflare".to_owned(), expected: "verified".to_owned(), got, passed }
}

/// Names that lead to `host`.
fn asked_for(snapshot: &Snapshot, host: &Host) -> Vec<Hostname> {
    let leads_here = |name: &Hostname| snapshot.hosts.select(Some(name)).is_ok_and(|found| found.name == host.name);
    host.names.iter().filter_map(name_within).filter(leads_here).take(MAX_NAMES).collect()
}

fn probe(shared: &Shared, address: SocketAddr, name: &Hostname, who: Option<&Identity>) -> Result<Probed, ProbeError> {
    // A server's own address reaches it from that very address.
    let probe = Probe::from(address.ip()).map_err(|source| ProbeError::Connect { address, source })?;
    shared.observer.expect_own(probe.local());
    probe.handshake(address, name, who, PROBE_LIMIT)
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
    CheckReport { what, expected: expected.to_owned(), got, passed }
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
