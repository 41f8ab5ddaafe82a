//! Session tickets that cannot outlive the trust they were issued under.
//!
//! A ticket is sealed with a key that all hosts share and with the policy's digest as associated data: under another
//! hostname group, mode, CA set, revocation list or pin it does not open, and the client falls back to a full
//! handshake. Inside, before rustls' own state, stands the moment at which the judgement ends.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

use super::policy_digest::PolicyDigest;
use super::witness::Witness;
use crate::clock::{Clock, Timestamp};

/// How long a key seals. It opens for as long again, so a ticket lives between one and two of these.
const KEY_LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// What clients are told (RFC 8446, section 4.6.1); within the time a key opens.
const TICKET_LIFETIME_SECONDS: u32 = 6 * 3600;
/// A chain larger than this makes a ticket that no ClientHello should carry.
const MAX_STATE_BYTES: usize = 8 * 1024;
const KEY_BYTES: usize = 32;
const KEY_NAME_BYTES: usize = 8;
const TIME_BYTES: usize = 8;

/// The keys of this process, shared by every policy.
pub struct TicketKeys {
    clock: Clock,
    ring: RwLock<Ring>,
}

struct Ring {
    current: TicketKey,
    previous: Option<TicketKey>,
}

struct TicketKey {
    name: [u8; KEY_NAME_BYTES],
    key: RandomizedNonceKey,
    born: Timestamp,
}

/// Randomness could not be had from the operating system.
#[derive(Debug, thiserror::Error)]
#[error("no randomness for a session ticket key")]
pub struct NoRandomness;

impl TicketKeys {
    /// Starts with a random key.
    pub fn new(clock: Clock) -> Result<Self, NoRandomness> {
        let current = TicketKey::random(clock.now())?;
        Ok(Self { clock, ring: RwLock::new(Ring { current, previous: None }) })
    }

    fn seal(&self, state: Vec<u8>, aad: &[u8]) -> Option<Vec<u8>> {
        self.rotate_if_due();
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.current.seal(state, aad)
    }

    fn open(&self, ticket: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let now = self.clock.now();
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys = std::iter::once(&ring.current).chain(&ring.previous);
        let (name, sealed) = ticket.split_at_checked(KEY_NAME_BYTES)?;
        let key = keys.find(|key| key.name == name)?;
        if now.since(key.born) > KEY_LIFETIME * 2 {
            return None;
        }
        key.open(sealed, aad)
    }

    fn rotate_if_due(&self) {
        let now = self.clock.now();
        let due = |ring: &Ring| now.since(ring.current.born) > KEY_LIFETIME;
        if !due(&self.ring.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if !due(&ring) {
            return;
        }
        // Without randomness the old key goes on sealing: what it seals stops opening all the same.
        if let Ok(fresh) = TicketKey::random(now) {
            ring.previous = Some(std::mem::replace(&mut ring.current, fresh));
        }
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(…)")
    }
}

impl TicketKey {
    fn random(born: Timestamp) -> Result<Self, NoRandomness> {
        let mut name = [0; KEY_NAME_BYTES];
        let mut secret = zeroize::Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut name).map_err(|_| NoRandomness)?;
        rand::fill(&mut *secret).map_err(|_| NoRandomness)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*secret).map_err(|_| NoRandomness)?;
        Ok(Self { name, key, born })
    }

    /// key name ‖ nonce ‖ ciphertext ‖ tag
    fn seal(&self, mut state: Vec<u8>, aad: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.key.seal_in_place_append_tag(Aad::from(aad), &mut state).ok()?;
        let mut ticket = Vec::with_capacity(KEY_NAME_BYTES + NONCE_LEN + state.len());
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&state);
        Some(ticket)
    }

    fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut state = sealed.to_vec();
        let bytes = self.key.open_in_place(nonce, Aad::from(aad), &mut state).ok()?.len();
        state.truncate(bytes);
        Some(state)
    }
}

/// The tickets of one policy.
#[derive(Debug)]
pub(super) struct PolicyTickets {
    keys: Arc<TicketKeys>,
    policy: PolicyDigest,
}

impl PolicyTickets {
    pub(super) fn new(keys: &Arc<TicketKeys>, policy: PolicyDigest) -> Self {
        Self { keys: Arc::clone(keys), policy }
    }
}

impl ProducesTickets for PolicyTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        if plain.len() > MAX_STATE_BYTES {
            return None;
        }
        let now = self.keys.clock.now();
        let until = Witness::ask(|witness| witness.resumable_until(now))?;
        let mut state = Vec::with_capacity(TIME_BYTES + plain.len() + AES_256_GCM.tag_len());
        state.extend_from_slice(&until.seconds().to_be_bytes());
        state.extend_from_slice(plain);
        self.keys.seal(state, self.policy.as_bytes())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.keys.open(cipher, self.policy.as_bytes())?;
        let (until, _) = state.split_first_chunk::<TIME_BYTES>()?;
        let until = Timestamp::from_seconds(i64::from_be_bytes(*until));
        if self.keys.clock.now() > until {
            return None;
        }
        Witness::note(|witness| witness.offered_until = Some(until));
        state.drain(..TIME_BYTES);
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostname::HostPattern;
    use crate::policy::client_auth::ClientAuth;

    fn tickets(keys: &Arc<TicketKeys>, name: &str) -> PolicyTickets {
        let names = [HostPattern::parse(name).expect("a pattern")];
        PolicyTickets::new(keys, PolicyDigest::of(&names, &ClientAuth::Off))
    }

    fn keys() -> (Clock, Arc<TicketKeys>) {
        let clock = Clock::manual(Timestamp::from_seconds(1_000_000));
        let keys = Arc::new(TicketKeys::new(clock.clone()).expect("randomness"));
        (clock, keys)
    }

    #[test]
    fn a_ticket_opens_under_its_own_policy_only() {
        let (_, keys) = keys();
        let (shop, blog) = (tickets(&keys, "shop.example.com"), tickets(&keys, "blog.example.com"));
        let ticket = shop.encrypt(b"state").expect("a ticket");
        assert_eq!(shop.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(blog.decrypt(&ticket), None);
    }

    #[test]
    fn a_ticket_ends_with_its_key() {
        let (clock, keys) = keys();
        let shop = tickets(&keys, "shop.example.com");
        let ticket = shop.encrypt(b"state").expect("a ticket");
        clock.advance(KEY_LIFETIME + Duration::from_secs(1));
        shop.encrypt(b"turns the ring").expect("a ticket");
        assert!(shop.decrypt(&ticket).is_some(), "the previous key still opens");
        clock.advance(KEY_LIFETIME + Duration::from_secs(1));
        assert_eq!(shop.decrypt(&ticket), None);
    }

    #[test]
    fn a_changed_or_cut_ticket_does_not_open() {
        let (_, keys) = keys();
        let shop = tickets(&keys, "shop.example.com");
        let ticket = shop.encrypt(b"state").expect("a ticket");
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(shop.decrypt(&changed), None, "byte {at}");
            assert_eq!(shop.decrypt(&ticket[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_chain_too_large_for_a_hello_gets_no_ticket() {
        let (_, keys) = keys();
        assert_eq!(tickets(&keys, "a.example").encrypt(&[0; MAX_STATE_BYTES + 1]), None);
    }
}
