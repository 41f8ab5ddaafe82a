use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use tower::Service;

use super::*;
use crate::cloudflare::transport::Transport;
use crate::fetch::Endpoint;

type Outcome = Result<Answer, FetchError>;
type Script = fn() -> Outcome;

/// Gives one outcome after the other, the last one for ever.
#[derive(Clone)]
struct Scripted(Arc<Mutex<VecDeque<Script>>>);

impl Service<Request> for Scripted {
    type Response = Answer;
    type Error = FetchError;
    type Future = std::future::Ready<Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        let mut script = self.0.lock().expect("a script");
        let next = if script.len() > 1 { script.pop_front() } else { script.front().copied() };
        std::future::ready(next.expect("an outcome")())
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Outcome {
    let headers = headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
    let status = StatusCode::from_u16(status).expect("a status");
    Ok(Answer { status, headers: HeaderMap::from_iter(headers), body: Bytes::from(body) })
}

fn nobody() -> Endpoint {
    Endpoint::parse("http://127.0.0.1:1").expect("an endpoint")
}

fn unreachable() -> Outcome {
    Err(FetchError::Connect { endpoint: nobody(), source: io::Error::from(io::ErrorKind::ConnectionRefused) })
}

fn lost() -> Outcome {
    Err(FetchError::Deadline { endpoint: nobody(), deadline: Duration::ZERO })
}

fn untrusted() -> Outcome {
    Err(FetchError::Tls { endpoint: nobody(), source: io::Error::from(io::ErrorKind::InvalidData) })
}

fn fine() -> Outcome {
    answer(200, &[], "{}")
}

/// What became of a request, how often it was tried, and the pauses that were told of.
fn send(method: Method, script: &[Script]) -> (Outcome, u32, Vec<Wait>) {
    send_at(Duration::from_micros(10), method, script)
}

/// With `second` for one of theirs.
fn send_at(second: Duration, method: Method, script: &[Script]) -> (Outcome, u32, Vec<Wait>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notice = Notice::new({
        let told = Arc::clone(&told);
        move |wait| told.lock().expect("a list").push(*wait)
    });
    let script = Scripted(Arc::new(Mutex::new(script.iter().copied().collect())));
    let transport =
        Transport::over(script, Pace { second, ..Pace::default() }).telling(notice).jittering(Jitter::new(|| 0.0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (outcome, effort) = runtime.block_on(transport.send(Request { method, path: "/".to_owned(), body: None }));
    let told = std::mem::take(&mut *told.lock().expect("a list"));
    (outcome, effort.tries, told)
}

#[test]
fn what_may_be_sent_twice_is_sent_until_there_is_an_answer() {
    let troubles: [Script; 9] = [
        unreachable,
        lost,
        || answer(408, &[], "{}"),
        || answer(429, &[], "{}"),
        || answer(409, &[], r#"{"success":false,"errors":[]}"#),
        || answer(500, &[], "{}"),
        || answer(502, &[("content-type", "text/html")], "<html>Bad gateway</html>"),
        || answer(503, &[], ""),
        || answer(200, &[("content-type", "application/json")], r#"{"success":true,"resu"#),
    ];
    for (at, trouble) in troubles.into_iter().enumerate() {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let (outcome, tries, _) = send(method.clone(), &[trouble, trouble, fine]);
            assert_eq!(outcome.expect("an answer").status, 200, "{method} {at}");
            assert_eq!(tries, 3, "{method} {at}");
        }
    }
}

#[test]
fn an_upload_is_sent_again_only_if_it_was_certainly_not_taken() {
    let fresh: Script = || answer(403, &[], r#"{"errors":[{"message":"Unable to authenticate request"}]}"#);
    for taken in [unreachable, || answer(429, &[], "{}"), || answer(409, &[], ""), fresh] as [Script; 4] {
        let (outcome, tries, _) = send(Method::POST, &[taken, fine]);
        assert_eq!((outcome.expect("an answer").status.as_u16(), tries), (200, 2));
    }
    let perhaps: [Script; 5] = [
        lost,
        || answer(500, &[], "{}"),
        || answer(503, &[("retry-after", "1")], ""),
        || answer(408, &[], ""),
        || answer(200, &[], "<html>"),
    ];
    for trouble in perhaps {
        assert_eq!(send(Method::POST, &[trouble, fine]).1, 1);
    }
}

#[test]
fn what_stays_as_it_is_is_asked_once() {
    let final_ones: [Script; 8] = [
        untrusted,
        || answer(302, &[("location", "https://elsewhere.example/")], ""),
        || answer(400, &[], "{}"),
        || answer(401, &[], "{}"),
        || answer(403, &[], r#"{"errors":[{"code":10000,"message":"Authentication error"}]}"#),
        || answer(404, &[], "<html>"),
        || answer(405, &[], "{}"),
        || Err(FetchError::TooLarge { endpoint: nobody(), bytes: 1 }),
    ];
    for (at, outcome) in final_ones.into_iter().enumerate() {
        assert_eq!(send(Method::GET, &[outcome, fine]).1, 1, "{at}");
    }
}

#[test]
fn the_last_answer_is_the_answer_when_patience_ends() {
    let (outcome, tries, _) = send(Method::GET, &[|| answer(502, &[], "<html>")]);
    assert_eq!(outcome.expect("an answer").status, 502);
    assert_eq!(tries, 1 + TROUBLE_TRIES);
}

#[test]
fn pauses_that_can_be_noticed_are_told() {
    let asked: Script = || answer(429, &[("retry-after", "12")], "{}");
    let low: Script = || answer(200, &[("ratelimit", r#""default";r=0;t=60"#)], "<html>");
    let second = Duration::from_millis(10);
    let (_, _, told) = send_at(second, Method::GET, &[asked, low, fine]);
    let [throttled, running_low] = told[..] else { panic!("{told:?}") };
    assert_eq!(throttled, Wait { why: WaitReason::Throttled, pause: second * 12 });
    assert_eq!(throttled.to_string(), "Cloudflare asks to slow down, waiting 1 s");
    // Less what the pause before the repetition took of it.
    assert!(running_low.why == WaitReason::RunningLow && running_low.pause <= second * 60, "{running_low:?}");
    assert_eq!(send(Method::GET, &[unreachable, fine]).2, []);
}

/// The pauses between attempts that each fail in the same way, in seconds, until patience ends.
fn pauses(why: WaitReason, asked: Option<f64>, jitter: f64) -> Vec<f64> {
    let mut persistence = Persistence::new(Pace::default(), Jitter::new(move || jitter), Notice::new(|_| ()));
    let pauses: Vec<_> = (1..1000).map_while(|tries| persistence.pause(Obstacle { why, asked }, tries)).collect();
    assert!(pauses.len() < 999, "it never ends");
    pauses
}

#[test]
fn patience_has_an_end_whatever_is_asked_for() {
    assert_eq!(pauses(WaitReason::Trouble, None, 0.0), [0.25, 0.5, 1.0, 2.0, 4.0]);
    assert_eq!(pauses(WaitReason::Trouble, None, 1.0), [0.5, 1.0, 2.0, 4.0, 8.0]);
    assert_eq!(pauses(WaitReason::ZoneBusy, None, 0.0), [5.0; 10]);
    assert_eq!(pauses(WaitReason::FreshToken, None, 0.0), [1.0, 2.0, 4.0, 8.0]);
    assert_eq!(pauses(WaitReason::Throttled, Some(7.0), 0.0), [7.0; 47]);
    assert_eq!(pauses(WaitReason::Throttled, Some(86_400.0), 0.0), [60.0; 5]);
    let unasked = pauses(WaitReason::Throttled, None, 0.0);
    assert_eq!(unasked[..6], [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]);
    assert!(unasked.iter().sum::<f64>() > 300.0, "whoever is over the limit is refused for five minutes");
}

#[test]
fn retry_after_is_taken_where_it_says_something() {
    for (value, seconds) in
        [("7", Some(7.0)), (" 7 ", Some(7.0)), ("0", None), ("-1", None), ("soon", None), ("86400", Some(86_400.0))]
    {
        let answer = answer(429, &[("retry-after", value)], "").expect("an answer");
        assert_eq!(retry_after(&answer), seconds, "{value}");
    }
}
