//! What goes wrong on purpose: which request, and how.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::settings::seconds;

/// One rule. The first rule that a request meets is the one that acts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `*`: any.
    #[serde(default = "any")]
    pub method: String,
    /// Below the API's prefix; `*` stands for one part, `**` for all that follow.
    #[serde(default = "everything")]
    pub path: String,
    /// Which of the requests that fit is the first, counted from 1.
    #[serde(default = "one")]
    pub nth: usize,
    /// How many from there on; `None`: all.
    #[serde(default = "only_one")]
    pub times: Option<usize>,
    /// In how many of a hundred cases.
    #[serde(default = "always")]
    pub percent: u32,
    /// Whether the request does its work all the same, where the answer does not come from it anyway.
    #[serde(default)]
    pub applied: bool,
    pub effect: Effect,
}

/// What happens to the answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// This one instead.
    Answer { status: u16, content_type: String, body: String },
    /// `success: false` with status 200.
    Unsuccessful,
    /// A whole message that holds half of the JSON.
    CutJson,
    /// The connection ends in the middle of the body.
    CutConnection,
    /// The real body, as `text/html`.
    WrongType,
    /// So much later, of the machine's own time.
    Delay(#[serde(with = "seconds")] Duration),
    /// Never.
    Hang,
    /// The connection closes instead.
    Close,
    /// The request arrives twice; the second answer is the one that comes back.
    Duplicate,
    /// Some bytes at a time, with so much of the machine's time between them.
    Drip(#[serde(with = "seconds")] Duration),
    /// 10 MiB of JSON.
    Huge,
    /// 307 to this address.
    Redirect(String),
}

fn any() -> String {
    "*".to_owned()
}

fn everything() -> String {
    "/**".to_owned()
}

const fn one() -> usize {
    1
}

#[allow(clippy::unnecessary_wraps, reason = "the default of a field that may be missing")]
const fn only_one() -> Option<usize> {
    Some(1)
}

const fn always() -> u32 {
    100
}

impl Fault {
    /// For requests of `method` whose path, below the API's prefix, fits `path`.
    pub fn on(method: &str, path: &str) -> Site {
        Site(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            nth: 1,
            times: Some(1),
            percent: 100,
            applied: false,
            effect: Effect::Close,
        })
    }

    /// For all requests.
    pub fn anywhere() -> Site {
        Self::on("*", "/**")
    }
}

/// A rule that does not say yet what happens.
#[derive(Clone, Debug)]
pub struct Site(Fault);

impl Site {
    /// From the n-th that fits, counted from 1.
    #[must_use]
    pub const fn nth(mut self, nth: usize) -> Self {
        self.0.nth = nth;
        self
    }

    #[must_use]
    pub const fn times(mut self, times: usize) -> Self {
        self.0.times = Some(times);
        self
    }

    /// And all that come after.
    #[must_use]
    pub const fn always(mut self) -> Self {
        self.0.times = None;
        self
    }

    #[must_use]
    pub const fn percent(mut self, percent: u32) -> Self {
        self.0.percent = percent;
        self
    }

    /// The request does its work before things go wrong.
    #[must_use]
    pub const fn applied(mut self) -> Self {
        self.0.applied = true;
        self
    }

    pub fn effect(mut self, effect: Effect) -> Fault {
        self.0.effect = effect;
        self.0
    }

    pub fn answer(self, status: u16, content_type: &str, body: &str) -> Fault {
        self.effect(Effect::Answer { status, content_type: content_type.to_owned(), body: body.to_owned() })
    }

    /// A refusal in the service's envelope.
    pub fn refuse(self, status: u16, code: u32, message: &str) -> Fault {
        let errors = serde_json::json!([{ "code": code, "message": message }]);
        let body = serde_json::json!({ "success": false, "errors": errors, "messages": [], "result": null });
        self.answer(status, "application/json", &body.to_string())
    }

    pub fn close(self) -> Fault {
        self.effect(Effect::Close)
    }

    pub fn hang(self) -> Fault {
        self.effect(Effect::Hang)
    }

    pub fn apply_then_close(self) -> Fault {
        self.applied().close()
    }

    /// The work is done and no answer comes: time to kill the client.
    pub fn apply_then_hang(self) -> Fault {
        self.applied().hang()
    }

    pub fn apply_then_500(self) -> Fault {
        self.applied().refuse(500, 10002, "Internal server error")
    }
}

/// All rules, and how many requests have met each.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<(Fault, usize)>);

impl Faults {
    pub fn new(faults: Vec<Fault>) -> Self {
        Self(faults.into_iter().map(|fault| (fault, 0)).collect())
    }

    pub fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The rule that acts on this request.
    pub(super) fn meet(&mut self, method: &str, path: &str, random: &mut Random) -> Option<Fault> {
        let mut acting = None;
        for (fault, met) in &mut self.0 {
            if (fault.method != "*" && fault.method != method) || !fits(&fault.path, path) {
                continue;
            }
            *met += 1;
            let is_its_turn = *met >= fault.nth && fault.times.is_none_or(|times| *met < fault.nth + times);
            if acting.is_none() && is_its_turn && random.percent(fault.percent) {
                acting = Some(fault.clone());
            }
        }
        acting
    }
}

/// Whether `path` is one of those that `pattern` means.
pub fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) | (Some("**"), _) => return true,
            (Some("*"), Some(_)) => {}
            (Some(word), Some(part)) if word == part => {}
            _ => return false,
        }
    }
}
