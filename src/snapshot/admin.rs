//! Who may do what on the admin side.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::clock::Timestamp;
use crate::hostname::Hostname;
use crate::policy::client_auth::ClientAuth;
use crate::policy::trust::Trust;
use crate::policy::verdict::Verdict;
use crate::secret::TokenDigest;
use crate::tls::server_config::ServerCertificate;
use crate::x509;
use rustls::pki_types::CertificateDer;

/// What a caller has to prove, and how it is spoken to.
#[derive(Clone, Default, Debug)]
pub struct AdminAccess {
    /// `None`: without TLS.
    pub tls: Option<AdminTls>,
    /// Names by which it may be asked, beside its address and those of its certificate.
    pub hostnames: Vec<Hostname>,
    pub read: Proofs,
    /// A right to change includes that to read.
    pub change: Proofs,
}

/// How handshakes go.
#[derive(Clone, Debug)]
pub struct AdminTls {
    pub certificate: ServerCertificate,
    /// Asks for a certificate where a right can be proved by one, and lets everyone in: what it is worth is judged with
    /// each request.
    pub client_auth: ClientAuth,
    pub config: Arc<ServerConfig>,
}

/// What proves a right; each of them is enough.
#[derive(Clone, Default, Debug)]
pub struct Proofs {
    pub token: Option<TokenDigest>,
    pub trust: Option<Arc<Trust>>,
}

impl AdminAccess {
    /// Whether `name` is one of ours. A stranger's name that leads to our address is not, nor is whatever a wildcard of our
    /// certificate covers: some of those names may be somebody else's.
    pub fn knows(&self, name: &Hostname) -> bool {
        let leaf = self.tls.as_ref().and_then(|tls| tls.certificate.chain().first());
        self.hostnames.contains(name) || leaf.is_some_and(|leaf| x509::names(leaf, name))
    }

    /// Whether any token proves anything.
    pub fn takes_tokens(&self) -> bool {
        self.read.token.is_some() || self.change.token.is_some()
    }
}

impl Proofs {
    /// Whether nothing proves the right.
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.trust.is_none()
    }

    /// Whether `token` is the one.
    pub fn hold_for_token(&self, token: &[u8]) -> bool {
        self.token.as_ref().is_some_and(|known| known.matches(token))
    }

    /// Whether `chain`, of whose leaf's key possession was proved, is trusted at `now`.
    pub fn hold_for_chain(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        self.trust.as_ref().is_some_and(|trust| trust.judge(chain, now).verdict == Verdict::Verified)
    }
}
