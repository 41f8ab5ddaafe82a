//! The page at the admin address, in a real browser.

use serde_json::json;

use crate::support::browser::{BACKSPACE, ENTER, TAB};
use crate::support::certificates::{Credential, good};
use crate::support::{Browser, Client, HostSetup, Shape, World, pki};

use originlock::pki::LeafOptions;

const SHOP: &str = "shop.example.com";

/// One host at each station of the walk.
fn world() -> World {
    World::builder()
        .host(HostSetup::new("old.example.com"))
        .host(HostSetup::new(SHOP).also("*.shop.example.com").observe("ours"))
        .host(HostSetup::new("bank.example.com").enforce("ours"))
        .start()
}

fn admin(world: &World) -> &str {
    world.server().admin_url().expect("an admin address")
}

fn page(world: &World, view: &str) -> String {
    format!("{}/#/{view}", admin(world).trim_end_matches('/'))
}

/// The page with all its rows.
fn open(world: &World) -> Browser {
    let browser = Browser::at(admin(world));
    browser.wait_until("document.querySelectorAll('#hosts > li.host').length === 3");
    browser
}

#[test]
fn every_host_stands_where_it_is_on_its_walk() {
    let world = world();
    let browser = open(&world);
    let walks = browser.script("return [...document.querySelectorAll('svg.walk')].map(walk => walk.ariaLabel)");
    let walks: Vec<String> = serde_json::from_value(walks).expect("texts");
    assert!(walks[0].starts_with("at off"), "{walks:?}");
    assert!(walks[1].starts_with("at observe; the gate to enforce is shut"), "{walks:?}");
    assert!(walks[2].starts_with("at enforce"), "{walks:?}");
    let stages = browser.script("return [...document.querySelectorAll('.estate .figure')].map(one => one.innerText)");
    assert_eq!(stages, json!(["1", "1", "0", "1"]));
    // A station of the whole walk is a filter.
    browser.click("[data-stage=enforce]");
    browser.wait_until("document.querySelectorAll('#hosts > li.host').length === 1");
    browser.wait_for_text("#hosts", "bank.example.com");
}

#[test]
fn a_handshake_appears_while_somebody_looks() {
    let world = world();
    let browser = Browser::at(&page(&world, "handshakes"));
    browser.wait_until("document.querySelector('.stream.live')");
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("observe lets everyone in");
    browser.wait_for_text("#feed-rows tr", "unknown_issuer");
    world.client("bank.example.com").expect_refused("certificate_required");
    browser.wait_for_text("#feed-rows tr", "refused");
    assert_eq!(browser.script("return document.querySelectorAll('#feed-rows tr').length"), json!(2));
    // The filter leaves what fits.
    browser.click("#feed-filters [name=text]");
    browser.press("bank");
    browser.wait_until("document.querySelectorAll('#feed-rows tr').length === 1");
    browser.wait_for_text("#feed-rows tr", "no_certificate");
}

#[test]
fn what_strangers_write_stays_text() {
    let world = world();
    let script = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>";
    let markup = "\"><svg onload=window.pwned=3>";
    let ask = |client: Client, path: &str| {
        let mut connection = client.connect().expect("observe lets everyone in");
        let head = format!("GET {path} HTTP/1.1\r\nHost: {SHOP}\r\nUser-Agent: {script}\r\n\r\n");
        connection.send(head.as_bytes()).expect("a request");
        assert_eq!(connection.answer().expect("an answer").status, 200);
    };
    for (ca, subject) in [(&pki().ours, script), (&pki().other, markup)] {
        let issued = ca.issue(&LeafOptions::client(subject, good())).expect("a leaf");
        ask(world.client(SHOP).credential(&Credential::of(&issued)), "/");
    }
    let path = "/'onload=window.pwned=4";
    ask(world.client(SHOP), path);
    let browser = Browser::at(&page(&world, "handshakes"));
    browser.wait_for_text("#feed-rows", script);
    browser.wait_for_text("#feed-rows", markup);
    for (view, text) in [("failures", "CN=other CA"), ("certificates", script), ("hosts", SHOP)] {
        browser.click(&format!("nav a[href='#/{view}']"));
        browser.wait_for_text(&format!("#view-{view}"), text);
    }
    browser.wait_until("document.querySelectorAll('#hosts > li.host').length === 3");
    browser.click(&format!(".name [data-host='{SHOP}']"));
    // In the list of those who come around Cloudflare, of failures and of certificates.
    for text in [script, path, markup] {
        browser.wait_for_text(".details .part", text);
    }
    assert_eq!(browser.script("return window.pwned ?? null"), json!(null));
    assert_eq!(browser.script("return document.querySelectorAll('img, [onload], [onerror]').length"), json!(0));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_asks_nobody_else_for_anything() {
    let world = world();
    let browser = open(&world);
    for view in ["failures", "certificates", "handshakes", "hosts"] {
        browser.click(&format!("nav a[href='#/{view}']"));
        browser.wait_until(&format!("!document.getElementById('view-{view}').hidden"));
    }
    let origin = admin(&world).trim_end_matches('/');
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.ends_with("/api/v1/handshakes/stream")), "{requests:?}");
    let own = |url: &String| url.starts_with(&format!("{origin}/")) || url.starts_with("data:");
    assert_eq!(requests.iter().filter(|url| !own(url)).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_keyboard_is_enough() {
    let world = world();
    let browser = open(&world);
    let focused = || browser.script("return document.activeElement.innerText || document.activeElement.id");
    browser.press(TAB);
    assert_eq!(focused(), json!("Skip to the content"));
    browser.press(ENTER);
    assert_eq!(browser.script("return document.activeElement.id"), json!("main"));
    // Four stations, the filter, the rows that need a look; then the first host.
    for _ in 0..7 {
        browser.press(TAB);
        assert_eq!(
            browser.script("return getComputedStyle(document.activeElement).outlineStyle"),
            json!("solid"),
            "{} shows that it has the focus",
            focused()
        );
    }
    assert_eq!(focused(), json!("old.example.com"));
    browser.press(TAB);
    browser.press(ENTER);
    browser.wait_until("document.activeElement.ariaExpanded === 'true'");
    browser.wait_for_text(".details", "Not ready to enforce");
    browser.press(TAB);
    assert_eq!(focused(), json!("Enforce anyway…"));
    browser.press(ENTER);
    browser.wait_until("document.querySelector('dialog[open]')");
}

#[test]
fn it_fits_a_phone_by_day_and_by_night() {
    let world = world();
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("observe lets everyone in");
    let browser = open(&world);
    browser.set_width(360);
    let ground = || browser.script("return getComputedStyle(document.body).backgroundColor");
    browser.set_scheme("light");
    let day = ground();
    browser.set_scheme("dark");
    assert_ne!(ground(), day);
    browser.click(&format!(".name [data-host='{SHOP}']"));
    browser.wait_for_text(".details", "Own certificate ends");
    for view in ["hosts", "failures", "certificates", "handshakes"] {
        browser.click(&format!("nav a[href='#/{view}']"));
        browser.wait_until(&format!("!document.querySelector('#view-{view}').hidden"));
        let fits = browser.script("return document.documentElement.scrollWidth <= innerWidth");
        assert_eq!(fits, json!(true), "{view}");
    }
}

#[test]
fn a_lost_proxy_is_told() {
    let mut world = world();
    let browser = open(&world);
    let server = world.take_server();
    server.drain();
    server.join();
    browser.wait_for_text("#alarm", "The proxy is not reachable.");
    browser.wait_for_text("#alarm", "What is shown is from");
    browser.wait_for_text("#hosts", SHOP);
    browser.click("nav a[href='#/handshakes']");
    browser.wait_for_text(".stream.lost", "Trying again");
}

#[test]
fn of_many_hosts_a_hundred_rows_are_shown_and_all_are_found() {
    let hosts = (0..120).map(|number| HostSetup::new(&format!("tenant-{number:03}.example.com")));
    let world = hosts.fold(World::builder(), crate::support::world::Builder::host).start();
    let browser = Browser::at(admin(&world));
    let rows =
        |count: usize| browser.wait_until(&format!("document.querySelectorAll('#hosts > li').length === {count}"));
    rows(100);
    browser.click("#host-filter");
    browser.press("tenant-119");
    rows(1);
    browser.wait_for_text("#host-count", "1 of 120 hosts");
    browser.press(&BACKSPACE.repeat("tenant-119".len()));
    rows(100);
    browser.click("[data-do=more]");
    rows(120);
}
