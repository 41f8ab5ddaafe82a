//! Changes through the API: who may ask for one, and how.

use super::support::{HOST, Stub};
use super::*;
use crate::secret::TokenDigest;
use crate::snapshot::admin::Proofs;
use crate::telemetry::metrics::AdminDenial;

const TOKEN: &str = "0123456789abcdef0123";
const JSON: &str = "Content-Type: application/json";
const BEARER: &str = "Authorization: Bearer 0123456789abcdef0123";

async fn changeable() -> Admin {
    Admin::start_with(with_token(state())).await
}

fn with_token(state: AdminState) -> AdminState {
    let token = Some(TokenDigest::of(TOKEN.as_bytes()));
    let access = Arc::new(AdminAccess { change: Proofs { token, trust: None }, ..AdminAccess::default() });
    AdminState { access: Arc::new(move || access.clone()), ..state }
}

fn denied(admin: &Admin, denial: AdminDenial) -> bool {
    let series = format!("originlock_admin_denied_total{{reason=\"{}\"}} 1\n", denial.label());
    admin.state.metrics.render().contains(&series)
}

#[tokio::test]
async fn a_mode_is_changed_by_whoever_may() {
    let admin = changeable().await;
    for name in [HOST, "*.shop.example.com"] {
        let body = r#"{"mode":"enforce","force":true}"#;
        let answer = admin.ask(&format!("POST /api/v1/hosts/{name}/mode"), &[BEARER, JSON], body).await;
        assert_eq!(status(&answer), "200", "{answer}");
        let report = json(&answer);
        assert_eq!(
            (&report["host"], &report["to"], &report["forced"]),
            (&HOST.into(), &"enforce".into(), &true.into())
        );
        assert_eq!(report["source"]["file"], "token from 127.0.0.1", "the control is told who it was");
    }
    for (path, body) in [(format!("hosts/{HOST}/confirm"), ""), ("reload".to_owned(), "{}")] {
        let answer = admin.ask(&format!("POST /api/v1/{path}"), &[BEARER, JSON], body).await;
        assert_eq!(status(&answer), "200", "{answer}");
    }
    let told = json(&admin.ask("GET /api/v1/status", &[BEARER], "").await);
    assert_eq!(told["may_change"], true);
    assert_eq!(json(&admin.get("/api/v1/status").await)["may_change"], false);
}

#[tokio::test]
async fn a_change_without_its_right_is_refused_and_counted() {
    let admin = Admin::start().await;
    let answer = admin.ask("POST /api/v1/reload", &[JSON], "").await;
    assert_eq!((status(&answer), &json(&answer)["type"]), ("403", &"forbidden".into()));
    assert!(answer.contains("change = { token"), "the remedy: {answer}");
    assert!(denied(&admin, AdminDenial::ChangeNotConfigured));
    let admin = changeable().await;
    let without = admin.ask("POST /api/v1/reload", &[JSON], "").await;
    let wrong = admin.ask("POST /api/v1/reload", &[JSON, "Authorization: Bearer 0123456789abcdef012"], "").await;
    assert!(without.contains("\r\nwww-authenticate: Bearer\r\n"), "{without}");
    assert_eq!((status(&without), &json(&without)["type"]), ("401", &"unauthorized".into()));
    let undated =
        |answer: &str| answer.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
    assert_eq!(undated(&without), undated(&wrong), "no answer says how near a guess is");
    assert!(denied(&admin, AdminDenial::NoProof) && denied(&admin, AdminDenial::WrongToken));
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_although_the_browser_has_the_proof() {
    let admin = changeable().await;
    for line in
        ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"]
    {
        for request in ["POST /api/v1/reload", "GET /api/v1/hosts", "GET /metrics"] {
            let answer = admin.ask(request, &[BEARER, JSON, line], "").await;
            assert_eq!((status(&answer), &json(&answer)["type"]), ("403", &"cross_site".into()), "{request} {line}");
        }
        assert_eq!(status(&admin.ask("GET /", &[line], "").await), "200", "a link to the page is no harm");
    }
    for content_type in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "X-None: 1"] {
        let answer = admin.ask("POST /api/v1/reload", &[BEARER, content_type], "").await;
        assert_eq!((status(&answer), &json(&answer)["type"]), ("415", &"wrong_content_type".into()), "{content_type}");
    }
    let same = [
        "Origin: http://localhost",
        "Sec-Fetch-Site: same-origin",
        BEARER,
        "Content-Type: application/json; charset=utf-8",
    ];
    assert_eq!(status(&admin.ask("POST /api/v1/reload", &same, "").await), "200");
}

#[tokio::test]
async fn a_body_that_says_something_else_is_told_what_is_wrong() {
    let admin = changeable().await;
    let mode = format!("POST /api/v1/hosts/{HOST}/mode");
    let large = format!(r#"{{"mode":"enforce{}"}}"#, " ".repeat(MAX_BODY_BYTES));
    for (request, body, code, kind) in [
        (&*mode, "", "400", "bad_request"),
        (&mode, "{", "400", "bad_request"),
        (&mode, r#"{"mode":"on"}"#, "400", "bad_request"),
        (&mode, r#"{"mode":"enforce","forced":true}"#, "400", "bad_request"),
        (&mode, r#"{"mode":"enforce","confirm_within_seconds":-1}"#, "400", "bad_request"),
        (&mode, &large, "413", "too_large"),
        ("POST /api/v1/reload", r#"{"now":true}"#, "400", "bad_request"),
        ("POST /api/v1/hosts/nobody.example/mode", r#"{"mode":"enforce"}"#, "404", "unknown_host"),
        ("POST /api/v1/hosts/nobody.example/confirm", "", "404", "unknown_host"),
    ] {
        let answer = admin.ask(request, &[BEARER, JSON], body).await;
        assert_eq!((status(&answer), &json(&answer)["type"]), (code, &kind.into()), "{request} {body}");
        assert!(answer.contains("\r\ncontent-type: application/problem+json\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_question_is_asked_by_whoever_may_read() {
    let admin = Admin::start().await;
    let judge = format!("POST /api/v1/hosts/*.{HOST}/judge");
    let block = "-----BEGIN CERTIFICATE-----\\nMAMCAQc=\\n-----END CERTIFICATE-----\\n".repeat(2);
    let body = format!(r#"{{"certificates":"{block}"}}"#);
    let answer = admin.ask(&judge, &[JSON], &body).await;
    assert_eq!((status(&answer), &json(&answer)["next_step"]), ("200", &"2 certificates".into()), "{answer}");
    assert_eq!(json(&answer)["host"], HOST);
    let other_site = admin.ask(&judge, &[JSON, "Origin: http://evil.example"], &body).await;
    assert_eq!((status(&other_site), &json(&other_site)["type"]), ("403", &"cross_site".into()));
}

#[tokio::test]
async fn changes_that_wait_keep_nobody_from_reading() {
    let control = Arc::new(Stub::default());
    let held = control.0.lock().await;
    let admin = Arc::new(Admin::start_with(with_token(AdminState { control: control.clone(), ..state() })).await);
    let mut asked: Vec<_> = (0..=MAX_CHANGES)
        .map(|_| {
            let admin = admin.clone();
            Box::pin(tokio::spawn(async move { admin.ask("POST /api/v1/reload", &[BEARER, JSON], "").await }))
        })
        .collect();
    let first = std::future::poll_fn(|cx| {
        let done = asked.iter_mut().enumerate().find_map(|(number, one)| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(answer) => Some((number, answer.expect("an answer"))),
            std::task::Poll::Pending => None,
        });
        done.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    });
    let (number, answer) = tokio::time::timeout(Duration::from_secs(30), first).await.expect("one is one too many");
    assert_eq!((status(&answer), &json(&answer)["type"]), ("503", &"overloaded".into()));
    assert_eq!(status(&admin.get("/api/v1/hosts").await), "200");
    drop(held);
    drop(asked.remove(number));
    for answer in asked {
        assert_eq!(status(&answer.await.expect("an answer")), "200");
    }
}
