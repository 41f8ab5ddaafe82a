//! `originlock probe` as a person runs it: against the proxy, against nginx, and against servers that mean no good.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use originlock::clock::Clock;
use originlock::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, Validity};
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::support::certificates::Credential;
use crate::support::program::{Ran, run};
use crate::support::{HostSetup, Nginx, World, pki};

const SHOP: &str = "shop.example.com";
const API: &str = "api.example.com";
/// What needs Cloudflare's key.
const NEVER_TRIED: &[&str] = &["cloudflare_shared_ca"];

/// Two CAs with a leaf each, as files: what an operator has.
struct Papers {
    folder: TempDir,
    ca: Ca,
    other_ca: Ca,
}

impl Papers {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A year and more: the worlds of these stories are an hour ahead.
        let validity = Validity::days(Clock::System.now(), 400);
        let made = |name: &str| {
            let options = CaOptions { common_name: format!("{name} CA"), key_type: KeyType::P256, validity };
            let (ca, issued) = Ca::create(&options).expect("a CA");
            let leaf = ca.issue(&LeafOptions::client(name, validity)).expect("a leaf");
            for (what, issued) in [("ca", &issued), ("leaf", &leaf)] {
                write(&folder, &format!("{name}-{what}"), issued);
            }
            ca
        };
        let (ca, other_ca) = (made("shop"), made("api"));
        Self { folder, ca, other_ca }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// All that can be given to the verb.
    fn options(&self) -> Vec<String> {
        let options = [
            ("--cert", "shop-leaf.pem"),
            ("--key", "shop-leaf.key"),
            ("--ca-cert", "shop-ca.pem"),
            ("--ca-key", "shop-ca.key"),
            ("--other-cert", "api-leaf.pem"),
            ("--other-key", "api-leaf.key"),
        ];
        let files = options.iter().flat_map(|(option, file)| [(*option).to_owned(), self.path(file)]);
        files.chain(["--other-host".to_owned(), API.to_owned()]).collect()
    }
}

fn write(folder: &TempDir, stem: &str, issued: &Issued) {
    fs::write(folder.path().join(format!("{stem}.pem")), &issued.certificate_pem).expect("a file");
    fs::write(folder.path().join(format!("{stem}.key")), issued.key_pem.expose()).expect("a file");
}

fn probe(address: SocketAddr, options: &[String]) -> Ran {
    let address = address.to_string();
    let words = ["probe", &address, "--host", SHOP].into_iter().chain(options.iter().map(String::as_str));
    run(&words.collect::<Vec<_>>())
}

/// Attempt → finding and detail, of a run that ended with `code`.
fn found(address: SocketAddr, options: &[String], code: i32) -> BTreeMap<String, (String, String)> {
    let json = [options, &["-o".to_owned(), "json".to_owned()]].concat();
    let said = probe(address, &json).expect(code);
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(report["holds"], code == 0);
    let word = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let attempts = report["attempts"].as_array().expect("attempts").iter();
    attempts.map(|tried| (word(&tried["attempt"]), (word(&tried["finding"]), word(&tried["detail"])))).collect()
}

/// The attempts with a finding.
fn with<'a>(found: &'a BTreeMap<String, (String, String)>, finding: &str) -> Vec<&'a str> {
    found.iter().filter(|(_, (is, _))| is == finding).map(|(attempt, _)| attempt.as_str()).collect()
}

fn world(papers: &Papers, mode: &str) -> World {
    World::builder()
        .ca("shop", papers.ca.certificate_pem())
        .ca("api", papers.other_ca.certificate_pem())
        .host(HostSetup::new(SHOP).mode(mode).ca("shop"))
        .host(HostSetup::new(API).enforce("api"))
        .start()
}

#[test]
fn an_enforced_host_holds_against_everything_that_can_be_tried() {
    let papers = Papers::new();
    let world = world(&papers, "enforce");
    let all = found(world.address(), &papers.options(), 0);
    assert_eq!(with(&all, "skipped"), NEVER_TRIED, "{all:?}");
    assert_eq!(with(&all, "holds").len(), 28, "{all:?}");
    for (attempt, detail) in [
        ("no_certificate", "refused with certificate_required"),
        ("same_name_ca", "refused with bad_certificate"),
        ("expired", "refused with certificate_expired"),
        ("wrong_purpose", "refused with unsupported_certificate"),
        ("host_mismatch_http2", "refused with status 421"),
        ("connection_reuse", "refused with status 421"),
        ("spoofed_identity", "none reaches the backend"),
        ("ip_sni", "refused with unrecognized_name"),
        ("tls10", "refused with protocol_version"),
    ] {
        assert_eq!(all[attempt].1, detail, "{attempt}");
    }
    let said = probe(world.address(), &papers.options()).expect(0);
    assert!(said.contains("holds    no_certificate") && said.ends_with("\n28 hold, 1 not tried\n"), "{said}");
}

#[test]
fn a_host_that_is_not_enforced_has_holes() {
    let papers = Papers::new();
    let strangers = ["expired", "no_certificate", "other_ca", "other_host_certificate", "same_name_ca", "self_signed"];
    for mode in ["observe", "off"] {
        let world = world(&papers, mode);
        let all = found(world.address(), &papers.options(), 1);
        let holes = with(&all, "hole");
        assert!(strangers.iter().all(|attempt| holes.contains(attempt)), "{mode}: {all:?}");
        assert_eq!(all["no_certificate"].1.contains("asks for no certificate"), mode == "off", "{all:?}");
        let other = ["right_certificate", "no_sni", "unknown_sni", "host_mismatch_http1", "other_host_session_tls13"];
        assert!(other.iter().all(|attempt| all[*attempt].0 == "holds"), "{mode}: {all:?}");
        let said = probe(world.address(), &papers.options()).expect(1);
        assert!(said.contains("HOLE     no_certificate"), "{said}");
    }
}

#[test]
fn what_is_not_given_is_not_tried_and_said() {
    let papers = Papers::new();
    let world = world(&papers, "enforce");
    let all = found(world.address(), &[], 0);
    assert!(all["right_certificate"].1.contains("--cert"), "{all:?}");
    assert!(all["same_name_ca"].1.contains("--issuer"), "{all:?}");
    assert!(all["connection_reuse"].1.contains("--other-host"), "{all:?}");
    assert!(all["wrong_purpose"].1.contains("--ca-cert"), "{all:?}");
    let named = found(world.address(), &["--issuer".to_owned(), "CN=shop CA".to_owned()], 0);
    assert_eq!(named["same_name_ca"], ("holds".to_owned(), "refused with bad_certificate".to_owned()));
    // A right certificate that is not right.
    let wrong = ["--cert", &papers.path("api-leaf.pem"), "--key", &papers.path("api-leaf.key")].map(str::to_owned);
    let all = found(world.address(), &wrong, 1);
    assert_eq!(all["right_certificate"].0, "shut_out", "{all:?}");
}

#[test]
fn what_cannot_be_tried_at_all_is_an_error_that_says_why() {
    let world = World::with(HostSetup::new(API));
    let ran = probe(world.address(), &[]);
    assert!(ran.code == 1 && ran.stderr.contains("unrecognized_name") && ran.stderr.contains(SHOP), "{ran:?}");
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let ran = probe(nobody, &[]);
    assert!(ran.code == 1 && ran.stderr.contains("cannot be reached"), "{ran:?}");
    let same = ["--other-host", SHOP].map(str::to_owned);
    assert!(probe(world.address(), &same).stderr.contains("the same as --host"));
    let missing = ["--cert", "/nowhere/a.pem", "--key", "/nowhere/a.key"].map(str::to_owned);
    assert!(probe(world.address(), &missing).stderr.contains("/nowhere/a.pem cannot be read"));
    assert_eq!(probe(world.address(), &["--path".to_owned(), "x".to_owned()]).code, 2);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = probe(listener.local_addr().expect("an address"), &["--timeout", "1s"].map(str::to_owned));
    assert!(silent.code == 1 && silent.stderr.contains("no answer within 1 s"), "{silent:?}");
}

/// An nginx with the papers beside it. `servers`: what stands after the certificates.
fn nginx(papers: &Papers, servers: impl FnOnce(SocketAddr) -> String) -> Nginx {
    nginx_of(papers, "ssl_protocols TLSv1.2 TLSv1.3;", servers)
}

fn nginx_of(papers: &Papers, common: &str, servers: impl FnOnce(SocketAddr) -> String) -> Nginx {
    let site = pki().server_certificate(&[SHOP.to_owned(), API.to_owned()]);
    let files = [
        ("site.pem", site.certificate_pem.as_bytes()),
        ("site.key", site.key_pem.expose()),
        ("shop.pem", papers.ca.certificate_pem().as_bytes()),
        ("api.pem", papers.other_ca.certificate_pem().as_bytes()),
    ];
    Nginx::start(&files, |address| {
        format!("ssl_certificate site.pem; ssl_certificate_key site.key; {common}\n{}", servers(address))
    })
}

const DEMANDING: &str = "ssl_client_certificate shop.pem; ssl_verify_client on;";

fn server(address: SocketAddr, name: &str, demands: &str, location: &str) -> String {
    format!("server {{ listen {address} ssl http2; server_name {name}; {demands} location / {{ {location} }} }}\n")
}

#[test]
fn an_nginx_that_demands_a_certificate_holds() {
    let papers = Papers::new();
    let nginx = nginx(&papers, |address| {
        server(address, SHOP, DEMANDING, "return 200 shop;")
            + &server(address, API, "ssl_client_certificate api.pem; ssl_verify_client on;", "return 200 api;")
    });
    let all = found(nginx.address, &papers.options(), 0);
    assert_eq!(all["no_certificate"].1, "refused with status 400, for want of a certificate");
    // It tells which CA it wants, so that one can be imitated without knowing it.
    let all = found(nginx.address, &[], 0);
    assert_eq!(all["same_name_ca"].0, "holds", "{all:?}");
}

#[test]
fn an_nginx_that_trusts_the_shared_ca_has_a_hole_unless_that_is_meant() {
    let papers = Papers::new();
    let site = pki().server_certificate(&[SHOP.to_owned()]);
    let files = [
        ("site.pem", site.certificate_pem.as_bytes()),
        ("site.key", site.key_pem.expose()),
        ("shared.pem", include_bytes!("../../certs/cloudflare-origin-pull-ca.pem").as_slice()),
    ];
    let nginx = Nginx::start(&files, |address| {
        let common = "ssl_certificate site.pem; ssl_certificate_key site.key; ssl_protocols TLSv1.2 TLSv1.3;\n";
        let demands = "ssl_client_certificate shared.pem; ssl_verify_client on;";
        format!("{common}{}", server(address, SHOP, demands, "return 200 shop;"))
    });
    let all = found(nginx.address, &[], 1);
    assert_eq!(with(&all, "hole"), ["cloudflare_shared_ca"], "{all:?}");
    assert!(all["cloudflare_shared_ca"].1.contains("every customer of Cloudflare's gets through"), "{all:?}");
    let meant = found(nginx.address, &["--shared-ca".to_owned()], 0);
    assert_eq!(meant["cloudflare_shared_ca"].0, "skipped", "{meant:?}");
    // Of one that trusts another CA nothing of the kind is said.
    let own = self::nginx(&papers, |address| server(address, SHOP, DEMANDING, "return 200 shop;"));
    assert_eq!(found(own.address, &[], 0)["cloudflare_shared_ca"].0, "skipped");
}

#[test]
fn an_nginx_that_only_asks_has_holes() {
    let papers = Papers::new();
    let nginx = nginx(&papers, |address| {
        let demands = "ssl_client_certificate shop.pem; ssl_verify_client optional_no_ca;";
        server(address, SHOP, demands, "return 200 shop;")
    });
    let all = found(nginx.address, &papers.options(), 1);
    for attempt in ["no_certificate", "self_signed", "other_ca", "no_sni", "session_without_certificate_tls13"] {
        assert_eq!(all[attempt].0, "hole", "{attempt}: {all:?}");
    }
    assert_eq!(all["same_name_ca"].0, "holds", "a signature that fails is refused: {all:?}");
}

#[test]
fn a_second_door_to_the_same_site_is_found() {
    let papers = Papers::new();
    let nginx = nginx(&papers, |address| {
        server(address, "_", "", "return 200 shop;") + &server(address, SHOP, DEMANDING, "return 200 shop;")
    });
    let all = found(nginx.address, &papers.options(), 1);
    assert_eq!(with(&all, "hole"), ["unknown_host"], "{all:?}");
    // Whose page it is can only be told by somebody who gets the right one.
    let all = found(nginx.address, &[], 0);
    assert_eq!(all["unknown_host"].0, "skipped", "{all:?}");
}

#[test]
fn one_block_for_two_hosts_lets_the_clients_of_one_into_the_other() {
    let papers = Papers::new();
    let world = World::with(HostSetup::new(SHOP));
    // One block for two names has one CA for both.
    let nginx = nginx(&papers, |address| {
        let demands = "ssl_client_certificate api.pem; ssl_verify_client on;";
        let location = format!("proxy_pass http://{}; proxy_set_header Host $host;", world.echo.address);
        server(address, &format!("{SHOP} {API}"), demands, &location)
    });
    let all = found(nginx.address, &papers.options(), 1);
    for attempt in ["other_host_certificate", "host_mismatch_http1", "host_mismatch_http2", "connection_reuse"] {
        assert_eq!(all[attempt].0, "hole", "{attempt}: {all:?}");
    }
    assert_eq!(all["right_certificate"].0, "shut_out", "{all:?}");
}

#[test]
fn a_claim_of_identity_that_reaches_the_backend_is_a_hole() {
    let papers = Papers::new();
    let world = World::with(HostSetup::new(SHOP));
    let forwarding = |more: &str| format!("proxy_pass http://{}; {more}", world.echo.address);
    let careless = nginx(&papers, |address| server(address, SHOP, DEMANDING, &forwarding("")));
    let all = found(careless.address, &papers.options(), 1);
    assert_eq!(with(&all, "hole"), ["spoofed_identity"], "{all:?}");
    assert!(all["spoofed_identity"].1.contains("Client-Cert, "), "{all:?}");
    // The backend that does not repeat headers leaves it open.
    let mute = nginx(&papers, |address| server(address, SHOP, DEMANDING, "return 200 shop;"));
    assert_eq!(found(mute.address, &papers.options(), 0)["spoofed_identity"].0, "skipped");
}

#[test]
fn a_server_that_still_speaks_old_tls_is_found() {
    let papers = Papers::new();
    // Where the system's OpenSSL forbids old versions, their ciphers have to be let in, too.
    let demands = format!("{DEMANDING} ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;");
    let nginx = nginx_of(&papers, "", |address| server(address, SHOP, &demands, "return 200 shop;"));
    let all = found(nginx.address, &papers.options(), 1);
    assert_eq!(with(&all, "hole"), ["tls10", "tls11"], "{all:?}");
    assert!(all["ip_sni"].0 == "skipped" && all["no_sni"].0 == "holds", "{all:?}");
    assert!(all["session_without_certificate_tls13"].1.contains("does not speak TLS 1.3"), "{all:?}");
}

/// A server that lets everyone through its handshake and then answers every connection's first bytes with `answer`, over
/// and over if `endless`, `pause` apart.
fn hostile(answer: &'static [u8], endless: bool, pause: Duration) -> SocketAddr {
    let credential = Credential::of(&pki().server_certificate(&[SHOP.to_owned()]));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the default suites serve the default versions")
        .with_no_client_auth()
        .with_single_cert(credential.chain, credential.key)
        .expect("a certificate");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || drop(answer_badly(socket, config, answer, endless, pause)));
        }
    });
    address
}

fn answer_badly(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    answer: &[u8],
    endless: bool,
    pause: Duration,
) -> std::io::Result<()> {
    let session = ServerConnection::new(config).expect("a session");
    let mut stream = StreamOwned::new(session, socket);
    let _ = stream.read(&mut [0; 4096])?;
    loop {
        stream.write_all(answer)?;
        stream.flush()?;
        if !endless {
            return Ok(());
        }
        thread::sleep(pause);
    }
}

#[test]
fn a_hostile_server_neither_hangs_the_probe_nor_garbles_its_report() {
    const PAGE: &[u8] = b"HTTP/1.1 200 \xc2\x9b2J\r\nx-evil: \xc2\x9b2J\r\n\r\n\x1b[2J\xc2\x9b2J";
    const GARBAGE: &[u8] = b"\x1b[2J\x00\xff<failure>&\r\n\r\n";
    let papers = Papers::new();
    let options = [papers.options(), vec!["--timeout".to_owned(), "1s".to_owned()]].concat();
    for (answer, endless, pause, finding) in [
        (PAGE, false, Duration::ZERO, "hole"),
        (PAGE, true, Duration::ZERO, "hole"),
        (PAGE, true, Duration::from_millis(20), "hole"),
        (GARBAGE, false, Duration::ZERO, "unclear"),
        (GARBAGE, true, Duration::ZERO, "unclear"),
        // It never comes to the end of a head, whoever asks.
        (b"HTTP/1.1 200 OK\r\nx: y\r\n", false, Duration::ZERO, "unclear"),
        (b"x", true, Duration::from_millis(20), "unclear"),
    ] {
        let server = hostile(answer, endless, pause);
        let begun = Instant::now();
        let all = found(server, &options, 1);
        assert!(begun.elapsed() < Duration::from_secs(25), "{answer:?}: {:?}", begun.elapsed());
        assert_eq!(all["no_certificate"].0, finding, "{answer:?}: {all:?}");
        assert_eq!(all.len(), 29);
        if !endless {
            let said = probe(server, &options);
            let all = said.stdout + &said.stderr;
            assert!(!all.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{9b}'), "{all}");
        }
    }
}

#[test]
fn a_server_that_asks_for_no_certificate_and_hangs_up_proves_nothing() {
    let papers = Papers::new();
    // As a TLS proxy without client authentication does while its backend is away.
    let server = hostile(b"", false, Duration::ZERO);
    for options in [papers.options(), Vec::new()] {
        let all = found(server, &options, 1);
        for attempt in ["no_certificate", "self_signed", "other_ca", "expired"] {
            assert_eq!(all[attempt].0, "unclear", "{attempt}: {all:?}");
        }
    }
    let all = found(server, &papers.options(), 1);
    assert_eq!(all["right_certificate"].0, "shut_out", "{all:?}");
}

#[test]
fn a_ci_system_reads_the_findings_as_junit() {
    let papers = Papers::new();
    let world = world(&papers, "observe");
    let options = [papers.options(), vec!["-o".to_owned(), "junit".to_owned()]].concat();
    let said = probe(world.address(), &options).expect(1);
    let script = "import sys, xml.etree.ElementTree as tree\n\
                  suites = tree.fromstring(sys.stdin.buffer.read()); suite = suites.find('testsuite')\n\
                  cases = suite.findall('testcase')\n\
                  assert int(suite.get('tests')) == len(cases) == 29, suite.attrib\n\
                  count = lambda kind: str(len(suite.findall('testcase/' + kind)))\n\
                  for kind, total in [('failure', 'failures'), ('error', 'errors'), ('skipped', 'skipped')]:\n\
                  \x20   assert suites.get(total) == suite.get(total) == count(kind), (kind, suite.attrib)\n\
                  print([case.get('name') for case in cases if case.find('failure') is not None][0])\n";
    let mut python = Command::new("python3");
    python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut python = python.spawn().expect("python3 is installed; tests/run installs it");
    python.stdin.take().expect("a pipe").write_all(said.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{said}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no_certificate\n");
}

#[test]
fn the_key_is_nowhere_in_what_is_printed() {
    let papers = Papers::new();
    let world = world(&papers, "enforce");
    let key = fs::read_to_string(papers.path("shop-leaf.key")).expect("a key");
    let line = key.lines().nth(1).expect("a line of the key");
    for format in ["text", "json", "junit"] {
        let options = [papers.options(), vec!["-o".to_owned(), format.to_owned()]].concat();
        let ran = probe(world.address(), &options);
        assert!(!(ran.stdout + &ran.stderr).contains(line), "{format}");
    }
    // A key in the wrong place is an error without it.
    let swapped = ["--cert", &papers.path("shop-leaf.key"), "--key", &papers.path("shop-leaf.pem")].map(str::to_owned);
    let ran = probe(world.address(), &swapped);
    assert!(ran.code == 1 && !ran.stderr.contains(line), "{ran:?}");
}
