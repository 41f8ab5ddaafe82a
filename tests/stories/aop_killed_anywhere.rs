//! Killed after any of its requests, readings too, and run again: the same end.

use std::cell::RefCell;

use originlock::policy::client_auth::Mode;

use crate::aop_killed::{aop, arrives, kill, start};
use crate::cloudflare::{Fault, Logged};
use crate::support::aop::{SHOP, WWW, cloudflare, zone};
use crate::support::world::wait_until;

/// Lets the n-th request be answered never, although it does its work, and kills whoever waits for that. Whether it came
/// to so many requests.
fn killed_after_request(n: usize) -> bool {
    let fault = Fault::anywhere().nth(n).apply_then_hang();
    let aop = aop(cloudflare().zone(zone()).fault(fault).start()).visited();
    let child = RefCell::new(start(&aop));
    let hangs = || aop.fake.state(|state| state.log.get(n - 1).map(Logged::line));
    let has_ended = || child.borrow_mut().try_wait().is_ok_and(|ended| ended.is_some());
    wait_until(&format!("request {n}"), || hangs().is_some() || has_ended());
    let mut child = child.into_inner();
    let Some(request) = hangs() else {
        assert!(child.wait().is_ok_and(|ended| ended.success()), "it ended by itself before request {n}");
        return false;
    };
    kill(child);
    arrives(&format!("killed after request {n}, {request}"), &aop);
    true
}

/// Every other request, so that two halves run beside each other. How many they are.
fn killed_after_every_other(from: usize) -> usize {
    (from..).step_by(2).take_while(|n| killed_after_request(*n)).count()
}

#[test]
fn after_every_odd_request() {
    assert!(killed_after_every_other(1) > 5, "a walk has more requests");
}

#[test]
fn after_every_even_request() {
    assert!(killed_after_every_other(2) > 5, "a walk has more requests");
}

#[test]
fn once_the_origin_enforces() {
    for name in [SHOP, WWW] {
        let aop = aop(cloudflare().zone(zone()).start()).visited();
        let child = start(&aop);
        wait_until("it is enforced", || aop.mode(name) == Mode::Enforce);
        kill(child);
        arrives(&format!("killed once {name} was enforced"), &aop);
    }
}
