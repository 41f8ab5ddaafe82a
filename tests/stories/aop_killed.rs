//! Killed at any instant and run again: the same end, and no second certificate. An origin that goes away is waited for.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use originlock::policy::client_auth::Mode;

use crate::cloudflare::{Effect, Fake, Fault};
use crate::support::HostSetup;
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};
use crate::support::program::finish;

/// All that the walk changes at Cloudflare, in its order.
const WRITES: [(&str, &str, usize); 4] = [
    ("POST", "/zones/*/origin_tls_client_auth/hostnames/certificates", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 1),
    ("PUT", "/zones/*/origin_tls_client_auth/hostnames", 2),
    ("PATCH", "/zones/*/settings/tls_client_auth", 1),
];

pub fn aop(fake: Fake) -> Aop {
    let origin = origin().host(HostSetup::new(SHOP).mode("off").ca("ours")).host(HostSetup::new(WWW).observe("ours"));
    Aop::with(origin.start(), fake)
}

pub fn start(aop: &Aop) -> Child {
    let files = aop.leaf_files();
    let words = ["--certificate", &files[0], "--key", &files[1], "--yes", "--settle", "1m"];
    // Nobody reads what it says, and it may not wait for that.
    aop.program("apply", &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// SIGKILL.
pub fn kill(mut child: Child) {
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
}

#[track_caller]
pub fn arrives(case: &str, aop: &Aop) {
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
