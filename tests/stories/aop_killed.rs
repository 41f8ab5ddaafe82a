//! Killed at any instant and run again, the command ends the same: enforced, with one certificate that was uploaded once.

use std::cell::RefCell;
use std::fs;
use std::process::Child;

use originlock::policy::client_auth::Mode;

use crate::cloudflare::Fault;
use crate::support::aop::Aop;
use crate::support::aop::{SHOP, WWW, ZONE};
use crate::support::program::finish;
use crate::support::world::wait_until;

/// All that the walk changes at Cloudflare, in its order.
const WRITES: [(&str, &str, usize); 4] = [
    ("POST", "/zones/*/origin_tls_client_auth/hostnames/certificates", 1),
    ("PATCH", "/zones/*/settings/tls_client_auth", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 2),
];
const ANY_UPLOAD: &str = "/zones/*/origin_tls_client_auth/hostnames/certificates";

fn start(aop: &Aop) -> Child {
    let mut command = aop.program("apply", &["--yes", "--settle", "0s"]);
    command.arg("--certificate").arg(aop.path("leaf.pem")).arg("--key").arg(aop.path("leaf.key"));
    command.spawn().expect("the program starts")
}

/// Lets a request hang that `fault` means, kills whoever waits for its answer, and runs the same command again. Whether
/// it came to that request.
fn killed_at(what: &str, fault: Fault) -> bool {
    let aop = Aop::new().visited();
    aop.fake.fault(fault);
    let child = RefCell::new(start(&aop));
    let hangs = || aop.fake.state(|state| state.log.iter().position(|request| request.status.is_none()));
    let ended = RefCell::new(None);
    wait_until(what, || {
        *ended.borrow_mut() = child.borrow_mut().try_wait().expect("a child");
        ended.borrow().is_some() || hangs().is_some()
    });
    let mut child = child.into_inner();
    let Some(at) = hangs() else {
        assert_eq!(finish(child).code, 0, "it ended by itself, before {what}");
        return false;
    };
    child.kill().expect("it runs still");
    assert_eq!(child.wait().expect("it ends").code(), None, "killed, not ended by itself");
    run_again(&format!("killed at {what}, {}", aop.fake.requests()[at].line()), &aop);
    true
}

fn run_again(case: &str, aop: &Aop) {
    let again = finish(start(aop));
    assert_eq!(again.code, 0, "{case}: {again:#?}");
    arrived(case, aop);
}

#[track_caller]
fn arrived(case: &str, aop: &Aop) {
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce), "{case}");
    let requests = aop.fake.requests();
    let uploads = requests.iter().filter(|request| request.applied && request.is("POST", ANY_UPLOAD)).count();
    let effects = aop.fake.set(|state| {
        let now = state.now();
        let zone = state.zone(ZONE);
        assert_eq!(zone.certificates.all().len(), 1, "{case}: a second certificate");
        [SHOP, WWW].map(|name| zone.associations.effect(name, now).map(|effect| (effect.cert_id, effect.enabled)))
    });
    assert_eq!(uploads, 1, "{case}");
    assert!(effects[0].is_some() && effects[0] == effects[1], "{case}: {effects:?}");
    holds_no_secret(case, aop);
}

/// Whatever lies in the companion's folder, a whole file or half of one.
fn holds_no_secret(case: &str, aop: &Aop) {
    let key = String::from_utf8_lossy(aop.leaf.key_pem.expose()).into_owned();
    let key_line = key.lines().nth(1).expect("a line of the key");
    for entry in fs::read_dir(aop.path("state")).expect("the folder of the journal") {
        let path = entry.expect("an entry").path();
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
        assert!(!text.contains(key_line) && !text.contains(&aop.fake.token()), "{case}: {}", path.display());
    }
}

/// In two halves, so that they run beside each other. How many times it was killed.
fn killed_at_every_other_request(from: usize) -> usize {
    let requests = (from..).step_by(2);
    let killed = |n: &usize| killed_at(&format!("request {n}"), Fault::anywhere().nth(*n).apply_then_hang());
    requests.take_while(killed).count()
}

#[test]
fn after_every_odd_request() {
    assert!(killed_at_every_other_request(1) > 5, "a walk has more requests");
}

#[test]
fn after_every_even_request() {
    assert!(killed_at_every_other_request(2) > 5, "a walk has more requests");
}

#[test]
fn before_every_change() {
    for (method, path, nth) in WRITES {
        let fault = Fault::on(method, path).nth(nth).hang();
        assert!(killed_at(&format!("{method} {path}, number {nth}"), fault), "a walk comes there");
    }
}

#[test]
fn once_the_origin_enforces() {
    for hostname in [SHOP, WWW] {
        let aop = Aop::new().visited();
        let mut child = start(&aop);
        wait_until("it is enforced", || aop.mode(hostname) == Mode::Enforce);
        child.kill().expect("a child");
        child.wait().expect("it ends");
        run_again(&format!("killed once {hostname} was enforced"), &aop);
    }
}
