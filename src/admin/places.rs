//! Places for connections: so many in all, and from other machines so many from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rights::{Peer, TcpPeer};

/// Connections open at once: a scraper, a few probes and a few people.
const MAX_CONNECTIONS: usize = 64;
/// Of one other machine: whoever has no right is not to take the place of those who have.
pub(super) const MAX_PER_ADDRESS: usize = 16;

/// All places.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One place, given back when it is dropped.
pub(super) struct Place {
    _one: OwnedSemaphorePermit,
    address: Option<IpAddr>,
    places: Places,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_CONNECTIONS)), by_address: Arc::default() }
    }

    /// Waits for room for one connection more.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        self.all.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The place of `peer`; `None`: its address has all that it may have.
    pub(super) fn seat(&self, room: OwnedSemaphorePermit, peer: &Peer) -> Option<Place> {
        let address = match peer {
            Peer::Tcp(TcpPeer { address, loopback: false, .. }) => Some(address.ip().to_canonical()),
            Peer::Tcp(_) | Peer::Unix { .. } => None,
        };
        if let Some(address) = address {
            let mut taken = self.lock();
            let taken = taken.entry(address).or_default();
            if *taken == MAX_PER_ADDRESS {
                return None;
            }
            *taken += 1;
        }
        Some(Place { _one: room, address, places: self.clone() })
    }

    /// Waits until no connection is open.
    pub(super) async fn empty(&self) {
        let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
        let _ = self.all.acquire_many(all).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut taken = self.places.lock();
        match taken.get_mut(&address) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => drop(taken.remove(&address)),
        }
    }
}
