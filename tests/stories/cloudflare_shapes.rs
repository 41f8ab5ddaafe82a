//! Requests and answers have the shapes of Cloudflare's published schema. Prism, which `tests/cloudflare/prism` installs,
//! stands between client and fake and looks at both directions.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use originlock::cloudflare::{
    AccountId, AssociationChange, Cloudflare, CloudflareError, Collection, NewAlertPolicy, ZoneId,
};
use originlock::fetch::{Client, Endpoint, TlsFiles};
use originlock::hostname::Hostname;
use originlock::pki::LeafOptions;
use originlock::secret::Secret;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::cloudflare::{
    Delay, Fake, FakeClock, Fault, FinalNewline, RetryAfter, Token, VoidEcho, VoidRead, Zone, account_id,
};
use crate::support::aop::{Aop, SHOP};
use crate::support::certificates::{good, now};
use crate::support::program::finish;
use crate::support::{Api, PATIENCE, Reply, pki};

/// Prism as a proxy in front of a fake. It ends with this handle.
struct Prism {
    child: Child,
    address: SocketAddr,
    /// What it says of every request.
    log: NamedTempFile,
}

impl Prism {
    fn before(fake: &Fake) -> Self {
        let file = |name: &str| PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} names a file")));
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let log = NamedTempFile::new().expect("a file");
        let child = Command::new("node")
            .arg(file("ORIGINLOCK_PRISM"))
            .args(["proxy", "--errors", "-h", "127.0.0.1", "-p", &free.port().to_string()])
            .arg(file("ORIGINLOCK_OPENAPI"))
            .arg(fake.base_url())
            .stdout(Stdio::from(log.reopen().expect("the same file")))
            .spawn()
            .expect("node starts");
        let prism = Self { child, address: free, log };
        let begun = Instant::now();
        while TcpStream::connect(free).is_err() {
            assert!(begun.elapsed() < PATIENCE, "Prism never listened");
            thread::sleep(Duration::from_millis(20));
        }
        prism
    }

    /// Whether all that was asked went through and came back. A client may take Prism's refusal for one of the API's.
    fn has_nothing_against_it(&self) -> bool {
        let log = fs::read_to_string(self.log.path()).expect("the log");
        let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        let (asked, answered) = (lines("Request received"), lines("Received forward response"));
        asked > 0 && asked == answered && lines("terminated with error") == 0
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
fn the_whole_walk_keeps_to_the_schema() {
    let aop = Aop::new().visited();
    let prism = Prism::before(&aop.fake);
    let url = format!("http://{}", prism.address);
    let files = aop.leaf_files();
    let words = ["--yes", "--certificate", &files[0], "--key", &files[1]];
    let mut command = aop.program_at(&url, "apply", &words);
    let ran = finish(command.spawn().expect("the program starts"));
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(aop.fake.writes().len(), 4, "all through Prism: {:#?}", aop.fake.writes());
    assert!(prism.has_nothing_against_it());
}

#[test]
#[ignore = "needs Prism: tests/cloudflare/prism runs it"]
fn every_call_of_the_client_keeps_to_the_schema() {
    let zone = Zone::new("example.com").proxied(SHOP, "198.51.100.4").rule("true", "full", true);
    let (id, account) = (ZoneId(zone.id()), AccountId(account_id("Example Account")));
    let fake = Fake::builder().zone(zone).clock(FakeClock::Manual).starting(now()).start();
    let prism = Prism::before(&fake);
    let endpoint = Endpoint::parse(&format!("http://{}", prism.address)).expect("a URL");
    let token = Secret::new(fake.token().into_bytes());
    let client = Client::new(endpoint, &TlsFiles::default(), Some(&token)).expect("a client");
    let client = Cloudflare::new(client).expect("a client");
    let leaf = pki().ours.issue(&LeafOptions::client(SHOP, good())).expect("a leaf");
    let hostname = Hostname::parse(SHOP).expect("a hostname");
    read_everything(&client, &id, &account, &hostname).expect("readings as the schema has them");
    for collection in [Collection::Hostname, Collection::Zone] {
        let upload = client.upload(&id, collection, &leaf.certificate_pem, &leaf.key_pem).expect("an upload");
        fake.advance(Duration::from_secs(6));
        client.certificate(&id, collection, &upload.id).expect("an answer").expect("a certificate");
        if collection == Collection::Hostname {
            for enabled in [Some(true), Some(false), None] {
                let change = AssociationChange { hostname: SHOP.to_owned(), cert_id: upload.id.clone(), enabled };
                client.associate(&id, &[change]).expect("an association");
                client.association(&id, &hostname).expect("an answer").expect("an association");
                fake.advance(Duration::from_secs(6));
            }
            assert_eq!(client.association(&id, &hostname).expect("an answer"), None);
        }
        client.delete_certificate(&id, collection, &upload.id).expect("a deletion");
        client.delete_certificate(&id, collection, &upload.id).expect("done already");
        fake.advance(Duration::from_hours(2));
        assert_eq!(client.certificate(&id, collection, &upload.id).expect("an answer"), None);
    }
    client.set_zone_level(&id, true).expect("a switch");
    client.set_tls_client_auth(&id, true).expect("a setting");
    let policy = NewAlertPolicy {
        name: "expiry".to_owned(),
        alert_type: "hostname_aop_custom_certificate_expiration_type".to_owned(),
        email: vec!["ops@example.com".to_owned()],
    };
    client.create_alert_policy(&account, &policy).expect("a policy");
    read_everything(&client, &id, &account, &hostname).expect("readings as the schema has them");
    assert!(prism.has_nothing_against_it());
}

/// What stands in no published schema is left out: the setting for post-quantum key agreement.
fn read_everything(
    client: &Cloudflare,
    id: &ZoneId,
    account: &AccountId,
    hostname: &Hostname,
) -> Result<(), CloudflareError> {
    client.verify_token()?;
    client.verify_token_of(account)?;
    client.address_ranges()?;
    client.zones_named("example.com")?;
    let zone = client.zone_of(hostname)?;
    client.zone(id)?;
    client.dns(&zone, hostname)?;
    client.ssl_mode(id)?;
    client.ssl_is_automatic(id)?;
    client.tls_client_auth(id)?;
    client.config_rules(id)?;
    client.zone_level(id)?;
    client.certificates(id, Collection::Hostname)?;
    client.certificates(id, Collection::Zone)?;
    client.associations(id)?;
    client.available_alerts(account)?;
    client.alert_policies(account).map(drop)
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
    assert!(!prism.has_nothing_against_it());
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
