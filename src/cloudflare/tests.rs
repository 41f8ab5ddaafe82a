use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fetch::{Client, Endpoint, FetchError, TlsFiles};
use crate::hostname::Hostname;
use crate::pki::{Ca, CaOptions, KeyType, LeafOptions, Validity};
use crate::secret::Secret;
use crate::x509::Fingerprint;

const TOKEN: &str = "cfat_t0ken-that-must-not-show";
const ID: &str = "2458ce5a-0c35-4c7f-82c7-8e9487d3ff60";

/// A server that answers each request, one to a connection, as it was told to.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` makes of the number of a request and its text everything from the status on: `200 OK\r\n…`.
    fn start(answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (requests, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (heard, stop) = (Arc::clone(&requests), Arc::clone(&ends));
        let thread = spawn(move || {
            for (at, stream) in listener.incoming().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { return };
                let request = read_request(&stream);
                heard.lock().expect("a list").push(request.clone());
                let _ = stream.write_all(&[b"HTTP/1.1 ", &*answer(at, &request)].concat());
            }
        });
        Self { address, requests, ends, thread: Some(thread) }
    }

    /// The same answer to everything.
    fn saying(status: &str, body: &str) -> Self {
        let answer = with_body(status, "", body);
        Self::start(move |_, _| answer.clone())
    }

    fn cloudflare(&self) -> Cloudflare {
        let endpoint = Endpoint::parse(&format!("http://{}/client/v4", self.address)).expect("an endpoint");
        let token = Secret::new(TOKEN.as_bytes().to_vec());
        let client = Client::new(endpoint, &TlsFiles::default(), Some(&token)).expect("a client");
        let pace = Pace { second: Duration::from_micros(10), attempt: Duration::from_secs(10) };
        Cloudflare::new(client).expect("a client").with_pace(pace)
    }

    /// The first line of every request, without the version.
    fn heard(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("a list");
        requests.iter().filter_map(|text| Some(text.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().expect("a thread").join().expect("the server ends");
    }
}

fn read_request(stream: impl Read) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).is_ok_and(|read| read > 0) {}
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    request + &String::from_utf8_lossy(&body)
}

fn with_body(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{status}\r\ncf-ray: 8f00ba4-FRA\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn granted(result: &Value) -> String {
    json!({ "success": true, "errors": [], "messages": [], "result": result }).to_string()
}

fn refused(code: i64, message: &str) -> String {
    json!({ "success": false, "errors": [{ "code": code, "message": message }], "messages": [] }).to_string()
}

fn zone() -> ZoneId {
    ZoneId("023e105f4ecef8ad9ca31a8372d0c353".to_owned())
}

fn host() -> Hostname {
    Hostname::parse("shop.example.com").expect("a name")
}

fn leaf() -> (String, Fingerprint) {
    let validity = Validity::days(crate::clock::Clock::System.now(), 30);
    let options = CaOptions { common_name: "CA".to_owned(), key_type: KeyType::P256, validity };
    let (ca, _) = Ca::create(&options).expect("a CA");
    let issued = ca.issue(&LeafOptions::client("leaf", validity)).expect("a leaf");
    (issued.certificate_pem.clone(), Fingerprint::of(issued.certificate_der.as_slice()))
}

#[test]
fn a_certificate_is_read_whatever_is_missing_null_new_or_of_another_kind() {
    let (pem, sha256) = leaf();
    for (certificate, status, sees) in [
        (
            json!({ "id": ID, "certificate": pem, "status": "active", "expires_on": "2027-01-01T00:00:00Z" }),
            "active",
            Some(sha256),
        ),
        (
            json!({ "id": ID, "certificate": pem.trim_end(), "status": "pending_deployment" }),
            "pending_deployment",
            Some(sha256),
        ),
        (
            json!({ "id": ID, "certificate": format!("{pem}\n\n"), "status": "holding_deployment", "new": {} }),
            "holding_deployment",
            Some(sha256),
        ),
        (
            json!({ "id": ID, "certificate": pem.replace('\n', "\r\n"), "status": null, "expires_on": null }),
            "",
            Some(sha256),
        ),
        (json!({ "id": ID, "certificate": null, "status": 5, "expires_on": 1, "uploaded_on": "yesterday" }), "", None),
        (json!({ "id": ID, "certificate": "-----BEGIN CERTIFICATE-----\nAAAA" }), "", None),
    ] {
        let server = Server::saying("200 OK", &granted(&certificate));
        let id = CertificateId(ID.to_owned());
        let read = server.cloudflare().certificate(&zone(), Collection::Hostname, &id).expect("an answer");
        let read = read.expect("a certificate");
        assert_eq!((read.id, read.status.label(), read.sha256), (id, status, sees), "{certificate}");
    }
}

#[test]
fn an_association_that_is_void_reads_as_void_or_as_none() {
    let association = |enabled: Value| {
        granted(&json!({ "hostname": "shop.example.com", "cert_id": ID, "enabled": enabled, "status": "deleted" }))
    };
    for (status, body, expected) in [
        ("200 OK", association(json!(true)), Some(Some(true))),
        ("200 OK", association(json!(false)), Some(Some(false))),
        ("200 OK", association(Value::Null), Some(None)),
        ("200 OK", granted(&json!({ "hostname": "shop.example.com" })), Some(None)),
        ("200 OK", granted(&Value::Null), None),
        ("200 OK", r#"{"success":true}"#.to_owned(), None),
        ("404 Not Found", refused(1553, "setting for this hostname not found"), None),
    ] {
        let server = Server::saying(status, &body);
        let read = server.cloudflare().association(&zone(), &host()).expect("an answer");
        assert_eq!(read.map(|read| read.enabled), expected, "{body}");
    }
}

#[test]
fn what_is_not_the_api_s_own_answer_proves_nothing() {
    for (status, body) in [
        ("200 OK", "<html>hello</html>"),
        ("200 OK", r#"{"success":true,"result":{"id":"#),
        ("200 OK", "{}"),
        ("200 OK", "[]"),
        ("200 OK", "null"),
        ("200 OK", ""),
        ("200 OK", r#"{"result":{"hostname":"shop.example.com"}}"#),
        ("200 OK", r#"{"success":"yes","result":{}}"#),
        ("200 OK", r#"{"success":true,"result":"a text"}"#),
    ] {
        let server = Server::saying(status, body);
        let error = server.cloudflare().association(&zone(), &host()).expect_err(body);
        assert!(matches!(&error, CloudflareError::Unreadable { status: 200, .. }), "{body}: {error}");
        assert!(error.may_have_been_done() && error.to_string().contains("(request 8f00ba4-FRA)"), "{error}");
    }
    // Nor is a page that was not found an association that is not there.
    let server = Server::saying("404 Not Found", "<html>nginx</html>");
    let error = server.cloudflare().association(&zone(), &host()).expect_err("no API");
    assert_eq!(error.kind(), Some(Kind::NoRoute), "{error}");
}

#[test]
fn a_refusal_is_one_whatever_its_status() {
    for (status, body, kind, tries) in [
        ("200 OK", refused(1404, "no"), Kind::Other, 1),
        ("400 Bad Request", r#"{"success":false,"errors":null,"result":null}"#.to_owned(), Kind::Other, 1),
        ("400 Bad Request", r#"{"success":false,"errors":["no","never"],"messages":null}"#.to_owned(), Kind::Other, 1),
        ("400 Bad Request", r#"{"success":false,"errors":[{"code":"6003"}]}"#.to_owned(), Kind::MalformedToken, 1),
        ("401 Unauthorized", refused(1000, "Invalid API Token"), Kind::InvalidToken, 1),
        ("403 Forbidden", refused(10000, "Authentication error"), Kind::NotPermitted, 1),
        ("403 Forbidden", refused(9109, "Unauthorized to access requested resource"), Kind::Foreign, 1),
        ("403 Forbidden", refused(10001, "Unable to authenticate request"), Kind::FreshToken, 5),
        ("404 Not Found", refused(7003, "No route for the URI"), Kind::NoRoute, 1),
        ("429 Too Many Requests", refused(971, "Please wait"), Kind::RateLimited, 0),
        ("500 Internal Server Error", granted(&json!({ "id": ID })), Kind::ServerError, 6),
        ("502 Bad Gateway", "<html>cloudflare</html>".to_owned(), Kind::ServerError, 6),
        ("503 Service Unavailable", String::new(), Kind::ServerError, 6),
        ("302 Found", String::new(), Kind::Redirected, 1),
    ] {
        let server = Server::saying(status, &body);
        let error = server.cloudflare().ssl_mode(&zone()).expect_err(&body);
        let refusal = error.refusal().unwrap_or_else(|| panic!("{body}: {error:?}"));
        assert_eq!(refusal.kind, kind, "{body}");
        assert!(tries == 0 || refusal.effort.tries == tries, "{body}: {:?}", refusal.effort);
        assert_eq!(refusal.request_id.as_deref(), Some("8f00ba4-FRA"));
    }
}

#[test]
fn a_refusal_says_what_was_tried_what_came_back_what_it_means_and_what_to_do() {
    let body = json!({ "success": false, "errors": [
        { "code": 6003, "message": "Invalid request\u{1b}[2J headers", "error_chain": [{ "code": 6111, "message": "Invalid format" }] },
    ] });
    let server = Server::saying("400 Bad Request", &body.to_string());
    let error = server.cloudflare().ssl_mode(&zone()).expect_err("a refusal");
    let said = "read setting ssl: Cloudflare refused with HTTP 400, code 6003: Invalid request\u{fffd}[2J headers: Invalid \
                format (request 8f00ba4-FRA)";
    assert_eq!(error.to_string(), said);
    assert!(error.meaning().is_some_and(|meaning| meaning.starts_with("what was shown is no API token")));
    assert!(error.next_step().contains("--api-token-file"));

    let long = refused(1, &"x".repeat(100_000));
    let error = Server::saying("400 Bad Request", &long).cloudflare().ssl_mode(&zone()).expect_err("a refusal");
    assert!(error.to_string().len() < 1000);
}

#[test]
fn a_missing_permission_is_named_by_the_endpoint() {
    let server = Server::saying("403 Forbidden", &refused(10000, "Authentication error"));
    let cloudflare = server.cloudflare();
    let key = Secret::new(b"key".to_vec());
    let (account, id) = (AccountId("a".to_owned()), CertificateId(ID.to_owned()));
    let policy = NewAlertPolicy { name: "n".to_owned(), alert_type: "t".to_owned(), email: Vec::new() };
    for (called, permission) in [
        (cloudflare.certificates(&zone(), Collection::Zone).map(drop), Some("Zone > SSL and Certificates > Read")),
        (cloudflare.associations(&zone()).map(drop), Some("Zone > SSL and Certificates > Read")),
        (cloudflare.zone_level(&zone()).map(drop), Some("Zone > SSL and Certificates > Read")),
        (
            cloudflare.upload(&zone(), Collection::Hostname, "", &key).map(drop),
            Some("Zone > SSL and Certificates > Edit"),
        ),
        (cloudflare.delete_certificate(&zone(), Collection::Zone, &id), Some("Zone > SSL and Certificates > Edit")),
        (cloudflare.associate(&zone(), &[]), Some("Zone > SSL and Certificates > Edit")),
        (cloudflare.set_zone_level(&zone(), true), Some("Zone > SSL and Certificates > Edit")),
        (cloudflare.ssl_mode(&zone()).map(drop), Some("Zone > Zone Settings > Read")),
        (cloudflare.set_tls_client_auth(&zone(), true), Some("Zone > Zone Settings > Edit")),
        (cloudflare.post_quantum(&zone()).map(drop), Some("Zone > Zone Settings > Read")),
        (cloudflare.set_post_quantum(&zone(), PostQuantum::Off), Some("Zone > Zone Settings > Edit")),
        (cloudflare.dns_records(&zone(), "a").map(drop), Some("Zone > DNS > Read")),
        (cloudflare.config_rules(&zone()).map(drop), Some("Zone > Config Rules > Read")),
        (cloudflare.zones_named("example.com").map(drop), Some("Zone > Zone > Read")),
        (cloudflare.alert_policies(&account).map(drop), Some("Account > Notifications > Read")),
        (cloudflare.create_alert_policy(&account, &policy), Some("Account > Notifications > Edit")),
        (cloudflare.verify_token().map(drop), None),
        (cloudflare.address_ranges().map(drop), None),
    ] {
        let error = called.expect_err("a refusal");
        let refusal = error.refusal().expect("a refusal");
        assert_eq!(refusal.permission().as_deref(), permission, "{}", refusal.doing);
        let named = permission.unwrap_or("is not one that may do this");
        assert!(refusal.meaning().contains(named), "{}", refusal.meaning());
        assert_eq!(refusal.next_step().contains(named), permission.is_some(), "{}", refusal.next_step());
    }
    assert_eq!(server.heard().len(), 18, "a refusal is not asked twice");
}

/// Serves the hostnames `0` to `number` in pages, as the API does; `frames`: with `result_info`.
fn associations(number: usize, frames: bool) -> Server {
    Server::start(move |_, request| {
        let query = |key: &str| {
            let value = request
                .split_whitespace()
                .nth(1)
                .and_then(|path| path.split(&['?', '&'][..]).find_map(|part| part.strip_prefix(key)));
            value.and_then(|value| value.parse::<usize>().ok())
        };
        let (page, per_page) = (query("page=").unwrap_or(1), query("per_page=").unwrap_or(50));
        let items: Vec<_> = (0..number)
            .skip((page - 1) * per_page)
            .take(per_page)
            .map(|at| json!({ "hostname": format!("{at}.example.com"), "cert_id": ID, "enabled": true }))
            .collect();
        let mut body = json!({ "success": true, "result": items });
        if frames {
            body["result_info"] =
                json!({ "page": page, "per_page": per_page, "total_pages": number.div_ceil(per_page) });
        }
        with_body("200 OK", "", &body.to_string())
    })
}

#[test]
fn every_association_of_every_page_is_read() {
    for number in [0, 1, 50, 51, 499, 500, 501, 1000, 1001] {
        for frames in [true, false] {
            let server = associations(number, frames);
            let read = server.cloudflare().associations(&zone()).expect("an answer").expect("a list");
            let names: std::collections::BTreeSet<_> = read.iter().map(|read| read.hostname.clone()).collect();
            assert_eq!((read.len(), names.len()), (number, number), "{frames}");
            assert!(server.heard().iter().all(|line| line.contains("status=all")), "what is pending is wanted, too");
        }
    }
}

#[test]
fn a_list_that_knows_no_pages_is_read_once_and_one_that_is_not_there_is_no_list() {
    let items: Vec<_> = (0..500).map(|at| json!({ "hostname": format!("{at}.example.com") })).collect();
    let server = Server::saying("200 OK", &granted(&json!(items)));
    assert_eq!(server.cloudflare().associations(&zone()).expect("an answer").map(|all| all.len()), Some(500));
    assert_eq!(server.heard().len(), 2);
    for status in ["404 Not Found", "405 Method Not Allowed"] {
        let server = Server::saying(status, &refused(10405, "Method not allowed"));
        assert_eq!(server.cloudflare().associations(&zone()).expect("an answer"), None);
    }
    let server = Server::saying("200 OK", &granted(&Value::Null));
    assert_eq!(server.cloudflare().certificates(&zone(), Collection::Hostname).expect("an answer"), []);
    let server = Server::saying("200 OK", &granted(&json!([{ "status": "active" }, null, 7, { "id": ID }])));
    let read = server.cloudflare().certificates(&zone(), Collection::Hostname).expect("an answer");
    assert_eq!(read.len(), 1, "what has no id cannot be spoken of");
}

/// A server of lists without an end: `page` makes one of its number.
fn endless(page: impl Fn(usize) -> Value + Send + 'static) -> Server {
    Server::start(move |at, _| {
        let info = json!({ "page": at + 1, "per_page": 500, "total_pages": 1_000_000 });
        with_body("200 OK", "", &json!({ "success": true, "result": page(at), "result_info": info }).to_string())
    })
}

#[test]
fn a_list_without_an_end_is_no_list() {
    let named = |at: usize| json!({ "hostname": format!("{at}.example.com") });
    let why = |server: &Server| match server.cloudflare().associations(&zone()) {
        Err(CloudflareError::Endless { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let turns = endless(move |at| json!([named(at % 2)]));
    assert_eq!(why(&turns), "page 3 repeats an earlier one");
    let many = endless(move |at| json!((0..20_000).map(|item| named(at * 20_000 + item)).collect::<Vec<_>>()));
    assert_eq!((why(&many).as_str(), many.heard().len()), ("it has more than 50000 items", 3));
    let large = endless(move |at| json!([{ "hostname": format!("{at}.example.com"), "x": "x".repeat(4_000_000) }]));
    assert_eq!((why(&large).as_str(), large.heard().len()), ("it is larger than 64 MiB", 17));
}

#[test]
fn all_pages_of_a_list_have_one_deadline() {
    let server = endless(|at| {
        std::thread::sleep(Duration::from_millis(5));
        json!([{ "hostname": format!("{at}.example.com") }])
    });
    let pace = Pace { second: Duration::from_micros(10), attempt: Duration::from_millis(100) };
    match server.cloudflare().with_pace(pace).associations(&zone()) {
        Err(CloudflareError::Endless { why, .. }) => assert!(why.contains("within 2 s"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_association_that_cannot_be_read_is_not_passed_over() {
    for broken in [json!(null), json!(7), json!("x"), json!([]), json!({}), json!({ "hostname": null })] {
        let items = json!([{ "hostname": "shop.example.com" }, broken]);
        let read = Server::saying("200 OK", &granted(&items)).cloudflare().associations(&zone());
        assert!(matches!(read, Err(CloudflareError::Unreadable { .. })), "{broken}: {read:?}");
    }
}

#[test]
fn what_is_put_into_a_path_stays_where_it_was_put() {
    let server = Server::saying("404 Not Found", &refused(1551, "not found"));
    let (zone, id) = (ZoneId("a/b".to_owned()), CertificateId("../x?y=1&z#\r\n ü".to_owned()));
    let read = server.cloudflare().certificate(&zone, Collection::Zone, &id).expect("an answer");
    assert_eq!(read, None);
    let path = "/client/v4/zones/a%2Fb/origin_tls_client_auth/..%2Fx%3Fy%3D1%26z%23%0D%0A%20%C3%BC";
    assert_eq!(server.heard(), [format!("GET {path}")]);
}

#[test]
fn changes_are_sent_as_the_api_wants_them() {
    let server = Server::saying("200 OK", r#"{"success":true}"#);
    let cloudflare = server.cloudflare();
    let change = |enabled| AssociationChange {
        hostname: "shop.example.com".to_owned(),
        cert_id: CertificateId(ID.to_owned()),
        enabled,
    };
    cloudflare.associate(&zone(), &[change(Some(true)), change(None)]).expect("no result is needed");
    cloudflare
        .delete_certificate(&zone(), Collection::Hostname, &CertificateId(ID.to_owned()))
        .expect("no result is needed");
    let requests = server.requests.lock().expect("a list").clone();
    let body: Value = serde_json::from_str(requests[0].rsplit("\r\n\r\n").next().unwrap_or_default()).expect("JSON");
    assert_eq!(
        body,
        json!({ "config": [
        { "hostname": "shop.example.com", "cert_id": ID, "enabled": true },
        { "hostname": "shop.example.com", "cert_id": ID, "enabled": null },
    ] })
    );
    assert!(requests[1].starts_with(
        "DELETE /client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/origin_tls_client_auth/hostnames/certificates/2458"
    ));
}

#[test]
fn what_is_gone_or_going_counts_as_deleted() {
    for (status, body, deleted) in [
        ("200 OK", granted(&json!({ "id": ID, "status": "pending_deletion" })), true),
        ("404 Not Found", refused(1551, "certificate not found"), true),
        ("404 Not Found", refused(1552, "certificate not found"), true),
        ("400 Bad Request", refused(1414, "pending deletion"), true),
        ("400 Bad Request", refused(0, "Certificate is already deleted."), true),
        ("400 Bad Request", refused(1433, "in use"), false),
        ("400 Bad Request", refused(1434, "pending deployment"), false),
        ("404 Not Found", refused(7003, "No route for the URI"), false),
        ("404 Not Found", "<html>".to_owned(), false),
    ] {
        let server = Server::saying(status, &body);
        let outcome = server.cloudflare().delete_certificate(&zone(), Collection::Zone, &CertificateId(ID.to_owned()));
        assert_eq!(outcome.is_ok(), deleted, "{body}");
    }
}

#[test]
fn the_token_and_the_key_go_to_one_place_and_show_nowhere() {
    let elsewhere = Server::saying("200 OK", &granted(&json!({})));
    let place = format!("location: http://{}/steal\r\n", elsewhere.address);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = with_body(status, &place, "");
        let server = Server::start(move |_, _| answer.clone());
        let cloudflare = server.cloudflare();
        let key = Secret::new(b"-----BEGIN PRIVATE KEY-----secret".to_vec());
        let error = cloudflare.upload(&zone(), Collection::Hostname, "pem", &key).expect_err("a redirect");
        assert_eq!(error.kind(), Some(Kind::Redirected));
        assert!(error.to_string().contains("/steal") && !error.may_have_been_done(), "{error}");
        let sent = server.requests.lock().expect("a list")[0].clone();
        assert!(
            sent.contains(&format!("authorization: Bearer {TOKEN}\r\n")) && sent.contains("KEY-----secret"),
            "{sent}"
        );
        let shown = format!("{cloudflare:?} {error:?} {error} {:?} {}", error.meaning(), error.next_step());
        assert!(!shown.contains(TOKEN) && !shown.contains("secret"), "{shown}");
    }
    assert_eq!(elsewhere.heard(), [] as [String; 0]);
}

#[test]
fn the_token_never_crosses_a_network_in_the_clear() {
    let client = |url: &str| {
        Client::new(Endpoint::parse(url).expect("an endpoint"), &TlsFiles::default(), None).expect("a client")
    };
    let error = Cloudflare::new(client("http://api.example.com/client/v4")).expect_err("in the clear");
    assert!(error.to_string().contains("in the clear") && error.next_step().contains("https://"), "{error}");
    Cloudflare::new(client("http://127.0.0.1:1")).expect("nobody listens on the way");
}

fn zones_server() -> Server {
    Server::start(|_, request| {
        let zone = |name: &str, id: &str, status: &str| json!({ "id": id, "name": name, "status": status, "paused": null, "account": { "id": "acc" }, "owner": { "id": null } });
        let name = request.split_whitespace().nth(1).and_then(|path| path.split("name=").nth(1)?.split('&').next());
        let zones = match name.unwrap_or_default() {
            "example.co.uk" => json!([zone("example.co.uk", "1", "active")]),
            "example.com" => json!([zone("example.com", "2", "pending"), zone("example.com", "3", "active")]),
            "two.example" => json!([zone("two.example", "4", "active"), zone("two.example", "5", "active")]),
            "b.example.com" => json!([zone("b.example.com", "6", "pending")]),
            "new.example" => json!([zone("new.example", "7", "pending")]),
            _ => json!([]),
        };
        with_body("200 OK", "", &granted(&zones))
    })
}

#[test]
fn a_zone_is_found_by_the_longest_parent_that_is_active() {
    let server = zones_server();
    let cloudflare = server.cloudflare();
    let zone_of = |name: &str| cloudflare.zone_of(&Hostname::parse(name).expect("a name")).map(|zone| zone.id.0);
    assert_eq!(zone_of("a.b.example.co.uk").expect("a zone"), "1");
    assert_eq!(server.heard().len(), 3, "nobody asks for co.uk");
    assert_eq!(zone_of("a.b.example.com").expect("a zone"), "3");
    assert_eq!(zone_of("new.example").expect("a zone"), "7");
    let error = zone_of("shop.two.example").expect_err("two of them");
    assert!(matches!(&error, CloudflareError::SeveralZones { ids, .. } if ids.len() == 2), "{error}");
    let error = zone_of("shop.none.example").expect_err("none");
    assert!(error.meaning().is_some_and(|meaning| meaning.contains("Zone > Zone > Read")), "{error}");
    assert_eq!(cloudflare.zone_called("example.com").expect("a zone").id.0, "3");
}

/// Serves the records of the names, each in pages of its own.
fn dns_server(records: Vec<(&'static str, Value)>) -> Server {
    Server::start(move |_, request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        let name = path
            .split("name.exact=")
            .nth(1)
            .and_then(|rest| rest.split('&').next())
            .unwrap_or_default()
            .replace("%2A", "*");
        let page: usize = path.split("&page=").nth(1).and_then(|page| page.parse().ok()).unwrap_or(1);
        let found: Vec<_> = records
            .iter()
            .filter(|(of, _)| *of == name)
            .map(|(of, record)| {
                let mut record = record.clone();
                record["name"] = json!(of);
                record
            })
            .collect();
        let items: Vec<_> = found.iter().skip((page - 1) * 2).take(2).collect();
        let info = json!({ "page": page, "per_page": 2, "total_pages": found.len().div_ceil(2) });
        with_body("200 OK", "", &json!({ "success": true, "result": items, "result_info": info }).to_string())
    })
}

#[test]
fn dns_says_which_way_visitors_go() {
    let record =
        |kind: &str, content: &str, proxied: Value| json!({ "type": kind, "content": content, "proxied": proxied });
    let a = |proxied: bool| record("A", "198.51.100.4", json!(proxied));
    let aaaa = |proxied: bool| record("AAAA", "2001:db8::4", json!(proxied));
    const NAME: &str = "shop.example.com";
    const WILDCARD: &str = "*.example.com";
    for (records, routing, of, addresses) in [
        (vec![(NAME, a(true)), (NAME, aaaa(true))], Routing::Proxied, NAME, 2),
        (vec![(NAME, a(false)), (NAME, record("MX", "mail", json!(null)))], Routing::DnsOnly, NAME, 1),
        (vec![(NAME, a(true)), (NAME, a(true)), (NAME, aaaa(false))], Routing::Mixed, NAME, 3),
        (vec![(NAME, record("CNAME", "6ff42ae2.CFargotunnel.com.", json!(true)))], Routing::Tunnel, NAME, 0),
        (vec![(NAME, record("CNAME", "origin.example.net", json!(true)))], Routing::Proxied, NAME, 0),
        (vec![(NAME, record("CNAME", "evilcfargotunnel.com", json!(null)))], Routing::DnsOnly, NAME, 0),
        (vec![(WILDCARD, a(true))], Routing::Proxied, WILDCARD, 1),
        (vec![(NAME, record("TXT", "198.51.100.4", json!(false))), (WILDCARD, a(true))], Routing::Proxied, WILDCARD, 1),
        (vec![("*.com", a(true))], Routing::None, NAME, 0),
        (vec![], Routing::None, NAME, 0),
    ] {
        let server = dns_server(records);
        let zone = Zone {
            id: zone(),
            name: "example.com".to_owned(),
            status: "active".to_owned(),
            paused: false,
            account: None,
        };
        let dns = server.cloudflare().dns(&zone, &host()).expect("an answer");
        assert_eq!((dns.routing, &*dns.name, dns.addresses.len()), (routing, of, addresses), "{dns:?}");
    }
}

#[test]
fn a_token_is_verified_as_its_user_s_or_its_account_s() {
    let state = |status: &str| granted(&json!({ "id": "t", "status": status, "expires_on": null }));
    for (user, account, verified) in [
        (("200 OK", state("expired")), ("500 No", String::new()), Ok("expired")),
        (("401 Unauthorized", refused(1000, "Invalid API Token")), ("200 OK", state("active")), Ok("active")),
        (("403 Forbidden", refused(10000, "Authentication error")), ("200 OK", state("active")), Ok("active")),
        (
            ("401 Unauthorized", refused(1000, "Invalid API Token")),
            ("404 Not Found", refused(7003, "")),
            Err(Kind::InvalidToken),
        ),
        (
            ("400 Bad Request", refused(6003, "Invalid request headers")),
            ("200 OK", state("active")),
            Err(Kind::MalformedToken),
        ),
    ] {
        let server = Server::start(move |_, request| {
            let (status, body) = if request.contains("/user/tokens/verify") { &user } else { &account };
            with_body(status, "", body)
        });
        let read = server.cloudflare().verify_token_of(&AccountId("acc".to_owned()));
        let read = read.map(|state| state.status).map_err(|error| error.kind());
        assert_eq!(read, verified.map(str::to_owned).map_err(Some));
    }
}

#[test]
fn rules_settings_and_notifications_are_read() {
    let rules = json!({ "rules": [
        { "action": "set_config", "action_parameters": { "ssl": "flexible" }, "expression": "true", "enabled": null },
        { "action": "set_config", "action_parameters": { "polish": "off" } },
        { "action": "set_config", "action_parameters": { "ssl": "paranoid" }, "enabled": false },
        null,
    ] });
    let read = Server::saying("200 OK", &granted(&rules)).cloudflare().config_rules(&zone()).expect("rules");
    let read: Vec<_> = read.iter().map(|rule| (rule.ssl.label(), rule.ssl.is_enough(), rule.enabled)).collect();
    assert_eq!(read, [("flexible", false, true), ("paranoid", false, false)]);
    let none = Server::saying("404 Not Found", &refused(10003, "could not find entrypoint ruleset"));
    assert_eq!(none.cloudflare().config_rules(&zone()).expect("no rules"), []);
    let setting = json!({ "id": "tls_client_auth", "value": "on", "editable": false });
    let read = Server::saying("200 OK", &granted(&setting)).cloudflare().tls_client_auth(&zone()).expect("a setting");
    assert_eq!(read, Setting { value: "on".to_owned(), editable: false });
    let kinds = json!({ "SSL/TLS": [{ "type": "a" }, { "kind": "b" }], "Other": null });
    let account = AccountId("acc".to_owned());
    let read = Server::saying("200 OK", &granted(&kinds)).cloudflare().available_alerts(&account).expect("types");
    assert_eq!(read, ["a"]);
    let policies = json!([{ "id": "1", "alert_type": "a", "enabled": null, "mechanisms": { "email": [{ "id": "ops@example.com" }, {}] } }]);
    let read = Server::saying("200 OK", &granted(&policies)).cloudflare().alert_policies(&account).expect("policies");
    assert_eq!((read[0].enabled, &read[0].mechanisms.email), (false, &vec!["ops@example.com".to_owned()]));
}

#[test]
fn an_answer_that_is_too_large_is_not_read() {
    let server = Server::start(|_, _| {
        let mut answer = b"200 OK\r\ncontent-length: 10485760\r\n\r\n".to_vec();
        answer.resize(answer.len() + 10_485_760, b' ');
        answer
    });
    let error = server.cloudflare().ssl_mode(&zone()).expect_err("too large");
    let CloudflareError::Fetch { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, FetchError::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_lost_answer_to_a_change_is_asked_for_again_and_one_to_an_upload_is_not() {
    let server = Server::start(|at, _| match at {
        0 => Vec::new(),
        _ => with_body("200 OK", "", &granted(&json!([]))),
    });
    server.cloudflare().associate(&zone(), &[]).expect("the second attempt");
    assert_eq!(server.heard().len(), 2);
    let server = Server::start(|_, _| Vec::new());
    let error =
        server.cloudflare().upload(&zone(), Collection::Hostname, "pem", &Secret::new(Vec::new())).expect_err("lost");
    assert!(error.may_have_been_done() && error.kind().is_none(), "{error:?}");
    assert_eq!(server.heard().len(), 1);
}

/// JSON that is nearly what the API says.
fn nearly() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9:.TZ-]{0,20}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "success|errors|result|result_info|id|name|status|paused|account|certificate|enabled|hostname|value|type|content|\
         proxied|total_pages|per_page|total_count|code|message|error_chain|email|mechanisms|rules|action_parameters|ssl",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_answer_makes_it_panic(status in 100u16..600, result in nearly(), framed: bool, junk in prop::collection::vec(any::<u8>(), 0..60)) {
        let json = if framed { json!({ "success": true, "result": result, "result_info": result }) } else { result };
        let bodies = [json.to_string().into_bytes(), junk];
        let server = Server::start(move |at, _| {
            let body = &bodies[at % 2];
            let status = if at % 3 == 0 { 200 } else { status.max(200) };
            [format!("{status} X\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
        });
        let cloudflare = server.cloudflare();
        let (zone, account, id) = (zone(), AccountId("a".to_owned()), CertificateId(ID.to_owned()));
        let whole = Zone { id: zone.clone(), name: "example.com".to_owned(), status: String::new(), paused: false, account: None };
        let _ = (cloudflare.zone_of(&host()), cloudflare.dns(&whole, &host()), cloudflare.verify_token_of(&account));
        let _ = (cloudflare.certificates(&zone, Collection::Zone), cloudflare.certificate(&zone, Collection::Hostname, &id));
        let _ = (cloudflare.association(&zone, &host()), cloudflare.associations(&zone), cloudflare.config_rules(&zone));
        let _ = (cloudflare.available_alerts(&account), cloudflare.alert_policies(&account), cloudflare.address_ranges());
        let _ = (cloudflare.ssl_mode(&zone), cloudflare.post_quantum(&zone), cloudflare.delete_certificate(&zone, Collection::Zone, &id));
    }
}
