//! What a host makes of a certificate that nobody has presented to it.

use rustls::pki_types::CertificateDer;

use super::Telling;
use crate::clock::Timestamp;
use crate::evidence::explain;
use crate::evidence::report::JudgeReport;
use crate::hostname::HostPattern;
use crate::x509::{CertificateSummary, Fingerprint};

/// The judgement that a handshake gets. Nothing is remembered of it: whoever asks has not proved that it is theirs.
pub(super) fn judge(
    telling: &Telling,
    name: &str,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Option<JudgeReport> {
    let snapshot = telling.shared.current.load();
    let host = snapshot.hosts.get(&HostPattern::parse(name).ok()?)?;
    let (trust, leaf) = (host.client_auth.trust()?, CertificateSummary::read(chain.first()?));
    let (mode, reason) = (host.client_auth.mode(), trust.judge(chain, now).verdict.reason());
    let recogniser = telling.recogniser(&snapshot, now);
    Some(JudgeReport {
        host: host.name.to_string(),
        mode,
        sha256: leaf.fingerprint,
        reason,
        next_step: explain::ahead(&host.name, mode, reason, &leaf, &recogniser, now),
        trust_digest: Fingerprint(trust.digest().0).to_string(),
    })
}
