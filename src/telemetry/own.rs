//! The connections that this process makes to itself, to see what others would see.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A check makes two or three.
const MAX_EXPECTED: usize = 64;
/// The longest handshake is over by then; the kernel may give the address to somebody else afterwards.
const EXPECTED_FOR: Duration = Duration::from_secs(60);

/// The addresses that own connections come from.
#[derive(Debug, Default)]
pub(super) struct OwnConnections {
    expected: Mutex<VecDeque<(SocketAddr, Instant)>>,
    /// Nearly always false: then nobody takes the lock.
    any: AtomicBool,
}

impl OwnConnections {
    pub(super) fn expect(&self, address: SocketAddr) {
        let mut expected = self.lock();
        if expected.len() >= MAX_EXPECTED {
            expected.pop_front();
        }
        expected.push_back((canonical(address), Instant::now()));
        self.any.store(true, Ordering::Release);
    }

    /// Whether a connection from `peer` is expected. Each expectation is for one connection.
    pub(super) fn take(&self, peer: SocketAddr) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let mut expected = self.lock();
        expected.retain(|(_, since)| since.elapsed() < EXPECTED_FOR);
        let at = expected.iter().position(|(address, _)| *address == canonical(peer));
        let found = at.and_then(|at| expected.remove(at)).is_some();
        self.any.store(!expected.is_empty(), Ordering::Release);
        found
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(SocketAddr, Instant)>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expected_address_is_known_once() {
        let own = OwnConnections::default();
        let address: SocketAddr = "127.0.0.1:50000".parse().expect("an address");
        assert!(!own.take(address));
        own.expect(address);
        assert!(!own.take("127.0.0.1:50001".parse().expect("an address")));
        assert!(own.take("[::ffff:127.0.0.1]:50000".parse().expect("an address")), "as a dual-stack socket shows it");
        assert!(!own.take(address));
    }

    #[test]
    fn only_the_last_few_are_kept() {
        let own = OwnConnections::default();
        let address = |port: usize| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        (1..=MAX_EXPECTED + 1).for_each(|port| own.expect(address(port)));
        assert!(!own.take(address(1)));
        assert!(own.take(address(2)) && own.take(address(MAX_EXPECTED + 1)));
    }
}
