//! The look at Cloudflare's side now and then: what it finds is told everywhere, and what goes wrong with it harms nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use originlock::pki::{Issued, LeafOptions};
use serde_json::{Value, json};

use crate::cloudflare::{Association, Effect, Fake, FakeClock, Fault, Site, Token, Zone};
use crate::support::certificates::{Credential, around, now};
use crate::support::world::wait_until;
use crate::support::{Api, Browser, Document, HostSetup, Log, World, pki};

const SHOP: &str = "shop.example.com";
const BLOG: &str = "blog.example.com";
const TOKEN: &str = "cfat_read-0123456789abcdef-SECRET";
const FINDING: &str = "originlock_cloudflare_findings{host=\"shop.example.com\",kind=\"association_off\",weight=\"alarm\",\
                       zone=\"example.com\"}";
const CHECKED: &str = "originlock_cloudflare_checked_timestamp_seconds{zone=\"example.com\"}";
const FAILURES: &str = "originlock_cloudflare_check_failures_total";
const HOUR: Duration = Duration::from_hours(1);

/// A zone in which all is well, an origin that enforces one of its names, and the look at the one from the other.
struct Watched {
    world: World,
    fake: Fake,
    leaf: Issued,
}

impl Watched {
    fn start() -> Self {
        let leaf = pki().ours.issue(&LeafOptions::client(SHOP, around(365))).expect("a leaf");
        let zone = Zone::new("example.com")
            .proxied(SHOP, "198.51.100.4")
            .proxied(BLOG, "198.51.100.4")
            .certificate(&leaf)
            .associated(SHOP, 0, true);
        let fake =
            Fake::builder().zone(zone).token(Token::read_only(TOKEN)).clock(FakeClock::Manual).starting(now()).start();
        let world = World::builder()
            .file("edge.txt", "127.0.0.1\n")
            .file("read.token", &format!("{TOKEN}\n"))
            .tables(&format!("[evidence]\ncloudflare_ranges = \"edge.txt\"\n{}", table(&fake)))
            .host(HostSetup::new(SHOP).enforce("ours"))
            .host(HostSetup::new(BLOG))
            .start();
        let watched = Self { world, fake, leaf };
        watched.wait_for_look_at(Duration::ZERO);
        watched
    }

    /// Until the zone was looked at with success at this time of the world, or later.
    fn wait_for_look_at(&self, since_start: Duration) {
        let at = now().after(since_start).seconds() as f64;
        wait_until("a look", || self.world.metric(CHECKED).is_some_and(|checked| checked >= at));
    }

    /// It is so late now, for Cloudflare too.
    fn set_clock(&self, since_start: Duration) {
        let fake = self.fake.now();
        let there = now().after(since_start);
        self.fake.advance(there.since(fake));
        self.world.set_clock(since_start);
    }

    /// Somebody switches the association on or off.
    fn associate(&self, enabled: bool) {
        self.fake.set(|state| {
            let at = state.now();
            let zone = state.zone("example.com");
            let cert_id = zone.certificates.all()[0].id.clone();
            zone.associations.set(SHOP, Some(Association { cert_id, enabled }), at);
        });
    }

    fn report(&self) -> Value {
        Api::of(&self.world).json("/api/v1/cloudflare")
    }
}

fn table(fake: &Fake) -> String {
    let api = fake.base_url();
    format!("[cloudflare]\nzones = [\"example.com\"]\ntoken = \"read.token\"\napi = \"{api}\"\n")
}

#[test]
fn an_association_that_is_switched_off_under_an_enforced_host_is_told_everywhere() {
    Log::capture(|log| {
        let watched = Watched::start();
        let Watched { world, fake, leaf } = &watched;
        world.client(SHOP).credential(&Credential::of(leaf)).get().expect("the edge is let in");
        world.next_handshake();
        assert_eq!((world.metric(FINDING), &watched.report()["findings"]), (None, &json!([])));
        watched.associate(false);
        watched.set_clock(HOUR);
        world.wait_for_metric(FINDING, 1.0);
        let api = Api::of(world);
        let report = watched.report();
        let document = Document(api.json("/api/v1/openapi.json"));
        assert_eq!(document.mistakes("Cloudflare", &report), Vec::<String>::new());
        let finding = &report["findings"][0];
        assert_eq!((&finding["kind"], &finding["weight"]), (&json!("association_off"), &json!("alarm")));
        assert_eq!((&finding["host"], &finding["zone"]), (&json!(SHOP), &json!("example.com")));
        assert_eq!((&report["watched"], &report["error"]), (&json!(true), &Value::Null));
        let browser = Browser::at(world.server().admin_url().expect("an admin side"));
        browser.wait_for_text("#hosts > li.host.enforce .verdict", "At Cloudflare: ");
        browser.wait_for_text("#attention", "Needs a look: 1");
        browser.wait_for_text("#process", "example.com, last looked at");
        browser.click(&format!(".name [data-host='{SHOP}']"));
        browser.wait_for_text(".at-cloudflare .is-alarm", "Next: ");
        assert_eq!(browser.script("return document.querySelector('#zones').childElementCount"), json!(0));
        for (width, scheme) in [(360, "dark"), (360, "light"), (1200, "dark"), (1200, "light")] {
            browser.set_width(width);
            browser.set_scheme(scheme);
            let fits = browser.script("return document.documentElement.scrollWidth <= innerWidth");
            assert_eq!(fits, json!(true), "{width} {scheme}");
        }
        assert_eq!(browser.complaints(), Vec::<String>::new());
        drop(browser);
        watched.associate(true);
        watched.set_clock(2 * HOUR);
        wait_until("it fits again", || world.metric(FINDING).is_none());
        let told = |message: &str| {
            log.events()
                .iter()
                .filter(|event| event["originlock.finding"] == "association_off" && event["message"] == message)
                .count()
        };
        assert_eq!(told("Cloudflare's side does not fit what this origin demands"), 1);
        wait_until("its end is logged", || told("Cloudflare's side fits again") == 1);
        assert_eq!(fake.writes(), Vec::<String>::new(), "nothing but looking");
        let secrets = [log.text(), world.metrics(), watched.report().to_string()].join("\n");
        assert!(!secrets.contains(TOKEN) && !secrets.contains("SECRET"), "the token is nowhere");
    });
}

#[test]
fn an_api_that_is_down_is_told_and_what_was_found_stays() {
    let watched = Watched::start();
    let Watched { world, fake, leaf } = &watched;
    watched.associate(false);
    watched.set_clock(HOUR);
    world.wait_for_metric(FINDING, 1.0);
    fake.fault(Fault::anywhere().always().close());
    watched.set_clock(2 * HOUR);
    wait_until("the failure is counted", || world.metric(FAILURES) == Some(1.0));
    let report = watched.report();
    assert!(report["error"].as_str().is_some_and(|error| error.contains("zone example.com")), "{report}");
    assert_eq!((&report["findings"][0]["kind"], world.metric(FINDING)), (&json!("association_off"), Some(1.0)));
    assert_eq!(report["checked_at"], json!(now().after(HOUR).to_string()), "and from when it is");
    let browser = Browser::at(world.server().admin_url().expect("an admin side"));
    browser.wait_for_text("#zones", "Cloudflare’s side could not be looked at.");
    browser.wait_for_text("#zones", "What is said of it is from");
    browser.wait_for_text("#hosts > li.host.enforce .verdict", "At Cloudflare: ");
    drop(browser);
    world.client(SHOP).credential(&Credential::of(leaf)).get().expect("serving goes on");
    // It is tried again soon.
    fake.clear_faults();
    watched.set_clock(2 * HOUR + Duration::from_mins(5));
    watched.wait_for_look_at(2 * HOUR + Duration::from_mins(5));
    assert_eq!(watched.report()["error"], Value::Null);
}

#[test]
fn whatever_the_api_answers_the_look_survives_it() {
    let watched = Watched::start();
    let (fake, world) = (&watched.fake, &watched.world);
    let redirect = "https://elsewhere.example/".to_owned();
    let mut at = HOUR;
    let everywhere: fn() -> Site = || Fault::anywhere().always();
    for fault in [
        everywhere().answer(502, "text/html", "<script>window.pwned = 1</script>\u{1b}[2J"),
        everywhere().answer(200, "application/json", "{\"success\":true,\"result\":[{\"id\":7}]}"),
        everywhere().refuse(403, 10000, "Authentication error\u{1b}[31m"),
        everywhere().effect(Effect::CutJson),
        everywhere().effect(Effect::Redirect(redirect)),
    ] {
        let failures = world.metric(FAILURES).expect("a number");
        fake.fault(fault.clone());
        watched.set_clock(at);
        wait_until(&format!("{fault:?} is a failure"), || world.metric(FAILURES).is_some_and(|now| now > failures));
        assert!(watched.report()["error"].is_string(), "{fault:?}");
        fake.clear_faults();
        watched.set_clock(at + HOUR);
        watched.wait_for_look_at(at + HOUR);
        at += 2 * HOUR;
    }
    assert_eq!(world.metric("originlock_panics_total"), Some(0.0));
}

#[test]
fn a_token_is_read_at_each_look_and_stays_a_secret() {
    Log::capture(|log| {
        let watched = Watched::start();
        let Watched { world, fake, .. } = &watched;
        let renewed = "cfat_renewed-fedcba9876543210-SECRET";
        fake.set(|state| state.tokens = vec![Token::read_only(renewed)]);
        watched.set_clock(HOUR);
        wait_until("the old token is refused", || world.metric(FAILURES) == Some(1.0));
        world.write("read.token", renewed);
        watched.set_clock(2 * HOUR);
        watched.wait_for_look_at(2 * HOUR);
        for (text, said) in
            [(Some("two words SECRET"), "holds no token"), (Some(""), "holds no token"), (None, "cannot be read")]
        {
            let failures = world.metric(FAILURES).expect("a number");
            match text {
                Some(text) => world.write("read.token", text),
                None => fs::remove_file(world.path("read.token")).expect("a file"),
            }
            world.set_clock(world.clock.now().after(HOUR).since(now()));
            wait_until("it is a failure", || world.metric(FAILURES).is_some_and(|now| now > failures));
            let error = watched.report()["error"].as_str().unwrap_or_default().to_owned();
            assert!(error.contains("read.token") && error.contains(said), "{error}");
        }
        let said = [log.text(), watched.report().to_string(), world.metrics()].join("\n");
        assert!(said.contains("Cloudflare's side could not be looked at") && !said.contains("SECRET"), "{said}");
    });
}

#[test]
fn a_token_that_is_missing_or_everybodys_is_warned_of_and_keeps_nobody_from_serving() {
    let watched = Watched::start();
    let (world, path) = (&watched.world, watched.world.path("read.token"));
    let warnings = || world.server().reload().expect("it is in force").warnings.join("\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("a mode");
    assert!(warnings().contains("read.token: every user of this machine may read the token"), "{}", warnings());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    assert!(!warnings().contains("read.token"), "{}", warnings());
    fs::remove_file(&path).expect("a file");
    assert!(warnings().contains("Cloudflare's side is not looked at without it"), "{}", warnings());
}

#[test]
fn it_is_switched_on_and_off_with_the_configuration() {
    let mut watched = Watched::start();
    watched.associate(false);
    let table = table(&watched.fake);
    let world = &mut watched.world;
    world.change_and_reload(|setup| setup.tables = setup.tables.replace(&table, ""));
    wait_until("nothing is known any more", || world.metric(CHECKED).is_none());
    let report = Api::of(world).json("/api/v1/cloudflare");
    assert_eq!((&report["watched"], &report["zones"]), (&json!(false), &json!([])));
    let asked = watched.fake.requests().len();
    world.set_clock(9 * HOUR);
    world.reload().expect("it is as it was");
    world.client(SHOP).expect_refused("certificate_required");
    assert_eq!(watched.fake.requests().len(), asked, "nobody is asked");
    world.change_and_reload(|setup| setup.tables += &table);
    world.wait_for_metric(FINDING, 1.0);
}

#[test]
fn nothing_waits_for_an_api_that_hangs() {
    let watched = Watched::start();
    let Watched { mut world, fake, leaf } = watched;
    fake.fault(Fault::anywhere().always().hang());
    let asked = fake.requests().len();
    world.set_clock(HOUR);
    fake.wait_until("it is asked", |state| state.log.len() > asked);
    world.client(SHOP).credential(&Credential::of(&leaf)).get().expect("serving goes on");
    world.reload().expect("reloading goes on");
    let server = world.take_server();
    let begun = Instant::now();
    server.drain();
    server.join();
    assert!(begun.elapsed() < Duration::from_secs(10), "the end does not wait: {:?}", begun.elapsed());
}

#[test]
fn a_name_in_a_zone_below_is_that_zones() {
    let fake = Fake::builder()
        .zone(Zone::new("example.com"))
        .zone(Zone::new("eu.example.com"))
        .token(Token::read_only(TOKEN))
        .clock(FakeClock::Manual)
        .starting(now())
        .start();
    let both = table(&fake).replace("[\"example.com\"]", "[\"example.com\", \"eu.example.com\"]");
    let world = World::builder()
        .file("read.token", TOKEN)
        .tables(&both)
        .host(HostSetup::new("shop.eu.example.com").also("*.example.com").enforce("ours"))
        .start();
    let finding = |zone: &str| {
        format!(
            "originlock_cloudflare_findings{{host=\"shop.eu.example.com\",kind=\"association_off\",weight=\"alarm\",zone=\"{zone}\"}}"
        )
    };
    world.wait_for_metric(&finding("eu.example.com"), 1.0);
    let checked =
        |zone: &str| world.metric(&format!("originlock_cloudflare_checked_timestamp_seconds{{zone=\"{zone}\"}}"));
    wait_until("both are looked at", || checked("example.com").is_some() && checked("eu.example.com").is_some());
    assert_eq!(world.metric(&finding("example.com")), None);
}
