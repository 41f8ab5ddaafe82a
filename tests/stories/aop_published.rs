//! `originlock aop ca`, `ips` and `alerts` as a person runs them, against Cloudflare's stand-in.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use originlock::policy::cloudflare_ca::SharedCa;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::cloudflare::{Effect, Fake, FakeClock, Fault, Permission, RetryAfter, Token, Zone};
use crate::support::pki;
use crate::support::program::{Ran, finish, originlock};

const ZONE: &str = "example.com";
const SECRET: &str = "cfat_the-storys-own-secret";
const OPS: &str = "ops@example.com";
/// Cloudflare's shared CA of 2015: name, serial number and key are those of the current one.
const EXPIRED_CA: &str = include_str!("support/cloudflare-ca-2015.pem");
const SHIPPED_RANGES: &str = include_str!("../../config/cloudflare-ips.json");

/// A web server with one page.
struct Page {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    fn of(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let (listener, body) = (TcpListener::bind("127.0.0.1:0").expect("a socket"), body.into());
        let address = listener.local_addr().expect("an address");
        let (asked, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop) = (Arc::clone(&asked), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.expect("a connection");
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            }
        });
        Self { address, asked, ends, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}/page.pem", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().expect("a thread").join().expect("the page ends");
    }
}

/// The program without any token of its surroundings.
fn aop(words: &[&str]) -> Command {
    let mut command = originlock(&[&["aop"], words].concat());
    command.env_remove("CLOUDFLARE_API_TOKEN").env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn run(words: &[&str]) -> Ran {
    finish(aop(words).spawn().expect("the program starts"))
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    (folder, path)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// As it is written: with a line end.
fn shared_ca() -> Vec<u8> {
    [SharedCa::current_pem(), b"\n"].concat()
}

/// A CA's certificate that is not Cloudflare's.
fn impostor() -> String {
    pki().ours.certificate_pem().to_owned()
}

#[test]
fn the_shared_ca_is_printed_without_asking_anybody() {
    let ran = run(&["ca", "--offline"]);
    assert_eq!(ran.expect(0).into_bytes(), shared_ca());
}

#[test]
fn the_shared_ca_is_fetched_checked_and_written_once() {
    let (_folder, path) = folder();
    let (file, page) = (path.join("cloudflare.pem"), Page::of("200 OK", SharedCa::current_pem()));
    let said = run(&["ca", "--url", &page.url(), "--write", &text(&file)]).expect(0);
    assert!(said.contains("written: Cloudflare's shared CA, until 2029-11-01"), "{said}");
    assert_eq!(fs::read(&file).expect("a file"), shared_ca());
    let said = run(&["ca", "--url", &page.url(), "-w", &text(&file), "-o", "json"]).expect(0);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (said["written"].as_bool(), said["sha256"].as_str().map(|hex| &hex[..8])),
        (Some(false), Some("9a1ac2b4"))
    );
    assert_eq!(fs::read_dir(&path).expect("a folder").count(), 1, "no draft is left behind");
    // An expired one makes room for it.
    fs::write(&file, EXPIRED_CA).expect("a file");
    run(&["ca", "--offline", "-w", &text(&file)]).expect(0);
    assert_eq!(fs::read(&file).expect("a file"), shared_ca());
}

#[test]
fn what_is_not_the_shared_ca_is_named_and_written_nowhere() {
    let (_folder, path) = folder();
    let file = path.join("cloudflare.pem");
    let two = [SharedCa::current_pem(), EXPIRED_CA.as_bytes()].join(&b'\n');
    for (status, body, said) in [
        ("200 OK", impostor().into_bytes(), "it is another certificate: "),
        ("200 OK", EXPIRED_CA.into(), "it is Cloudflare's shared CA of 2015, which ended on 2020-01-12"),
        ("200 OK", b"<html>moved</html>".to_vec(), "there should be one certificate in it, as PEM; there are 0"),
        ("200 OK", two, "there are 2"),
        ("404 Not Found", Vec::new(), "HTTP 404"),
        (
            "302 Found\r\nlocation: https://elsewhere.example/ca.pem",
            Vec::new(),
            "it has moved to https://elsewhere.example/ca.pem",
        ),
    ] {
        let page = Page::of(status, body);
        let ran = run(&["ca", "--url", &page.url(), "--write", &text(&file)]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(said) && ran.stderr.contains("--offline"), "{ran:?}");
        assert!(!file.exists());
    }
}

#[test]
fn a_file_with_another_ca_is_not_overwritten() {
    let (_folder, path) = folder();
    let (file, ours) = (path.join("ours.pem"), impostor());
    fs::write(&file, &ours).expect("a file");
    let ran = run(&["ca", "--offline", "--write", &text(&file)]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("holds something else than Cloudflare's shared CA and is not overwritten"), "{ran:?}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), ours);
}

/// An API that tells these ranges.
fn ranges(v4: &[&str], v6: &[&str]) -> Page {
    let result = json!({ "ipv4_cidrs": v4, "ipv6_cidrs": v6, "etag": "e" });
    Page::of("200 OK", json!({ "success": true, "errors": [], "messages": [], "result": result }).to_string())
}

const V4: [&str; 5] = ["104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "162.158.0.0/15", "198.41.128.0/17"];
const V6: [&str; 3] = ["2606:4700::/32", "2400:cb00::/32", "2a06:98c0::/29"];

fn ips(page: &Page, words: &[&str]) -> Ran {
    let api = format!("http://{}", page.address);
    run(&[&["ips", "--api", &api, "--api-second", "0.001"], words].concat())
}

#[test]
fn new_ranges_are_shown_checked_and_written_as_the_proxy_reads_them() {
    let (_folder, path) = folder();
    let config = path.join("originlock.toml");
    let file = path.join("edge.json");
    let host = "[[host]]\nnames = [\"shop.example.com\"]\ncertificate = { chain = \"a.pem\", key = \"a.key\" }\n\
                client_auth = { mode = \"off\" }\nupstream = \"http://127.0.0.1:8080\"\n";
    fs::write(&config, format!("[evidence]\ncloudflare_ranges = \"edge.json\"\n{host}")).expect("a file");
    fs::write(&file, SHIPPED_RANGES).expect("a file");
    let page = ranges(&[&V4[..], &["103.21.244.0/22"]].concat(), &V6);
    let config = text(&config);

    let said = ips(&page, &["-c", &config, "--check"]).expect(4);
    assert!(said.contains("- 173.245.48.0/20\n") && !said.contains("+ "), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), SHIPPED_RANGES, "--check writes nothing");

    let said = ips(&page, &["-c", &config]).expect(0);
    assert!(said.contains("`originlock reload` puts it in force"), "{said}");
    let written: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
    assert_eq!(written["result"]["ipv4_cidrs"].as_array().map(Vec::len), Some(6));

    let said = ips(&page, &["-c", &config, "--check", "-o", "json"]).expect(0);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((said["ranges"].as_u64(), said["added"].as_array().map(Vec::len)), (Some(9), Some(0)));
}

#[test]
fn a_file_of_lines_stays_one_and_a_new_file_is_made() {
    let (_folder, path) = folder();
    let file = path.join("edge.txt");
    let page = ranges(&V4, &V6);
    for round in ["new", "old"] {
        ips(&page, &["--write", &text(&file)]).expect(0);
        let lines = fs::read_to_string(&file).expect("a file");
        assert!(lines.starts_with("# ") && lines.contains("\n104.16.0.0/13\n"), "{round}: {lines}");
        fs::write(&file, "104.16.0.0/13\n2606:4700::/32\n").expect("a file");
    }
}

#[test]
fn a_bad_or_tiny_list_never_replaces_a_good_one() {
    let (_folder, path) = folder();
    let file = path.join("edge.json");
    fs::write(&file, SHIPPED_RANGES).expect("a file");
    for (page, code, said) in [
        (ranges(&[], &[]), 1, "it names no range"),
        (ranges(&V4[..1], &V6[..1]), 1, "it names 1 IPv4 and 1 IPv6 ranges"),
        (
            ranges(&["1.1.1.0/24", "1.1.2.0/24", "1.1.3.0/24", "1.1.4.0/24"], &V6),
            1,
            "less than half of the IPv4 addresses",
        ),
        (ranges(&[&V4[..], &["0.0.0.0/0"]].concat(), &V6), 1, "`0.0.0.0/0` takes in far more than Cloudflare"),
        (ranges(&[&V4[..], &["10.0.0.0/16"]].concat(), &V6), 1, "is no range of the Internet's"),
        (ranges(&[&V4[..], &["1.2.3.0/24\u{1b}[2J"]].concat(), &V6), 1, "is no range of addresses"),
        (Page::of("200 OK", "<html>"), 1, "Cloudflare's answer cannot be read"),
        (Page::of("503 Service Unavailable", ""), 5, "Cloudflare refused with HTTP 503"),
    ] {
        let ran = ips(&page, &["--write", &text(&file)]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(said) && ran.stderr.contains("next: "), "{said}: {ran:?}");
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
        assert_eq!(fs::read_to_string(&file).expect("a file"), SHIPPED_RANGES);
    }
    // Nor does a good one replace what was never a list.
    fs::write(&file, "root:x:0:0").expect("a file");
    let page = ranges(&V4, &V6);
    let ran = ips(&page, &["--write", &text(&file)]);
    assert!(ran.code == 1 && ran.stderr.contains("is no list of ranges and is not overwritten"), "{ran:?}");
    assert_eq!(page.asked(), 0);
}

/// Cloudflare with one zone and one token, and the file that the token stands in.
fn fake(token: Token) -> (Fake, tempfile::TempDir, String) {
    let (folder, path) = folder();
    let file = path.join("token");
    fs::write(&file, format!("{}\n", token.secret)).expect("a file");
    let fake = Fake::builder().zone(Zone::new(ZONE)).token(token).clock(FakeClock::Scaled(1000)).start();
    (fake, folder, text(&file))
}

fn alerts(fake: &Fake, token: &str, words: &[&str]) -> Ran {
    let api = fake.base_url();
    let common =
        ["alerts", "--zone", ZONE, "--email", OPS, "--api", &api, "--api-second", "0.001", "--api-token-file", token];
    let ran = run(&[&common, words].concat());
    for said in [&ran.stdout, &ran.stderr] {
        assert!(!said.contains(SECRET), "{ran:?}");
    }
    ran
}

const CREATE: (&str, &str) = ("POST", "/accounts/*/alerting/v3/policies");

fn created(fake: &Fake) -> usize {
    fake.requests().iter().filter(|request| request.is(CREATE.0, CREATE.1) && request.applied).count()
}

#[test]
fn the_expiry_notification_is_made_once() {
    let (fake, _folder, token) = fake(Token::full(SECRET));
    let said = alerts(&fake, &token, &["--dry-run", "-o", "json"]).expect(0);
    assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON")["outcome"], "would_create");
    assert_eq!(fake.writes(), [] as [String; 0]);
    let said = alerts(&fake, &token, &[]).expect(0);
    assert!(said.starts_with("Cloudflare will write to ops@example.com 30 and 14 days before"), "{said}");
    let said = alerts(&fake, &token, &[]).expect(0);
    assert!(said.contains("has this notification already; nothing was changed"), "{said}");
    assert_eq!(created(&fake), 1);
}

#[test]
fn a_lost_answer_does_not_make_a_second_notification() {
    let (fake, _folder, token) = fake(Token::full(SECRET));
    fake.fault(Fault::on(CREATE.0, CREATE.1).applied().effect(Effect::Close));
    alerts(&fake, &token, &[]).expect(0);
    assert_eq!(created(&fake), 1);
}

#[test]
fn a_missing_permission_is_named_with_what_to_do() {
    let token = Token::full(SECRET).without(Permission::NotificationsWrite);
    let (fake, _folder, token) = fake(token);
    let ran = alerts(&fake, &token, &[]);
    assert_eq!(ran.code, 5, "{ran:?}");
    for said in [
        "originlock: create the notification policy: Cloudflare refused with HTTP 403, code 10000: Authentication error",
        "it means: the token lacks the permission `Account > Notifications > Edit`",
        "next: add `Account > Notifications > Edit` to the token at https://dash.cloudflare.com/profile/api-tokens",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    assert_eq!(created(&fake), 0);
}

#[test]
fn a_zone_that_the_token_does_not_see_is_not_called_missing() {
    let (fake, _folder, token) = fake(Token::full(SECRET).for_zones(&["other.example"]));
    let ran = alerts(&fake, &token, &[]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("Cloudflare shows this token no zone example.com"), "{ran:?}");
    assert!(ran.stderr.contains("Zone > Zone > Read"), "{ran:?}");
}

#[test]
fn an_account_without_the_notification_is_told_so() {
    let (_folder, path) = folder();
    let token = path.join("token");
    fs::write(&token, SECRET).expect("a file");
    let fake = Fake::builder().account_without_alerts("Small").zone(Zone::new(ZONE).account("Small"));
    let fake = fake.token(Token::full(SECRET)).start();
    let ran = alerts(&fake, &text(&token), &[]);
    assert!(ran.code == 5 && ran.stderr.contains("is offered no notification of type hostname_aop"), "{ran:?}");
}

#[test]
fn a_pause_is_announced_and_survived() {
    let (fake, _folder, token) = fake(Token::full(SECRET));
    fake.settings(|settings| {
        settings.rate_limit = 2;
        settings.retry_after = RetryAfter::Absurd;
    });
    let ran = alerts(&fake, &token, &["--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("originlock: Cloudflare "), "{ran:?}");
}

#[test]
fn the_token_is_not_shown_to_whom_a_redirect_names() {
    let (fake, _folder, token) = fake(Token::full(SECRET));
    let elsewhere = Page::of("200 OK", "{}");
    fake.fault(Fault::anywhere().always().effect(Effect::Redirect(elsewhere.url())));
    let ran = alerts(&fake, &token, &[]);
    assert!(ran.code == 5 && ran.stderr.contains("it is to be found at http://127.0.0.1:"), "{ran:?}");
    assert!(ran.stderr.contains("the token is not shown to anyone but the address asked"), "{ran:?}");
    assert_eq!(elsewhere.asked(), 0);
}

#[test]
fn the_token_does_not_cross_a_network_in_the_clear() {
    let (_folder, path) = folder();
    let token = path.join("token");
    fs::write(&token, SECRET).expect("a file");
    let words =
        ["alerts", "--zone", ZONE, "--email", OPS, "--api", "http://192.0.2.1", "--api-token-file", &text(&token)];
    let ran = run(&words);
    assert!(ran.code == 1 && ran.stderr.contains("in the clear") && ran.stderr.contains("write https://"), "{ran:?}");
}

#[test]
fn the_token_comes_from_the_environment_or_from_systemd_as_well() {
    let (fake, folder, _) = fake(Token::full(SECRET));
    let api = fake.base_url();
    let words = ["alerts", "--zone", ZONE, "--email", OPS, "--dry-run", "--api", &api];
    let mut by_variable = aop(&words);
    by_variable.env("CLOUDFLARE_API_TOKEN", SECRET);
    finish(by_variable.spawn().expect("the program starts")).expect(0);
    fs::write(folder.path().join("cloudflare-api-token"), SECRET).expect("a file");
    let mut by_credential = aop(&words);
    by_credential.env("CREDENTIALS_DIRECTORY", folder.path());
    finish(by_credential.spawn().expect("the program starts")).expect(0);
    let ran = run(&words);
    assert!(ran.code == 1 && ran.stderr.contains("there is no token for Cloudflare's API"), "{ran:?}");
}

#[test]
fn who_is_asked_has_to_prove_to_be_it() {
    let (_folder, path) = folder();
    let files = ["token", "right.pem", "wrong.pem"].map(|name| path.join(name));
    let certificates = [pki().site.certificate_pem(), pki().other.certificate_pem()];
    for (file, text) in files.iter().zip([&[SECRET][..], &certificates].concat()) {
        fs::write(file, text).expect("a file");
    }
    let [token, right, wrong] = files.map(|file| text(&file));
    let fake = Fake::builder().zone(Zone::new(ZONE)).token(Token::full(SECRET)).tls(server_config()).start();
    let api = fake.base_url().replace("127.0.0.1", "localhost");
    let ask = |api: &str, ca: &str| {
        let words = ["alerts", "--zone", ZONE, "--email", OPS, "--dry-run", "--api", api, "--api-ca", ca];
        run(&[&words[..], &["--api-second", "0.001", "--api-token-file", &token]].concat())
    };
    ask(&api, &right).expect(0);
    let heard = fake.requests().len();
    for (api, ca) in [(&api, &wrong), (&fake.base_url(), &right)] {
        let ran = ask(api, ca);
        assert!(ran.code == 1 && ran.stderr.contains("no TLS connection comes about"), "{ran:?}");
        assert!(
            ran.stderr.contains("there is no answer from Cloudflare: ") && ran.stderr.contains("next: "),
            "{ran:?}"
        );
    }
    assert_eq!(fake.requests().len(), heard, "nothing was said to whom is not it");
}

/// Of a server that proves to be localhost.
fn server_config() -> Arc<ServerConfig> {
    let issued = pki().server_certificate(&["localhost".to_owned()]);
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let chain = vec![issued.certificate_der.clone().into()];
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("a configuration"))
}
