//! What goes wrong at the fake goes wrong as it was asked for, and then no more.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::cloudflare::{Effect, Fake, FakeClock, Fault, Zone};
use crate::support::Api;
use crate::support::certificates::now;

const ANY_READ: &str = "/zones/*/settings/*";

fn fake(fault: Fault) -> Fake {
    Fake::builder().zone(Zone::new("example.com")).fault(fault).clock(FakeClock::Manual).starting(now()).start()
}

fn path() -> String {
    format!("/client/v4/zones/{}/settings/ssl", Zone::new("example.com").id())
}

/// All that comes back of a request, and how it ended.
fn ask(fake: &Fake, method: &str, body: &str) -> (String, Option<ErrorKind>) {
    let authorization = format!("Authorization: Bearer {}", fake.token());
    let api = Api { address: fake.address() };
    let mut socket = api.open(&format!("{method} {}", path()), &[&authorization], body);
    let mut answer = Vec::new();
    let ended = socket.read_to_end(&mut answer).err().map(|error| error.kind());
    (String::from_utf8(answer).expect("text"), ended)
}

fn read(fake: &Fake) -> String {
    ask(fake, "GET", "").0
}

fn mode(fake: &Fake) -> String {
    fake.state(|state| state.zones[0].ssl.value(state.now()))
}

#[test]
fn an_answer_is_replaced() {
    let at = || Fault::on("GET", ANY_READ);
    for (fault, expected) in [
        (at().answer(502, "text/html", "<html>"), &["HTTP/1.1 502", "text/html", "\r\n\r\n<html>"][..]),
        (at().answer(503, "text/html", ""), &["HTTP/1.1 503", "content-length: 0"]),
        (at().refuse(403, 10000, "Authentication error"), &["HTTP/1.1 403", "\"code\":10000"]),
        (at().effect(Effect::Unsuccessful), &["HTTP/1.1 200", "\"success\":false"]),
        (at().effect(Effect::WrongType), &["content-type: text/html", "\"value\":\"full\""]),
        (
            at().effect(Effect::Redirect("http://127.0.0.2:1/".into())),
            &["HTTP/1.1 307", "location: http://127.0.0.2:1/"],
        ),
    ] {
        let fake = fake(fault);
        let answer = read(&fake);
        assert!(expected.iter().all(|part| answer.contains(part)), "{expected:?}: {answer}");
        assert!(read(&fake).contains("\"value\":\"full\""), "only once");
    }
}

#[test]
fn a_body_comes_in_part_slowly_or_far_too_long() {
    let at = || Fault::on("GET", ANY_READ);
    let cut = fake(at().effect(Effect::CutJson));
    let (_, body) =
        read(&cut).split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).expect("an answer");
    assert!(body.starts_with("{\"errors\"") && !body.ends_with('}'), "{body}");
    let broken = read(&fake(at().effect(Effect::CutConnection)));
    let (head, body) = broken.split_once("\r\n\r\n").expect("a head");
    assert!(!head.contains(&format!("content-length: {}\r\n", body.len())) && !body.is_empty(), "{broken}");
    let dripping = read(&fake(at().effect(Effect::Drip(Duration::from_millis(1)))));
    assert!(dripping.ends_with('}'), "{dripping}");
    assert!(read(&fake(at().effect(Effect::Huge))).len() > 10 * 1024 * 1024);
}

#[test]
fn a_write_is_applied_and_its_answer_lost() {
    let on_write = || Fault::on("PATCH", ANY_READ);
    for (fault, answer, is_applied) in [
        (on_write().close(), "", false),
        (on_write().apply_then_close(), "", true),
        (on_write().apply_then_500(), "HTTP/1.1 500", true),
        (on_write().refuse(500, 10002, "Internal server error"), "HTTP/1.1 500", false),
    ] {
        let fake = fake(fault);
        let (got, _) = ask(&fake, "PATCH", "{\"value\":\"strict\"}");
        assert!(got.starts_with(answer) && got.is_empty() == answer.is_empty(), "{got}");
        assert_eq!((mode(&fake) == "strict", fake.requests()[0].applied), (is_applied, is_applied), "{answer}");
    }
}

#[test]
fn a_write_that_hangs_can_be_waited_for() {
    let fake = fake(Fault::on("PATCH", ANY_READ).apply_then_hang());
    let authorization = format!("Authorization: Bearer {}", fake.token());
    let api = Api { address: fake.address() };
    let _socket = api.open(&format!("PATCH {}", path()), &[&authorization], "{\"value\":\"strict\"}");
    fake.wait_for_writes(1);
    assert_eq!((mode(&fake).as_str(), fake.requests()[0].status), ("strict", None));
}

#[test]
fn a_fault_strikes_where_and_as_often_as_it_was_told() {
    let refusal = |site: crate::cloudflare::Site| fake(site.refuse(409, 1, "busy"));
    let strikes = |fake: &Fake| -> Vec<bool> { (0..4).map(|_| read(fake).contains(" 409 ")).collect() };
    let on = || Fault::on("GET", ANY_READ);
    assert_eq!(strikes(&refusal(on().nth(2))), [false, true, false, false]);
    assert_eq!(strikes(&refusal(on().nth(2).times(2))), [false, true, true, false]);
    assert_eq!(strikes(&refusal(Fault::anywhere().always())), [true; 4]);
    assert_eq!(strikes(&refusal(on().always().percent(0))), [false; 4]);
    assert_eq!(strikes(&refusal(Fault::on("GET", "/zones/*").always())), [false; 4], "a star is one part");
    let twice = fake(Fault::on("PATCH", ANY_READ).effect(Effect::Duplicate));
    ask(&twice, "PATCH", "{\"value\":\"strict\"}");
    assert_eq!(twice.requests().len(), 1, "one request, delivered twice");
}
