//! What a TLS session is bound to: everything that decides whom a host lets in.

use aws_lc_rs::digest::{Context, SHA256};

use crate::hostname::HostPattern;
use crate::policy::client_auth::ClientAuth;

/// SHA-256 over a host's names, mode and trust. A session opened under one digest cannot be resumed under another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PolicyDigest([u8; 32]);

impl PolicyDigest {
    /// The digest of a host's policy.
    pub fn of(names: &[HostPattern], client_auth: &ClientAuth) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(b"originlock policy 1\n");
        context.update(client_auth.mode().label().as_bytes());
        if let Some(trust) = client_auth.trust() {
            context.update(&trust.digest().0);
        }
        for name in names {
            context.update(format!("\n{name}").as_bytes());
        }
        Self(context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes long"))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
