//! What Cloudflare's handshakes come to under an `enforce`, from one look to the next.

use std::collections::BTreeMap;

use crate::evidence::enforced::Enforced;
use crate::evidence::ledger::Ledger;
use crate::hostname::HostPattern;

/// What the ledger had counted when it was last looked at. It loses nothing, however many strangers come, and it counts
/// by configured name: whoever owns another name at Cloudflare cannot add to it by asking the default host for that.
#[derive(Clone, Debug)]
pub(super) struct Tally(BTreeMap<HostPattern, Option<Enforced>>);

/// How many more there were.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct More {
    pub(super) admitted: u64,
    pub(super) refused: u64,
}

impl Tally {
    /// Looks for the first time.
    pub(super) fn new(ledger: &Ledger, names: &[HostPattern]) -> Self {
        Self(names.iter().map(|name| (name.clone(), ledger.enforced(name))).collect())
    }

    /// What has come since the last look. A name under another trust than then is looked at for the first time.
    pub(super) fn more(&mut self, ledger: &Ledger) -> More {
        let mut more = More::default();
        for (name, before) in &mut self.0 {
            let now = ledger.enforced(name);
            if let (Some(before), Some(now)) = (*before, now)
                && before.trust == now.trust
            {
                more.admitted += now.admitted.saturating_sub(before.admitted);
                more.refused += now.refused.saturating_sub(before.refused);
            }
            *before = now;
        }
        more
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &HostPattern> {
        self.0.keys()
    }

    /// Leaves out the names that `keep` does not pick.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&HostPattern) -> bool) {
        self.0.retain(|name, _| keep(name));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::evidence::ledger::Subject;
    use crate::evidence::recorder::tests::outcome;
    use crate::policy::client_auth::Mode;
    use crate::policy::trust::TrustDigest;
    use crate::policy::verdict::{Decision, Verdict};

    const OURS: TrustDigest = TrustDigest([1; 32]);
    const OTHER: TrustDigest = TrustDigest([2; 32]);

    fn adopt(ledger: &Ledger, names: &[HostPattern], trust: TrustDigest) {
        let host = names[0].to_string().into();
        let window = Duration::from_hours(1);
        let subject = Subject { host, names: names.to_vec(), is_default: true, trust: Some(trust), window };
        ledger.adopt(&[subject], Timestamp::from_seconds(1_800_000_000));
    }

    fn refused(ledger: &Ledger, name: &str, peer: &str, trust: TrustDigest) {
        let (peer, mode) = (peer.parse().expect("an address"), Some(Mode::Enforce));
        ledger.record(&crate::evidence::handshake::HandshakeOutcome {
            peer,
            mode,
            trust: Some(trust),
            decision: Decision::Refuse,
            ..outcome(name)
        });
    }

    #[test]
    fn what_cloudflare_brings_for_the_names_counts_however_much_else_comes() {
        const EDGE: &str = "172.64.1.9:50000";
        let ledger = Ledger::default();
        let names = ["shop.example", "*.shop.example"].map(|name| HostPattern::parse(name).expect("a name"));
        adopt(&ledger, &names, OURS);
        refused(&ledger, "shop.example", EDGE, OURS);
        let mut tally = Tally::new(&ledger, &names);
        (0..2000).for_each(|_| refused(&ledger, "shop.example", "203.0.113.9:50000", OURS));
        (0..5).for_each(|_| refused(&ledger, "attacker.example", EDGE, OURS));
        refused(&ledger, "shop.example", EDGE, OURS);
        refused(&ledger, "eu.shop.example", EDGE, OURS);
        let verified = Verdict::Verified;
        ledger.record(&crate::evidence::handshake::HandshakeOutcome {
            peer: EDGE.parse().expect("an address"),
            mode: Some(Mode::Enforce),
            trust: Some(OURS),
            verdict: verified,
            reason: verified.reason(),
            ..outcome("shop.example")
        });
        assert_eq!(tally.more(&ledger), More { admitted: 1, refused: 2 });
        assert_eq!(tally.more(&ledger), More::default(), "nothing since");
        adopt(&ledger, &names, OTHER);
        refused(&ledger, "shop.example", EDGE, OTHER);
        assert_eq!(tally.more(&ledger), More::default(), "another trust begins anew");
        refused(&ledger, "shop.example", EDGE, OTHER);
        assert_eq!(tally.more(&ledger), More { admitted: 0, refused: 1 });
    }
}
