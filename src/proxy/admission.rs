//! How many connections there may be: a full process sheds new ones instead of dying with all it has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::metrics::{Metrics, Shed};

/// One IPv6 subscriber has at least this much and may take any address in it (RFC 6177).
const IPV6_PREFIX: u128 = !0 << 64;

/// Counts open connections in all and per address, of IPv6 per /64.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Arc<Metrics>,
    open: AtomicUsize,
    max_open: AtomicUsize,
    max_per_address: AtomicUsize,
    per_address: Mutex<HashMap<IpAddr, usize>>,
}

/// An open connection's place; given back on drop.
#[derive(Debug)]
pub struct Admitted {
    admission: Admission,
    /// Where the address is counted.
    address: Option<IpAddr>,
}

impl Admission {
    /// At most `max_open` connections, and `max_per_address` from one address; there 0 means no bound.
    pub fn new(metrics: Arc<Metrics>, max_open: usize, max_per_address: usize) -> Self {
        Self(Arc::new(Inner {
            metrics,
            open: AtomicUsize::new(0),
            max_open: max_open.into(),
            max_per_address: max_per_address.into(),
            per_address: Mutex::default(),
        }))
    }

    /// Changes the bounds for connections to come.
    pub fn set_bounds(&self, max_open: usize, max_per_address: usize) {
        self.0.max_open.store(max_open, Ordering::Relaxed);
        self.0.max_per_address.store(max_per_address, Ordering::Relaxed);
    }

    /// A place for a connection from `peer`; `None` if it has to be shed, which is counted.
    pub fn admit(&self, peer: IpAddr) -> Option<Admitted> {
        let inner = &self.0;
        if inner.open.fetch_add(1, Ordering::Relaxed) >= inner.max_open.load(Ordering::Relaxed) {
            inner.open.fetch_sub(1, Ordering::Relaxed);
            inner.metrics.connection_shed(Shed::Connections);
            return None;
        }
        let peer = counted_as(peer);
        let max_per_address = inner.max_per_address.load(Ordering::Relaxed);
        if max_per_address > 0 && !inner.count_address(peer, max_per_address) {
            inner.open.fetch_sub(1, Ordering::Relaxed);
            inner.metrics.connection_shed(Shed::ConnectionsPerAddress);
            return None;
        }
        inner.metrics.connection_opened();
        Some(Admitted { admission: self.clone(), address: (max_per_address > 0).then_some(peer) })
    }

    /// Open connections.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn count_address(&self, peer: IpAddr, max: usize) -> bool {
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_address.entry(peer).or_default();
        let admitted = *count < max;
        if admitted {
            *count += 1;
        }
        admitted
    }

    fn forget_address(&self, peer: IpAddr) {
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_address.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&peer);
            }
        }
    }
}

fn counted_as(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_PREFIX).into(),
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let inner = &self.admission.0;
        inner.open.fetch_sub(1, Ordering::Relaxed);
        inner.metrics.connection_closed();
        if let Some(address) = self.address {
            inner.forget_address(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn what_is_over_the_bound_is_shed_and_a_closed_connection_gives_its_place_back() {
        let admission = Admission::new(Metrics::new(10), 2, 0);
        let first = admission.admit(PEER).expect("a place");
        let _second = admission.admit(PEER).expect("a place");
        assert!(admission.admit(OTHER).is_none());
        drop(first);
        assert!(admission.admit(OTHER).is_some());
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let admission = Admission::new(Metrics::new(10), 10, 1);
        let first = admission.admit(PEER).expect("a place");
        assert!(admission.admit(PEER).is_none());
        assert!(admission.admit(OTHER).is_some());
        drop(first);
        assert!(admission.admit(PEER).is_some());
        assert_eq!(admission.open(), 0);
    }

    #[test]
    fn the_addresses_of_one_ipv6_subscriber_count_as_one() {
        let admission = Admission::new(Metrics::new(10), 10, 1);
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = admission.admit(address("2001:db8:0:1::1")).expect("a place");
        assert!(admission.admit(address("2001:db8:0:1:ffff:ffff:ffff:ffff")).is_none());
        assert!(admission.admit(address("2001:db8:0:2::1")).is_some());
        drop(first);
        assert!(admission.admit(address("2001:db8:0:1::2")).is_some());
    }
}
