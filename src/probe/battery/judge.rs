//! From what a request came to, what it shows.
//!
//! An alert is a refusal. Silence is one only where a certificate was asked for and the right one is answered: a server
//! whose backend is away, or that has had enough of us, hangs up, too. An answer may be the proxy's or the backend's, and
//! no status says which. So an answer counts as a refusal only if it says so itself, or if its status is one that refuses
//! people and the right certificate gets a better one for the same request; a page counts as a hole; all else is unclear.
//! Nothing unclear is ever called safe.

use super::Finding;
use super::conversation::{Answer, Outcome, Refusal};

/// Bodies that say why (nginx, IIS, and whoever copied them): refused for want of the right certificate.
const REFUSALS: [&str; 4] =
    ["no required ssl certificate was sent", "the ssl certificate error", "client certificate", "ssl certificate"];
/// 421 Misdirected Request (RFC 9110); 495 and 496 are nginx's own for a wrong and for no certificate.
const REFUSING: [u16; 3] = [421, 495, 496];
/// What proxies answer to the wrong client. A backend says 404, 405 or 429 to anybody.
const REFUSING_BESIDE_A_BETTER_ONE: [u16; 3] = [400, 401, 403];

/// What the right certificate gets, asked for twice.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub answer: Answer,
    /// Both answers were the same, whole.
    pub steady: bool,
    /// The server asks for a certificate.
    pub asked: bool,
}

/// A finding and its detail.
pub(super) type Shown = (Finding, String);

impl Reference {
    /// Whether it is the backend's, as far as a status can tell.
    fn is_good(&self) -> bool {
        self.answer.status < 400
    }

    /// Whether `answer` is the same page; `None`: pages change, there is nothing to compare.
    pub(super) fn same(&self, answer: &Answer) -> Option<bool> {
        match (self.answer.echoes, answer.echoes) {
            // Both have seen their request.
            (true, true) => Some(true),
            _ if self.steady => {
                Some(answer.status == self.answer.status && answer.whole && answer.body == self.answer.body)
            }
            _ => None,
        }
    }
}

impl Refusal {
    pub(super) fn told(self) -> String {
        match self {
            Self::Alert(alert) => format!("refused with {alert}"),
            Self::CutOff => "cut off without an alert".to_owned(),
            Self::Reset => "the request was given back".to_owned(),
            Self::NoHttp2 => "HTTP/2 is not spoken".to_owned(),
        }
    }
}

impl Answer {
    /// Why it is a refusal, if it says so itself.
    pub(super) fn refusal(&self) -> Option<String> {
        if REFUSING.contains(&self.status) {
            return Some(format!("refused with status {}", self.status));
        }
        let speaks = matches!(self.status, 400 | 403) && REFUSALS.iter().any(|words| self.says(words));
        speaks.then(|| format!("refused with status {}, for want of a certificate", self.status))
    }
}

/// What it shows when somebody asks for the host who should not get it.
pub(super) fn stranger(outcome: &Outcome, reference: Option<&Reference>) -> Shown {
    let answer = match outcome {
        Outcome::Refused(refusal) => return turned_away(*refusal, reference.map(|right| right.asked)),
        Outcome::Lost(why) => return (Finding::Unclear, why.clone()),
        Outcome::Answered(answer) => answer,
    };
    let status = answer.status;
    if answer.echoes {
        return (Finding::Hole, format!("answered {status} by a backend that saw the request"));
    }
    if let Some(refusal) = answer.refusal() {
        return (Finding::Holds, refusal);
    }
    let same = reference.and_then(|reference| reference.same(answer));
    let as_right = if same == Some(true) { ", as the right certificate is" } else { "" };
    if (200..300).contains(&status) || (status < 400 && same == Some(true)) {
        return (Finding::Hole, format!("answered {status}{as_right}"));
    }
    match reference {
        Some(right) if right.is_good() && REFUSING_BESIDE_A_BETTER_ONE.contains(&status) => (
            Finding::Holds,
            format!("refused with status {status}; the right certificate gets {}", right.answer.status),
        ),
        Some(right) if right.is_good() => {
            (Finding::Unclear, format!("answered {status}, while the right certificate gets {}", right.answer.status))
        }
        Some(right) => (
            Finding::Unclear,
            format!(
                "answered {status}, and the right certificate gets {}: choose a --path that the backend answers with 200",
                right.answer.status
            ),
        ),
        None => (
            Finding::Unclear,
            format!("answered {status}, by the server or by the backend: with --cert and --key it can be told"),
        ),
    }
}

/// What a refusal below HTTP shows. `told_apart`: whether the server could have told the right certificate from it;
/// `None`: the right one is not known.
fn turned_away(refusal: Refusal, told_apart: Option<bool>) -> Shown {
    let is_silent = match refusal {
        Refusal::CutOff | Refusal::Reset => true,
        Refusal::Alert(_) | Refusal::NoHttp2 => false,
    };
    let told = refusal.told();
    match told_apart {
        _ if !is_silent => (Finding::Holds, told),
        Some(true) => (Finding::Holds, told),
        Some(false) => (Finding::Unclear, format!("{told}, by a server that asks for no certificate")),
        None => (Finding::Unclear, format!("{told}: with --cert and --key it can be told why")),
    }
}

/// What it shows when the right certificate asks. `reference`: what it got before, by other means.
pub(super) fn right(outcome: &Outcome, means: &str, reference: Option<&Reference>) -> Shown {
    let answer = match outcome {
        Outcome::Refused(refusal) => return (Finding::ShutOut, refusal.told()),
        Outcome::Lost(why) => return (Finding::Unclear, why.clone()),
        Outcome::Answered(answer) => answer,
    };
    let status = answer.status;
    if let Some(refusal) = answer.refusal() {
        return (Finding::ShutOut, refusal);
    }
    let expected = reference.is_some_and(|right| right.is_good() && right.answer.status == status);
    match answer.echoes || status < 400 || expected {
        true => (Finding::Holds, format!("answered {status} over {means}")),
        false => (
            Finding::Unclear,
            format!(
                "answered {status}, by the server or by the backend: choose a --path that the backend answers with 200"
            ),
        ),
    }
}

/// What it shows when a connection that was made for another host asks for this one. `theirs` is the other host's own page.
pub(super) fn misdirected(outcome: &Outcome, theirs: &Answer, reference: Option<&Reference>) -> Shown {
    if let (Outcome::Answered(answer), Some(right)) = (outcome, reference) {
        let is_theirs = answer.status == theirs.status && answer.body == theirs.body && answer.whole;
        if right.steady && !answer.echoes && is_theirs && right.same(answer) == Some(false) {
            return (Finding::Holds, format!("answered {} by the other host", answer.status));
        }
    }
    stranger(outcome, reference)
}

/// What it shows when somebody asks for the host on a connection that was made for no host.
pub(super) fn unnamed(outcome: &Outcome, reference: Option<&Reference>) -> Shown {
    if let (Outcome::Answered(answer), Some(right)) = (outcome, reference)
        && answer.status < 300
        && !answer.echoes
        && right.same(answer) == Some(false)
    {
        let detail = "with another page than the right certificate gets: look whose it is";
        return (Finding::Unclear, format!("answered {} {detail}", answer.status));
    }
    stranger(outcome, reference)
}

/// What it shows when somebody asks under a name that no host has.
pub(super) fn nameless(outcome: &Outcome, reference: Option<&Reference>) -> Shown {
    let answer = match outcome {
        // To whom nothing was said about the host, a server need not ask for a certificate.
        Outcome::Refused(refusal) => return turned_away(*refusal, reference.map(|_| true)),
        Outcome::Lost(_) => return stranger(outcome, None),
        Outcome::Answered(answer) => answer,
    };
    if let Some(refusal) = answer.refusal() {
        return (Finding::Holds, refusal);
    }
    let status = answer.status;
    match reference.and_then(|right| right.is_good().then(|| right.same(answer)).flatten()) {
        Some(true) => (Finding::Hole, format!("answered {status}, as the right certificate is")),
        Some(false) => (Finding::Holds, format!("answered {status} by another site")),
        None if REFUSING_BESIDE_A_BETTER_ONE.contains(&status) => {
            (Finding::Holds, format!("refused with status {status}"))
        }
        None if reference.is_none() => {
            (Finding::Skipped, format!("answered {status}: whether by the same site can be told with --cert and --key"))
        }
        None => (
            Finding::Skipped,
            format!("answered {status}: the right certificate's answers change, so there is nothing to compare with"),
        ),
    }
}

/// What it shows when somebody asks without TLS.
pub(super) fn plain(outcome: &Outcome, reference: Option<&Reference>) -> Shown {
    let answer = match outcome {
        Outcome::Refused(_) | Outcome::Lost(_) => return (Finding::Holds, "not answered".to_owned()),
        Outcome::Answered(answer) => answer,
    };
    let to_tls = answer.location.as_ref().is_some_and(|location| location.starts_with("https://"));
    match answer.status {
        status @ (400 | 426 | 497) if !answer.echoes => (Finding::Holds, format!("refused with status {status}")),
        status @ 300..400 if to_tls => (Finding::Holds, format!("sent on to https:// with status {status}")),
        _ => stranger(outcome, reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, location: None, body: body.into(), whole: true, echoes: false }
    }

    fn reference(status: u16, body: &'static str, steady: bool) -> Option<Reference> {
        Some(Reference { answer: answer(status, body), steady, asked: true })
    }

    #[test]
    fn a_stranger_s_answer_is_judged_by_what_the_right_one_gets() {
        let nginx = "<h1>400 Bad Request</h1> No required SSL certificate was sent";
        let good = || reference(200, "shop", true);
        for (status, body, right, finding) in [
            (400, nginx, None, Finding::Holds),
            (400, "what?", None, Finding::Unclear),
            (400, "what?", good(), Finding::Holds),
            (403, "no", None, Finding::Unclear),
            (403, "no", good(), Finding::Holds),
            (403, "no", reference(403, "no", true), Finding::Unclear),
            (421, "", None, Finding::Holds),
            (496, "", None, Finding::Holds),
            (200, "shop", None, Finding::Hole),
            (200, "shop", good(), Finding::Hole),
            (200, "another page", good(), Finding::Hole),
            (302, "", None, Finding::Unclear),
            (302, "", good(), Finding::Unclear),
            (302, "", reference(302, "", true), Finding::Hole),
            (404, "none", reference(404, "none", true), Finding::Unclear),
            (502, "", None, Finding::Unclear),
            (502, "", good(), Finding::Unclear),
            (404, "none", good(), Finding::Unclear),
            (429, "slowly", good(), Finding::Unclear),
        ] {
            let (found, detail) = stranger(&Outcome::Answered(answer(status, body)), right.as_ref());
            assert_eq!(found, finding, "{status} {body} {right:?}: {detail}");
        }
        let seen = Answer { echoes: true, ..answer(403, "x-probe-marker: …") };
        assert_eq!(stranger(&Outcome::Answered(seen), good().as_ref()).0, Finding::Hole);
        assert_eq!(stranger(&Outcome::Lost("late".into()), None).0, Finding::Unclear);
    }

    #[test]
    fn silence_is_a_refusal_only_where_the_right_one_is_answered() {
        let asks_nobody = reference(200, "shop", true).map(|right| Reference { asked: false, ..right });
        for silence in [Refusal::CutOff, Refusal::Reset] {
            let shown = |right: Option<&Reference>| stranger(&Outcome::Refused(silence), right).0;
            assert_eq!(shown(None), Finding::Unclear, "the backend may be away");
            assert_eq!(shown(asks_nobody.as_ref()), Finding::Unclear, "it cannot have been for want of a certificate");
            assert_eq!(shown(reference(200, "shop", true).as_ref()), Finding::Holds);
            assert_eq!(nameless(&Outcome::Refused(silence), None).0, Finding::Unclear);
            assert_eq!(nameless(&Outcome::Refused(silence), asks_nobody.as_ref()).0, Finding::Holds);
        }
        let alert = Outcome::Refused(Refusal::Alert("unknown_ca"));
        assert_eq!(stranger(&alert, None).0, Finding::Holds);
        assert_eq!(nameless(&alert, None).0, Finding::Holds);
    }

    #[test]
    fn another_site_s_page_is_no_hole() {
        let (theirs, ours) = (answer(200, "theirs"), reference(200, "ours", true));
        let shown = |page: &'static str, right: &Option<Reference>| {
            misdirected(&Outcome::Answered(answer(200, page)), &theirs, right.as_ref()).0
        };
        assert_eq!(shown("theirs", &ours), Finding::Holds);
        assert_eq!(shown("ours", &ours), Finding::Hole);
        assert_eq!(shown("a third", &ours), Finding::Hole, "it may be ours for this client");
        assert_eq!(shown("theirs", &None), Finding::Hole, "nobody knows ours");
        assert_eq!(shown("theirs", &reference(200, "theirs", true)), Finding::Hole, "both are the same");
        assert_eq!(shown("theirs", &reference(200, "ours", false)), Finding::Hole, "it changes");

        for (status, page, right, finding) in [
            (200, "ours", &ours, Finding::Hole),
            (200, "welcome", &ours, Finding::Holds),
            (200, "welcome", &None, Finding::Skipped),
            (200, "welcome", &reference(200, "ours", false), Finding::Skipped),
            (404, "none", &None, Finding::Skipped),
            (400, "none", &None, Finding::Holds),
            (421, "", &None, Finding::Holds),
        ] {
            let (found, detail) = nameless(&Outcome::Answered(answer(status, page)), right.as_ref());
            assert_eq!(found, finding, "{status} {page}: {detail}");
        }
    }

    #[test]
    fn the_right_certificate_has_to_get_in() {
        let over = |outcome: Outcome| right(&outcome, "TLS 1.3", None).0;
        assert_eq!(over(Outcome::Answered(answer(200, ""))), Finding::Holds);
        assert_eq!(over(Outcome::Answered(answer(404, ""))), Finding::Unclear);
        assert_eq!(over(Outcome::Answered(answer(400, "The SSL certificate error"))), Finding::ShutOut);
        assert_eq!(over(Outcome::Refused(Refusal::Alert("unknown_ca"))), Finding::ShutOut);
        assert_eq!(over(Outcome::Lost("late".into())), Finding::Unclear);
    }

    #[test]
    fn without_tls_only_a_page_is_a_hole() {
        let sent_on = Answer { location: Some("https://shop.example.com/".into()), ..answer(301, "") };
        for (outcome, finding) in [
            (Outcome::Answered(answer(400, "The plain HTTP request was sent to HTTPS port")), Finding::Holds),
            (Outcome::Answered(sent_on), Finding::Holds),
            (Outcome::Answered(answer(200, "shop")), Finding::Hole),
            (Outcome::Answered(answer(404, "shop")), Finding::Unclear),
            (Outcome::Refused(Refusal::CutOff), Finding::Holds),
            (Outcome::Lost("no HTTP".into()), Finding::Holds),
        ] {
            assert_eq!(plain(&outcome, None).0, finding, "{outcome:?}");
        }
    }
}
