//! Killed at any instant and run again: the same end, and no second certificate. An origin that goes away is waited for.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use originlock::policy::client_auth::Mode;

use crate::cloudflare::{Effect, Fake, Fault};
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};
use crate::support::program::finish;
use crate::support::world::wait_until;

/// All that the walk changes at Cloudflare, in its order.
const WRITES: [(&str, &str, usize); 4] = [
    ("POST", "/zones/*/origin_tls_client_auth/hostnames/certificates", 1),
    ("PATCH", "/zones/*/settings/tls_client_auth", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 2),
];

fn aop(fake: Fake) -> Aop {
    let origin = origin().host(HostSetup::new(SHOP).mode("off").ca("ours")).host(HostSetup::new(WWW).observe("ours"));
    Aop::with(origin.start(), fake)
}

fn start(aop: &Aop) -> Child {
    let files = aop.leaf_files();
    let words = ["--certificate", &files[0], "--key", &files[1], "--yes", "--settle", "1m"];
    // Nobody reads what it says, and it may not wait for that.
    aop.program("apply", &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// SIGKILL.
fn kill(mut child: Child) {
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
}

#[track_caller]
fn arrives(case: &str, aop: &Aop) {
    let ran = aop.run_with_leaf("apply", &["--yes", "--settle", "1m"]);
    assert_eq!(ran.code, 0, "{case}: {ran:#?}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce), "{case}");
    let (certificates, shown) = aop.fake.set(|state| {
        let now = state.now();
        let zone = state.zone(ZONE);
        let ids: Vec<_> = zone.certificates.all().iter().map(|certificate| certificate.id.clone()).collect();
        (ids, [SHOP, WWW].map(|name| zone.associations.effect(name, now).map(|effect| effect.cert_id)))
    });
    assert_eq!(certificates.len(), 1, "{case}: a second certificate");
    assert_eq!(shown, [(); 2].map(|()| certificates.first().cloned()), "{case}");
    let journal = std::fs::read_to_string(aop.path("state").join(format!("aop-{}.json", zone().id()))).expect("a file");
    let journal: serde_json::Value = serde_json::from_str(&journal).expect("it is whole");
    for name in [SHOP, WWW] {
        assert_eq!(journal["before"][name]["association"], serde_json::Value::Null, "{case}: {journal:#}");
    }
}

/// Lets the n-th request be answered never, although it does its work, and kills whoever waits for that. Whether it came
/// to so many requests.
fn killed_after_request(n: usize) -> bool {
    let fault = Fault::anywhere().nth(n).apply_then_hang();
    let aop = aop(cloudflare().zone(zone()).fault(fault).start()).visited();
    let child = RefCell::new(start(&aop));
    let hangs = || aop.fake.state(|state| state.log.get(n - 1).map(crate::cloudflare::Logged::line));
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

#[test]
fn before_and_after_each_change_at_cloudflare() {
    for (method, path, nth) in WRITES {
        for applied in [false, true] {
            let case = format!("{method} {path} number {nth}, applied: {applied}");
            let fault = Fault::on(method, path).nth(nth);
            let fault = if applied { fault.applied() } else { fault }.effect(Effect::Hang);
            let aop = aop(cloudflare().zone(zone()).fault(fault).start()).visited();
            let child = start(&aop);
            let came = |state: &crate::cloudflare::State| {
                state.log.iter().filter(|request| request.is(method, path)).count() >= nth
            };
            aop.fake.wait_until(&case, came);
            kill(child);
            aop.fake.clear_faults();
            arrives(&case, &aop);
        }
    }
}

#[test]
fn while_it_waits_for_evidence() {
    let aop = aop(cloudflare().zone(zone()).start());
    let child = start(&aop);
    aop.fake.wait_for_writes(4);
    kill(child);
    arrives("while it waits for evidence", &aop.visited());
}

#[test]
fn again_and_again_at_whatever_instant() {
    let aop = aop(cloudflare().zone(zone()).start()).visited();
    for instant in 0..12 {
        let child = start(&aop);
        // Which instant it is does not matter, and has to be another one each time.
        thread::sleep(Duration::from_millis(40 + 70 * instant));
        kill(child);
    }
    arrives("in the end", &aop);
}

#[test]
fn it_outlasts_a_restart_of_the_origin() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("unix:{}", folder.path().join("admin.sock").display());
    let origin = origin().admin(&format!("address = \"{address}\""));
    let origin = origin.host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    let mut aop = Aop::with(origin.start(), cloudflare().zone(zone()).start());
    let files = aop.leaf_files();
    let words = ["--certificate", &files[0], "--key", &files[1], "--yes", "--settle", "1m"];
    let mut child = aop.program("apply", &words).spawn().expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("its standard error")).lines();
    let mut says = |word: &str| said.any(|line| line.is_ok_and(|line| line.contains(word)));
    assert!(says("no edge of Cloudflare's has shown the certificate"), "it waits");
    let server = aop.world.take_server();
    server.drain();
    server.join();
    assert!(says("the origin does not answer"), "it waits on");
    aop.world.start_again();
    // It listens on another port now.
    let aop = aop.with_new_edges().visited();
    // What is not read would hold it up.
    let reading = thread::spawn(move || said.count());
    let ran = finish(child);
    reading.join().expect("no panic");
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce));
}
