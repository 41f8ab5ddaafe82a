//! How a connection stands towards its host: judged in the handshake, and again when anything changed since.

use std::rc::Rc;
use std::sync::Arc;

use super::identities::Identities;
use super::identity_headers::Identity;
use crate::clock::{Clock, Timestamp};
use crate::hostname::Hostname;
use crate::policy::judgement::Judgement;
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::snapshot::Snapshot;
use crate::snapshot::current::Current;
use crate::snapshot::host::Host;

/// What a connection proved, and under which state of the world.
#[derive(Debug)]
pub struct Standing {
    pub host: Arc<Host>,
    pub verdict: Verdict,
    /// What the backend is told of the client.
    pub identity: Rc<Identity>,
    /// What the handshake found; judged anew when the world or the time has moved on.
    proof: Proof,
    generation: u64,
    /// When the verdict has to be formed anew although nothing changed.
    valid_until: Timestamp,
}

/// What does not change over a connection's life.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The name the client asked for in its handshake.
    pub server_name: Option<Hostname>,
    pub judgement: Option<Arc<Judgement>>,
    /// Whether possession of the certificate's key was proved.
    pub proved: bool,
}

impl Standing {
    /// As the handshake under `snapshot` left it.
    pub fn new(host: Arc<Host>, verdict: Verdict, proof: Proof, snapshot: &Snapshot, identities: &Identities) -> Self {
        let identity = identities.of(&host, verdict, proof.judgement.as_ref());
        let valid_until = valid_until(verdict, &proof);
        Self { host, verdict, identity, proof, generation: snapshot.generation, valid_until }
    }

    /// Whether the connection proved itself.
    pub fn is_verified(&self) -> bool {
        self.verdict == Verdict::Verified
    }

    /// The name the client asked for in its handshake.
    pub fn server_name(&self) -> Option<&Hostname> {
        self.proof.server_name.as_ref()
    }

    /// The generation of the snapshot that `host` is of.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Has the verdict formed anew if the world changed or the certificate's time ran out.
    ///
    /// # Errors
    /// [`Reason::TrustChanged`] if the host would not let this connection in any more.
    pub fn refresh(&mut self, current: &Current, clock: &Clock, identities: &Identities) -> Result<(), Reason> {
        let now = clock.now();
        if self.generation == current.generation() && now <= self.valid_until {
            return Ok(());
        }
        let snapshot = current.load();
        let host = snapshot.hosts.select(self.proof.server_name.as_ref()).map_err(|_| Reason::TrustChanged)?;
        self.judge(Arc::clone(host), now, identities)?;
        self.generation = snapshot.generation;
        Ok(())
    }

    fn judge(&mut self, host: Arc<Host>, now: Timestamp, identities: &Identities) -> Result<(), Reason> {
        let unchanged = host.digest == self.host.digest && now <= self.valid_until;
        if !unchanged {
            let chain = self.proof.judgement.as_ref().map(|judgement| &judgement.chain[..]).unwrap_or_default();
            let judgement = host.client_auth.trust().map(|trust| trust.judge(chain, now));
            let verdict = judgement.as_ref().map_or(Verdict::Absent, |judgement| judgement.verdict);
            self.verdict = match verdict {
                Verdict::Verified if !self.proof.proved => Verdict::Failed(Reason::ProofFailed),
                verdict => verdict,
            };
            if host.client_auth.decide(self.verdict) == Decision::Refuse {
                return Err(Reason::TrustChanged);
            }
            self.proof.judgement = judgement.or(self.proof.judgement.take());
            self.valid_until = valid_until(self.verdict, &self.proof);
        }
        self.identity = identities.of(&host, self.verdict, self.proof.judgement.as_ref());
        self.host = host;
        Ok(())
    }
}

/// A verdict other than `Verified` does not get better with time; the next reload looks at it again.
fn valid_until(verdict: Verdict, proof: &Proof) -> Timestamp {
    match (verdict, &proof.judgement) {
        (Verdict::Verified, Some(judgement)) => judgement.valid.1,
        _ => Timestamp::MAX,
    }
}
