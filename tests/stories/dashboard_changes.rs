//! A host is moved along its walk from the page.

use serde_json::json;

use crate::support::{Browser, HostSetup, Shape, World};

use originlock::evidence::network::Networks;

const SHOP: &str = "shop.example.com";
const TOKEN: &str = "a-token-of-more-than-sixteen-characters";

/// A host in observe. The story's own address counts as Cloudflare's edge, and three handshakes are enough.
fn world() -> World {
    let tables = "change = { token = \"admin.token\" }\n[readiness]\nhandshakes = 3\nedge_addresses = 1\n";
    let host = HostSetup::new(SHOP).observe("ours");
    let world = World::builder().file("admin.token", TOKEN).tables(tables).host(host).start();
    let networks = Networks::parse("127.0.0.1", "the story's edge").expect("a range");
    world.server().ledger().set_networks(networks.into());
    world
}

fn make_ready(world: &World) {
    for _ in 0..3 {
        world.client(SHOP).presenting(Shape::P256).get().expect("the edge is let in");
    }
}

fn page(world: &World) -> String {
    world.server().admin_url().expect("an admin address").trim_end_matches('/').to_owned()
}

/// The page of somebody who may change something.
fn open(world: &World) -> Browser {
    Browser::at(&format!("{}/#token={TOKEN}", page(world)))
}

fn wait_for_walk(browser: &Browser, place: &str) {
    browser.wait_until(&format!("document.querySelector('svg.walk')?.ariaLabel.startsWith({})", json!(place)));
}

#[test]
fn a_host_that_became_ready_is_enforced_by_clicking_and_taken_back() {
    let world = world();
    let browser = open(&world);
    wait_for_walk(&browser, "at observe; the gate to enforce is shut");
    assert_eq!(browser.script("return location.href"), json!(format!("{}/", page(&world))), "no token stays in sight");
    make_ready(&world);
    wait_for_walk(&browser, "at observe; the gate to enforce is open");
    browser.wait_for_text(".verdict", "Ready to enforce.");
    browser.click(".verdict [data-do=enforce]");
    browser.wait_for_text("dialog .added", "mode = \"enforce\"");
    browser.click("dialog [data-act=apply]");
    browser.wait_for_text("dialog", "It is enforced.");
    browser.wait_for_text("dialog .checks .good", "without a certificate");
    browser.click("dialog [data-act=close]");
    wait_for_walk(&browser, "at enforce");
    world.client(SHOP).expect_refused("certificate_required");
    world.client(SHOP).presenting(Shape::P256).get().expect("the edge is let in");
    // And back.
    browser.click(&format!(".name [data-host='{SHOP}']"));
    browser.click(".details [data-do=observe]");
    browser.wait_for_text("dialog .added", "mode = \"observe\"");
    browser.click("dialog [data-act=apply]");
    browser.wait_for_text("dialog", "It observes");
    browser.click("dialog [data-act=close]");
    wait_for_walk(&browser, "at observe");
    world.client(SHOP).get().expect("everyone is let in");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn on_trial_a_host_waits_to_be_confirmed() {
    let world = world();
    make_ready(&world);
    let browser = open(&world);
    browser.click(".verdict [data-do=enforce]");
    browser.click("dialog [name=trial]");
    browser.wait_for_text("dialog", "This fails open.");
    browser.click("dialog [data-act=apply]");
    browser.wait_for_text("dialog", "Falls back to observe in");
    browser.click("dialog [data-act=close]");
    wait_for_walk(&browser, "at enforce, waiting to be confirmed");
    browser.wait_for_text(".verdict", "unless someone confirms");
    browser.click(".verdict [data-do=confirm]");
    browser.wait_for_text("dialog", "Confirmed. It stays enforced.");
    browser.click("dialog [data-act=close]");
    wait_for_walk(&browser, "at enforce, the end of the walk");
}

#[test]
fn a_host_that_is_not_ready_is_enforced_only_by_whoever_takes_the_risk() {
    let world = world();
    let browser = open(&world);
    browser.click(&format!(".name [data-host='{SHOP}']"));
    browser.click(".details [data-do=enforce]");
    browser.wait_for_text("dialog section.trouble", "It is not ready");
    browser.wait_for_text("dialog section.trouble li", "No handshake from Cloudflare");
    browser.wait_until("document.querySelector('dialog [data-act=apply]').disabled");
    browser.click("dialog [name=anyway]");
    browser.wait_until("!document.querySelector('dialog [data-act=apply]').disabled");
    browser.click("dialog [data-act=apply]");
    browser.wait_for_text("dialog", "It is enforced.");
    world.client(SHOP).expect_refused("certificate_required");
}

#[test]
fn without_the_token_the_page_only_shows() {
    let world = world();
    make_ready(&world);
    let browser = Browser::at(&page(&world));
    browser.wait_for_text("#rights", "You may look, not change.");
    browser.click(".verdict [data-do=enforce]");
    browser.click("#change [data-act=token]");
    browser.click("#token [name=token]");
    browser.press("a-token-that-somebody-guessed");
    browser.click("#token [type=submit]");
    browser.wait_until("document.querySelector('#token .said').innerText !== ''");
    browser.wait_for_text("#hosts", SHOP);
    browser.click("#token [name=token]");
    browser.press(TOKEN);
    browser.click("#token [type=submit]");
    browser.wait_until("!document.querySelector('#token').open && document.getElementById('rights').hidden");
    world.client(SHOP).get().expect("nothing has changed");
    browser.click(".verdict [data-do=enforce]");
    browser.wait_for_text("dialog .added", "mode = \"enforce\"");
}
