//! Requests and answers have the shapes of Cloudflare's published schema. Prism, which `tests/cloudflare/prism` installs,
//! stands between client and fake and looks at both directions.

use std::env;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use originlock::pki::LeafOptions;
use serde_json::{Value, json};

use crate::cloudflare::{
    Delay, Fake, FakeClock, Fault, FinalNewline, RetryAfter, Token, VoidEcho, VoidRead, Zone, account_id,
};
use crate::support::certificates::{good, now};
use crate::support::{Api, PATIENCE, Reply, pki};

const SHOP: &str = "shop.example.com";

/// Prism as a proxy in front of a fake. It ends with this handle.
struct Prism {
    child: Child,
    address: SocketAddr,
}

impl Prism {
    fn before(fake: &Fake) -> Self {
        let file = |name: &str| PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} names a file")));
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let child = Command::new("node")
            .arg(file("ORIGINLOCK_PRISM"))
            .args(["proxy", "--errors", "-h", "127.0.0.1", "-p", &free.port().to_string()])
            .arg(file("ORIGINLOCK_OPENAPI"))
            .arg(fake.base_url())
            .stdout(Stdio::null())
            .spawn()
            .expect("node starts");
        let prism = Self { child, address: free };
        let begun = Instant::now();
        while TcpStream::connect(free).is_err() {
            assert!(begun.elapsed() < PATIENCE, "Prism never listened");
            thread::sleep(Duration::from_millis(20));
        }
        prism
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever asks through Prism. What breaks the schema comes back as a problem of Prism's own.
struct Asker<'a> {
    prism: &'a Prism,
    token: String,
}

impl Asker<'_> {
    #[track_caller]
    fn ask(&self, request: &str, body: &Value, status: u16) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = format!("Authorization: Bearer {}", self.token);
        let reply = Api { address: self.prism.address }.ask(request, &[&authorization], &body);
        let is_prisms_own = reply.header("content-type").is_some_and(|kind| kind.contains("problem"));
        assert!(!is_prisms_own && reply.status == status, "{request}: {} {}", reply.status, reply.body);
        reply
    }

    #[track_caller]
    fn get(&self, path: &str, status: u16) -> Reply {
        self.ask(&format!("GET {path}"), &Value::Null, status)
    }
}

#[test]
#[ignore = "needs Prism: tests/cloudflare/prism runs it"]
fn the_fake_answers_as_the_schema_says() {
    let leaf = || pki().ours.issue(&LeafOptions::client(SHOP, good())).expect("a leaf");
    for strange in [false, true] {
        let zone = Zone::new("example.com").proxied(SHOP, "198.51.100.4").tunnel("t.example.com");
        let zone = zone.rule("http.host eq \"t.example.com\"", "flexible", strange).zone_certificate(&leaf());
        let fake = Fake::builder()
            .zone(zone)
            .zone(Zone::new("pending.example").status("pending"))
            .token(Token::default().expires(now().after(Duration::from_hours(24))))
            .token(Token::full("of-an-account").named("account").of_account("Example Account"))
            .clock(FakeClock::Manual)
            .starting(now())
            .settings(|settings| {
                settings.initializing = Delay::seconds(1);
                if strange {
                    settings.void_echo = VoidEcho::False;
                    settings.void_read = VoidRead::Null;
                    settings.put_echo_all = true;
                    settings.final_newline = FinalNewline::Dropped;
                }
            })
            .start();
        let prism = Prism::before(&fake);
        let account = Asker { prism: &prism, token: "of-an-account".to_owned() };
        account.get(&format!("/accounts/{}/tokens/verify", account_id("Example Account")), 200);
        Asker { prism: &prism, token: "nobody".to_owned() }.get("/user/tokens/verify", 401);
        walk(&fake, &Asker { prism: &prism, token: fake.token() }, &leaf());
    }
}

#[test]
#[ignore = "needs Prism: tests/cloudflare/prism runs it"]
fn what_breaks_the_schema_is_found() {
    let wrong = json!({ "success": true, "errors": [], "messages": [], "result": { "id": 5, "value": "sideways" } });
    let fault = Fault::on("GET", "/zones/*/settings/ssl").answer(200, "application/json", &wrong.to_string());
    let zone = Zone::new("example.com");
    let path = format!("/zones/{}/settings/ssl", zone.id());
    let fake = Fake::builder().zone(zone).fault(fault).start();
    let prism = Prism::before(&fake);
    let authorization = format!("Authorization: Bearer {}", fake.token());
    let ask = |request: &str, body: &str| Api { address: prism.address }.ask(request, &[&authorization], body);
    for reply in [ask(&format!("GET {path}"), ""), ask(&format!("PATCH {path}"), "{\"value\":true}")] {
        assert!(reply.header("content-type").is_some_and(|kind| kind.contains("problem")), "{reply:?}");
    }
    assert!(fake.writes().is_empty(), "a request that breaks the schema goes no further");
}

/// Every operation of the schema, with the refusals that belong to it.
fn walk(fake: &Fake, asker: &Asker<'_>, leaf: &originlock::pki::Issued) {
    let (zone, account) = (Zone::new("example.com").id(), account_id("Example Account"));
    let at = |rest: &str| format!("/zones/{zone}{rest}");
    let pulls = |rest: &str| format!("/zones/{zone}/origin_tls_client_auth{rest}");
    asker.get("/user/tokens/verify", 200);
    asker.get("/ips", 200);
    asker.get("/zones?name=example.com&status=active", 200);
    asker.get("/zones?name=nosuch.example", 200);
    asker.get(&at(""), 200);
    asker.get("/zones/0123456789abcdef0123456789abcdef", 403);
    asker.get(&at(&format!("/dns_records?name.exact={SHOP}")), 200);
    asker.get(&at("/rulesets/phases/http_config_settings/entrypoint"), 200);
    asker.get("/zones/nosuch", 404);
    for (setting, value) in [("ssl", "strict"), ("tls_client_auth", "on"), ("ssl_automatic_mode", "auto")] {
        asker.get(&at(&format!("/settings/{setting}")), 200);
        asker.ask(&format!("PATCH {}", at(&format!("/settings/{setting}"))), &json!({ "value": value }), 200);
    }
    asker.get(&pulls("/settings"), 200);
    asker.ask(&format!("PUT {}", pulls("/settings")), &json!({ "enabled": true }), 200);
    asker.get(&format!("/accounts/{account}/alerting/v3/available_alerts"), 200);
    let policy = json!({ "name": "expiry", "alert_type": "hostname_aop_custom_certificate_expiration_type",
        "enabled": true, "mechanisms": { "email": [{ "id": "ops@example.com" }] } });
    asker.ask(&format!("POST /accounts/{account}/alerting/v3/policies"), &policy, 200);
    asker.get(&format!("/accounts/{account}/alerting/v3/policies"), 200);
    let key = String::from_utf8_lossy(leaf.key_pem.expose());
    let upload = json!({ "certificate": leaf.certificate_pem, "private_key": key });
    for prefix in ["", "/hostnames/certificates"] {
        let post = format!("POST {}", pulls(prefix));
        let uploaded = asker.ask(&post, &upload, 200).json()["result"]["id"].clone();
        let one = pulls(&format!("{prefix}/{}", uploaded.as_str().expect("an id")));
        asker.ask(&post, &upload, 400);
        asker.get(&one, 200);
        fake.advance(Duration::from_secs(6));
        asker.get(&one, 200);
        if !prefix.is_empty() {
            associate(fake, asker, &pulls("/hostnames"), &uploaded);
        }
        asker.get(&pulls(prefix), 200);
        asker.ask(&format!("DELETE {one}"), &Value::Null, 200);
        asker.ask(&format!("DELETE {one}"), &Value::Null, 400);
        fake.advance(Duration::from_hours(2));
        asker.get(&one, 404);
    }
    fake.settings(|settings| settings.zone_lock = Duration::from_secs(2));
    asker.ask(&format!("POST {}", pulls("")), &upload, 200);
    asker.ask(&format!("POST {}", pulls("")), &upload, 409);
    fake.settings(|settings| settings.rate_limit = 0);
    for retry_after in [RetryAfter::Present, RetryAfter::Absent] {
        fake.settings(|settings| settings.retry_after = retry_after);
        asker.get(&at("/settings/ssl"), 429);
    }
}

fn associate(fake: &Fake, asker: &Asker<'_>, hostnames: &str, cert_id: &Value) {
    let put = |enabled: Value, cert_id: &Value, status| {
        let item = json!({ "hostname": SHOP, "cert_id": cert_id, "enabled": enabled });
        asker.ask(&format!("PUT {hostnames}"), &json!({ "config": [item] }), status)
    };
    asker.get(&format!("{hostnames}/{SHOP}"), 404);
    put(true.into(), &"nosuch".into(), 400);
    put(true.into(), cert_id, 200);
    asker.get(&format!("{hostnames}/{SHOP}"), 200);
    asker.get(&format!("{hostnames}?status=all&per_page=50&page=1"), 200);
    fake.advance(Duration::from_secs(5));
    put(false.into(), cert_id, 200);
    fake.advance(Duration::from_secs(5));
    put(Value::Null, cert_id, 200);
    asker.get(&format!("{hostnames}/{SHOP}"), 200);
    fake.advance(Duration::from_secs(5));
    let voided = if fake.state(|state| state.settings.void_read == VoidRead::Null) { 200 } else { 404 };
    asker.get(&format!("{hostnames}/{SHOP}"), voided);
}
