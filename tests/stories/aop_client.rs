//! The client of Cloudflare's API keeps to its limits, gets over its troubles, and shows its token to nobody else.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use originlock::clock::Clock;
use originlock::cloudflare::{Cloudflare, CloudflareError, Collection, Kind, Pace, SslMode, ZoneId};
use originlock::fetch::{Client, Endpoint, TlsFiles};
use originlock::pki::LeafOptions;
use originlock::secret::Secret;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::cloudflare::{self, Effect, Fake, FakeClock, Fault, Permission, RetryAfter, Settings, Token, Zone};
use crate::support::aop::leaf;
use crate::support::certificates::good;
use crate::support::pki;

/// The fake's seconds beside the machine's.
const SPEED: u32 = 100;
const ANY_SETTING: &str = "/zones/*/settings/*";

fn fake() -> cloudflare::Builder {
    Fake::builder().zone(zone()).clock(FakeClock::Scaled(SPEED)).starting(Clock::System.now())
}

fn limited(change: impl FnOnce(&mut Settings)) -> Fake {
    fake().settings(change).start()
}

fn zone() -> Zone {
    Zone::new("example.com").proxied("shop.example.com", "198.51.100.4")
}

fn id() -> ZoneId {
    ZoneId(zone().id())
}

fn client(fake: &Fake) -> Cloudflare {
    client_of(fake, &fake.token())
}

/// A client whose pauses pass as fast as the fake's time.
fn client_of(fake: &Fake, token: &str) -> Cloudflare {
    let endpoint = Endpoint::parse(&fake.base_url()).expect("a URL");
    let token = Secret::new(token.as_bytes().to_vec());
    let client = Client::new(endpoint, &TlsFiles::default(), Some(&token)).expect("a client");
    let pace = Pace { second: Duration::from_secs(1) / SPEED, attempt: Duration::from_millis(500) };
    Cloudflare::new(client).expect("a client").with_pace(pace)
}

fn statuses(fake: &Fake) -> Vec<Option<u16>> {
    fake.requests().iter().map(|request| request.status).collect()
}

#[test]
fn whoever_is_over_the_limit_waits_however_retry_after_is_written() {
    for retry_after in [RetryAfter::Present, RetryAfter::Absent, RetryAfter::Zero, RetryAfter::Absurd] {
        let fake = limited(|settings| {
            settings.rate_limit = 2;
            settings.retry_after = retry_after;
        });
        let (client, told) = (client(&fake), Arc::new(Mutex::new(Vec::new())));
        let tell = Arc::clone(&told);
        let client = client.with_notice(move |wait| tell.lock().expect("a list").push(*wait));
        for _ in 0..2 {
            client.ssl_mode(&id()).expect("within the limit");
        }
        // The limit falls without a word, as when somebody else uses the same token.
        fake.settings(|settings| settings.rate_limit = 1);
        assert_eq!(client.ssl_mode(&id()).expect("after a while").value, SslMode::Full, "{retry_after:?}");
        let refused = statuses(&fake).iter().filter(|status| **status == Some(429)).count();
        assert!((1..=40).contains(&refused), "{retry_after:?}: asked {refused} times in five minutes");
        assert!(!told.lock().expect("a list").is_empty(), "{retry_after:?}: whoever waits is told");
    }
}

#[test]
fn whoever_comes_near_the_limit_slows_down_before_it() {
    let fake = limited(|settings| settings.rate_limit = 12);
    let client = client(&fake);
    let (begun, first) = (fake.now(), 30);
    for _ in 0..first {
        client.ssl_mode(&id()).expect("an answer");
    }
    assert!(statuses(&fake).iter().all(|status| *status == Some(200)), "{:?}", statuses(&fake));
    assert!(fake.now().since(begun) >= Duration::from_mins(5), "thirty requests take more than two windows of twelve");
}

#[test]
fn a_plain_no_is_asked_for_once() {
    for (code, status, kind) in [(10000, 403, Kind::NotPermitted), (9109, 403, Kind::Foreign), (1400, 400, Kind::Other)]
    {
        let fake = fake().fault(Fault::anywhere().always().refuse(status, code, "no")).start();
        let error = client(&fake).ssl_mode(&id()).expect_err("refused");
        assert_eq!((error.kind(), fake.requests().len()), (Some(kind), 1), "{error}");
        let said = error.to_string();
        assert!(said.contains(&status.to_string()) && said.contains(&code.to_string()), "{said}");
        assert!(said.contains("-FAKE"), "the request's id is told: {said}");
        assert!(!error.next_step().is_empty(), "{said}");
    }
}

#[test]
fn a_missing_permission_is_named() {
    for (missing, named) in [
        (Permission::ZoneSettingsRead, "Zone > Zone Settings > Read"),
        (Permission::DnsRead, "Zone > DNS > Read"),
        (Permission::SslRead, "Zone > SSL and Certificates > Read"),
        (Permission::ConfigRead, "Zone > Config Rules > Read"),
    ] {
        let token = Token::full("some-token").without(missing);
        let token = if missing == Permission::SslRead { token.without(Permission::SslWrite) } else { token };
        let token =
            if missing == Permission::ZoneSettingsRead { token.without(Permission::ZoneSettingsWrite) } else { token };
        let fake = fake().token(token).start();
        let client = client(&fake);
        let error = match missing {
            Permission::ZoneSettingsRead => client.ssl_mode(&id()).map(drop),
            Permission::DnsRead => client.dns_records(&id(), "shop.example.com").map(drop),
            Permission::SslRead => client.certificates(&id(), Collection::Hostname).map(drop),
            _ => client.config_rules(&id()).map(drop),
        };
        let meaning = error.expect_err("refused").meaning().unwrap_or_default();
        assert!(meaning.contains(named), "{missing:?}: {meaning}");
    }
}

#[test]
fn a_fresh_token_is_given_a_little_time() {
    let fake = limited(|settings| {
        settings.token_propagation = Duration::from_secs(5);
        settings.token_propagation_percent = 100;
    });
    client(&fake).verify_token().expect("after a few seconds");
    assert!(statuses(&fake).starts_with(&[Some(403)]), "{:?}", statuses(&fake));
}

#[test]
fn what_is_no_answer_of_the_apis_is_asked_for_again_and_then_told() {
    let at = || Fault::on("GET", ANY_SETTING);
    let slow = Effect::Drip(Duration::from_millis(100));
    type Break = fn(cloudflare::Site) -> Fault;
    let breaks: [(&str, Break, bool); 9] = [
        ("HTML", |site| site.answer(502, "text/html", "<html><h1>502</h1></html>"), true),
        ("nothing", |site| site.answer(503, "text/html", ""), true),
        ("HTML with 200", |site| site.answer(200, "text/html", "<html>a portal of the hotel's</html>"), true),
        ("half of the JSON", |site| site.effect(Effect::CutJson), true),
        ("half of the body", |site| site.effect(Effect::CutConnection), true),
        ("closed", cloudflare::Site::close, true),
        ("never", cloudflare::Site::hang, true),
        ("success: false", |site| site.effect(Effect::Unsuccessful), false),
        ("10 MiB", |site| site.effect(Effect::Huge), false),
    ];
    for (case, break_it, comes_right) in breaks {
        let once = fake().fault(break_it(at())).start();
        let read = client(&once).ssl_mode(&id());
        assert_eq!(read.is_ok(), comes_right, "{case}, once: {read:?}");
        let always = fake().fault(break_it(at().always())).start();
        let begun = Instant::now();
        let error = client(&always).ssl_mode(&id()).expect_err("never an answer");
        assert!(begun.elapsed() < Duration::from_secs(20), "{case}: {:?}", begun.elapsed());
        let texts = format!("{error} {error:?} {}", error.next_step());
        assert!(texts.len() < 4000 && !texts.contains(&always.token()), "{case}: {texts}");
        assert!((1..=6).contains(&always.requests().len()), "{case}: {} attempts", always.requests().len());
    }
    let dripping = fake().fault(at().effect(slow)).start();
    assert!(
        client(&dripping).ssl_mode(&id()).is_ok(),
        "an answer that takes longer than an attempt is asked for again"
    );
    let strange = fake().fault(at().effect(Effect::WrongType)).start();
    assert_eq!(client(&strange).ssl_mode(&id()).expect("JSON by any other name").value, SslMode::Full);
}

#[test]
fn answers_with_less_more_or_other_fields_are_read_as_far_as_they_go() {
    for (result, readable) in [
        (r#"{"value":"strict","editable":null,"modified_on":7,"surprise":{"deep":[1]}}"#, true),
        (r#"{"value":"stricter-than-strict"}"#, true),
        (r#"{"value":null}"#, false),
        (r#"[]"#, false),
        (r#"null"#, false),
        (r#""strict""#, false),
    ] {
        let body = format!(r#"{{"success":true,"errors":null,"messages":null,"result":{result},"more":1}}"#);
        let fake = fake().fault(Fault::on("GET", ANY_SETTING).always().answer(200, "application/json", &body)).start();
        let read = client(&fake).ssl_mode(&id());
        assert_eq!(read.is_ok(), readable, "{result}: {read:?}");
    }
    let bare = fake().fault(Fault::anywhere().always().answer(200, "application/json", r#"{"success":true}"#)).start();
    assert!(client(&bare).certificates(&id(), Collection::Hostname).expect("an empty list").is_empty());
    assert!(matches!(client(&bare).ssl_mode(&id()), Err(CloudflareError::Unreadable { .. })));
}

#[test]
fn a_redirect_gets_neither_the_token_nor_anything_else() {
    let elsewhere = TcpListener::bind("127.0.0.2:0").expect("another address");
    let (address, heard) = (elsewhere.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in elsewhere.incoming().flatten() {
            let read = stream.read(&mut [0; 1024]).unwrap_or(0);
            counter.fetch_add(read + 1, Ordering::SeqCst);
        }
    });
    let redirect = Effect::Redirect(format!("http://{address}/client/v4/zones"));
    let fake = fake().fault(Fault::anywhere().always().effect(redirect)).start();
    let (client, issued) = (client(&fake), leaf());
    let uploaded = client.upload(&id(), Collection::Hostname, &issued.certificate_pem, &issued.key_pem);
    for error in [client.ssl_mode(&id()).expect_err("redirected"), uploaded.map(drop).expect_err("redirected")] {
        assert_eq!(error.kind(), Some(Kind::Redirected), "{error}");
        assert!(error.to_string().contains(&address.to_string()), "it is told where to: {error}");
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[test]
fn neither_token_nor_key_is_in_any_error() {
    let issued = leaf();
    let key = String::from_utf8_lossy(issued.key_pem.expose()).into_owned();
    let secret = key.lines().nth(1).expect("a line of the key").to_owned();
    // A service that says again what it was told.
    let echo = |site: cloudflare::Site| site.always().refuse(400, 1400, &format!("bad request: {key}"));
    for fault in [
        Fault::anywhere().always().close(),
        Fault::anywhere().always().answer(500, "text/html", "<html>"),
        Fault::anywhere().always().effect(Effect::Unsuccessful),
        Fault::anywhere().always().effect(Effect::CutJson),
    ] {
        let fake = fake().fault(fault).start();
        let client = client(&fake);
        let error = client.upload(&id(), Collection::Hostname, &issued.certificate_pem, &issued.key_pem);
        let error = error.expect_err("it does not work");
        let texts = format!("{error} {error:?} {client:?} {:?} {}", error.meaning(), error.next_step());
        assert!(!texts.contains(&secret) && !texts.contains(&fake.token()), "{texts}");
    }
    let fake = fake().fault(echo(Fault::anywhere())).start();
    let error = client(&fake).upload(&id(), Collection::Hostname, &issued.certificate_pem, &issued.key_pem);
    let texts = format!("{0} {0:?}", error.expect_err("refused"));
    assert!(texts.len() < 4000, "what a stranger says is bounded: {texts}");
}

#[test]
fn a_change_that_may_have_been_made_is_said_to_be_and_not_made_twice() {
    let post = || Fault::on("POST", "/**");
    let issued = leaf();
    for (fault, may_be_done, uploads) in [
        (post().close(), true, 1),
        (post().apply_then_close(), true, 1),
        (post().apply_then_500(), true, 1),
        (post().effect(Effect::CutJson), true, 1),
        (post().answer(429, "application/json", "{}"), false, 2),
        (post().answer(409, "application/json", r#"{"success":false,"errors":[]}"#), false, 2),
        (post().refuse(400, 1408, "Unable to parse certificate"), false, 1),
    ] {
        let case = format!("{fault:?}");
        let fake = fake().fault(fault).start();
        let done = client(&fake).upload(&id(), Collection::Hostname, &issued.certificate_pem, &issued.key_pem);
        assert_eq!(done.is_err_and(|error| error.may_have_been_done()), may_be_done, "{case}");
        assert_eq!(fake.count("POST", "/**"), uploads, "{case}");
    }
}

#[test]
fn all_associations_are_found_however_many_there_are() {
    for count in [0, 1, 50, 51, 1000, 1001] {
        let names: Vec<String> = (0..count).map(|number| format!("host-{number}.example.com")).collect();
        let zone = zone().certificate(&leaf());
        let zone = names.iter().fold(zone, |zone, name| zone.associated(name, 0, true));
        let fake = Fake::builder().zone(zone).start();
        let mut found: Vec<String> = client(&fake)
            .associations(&id())
            .expect("a list")
            .expect("it can be listed")
            .into_iter()
            .map(|association| association.hostname)
            .collect();
        found.sort();
        let mut expected = names;
        expected.sort();
        assert_eq!(found, expected, "{count}");
    }
    let old = limited(|settings| settings.list_supported = false);
    assert_eq!(client(&old).associations(&id()).expect("an answer"), None);
}

#[test]
fn over_tls_the_api_has_to_prove_who_it_is() {
    let issued = pki().site.issue(&LeafOptions::server(&["127.0.0.1"], good())).expect("a server certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider serves the default versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(issued.certificate_der.clone())],
            PrivateKeyDer::from_pem_slice(issued.key_pem.expose()).expect("a key"),
        )
        .expect("a certificate with its key");
    let fake = fake().tls(Arc::new(config)).start();
    let folder = tempfile::tempdir().expect("a folder");
    for (ca, is_known) in [(&pki().site, true), (&pki().other, false)] {
        let file = folder.path().join("api-ca.pem");
        fs::write(&file, ca.certificate_pem()).expect("a file");
        let files = TlsFiles { ca: Some(file), client: None };
        let token = Secret::new(fake.token().into_bytes());
        let client = Client::new(Endpoint::parse(&fake.base_url()).expect("a URL"), &files, Some(&token));
        let read = Cloudflare::new(client.expect("a client")).expect("a client").ssl_mode(&id());
        assert_eq!(read.is_ok(), is_known, "{read:?}");
        assert_eq!(fake.requests().len(), 1, "a stranger does not even get the question");
    }
}
