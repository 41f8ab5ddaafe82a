//! The fake of Cloudflare's API does what its description says: a client is only as well tested as the fake is strict.

use std::time::Duration;

use originlock::pki::{Issued, LeafOptions};
use serde_json::{Value, json};

use crate::cloudflare::{
    Delay, Fake, FakeClock, FinalNewline, Outcome, Permission, RetryAfter, Settings, Token, VoidEcho, VoidRead, Zone,
    account_id,
};
use crate::support::certificates::{good, now};
use crate::support::{Api, Reply, pki};

const SHOP: &str = "shop.example.com";
const CERTIFICATES: &str = "origin_tls_client_auth/hostnames/certificates";
const HOSTNAMES: &str = "origin_tls_client_auth/hostnames";

/// A fake whose clock stands still, with one zone.
fn fake() -> Fake {
    with(|_| {})
}

fn with(settings: impl FnOnce(&mut Settings)) -> Fake {
    let zone = Zone::new("example.com").proxied(SHOP, "198.51.100.4");
    Fake::builder().zone(zone).clock(FakeClock::Manual).starting(now()).settings(settings).start()
}

fn leaf() -> Issued {
    pki().ours.issue(&LeafOptions::client(SHOP, good())).expect("a leaf")
}

/// What the API answers to `METHOD path`, with the first token; a path without `/` is one of the zone example.com.
fn ask(fake: &Fake, request: &str, body: &Value) -> Reply {
    as_token(fake, &fake.token(), request, body)
}

fn as_token(fake: &Fake, token: &str, request: &str, body: &Value) -> Reply {
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let path = match path.starts_with('/') {
        true => format!("/client/v4{path}"),
        false => format!("/client/v4/zones/{}/{path}", Zone::new("example.com").id()),
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let authorization = format!("Authorization: Bearer {token}");
    Api { address: fake.address() }.ask(&format!("{method} {path}"), &[&authorization], &body)
}

fn get(fake: &Fake, path: &str) -> Reply {
    ask(fake, &format!("GET {path}"), &Value::Null)
}

fn upload(fake: &Fake, issued: &Issued) -> Reply {
    let key = String::from_utf8_lossy(issued.key_pem.expose());
    upload_pem(fake, &issued.certificate_pem, &key)
}

fn upload_pem(fake: &Fake, certificate: &str, key: &str) -> Reply {
    ask(fake, &format!("POST {CERTIFICATES}"), &json!({ "certificate": certificate, "private_key": key }))
}

fn put(fake: &Fake, hostname: &str, cert_id: &str, enabled: Option<bool>) -> Reply {
    let item = json!({ "hostname": hostname, "cert_id": cert_id, "enabled": enabled });
    ask(fake, &format!("PUT {HOSTNAMES}"), &json!({ "config": [item] }))
}

fn delete(fake: &Fake, cert_id: &str) -> Reply {
    ask(fake, &format!("DELETE {CERTIFICATES}/{cert_id}"), &Value::Null)
}

fn id(reply: &Reply) -> String {
    reply.json()["result"]["id"].as_str().unwrap_or_else(|| panic!("no id: {reply:?}")).to_owned()
}

/// The status and the first code of an answer.
#[track_caller]
fn is(reply: &Reply, status: u16, code: u32) {
    let found = reply.json()["errors"][0]["code"].as_u64().unwrap_or(0);
    assert_eq!((reply.status, found), (status, u64::from(code)), "{reply:?}");
}

fn status(fake: &Fake, path: &str) -> Value {
    get(fake, path).json()["result"]["status"].clone()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_request_is_checked_in_the_services_order() {
    let zone = Zone::new("example.com");
    let fake = Fake::builder()
        .zone(zone)
        .zone(Zone::new("other.example"))
        .token(Token::full("full").for_zones(&["example.com"]))
        .token(Token::read_only("reads"))
        .token(Token::full("over").named("over").expires(now()))
        .token(Token::full("off").named("off").disabled())
        .token(Token::full("blind").named("blind").without(Permission::DnsRead))
        .clock(FakeClock::Manual)
        .starting(now())
        .start();
    let none = &Value::Null;
    is(&get(&fake, "/nothing"), 404, 7003);
    is(&ask(&fake, "DELETE settings/ssl", none), 405, 7001);
    for malformed in ["", "two words"] {
        let refused = as_token(&fake, malformed, "GET settings/ssl", none);
        is(&refused, 400, 6003);
        assert_eq!(refused.json()["errors"][0]["error_chain"][0]["code"], 6111);
    }
    is(&as_token(&fake, "nobody", "GET settings/ssl", none), 401, 1000);
    is(&as_token(&fake, "over", "GET settings/ssl", none), 403, 10000);
    is(&as_token(&fake, "off", "GET settings/ssl", none), 403, 10000);
    is(&as_token(&fake, "reads", "PATCH settings/ssl", &json!({ "value": "nonsense" })), 403, 10000);
    is(&as_token(&fake, "blind", "GET dns_records", none), 403, 10000);
    is(&get(&fake, "/zones/nope/settings/ssl"), 404, 7003);
    is(&get(&fake, &format!("/zones/{}/settings/ssl", Zone::new("other.example").id())), 403, 9109);
    is(&ask(&fake, "PATCH settings/ssl", &json!({ "value": "nonsense" })), 400, 1400);
    is(&get(&fake, "settings/ssl"), 200, 0);
    let verified = |token| as_token(&fake, token, "GET /user/tokens/verify", none).json()["result"]["status"].clone();
    assert_eq!(["full", "over", "off"].map(verified), ["active", "expired", "disabled"]);
    let seen = get(&fake, "/zones").json();
    assert_eq!(seen["result_info"]["total_count"], 1, "a list leaves out what may not be seen: {seen}");
}

#[test]
fn a_certificate_lives_from_pending_to_its_tombstone() {
    let (fake, leaf) = (fake(), leaf());
    let uploaded = upload(&fake, &leaf);
    let path = format!("{CERTIFICATES}/{}", id(&uploaded));
    let result = &uploaded.json()["result"];
    assert_eq!((&result["status"], &result["signature"]), (&json!("pending_deployment"), &json!("ECDSAWithSHA256")));
    assert_eq!(result.get("private_key"), None);
    is(&upload(&fake, &leaf), 400, 1406);
    is(&delete(&fake, &id(&uploaded)), 400, 1434);
    fake.advance(seconds(5));
    assert_eq!(status(&fake, &path), "active");
    assert_eq!(delete(&fake, &id(&uploaded)).json()["result"]["status"], "pending_deletion");
    is(&delete(&fake, &id(&uploaded)), 400, 1414);
    is(&upload(&fake, &leaf), 400, 1406);
    fake.advance(seconds(10));
    assert_eq!(status(&fake, &path), "deleted");
    is(&delete(&fake, &id(&uploaded)), 404, 1551);
    assert_eq!(id(&upload(&fake, &leaf)), id(&uploaded), "the same certificate comes back to life");
    fake.advance(seconds(5));
    delete(&fake, &id(&uploaded)).json();
    fake.advance(seconds(10 + 3600));
    is(&get(&fake, &path), 404, 1552);
    is(&get(&fake, &format!("origin_tls_client_auth/{}", id(&uploaded))), 404, 1552);
    is(&delete(&fake, "not an id!".replace(' ', "%20").as_str()), 400, 1415);
}

#[test]
fn an_upload_is_refused_with_the_services_codes() {
    let fake = with(|settings| {
        settings.max_certificates = 1;
        settings.codes.bad_key = 1499;
    });
    let (leaf, other) = (leaf(), leaf());
    let key = |issued: &Issued| String::from_utf8_lossy(issued.key_pem.expose()).into_owned();
    is(&upload_pem(&fake, "nonsense", &key(&leaf)), 400, 1408);
    is(&upload_pem(&fake, pki().ours.certificate_pem(), &key(&leaf)), 400, 1412);
    is(&upload_pem(&fake, &leaf.certificate_pem, &key(&other)), 400, 1499);
    is(&upload_pem(&fake, &leaf.certificate_pem, "nonsense"), 400, 1499);
    is(&ask(&fake, &format!("POST {CERTIFICATES}"), &json!({ "certificate": "x" })), 400, 1400);
    let expired = originlock::pki::Validity { not_after: now().before(seconds(1)), ..good() };
    let expired = pki().ours.issue(&LeafOptions::client("old", expired)).expect("a leaf");
    is(&upload(&fake, &expired), 400, 1410);
    let chain = format!("{}{}", leaf.certificate_pem, pki().ours.certificate_pem());
    let uploaded = upload_pem(&fake, &chain, &key(&leaf));
    assert_eq!(uploaded.json()["result"]["certificate"], leaf.certificate_pem, "of a chain the first is kept");
    is(&upload(&fake, &other), 400, 1407);
    assert!(fake.writes().len() == 8 && fake.state(|state| state.log.iter().filter(|one| one.applied).count()) == 1);
}

#[test]
fn an_association_takes_its_time_to_come_and_to_go() {
    let fake = with(|settings| settings.void_echo = VoidEcho::Old);
    let [first, second] = [(); 2].map(|()| id(&upload(&fake, &leaf())));
    let path = format!("{HOSTNAMES}/{SHOP}");
    let effect =
        || fake.state(|state| state.zones[0].associations.effect(SHOP, state.now()).map(|effect| effect.cert_id));
    is(&get(&fake, &path), 404, 1553);
    is(&ask(&fake, &format!("PUT {HOSTNAMES}"), &json!({ "config": [{ "hostname": SHOP }] })), 400, 1404);
    is(&put(&fake, SHOP, "nosuch", Some(true)), 400, 1415);
    is(&put(&fake, "shop.elsewhere.example", &first, Some(true)), 400, 1416);
    let answer = put(&fake, "SHOP.example.com", &first, Some(true)).json();
    assert_eq!(
        (&answer["result"][0]["hostname"], &answer["result"][0]["status"]),
        (&json!(SHOP), &json!("pending_deployment"))
    );
    assert_eq!(get(&fake, HOSTNAMES).json()["result"], json!([]), "what is pending is not listed unasked");
    assert_eq!(get(&fake, &format!("{HOSTNAMES}?status=all")).json()["result"][0]["hostname"], SHOP);
    fake.advance(seconds(5));
    assert_eq!((status(&fake, &path), effect()), (json!("active"), Some(first.clone())));
    put(&fake, SHOP, &second, Some(true)).json();
    assert_eq!(effect(), Some(first.clone()), "the old one is in effect until the new one is active");
    is(&delete(&fake, &first), 400, 1433);
    fake.advance(seconds(5));
    assert_eq!(effect(), Some(second.clone()));
    assert_eq!(delete(&fake, &first).status, 200);
    let voided = put(&fake, SHOP, &second, None).json();
    assert_eq!(voided["result"][0]["enabled"], true, "echoed as it was");
    assert_eq!(status(&fake, &path), "pending_deletion");
    is(&delete(&fake, &second), 400, 1433);
    fake.advance(seconds(5));
    is(&get(&fake, &path), 404, 1553);
    assert_eq!((effect(), delete(&fake, &second).status), (None, 200));
}

#[test]
fn what_nobody_knows_is_a_setting() {
    let fake = with(|settings| {
        settings.uploads.insert(1, Outcome::TimesOut);
        settings.uploads.insert(2, Outcome::Becomes("quarantined".to_owned()));
        settings.final_newline = FinalNewline::Dropped;
        settings.list_lag = seconds(20);
        settings.read_lag = seconds(2);
        settings.void_read = VoidRead::Missing;
        settings.void_delay = Delay::seconds(0);
        settings.put_echo_all = true;
        settings.zone_lock = seconds(2);
    });
    let leaf = leaf();
    let first = upload(&fake, &leaf);
    assert_eq!(first.json()["result"]["certificate"], leaf.certificate_pem.trim_end());
    let path = format!("{CERTIFICATES}/{}", id(&first));
    is(&get(&fake, &path), 404, 1552);
    let busy = put(&fake, SHOP, &id(&first), Some(true));
    assert_eq!((busy.status, busy.json()["errors"].clone()), (409, json!([])));
    fake.advance(seconds(2));
    assert_eq!(status(&fake, &path), "pending_deployment");
    let second = format!("{CERTIFICATES}/{}", id(&upload(&fake, &self::leaf())));
    fake.advance(seconds(8));
    assert_eq!([&path, &second].map(|path| status(&fake, path)), ["deployment_timed_out", "quarantined"]);
    assert_eq!(get(&fake, CERTIFICATES).json()["result"], json!([]), "the list is behind");
    fake.advance(seconds(20));
    assert_eq!(get(&fake, CERTIFICATES).json()["result"].as_array().map(Vec::len), Some(2));
    put(&fake, "a.example.com", &id(&first), Some(true)).json();
    fake.advance(seconds(10));
    let echoed = put(&fake, SHOP, &id(&first), Some(true)).json();
    assert_eq!(echoed["result"][0]["hostname"], "a.example.com", "all others come along, and come first");
    fake.advance(seconds(10));
    put(&fake, SHOP, &id(&first), None).json();
    fake.advance(seconds(2));
    let read = get(&fake, &format!("{HOSTNAMES}/{SHOP}")).json();
    assert!(read["result"]["status"] == "deleted" && read["result"].get("enabled").is_none(), "{read}");
    fake.settings(|settings| settings.list_supported = false);
    is(&get(&fake, HOSTNAMES), 405, 7001);
}

#[test]
fn a_put_of_several_is_all_or_nothing_or_as_far_as_it_gets() {
    for atomic in [true, false] {
        let fake = with(|settings| settings.put_atomic = atomic);
        let cert_id = id(&upload(&fake, &leaf()));
        let item = |hostname: &str| json!({ "hostname": hostname, "cert_id": cert_id, "enabled": true });
        let items = json!({ "config": [item("a.example.com"), item("b.elsewhere.example"), item("c.example.com")] });
        is(&ask(&fake, &format!("PUT {HOSTNAMES}"), &items), 400, 1416);
        let written = get(&fake, &format!("{HOSTNAMES}?status=all")).json()["result_info"]["total_count"].clone();
        assert_eq!(written, if atomic { 0 } else { 1 }, "atomic: {atomic}");
    }
}

#[test]
fn the_limit_is_told_and_enforced() {
    for (setting, expected) in [
        (RetryAfter::Present, Some("300")),
        (RetryAfter::Absent, None),
        (RetryAfter::Zero, Some("0")),
        (RetryAfter::Absurd, Some("86400")),
    ] {
        let fake = with(|settings| {
            settings.rate_limit = 2;
            settings.retry_after = setting;
        });
        let told = get(&fake, "settings/ssl");
        assert_eq!(told.header("ratelimit"), Some("\"default\";r=1;t=300"));
        assert_eq!(told.header("ratelimit-policy"), Some("\"default\";q=2;w=300"));
        get(&fake, "settings/ssl");
        let refused = get(&fake, "settings/ssl");
        is(&refused, 429, 971);
        assert_eq!(refused.header("retry-after"), expected, "{setting:?}");
        fake.advance(seconds(300));
        assert_eq!(get(&fake, "settings/ssl").status, 200);
    }
}

#[test]
fn neither_token_nor_key_is_in_the_log() {
    let (fake, leaf) = (fake(), leaf());
    upload(&fake, &leaf);
    let log = Api { address: fake.address() }.get("/__fake/requests").body;
    let secret = String::from_utf8_lossy(leaf.key_pem.expose()).lines().nth(1).expect("a line of the key").to_owned();
    assert!(!log.contains(&fake.token()) && !log.contains(&secret), "{log}");
    assert!(log.contains("public key sha256 ") && log.contains("\"token\":\"full\""), "{log}");
}

#[test]
fn the_fake_is_moved_from_outside() {
    let fake = fake();
    let control = |request: &str, body: Value| {
        let reply = Api { address: fake.address() }.ask(request, &[], &body.to_string());
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let cert_id = id(&upload(&fake, &leaf()));
    control("POST /__fake/advance", json!({ "seconds": 5 }));
    assert_eq!(status(&fake, &format!("{CERTIFICATES}/{cert_id}")), "active");
    control("POST /__fake/set", json!({ "settings": { "deployment": [3, 9] }, "zone": "example.com", "ssl": "off" }));
    assert_eq!(get(&fake, "settings/ssl").json()["result"]["value"], "off");
    control(
        "POST /__fake/faults",
        json!({ "method": "GET", "path": "/ips", "effect": { "redirect": "http://127.0.0.1:9/" } }),
    );
    assert_eq!(get(&fake, "/ips").status, 307);
    control("POST /__fake/reset", json!({}));
    assert_eq!(get(&fake, CERTIFICATES).json()["result"], json!([]));
}

#[test]
fn zones_and_their_settings_are_as_they_were_sown() {
    let zone = Zone::new("example.com").raising(seconds(60), "strict").tls_client_auth_fixed();
    let zone = zone.proxied("a.example.com", "198.51.100.4").dns_only("a.example.com", "2001:db8::4");
    let zone = zone.proxied("*.example.com", "198.51.100.4").custom_hostname("shop.elsewhere.example");
    let theirs = Zone::new("example.com").account("Someone Else").status("pending");
    let fake = Fake::builder().zone(zone).zone(theirs).clock(FakeClock::Manual).starting(now()).start();
    let named = get(&fake, "/zones?name=example.com").json()["result"].clone();
    let found: Vec<_> = named.as_array().into_iter().flatten().map(|zone| zone["status"].clone()).collect();
    assert_eq!(found, ["active", "pending"]);
    assert_eq!(get(&fake, "/zones?name=example.com&status=active").json()["result_info"]["total_count"], 1);
    let page = get(&fake, "/zones?per_page=5&page=2").json();
    assert_eq!((&page["result"], &page["result_info"]["page"]), (&json!([]), &json!(2)));
    is(&get(&fake, "/zones?per_page=51"), 400, 1400);
    let records =
        |query: &str| get(&fake, &format!("dns_records?{query}")).json()["result_info"]["total_count"].clone();
    assert_eq!([records("name.exact=a.example.com"), records("proxied=true"), records("per_page=1")], [2, 2, 3]);
    assert_eq!(get(&fake, "settings/ssl").json()["result"]["value"], "full");
    fake.advance(seconds(60));
    assert_eq!(get(&fake, "settings/ssl").json()["result"]["value"], "strict");
    assert!(get(&fake, "settings/ssl_automatic_mode").json()["result"]["next_scheduled_scan"].is_string());
    assert_eq!(get(&fake, "settings/tls_client_auth").json()["result"]["editable"], false);
    is(&ask(&fake, "PATCH settings/tls_client_auth", &json!({ "value": "on" })), 400, 1006);
    let key_agreement = "cache/origin_post_quantum_encryption";
    assert_eq!(ask(&fake, &format!("PUT {key_agreement}"), &json!({ "value": "preferred" })).status, 200);
    assert_eq!(get(&fake, key_agreement).json()["result"]["value"], "preferred");
    is(&get(&fake, "rulesets/phases/http_config_settings/entrypoint"), 404, 10003);
    let cert_id = id(&upload(&fake, &leaf()));
    fake.settings(|settings| {
        settings.max_associations = 1;
        settings.wildcards = false;
    });
    is(&put(&fake, "*.example.com", &cert_id, Some(true)), 400, 1416);
    assert_eq!(put(&fake, "shop.elsewhere.example", &cert_id, Some(true)).status, 200);
    is(&put(&fake, SHOP, &cert_id, Some(true)), 400, 1405);
    assert_eq!(put(&fake, "shop.elsewhere.example", &cert_id, Some(false)).status, 200, "the same one again");
}

#[test]
fn alerts_depend_on_the_account_and_may_be_there_twice() {
    let zone = |name: &str, account: &str| Zone::new(name).account(account);
    let fake = Fake::builder().zone(zone("example.com", "Rich")).zone(zone("poor.example", "Poor"));
    let fake = fake.account_without_alerts("Poor").start();
    let kind = "hostname_aop_custom_certificate_expiration_type";
    let policy = json!({ "name": "expiry", "alert_type": kind, "enabled": true, "mechanisms": {} });
    for (account, offers, status) in [("Rich", true, 200), ("Poor", false, 400)] {
        let at = format!("/accounts/{}/alerting/v3", account_id(account));
        assert_eq!(get(&fake, &format!("{at}/available_alerts")).body.contains(kind), offers, "{account}");
        let made = [(); 2].map(|()| ask(&fake, &format!("POST {at}/policies"), &policy).status);
        assert_eq!(made, [status; 2], "{account}");
        let count = get(&fake, &format!("{at}/policies")).json()["result_info"]["total_count"].clone();
        assert_eq!(count, if offers { 2 } else { 0 }, "{account}");
    }
    is(&get(&fake, &format!("/accounts/{}/alerting/v3/policies", account_id("Nobody"))), 403, 9109);
}

#[test]
fn the_same_requests_have_the_same_answers() {
    let leaf = leaf();
    let answers = |random: u64| {
        let fake = Fake::builder().zone(Zone::new("example.com")).clock(FakeClock::Manual).starting(now());
        let fake = fake.random(random).settings(|settings| settings.deployment = Delay::between(1, 1000)).start();
        let uploaded = upload(&fake, &leaf);
        let statuses: Vec<Value> = (0..10)
            .map(|_| {
                fake.advance(seconds(100));
                status(&fake, &format!("{CERTIFICATES}/{}", id(&uploaded)))
            })
            .collect();
        (uploaded.body, uploaded.head, statuses)
    };
    assert_eq!(answers(1), answers(1));
    assert_ne!(answers(1).0, answers(2).0);
}
