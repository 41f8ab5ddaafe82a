//! Whom a bundle with fewer CAs would cut off: certificates that Cloudflare's edges come with.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::clock::Timestamp;
use crate::evidence::ledger::Ledger;
use crate::evidence::tally::SeenCertificate;
use crate::policy::bundle::CaBundle;
use crate::policy::client_auth::Mode;
use crate::policy::trust::Trust;
use crate::policy::verdict::Verdict;
use crate::snapshot::Snapshot;
use crate::snapshot::host::Host;
use crate::x509::{CertificateSummary, Fingerprint};

/// A certificate that an enforced host lets in today and would refuse.
#[derive(Clone, Debug)]
pub(super) struct CutOff {
    /// The first of the host's names.
    pub(super) host: String,
    pub(super) sha256: Fingerprint,
    pub(super) subject: String,
    pub(super) last_seen: Timestamp,
}

/// What comes and what goes.
pub(super) struct Exchange<'a> {
    pub(super) added: &'a [CertificateDer<'static>],
    pub(super) removed: &'a [Fingerprint],
}

impl CutOff {
    /// All of them on the enforced hosts that one of `cas` serves, by what was seen within their windows.
    pub(super) fn find(
        exchange: &Exchange<'_>,
        cas: &BTreeSet<String>,
        snapshot: &Snapshot,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Vec<Self> {
        let enforced = snapshot.all.iter().filter(|host| host.client_auth.mode() == Mode::Enforce);
        enforced.flat_map(|host| on(host, exchange, cas, ledger, now)).collect()
    }
}

fn on(host: &Host, exchange: &Exchange<'_>, cas: &BTreeSet<String>, ledger: &Ledger, now: Timestamp) -> Vec<CutOff> {
    let trust = host.client_auth.trust();
    let Some((trust, bundle)) = trust.and_then(|trust| Some((trust, trust.bundle()?))) else { return Vec::new() };
    let Some(after) = Some(bundle).filter(|bundle| cas.contains(bundle.name())).and_then(|old| exchange.made(old))
    else {
        return Vec::new();
    };
    let after = trust.with_bundle(Arc::new(after));
    let seen = ledger.edge_certificates(&host.name, host.gate.window, now);
    let in_its_time = seen.into_iter().filter(|(_, seen)| now <= seen.not_after);
    let lost = in_its_time.filter(|(sha256, seen)| exchange.loses(*sha256, seen, trust, &after, now));
    lost.map(|(sha256, seen)| CutOff {
        host: host.name.to_string(),
        sha256,
        subject: seen.subject,
        last_seen: seen.last_seen,
    })
    .collect()
}

impl Exchange<'_> {
    /// `None`: nothing is left, which is refused for itself.
    fn made(&self, old: &CaBundle) -> Option<CaBundle> {
        let stay = old.certificates().iter().filter(|ca| !self.removed.contains(&ca.summary.fingerprint));
        CaBundle::new(old.name(), stay.map(|ca| ca.der.clone()).chain(self.added.iter().cloned()).collect()).ok()
    }

    fn loses(&self, leaf: Fingerprint, seen: &SeenCertificate, before: &Trust, after: &Trust, now: Timestamp) -> bool {
        let chains = before.remembered(leaf);
        if chains.is_empty() {
            // A restart forgets chains, and so does another trust. Whose name the certificate bears is kept.
            return self.takes_the_last_called(&seen.issuer, before, after);
        }
        chains.iter().any(|known| after.judge(&known.chain, now).verdict != Verdict::Verified)
    }

    fn takes_the_last_called(&self, issuer: &str, before: &Trust, after: &Trust) -> bool {
        let bears = |summary: &CertificateSummary| summary.fields.as_ref().is_some_and(|ca| ca.subject == issuer);
        let cas = |trust: &Trust| trust.bundle().cloned();
        let goes = cas(before).is_some_and(|bundle| {
            let mut going = bundle.certificates().iter().filter(|ca| self.removed.contains(&ca.summary.fingerprint));
            going.any(|ca| bears(&ca.summary))
        });
        goes && !cas(after).is_some_and(|bundle| bundle.certificates().iter().any(|ca| bears(&ca.summary)))
    }
}
