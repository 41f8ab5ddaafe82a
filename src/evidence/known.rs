//! Certificates that an explanation can call by name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;

use crate::clock::Timestamp;
use crate::policy::bundle::CaBundle;
use crate::policy::cloudflare_ca::SharedCa;
use crate::policy::judgement::Judgement;
use crate::policy::trust::{ChainBounds, Trust};
use crate::policy::verdict::{Reason, Verdict};
use crate::x509::{CertificateSummary, Fingerprint};

/// Leaves of the shared CA that are remembered. The edge shows a handful; only the CA's owner can make more.
const REMEMBERED_LEAVES: usize = 64;
/// Enough for any chain below the shared CA.
const BOUNDS: ChainBounds = ChainBounds { certificates: 10, certificate_bytes: 16 * 1024 };

/// What the configuration and the handshakes so far tell about certificates.
#[derive(Debug)]
pub struct KnownCertificates {
    named: BTreeMap<Fingerprint, String>,
    shared: Arc<SharedCaLeaves>,
}

/// Leaves that were seen with a valid signature of the CA that all of Cloudflare's customers share.
#[derive(Debug)]
pub struct SharedCaLeaves {
    trust: Trust,
    /// DER of the CA's name.
    subject: Vec<u8>,
    /// The oldest first.
    leaves: Mutex<VecDeque<Fingerprint>>,
}

/// What a certificate is known as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known {
    /// Cloudflare's shared CA itself.
    SharedCa(SharedCa),
    /// A leaf that the shared CA issued.
    SharedCaLeaf,
    /// By the operator, under `[known_certificates]`.
    Named(String),
    /// It verifies for this host.
    Own,
    /// It verifies for another host.
    Of(String),
}

impl Known {
    /// As a report says it.
    pub fn label(&self) -> String {
        match self {
            Self::SharedCa(SharedCa::Current) => "the CA that all of Cloudflare's customers share".to_owned(),
            Self::SharedCa(SharedCa::Expired) => "Cloudflare's shared CA as of 2015, which ended in 2020".to_owned(),
            Self::SharedCaLeaf => "the certificate that all of Cloudflare's customers share".to_owned(),
            Self::Named(name) => name.clone(),
            Self::Own => "this host's client certificate".to_owned(),
            Self::Of(host) => format!("the client certificate of {host}"),
        }
    }
}

impl KnownCertificates {
    /// What the operator calls certificates, and what was learnt under an earlier configuration.
    pub fn new(named: BTreeMap<Fingerprint, String>, previous: Option<&Self>) -> Self {
        let shared = previous.map_or_else(|| Arc::new(SharedCaLeaves::of(SharedCa::current())), |it| it.shared.clone());
        Self { named, shared }
    }

    /// Looks at a certificate that failed although its client proved possession of the key: is it Cloudflare's?
    pub fn meet(&self, judgement: &Judgement, now: Timestamp) {
        if matches!(judgement.verdict, Verdict::Failed(Reason::UnknownIssuer | Reason::PinMismatch)) {
            self.shared.meet(judgement, now);
        }
    }

    /// Someone who knows, beside that, which certificates verified on which host.
    pub fn recogniser<'a>(
        &'a self,
        verified: impl IntoIterator<Item = (&'a str, BTreeSet<Fingerprint>)>,
    ) -> Recogniser<'a> {
        let mut hosts: BTreeMap<Fingerprint, BTreeSet<&str>> = BTreeMap::new();
        for (host, certificates) in verified {
            for certificate in certificates {
                hosts.entry(certificate).or_default().insert(host);
            }
        }
        Recogniser { known: self, verified: hosts }
    }
}

/// Recognises certificates by fingerprint.
#[derive(Debug)]
pub struct Recogniser<'a> {
    known: &'a KnownCertificates,
    verified: BTreeMap<Fingerprint, BTreeSet<&'a str>>,
}

impl Recogniser<'_> {
    /// What `certificate` is known as on `host` (the first of its names).
    pub fn recognise(&self, certificate: Fingerprint, host: &str) -> Option<Known> {
        if let Some(ca) = SharedCa::recognise(certificate) {
            return Some(Known::SharedCa(ca));
        }
        if let Some(name) = self.known.named.get(&certificate) {
            return Some(Known::Named(name.clone()));
        }
        if self.known.shared.is_one(certificate) {
            return Some(Known::SharedCaLeaf);
        }
        let hosts = self.verified.get(&certificate)?;
        match hosts.contains(host) {
            true => Some(Known::Own),
            false => hosts.first().map(|host| Known::Of((*host).to_owned())),
        }
    }

    /// The same in words.
    pub fn known_as(&self, certificate: Fingerprint, host: &str) -> Option<String> {
        self.recognise(certificate, host).map(|known| known.label())
    }
}

impl SharedCaLeaves {
    fn of(ca: CertificateDer<'static>) -> Self {
        let subject = CertificateSummary::read(&ca).fields.map(|fields| fields.subject_der).unwrap_or_default();
        let bundle = CaBundle::new("cloudflare", vec![ca]).expect("the shared CA is a CA");
        let trust = Trust::new(Some(Arc::new(bundle)), Vec::new(), Vec::new(), BOUNDS).expect("there is a bundle");
        Self { trust, subject, leaves: Mutex::default() }
    }

    fn meet(&self, judgement: &Judgement, now: Timestamp) {
        let Some(leaf) = &judgement.certificate else { return };
        // A signature is looked at only where the chain says that it is this CA's: strangers make this work.
        let says_so = judgement.chain.iter().any(|der| self.names_the_ca(der));
        if !says_so || self.is_one(leaf.fingerprint) {
            return;
        }
        if self.trust.judge(&judgement.chain, now).verdict == Verdict::Verified {
            let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
            if leaves.len() == REMEMBERED_LEAVES {
                leaves.pop_front();
            }
            leaves.push_back(leaf.fingerprint);
        }
    }

    fn names_the_ca(&self, der: &CertificateDer<'_>) -> bool {
        CertificateSummary::read(der).fields.is_some_and(|fields| fields.issuer_der == self.subject)
    }

    fn is_one(&self, leaf: Fingerprint) -> bool {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).contains(&leaf)
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, Validity};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn ca() -> Ca {
        let validity = Validity::days(NOW, 100);
        let options = CaOptions { common_name: "shared".into(), key_type: KeyType::default(), validity };
        Ca::create(&options).expect("a CA").0
    }

    fn leaf(ca: &Ca, days: u32) -> Issued {
        ca.issue(&LeafOptions::client("edge", Validity::days(NOW, days))).expect("a leaf")
    }

    fn der(ca: &Ca) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).expect("a certificate")
    }

    fn fingerprint(issued: &Issued) -> Fingerprint {
        Fingerprint::of(&issued.certificate_der)
    }

    /// Knows `shared` as Cloudflare's.
    fn knowing(shared: &Ca, named: &[(&Issued, &str)]) -> KnownCertificates {
        let named = named.iter().map(|(issued, name)| (fingerprint(issued), (*name).to_owned())).collect();
        KnownCertificates { named, shared: Arc::new(SharedCaLeaves::of(der(shared))) }
    }

    /// The judgement of a host that trusts another CA.
    fn judged(issued: &Issued) -> Arc<Judgement> {
        let bundle = CaBundle::new("ours", vec![der(&ca())]).expect("a bundle");
        let bounds = ChainBounds { certificates: 3, certificate_bytes: 4096 };
        let trust = Trust::new(Some(Arc::new(bundle)), vec![], vec![], bounds).expect("a trust");
        trust.judge(&[issued.certificate_der.clone().into()], NOW)
    }

    #[test]
    fn a_leaf_of_the_shared_ca_is_recognised_by_its_signature_and_nothing_less() {
        let (shared, impostor) = (ca(), ca());
        let known = knowing(&shared, &[]);
        let (real, ended, forged) = (leaf(&shared, 10), leaf(&shared, 0), leaf(&impostor, 10));
        let recogniser = known.recogniser([]);
        assert_eq!(recogniser.recognise(fingerprint(&real), "a.example"), None, "not met yet");
        for issued in [&real, &ended, &forged, &real] {
            let judgement = Judgement { verdict: Verdict::Failed(Reason::UnknownIssuer), ..(*judged(issued)).clone() };
            known.meet(&judgement, NOW.after(std::time::Duration::from_secs(60)));
        }
        assert_eq!(recogniser.recognise(fingerprint(&real), "a.example"), Some(Known::SharedCaLeaf));
        assert_eq!(recogniser.recognise(fingerprint(&ended), "a.example"), None);
        assert_eq!(recogniser.recognise(fingerprint(&forged), "a.example"), None, "the name alone proves nothing");
        assert_eq!(known.shared.leaves.lock().expect("a lock").len(), 1);
        let after_reload = KnownCertificates::new(BTreeMap::new(), Some(&known));
        let recogniser = after_reload.recogniser([]);
        assert_eq!(recogniser.recognise(fingerprint(&real), "a.example"), Some(Known::SharedCaLeaf));
    }

    #[test]
    fn few_leaves_are_remembered() {
        let shared = ca();
        let known = knowing(&shared, &[]);
        let all: Vec<_> = (0..REMEMBERED_LEAVES + 1).map(|_| leaf(&shared, 10)).collect();
        all.iter().for_each(|issued| {
            known
                .meet(&Judgement { verdict: Verdict::Failed(Reason::UnknownIssuer), ..(*judged(issued)).clone() }, NOW);
        });
        assert!(!known.shared.is_one(fingerprint(&all[0])), "the oldest gave way");
        assert!(known.shared.is_one(fingerprint(&all[REMEMBERED_LEAVES])));
    }

    #[test]
    fn a_certificate_is_called_by_what_tells_the_most() {
        let shared = ca();
        let [zone, own, other] = [(); 3].map(|()| leaf(&shared, 10));
        let known = knowing(&shared, &[(&zone, "zone-level certificate")]);
        let verified = |issued: &Issued| [fingerprint(issued)].into();
        let recogniser = known.recogniser([("a.example", verified(&own)), ("b.example", verified(&other))]);
        let said = |issued: &Issued| recogniser.known_as(fingerprint(issued), "a.example");
        assert_eq!(said(&zone).as_deref(), Some("zone-level certificate"));
        assert_eq!(said(&own).as_deref(), Some("this host's client certificate"));
        assert_eq!(said(&other).as_deref(), Some("the client certificate of b.example"));
        assert_eq!(said(&leaf(&shared, 10)), None);
        let ca = Fingerprint::of(&SharedCa::current());
        let said = recogniser.known_as(ca, "a.example");
        assert_eq!(said.as_deref(), Some("the CA that all of Cloudflare's customers share"));
        let shipped = KnownCertificates::new(BTreeMap::new(), None);
        assert!(!shipped.shared.subject.is_empty(), "the shipped CA can be read");
    }
}
