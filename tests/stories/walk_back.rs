//! The way back: an `enforce` that somebody has to confirm, and what it does where nobody does.

use std::fs;
use std::time::Duration;

use originlock::admin::control::Control;
use originlock::evidence::report::ModeRequest;
use originlock::policy::client_auth::Mode;

use crate::support::world::wait_until;
use crate::support::{HostSetup, Log, Shape, World};
use crate::walk::{
    SHOP, WWW, config, edge_comes, expect_open, forced, refusal, request, set, within, world_at_the_edge,
};

#[test]
fn a_confirmed_enforce_stays() {
    let world = World::with(HostSetup::new(SHOP).also(WWW).observe("ours"));
    let report = set(&world, SHOP, &within(600)).expect("it is done");
    assert_eq!(report.confirm_by, Some(world.clock.now().after(Duration::from_secs(600))));
    let walk = world.server().walk();
    let confirmed = walk.confirm(WWW, "a story").expect("it waits");
    assert_eq!((confirmed.name.as_str(), confirmed.confirm_by), (SHOP, None));
    world.set_clock(Duration::from_secs(601));
    expect_open(&world, SHOP, false);
    let problem = walk.confirm(SHOP, "a story").expect_err("nothing waits");
    assert_eq!(problem.kind, "nothing_to_confirm");
    assert_eq!(world.metric("originlock_fallbacks_total"), Some(0.0));
}

#[test]
fn an_enforce_that_nobody_confirms_falls_back() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    let before = config(&world);
    set(&world, SHOP, &within(600)).expect("it is done");
    world.set_clock(Duration::from_secs(599));
    expect_open(&world, SHOP, false);
    world.set_clock(Duration::from_secs(600));
    world.wait_for_metric("originlock_fallbacks_total", 1.0);
    assert_eq!(config(&world), before);
    expect_open(&world, SHOP, true);
}

#[test]
fn whoever_changes_the_mode_by_hand_need_not_confirm() {
    let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
    set(&world, SHOP, &within(600)).expect("it is done");
    world.change_and_reload(|setup| setup.host(SHOP).mode = "observe".into());
    let pending =
        || set(&world, SHOP, &ModeRequest { dry_run: true, ..request(Mode::Off) }).expect("a diff").confirm_by;
    wait_until("nothing waits", || pending().is_none());
    world.change_and_reload(|setup| setup.host(SHOP).mode = "enforce".into());
    world.set_clock(Duration::from_secs(601));
    expect_open(&world, SHOP, false);
}

#[test]
fn an_enforce_that_cloudflare_fails_under_falls_back_before_its_time() {
    let world = world_at_the_edge(HostSetup::new(SHOP).observe("ours"));
    (0..5).for_each(|_| edge_comes(&world, SHOP));
    set(&world, SHOP, &within(600)).expect("it is ready");
    // Another CA's certificate is what a rotation on Cloudflare's side brings.
    let rotated = world.client(SHOP).presenting(Shape::UnknownCa);
    rotated.expect_refused("unknown_ca");
    rotated.expect_refused("unknown_ca");
    edge_comes(&world, SHOP);
    assert_eq!(world.metric("originlock_fallbacks_total"), Some(0.0));
    rotated.expect_refused("unknown_ca");
    world.wait_for_metric("originlock_fallbacks_total", 1.0);
    rotated.get().expect("observe lets everyone in");
    assert!(config(&world).contains("mode = \"observe\""));
}

/// The host is open although its file says enforce, and everyone who asks is told.
fn expect_open_in_memory_alone(world: &World, log: &Log) {
    world.wait_for_metric("originlock_fallbacks_total", 1.0);
    wait_until("it is said", || {
        log.text().contains("fell back to observe in memory alone: the file still says enforce")
    });
    expect_open(world, SHOP, true);
    assert_eq!(world.metric("originlock_host_mode{host=\"shop.example.com\",mode=\"observe\"}"), Some(1.0));
    assert!(config(world).contains("mode = \"enforce\""), "{}", config(world));
    let host = world.server().view().host(SHOP, None).expect("the host").host;
    assert_eq!((host.mode, host.confirm_by), (Mode::Observe, None));
    let notices = host.readiness.notices.join("; ");
    assert!(notices.contains("says enforce and the host is in observe"), "{notices}");
}

#[test]
fn a_fall_back_that_cannot_be_written_is_made_in_memory() {
    Log::capture(|log| {
        let world = World::with(HostSetup::new(SHOP).observe("ours"));
        set(&world, SHOP, &within(600)).expect("it is done");
        let enforced = config(&world);
        world.write("originlock.toml", format!("{enforced}# somebody's change, not in force yet\n"));
        world.set_clock(Duration::from_secs(601));
        expect_open_in_memory_alone(&world, log);
        world.reload().expect("the file is good");
        expect_open(&world, SHOP, false);
    });
}

#[test]
fn a_fall_back_needs_no_file_that_can_be_loaded() {
    Log::capture(|log| {
        let world = World::builder()
            .host(HostSetup::new(SHOP).observe("ours"))
            .host(HostSetup::new("blog.example.com").observe("ours"))
            .start();
        let before = config(&world);
        set(&world, SHOP, &within(600)).expect("it is done");
        let chain = fs::read(world.path("tls/shop.example.com.pem")).expect("a certificate");
        world.write("tls/shop.example.com.pem", "half written");
        world.set_clock(Duration::from_secs(601));
        expect_open_in_memory_alone(&world, log);
        expect_open(&world, "blog.example.com", true);
        world.write("tls/shop.example.com.pem", chain);
        // Another host's change would enforce this one again.
        let problem = refusal(&world, "blog.example.com", &forced(Mode::Enforce), "file_changed");
        assert!(problem.detail.contains("`shop.example.com` is in observe, and its file says enforce"), "{problem:?}");
        let report = set(&world, SHOP, &request(Mode::Observe)).expect("now the file can follow");
        assert!(report.applied && config(&world) == before, "{}", config(&world));
        let notices = world.server().view().host(SHOP, None).expect("the host").host.readiness.notices.join("; ");
        assert!(!notices.contains("says enforce"), "{notices}");
    });
}

#[test]
fn an_enforce_waits_for_its_confirmation_whatever_order_its_names_are_in() {
    let mut world = World::with(HostSetup::new(SHOP).also(WWW).observe("ours"));
    set(&world, SHOP, &within(600)).expect("it is done");
    world.change_and_reload(|setup| {
        let host = setup.host(SHOP);
        host.mode = "enforce".into();
        host.names.reverse();
    });
    let host = world.server().view().host(SHOP, None).expect("the host").host;
    assert_eq!((host.name.as_str(), host.confirm_by.is_some()), (WWW, true));
    world.set_clock(Duration::from_secs(601));
    world.wait_for_metric("originlock_fallbacks_total", 1.0);
    expect_open(&world, SHOP, true);
}

#[test]
fn what_cloudflare_brings_for_other_peoples_names_opens_nothing() {
    Log::capture(|log| {
        let tables = "[evidence]\ncloudflare_ranges = \"edge.txt\"\n";
        let world = World::builder()
            .top(&format!("default_host = \"{SHOP}\"\n"))
            .file("edge.txt", "127.0.0.1\n")
            .tables(tables)
            .host(HostSetup::new(SHOP).observe("ours"))
            .start();
        set(&world, SHOP, &within(600)).expect("it is done");
        for _ in 0..4 {
            world.client("attacker.example").expect_refused("certificate_required");
        }
        let all = world.server().recent();
        let attackers = || all.snapshot(0).iter().filter(|recorded| !recorded.outcome.own).count();
        wait_until("they are recorded", || attackers() == 4);
        world.set_clock(Duration::from_secs(601));
        world.wait_for_metric("originlock_fallbacks_total", 1.0);
        wait_until("it is said", || log.text().contains("\"originlock.why\":\"not confirmed within 600 s\""));
    });
}

#[test]
fn a_server_that_ends_unconfirmed_stays_enforced_and_says_so() {
    Log::capture(|log| {
        let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
        set(&world, SHOP, &within(600)).expect("it is done");
        let server = world.take_server();
        server.drain();
        world.set_clock(Duration::from_secs(601));
        server.join();
        assert!(log.text().contains("ends before enforce was confirmed; it stays enforced with the next start"));
        assert!(config(&world).contains("mode = \"enforce\""), "{}", config(&world));
    });
}
