//! The frame around every answer.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// As much of a message is kept as a person reads.
const MAX_TEXT_CHARS: usize = 300;
const MAX_MESSAGES: usize = 10;

/// `success`, `errors`, `result`; all of it is only sometimes there.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    /// Decides, whatever the HTTP status says. `None`: this is no answer of the API's.
    #[serde(default)]
    pub(super) success: Option<bool>,
    #[serde(default, deserialize_with = "messages")]
    pub(super) errors: Vec<Message>,
    #[serde(default)]
    pub(super) result: Option<Value>,
    #[serde(default)]
    pub(super) result_info: Option<Value>,
}

/// One entry of `errors`: what Cloudflare wrote, cut to a length and without control characters.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Message {
    /// 0: there is none.
    pub code: i64,
    pub message: String,
}

impl Envelope {
    /// Whether `page` is the last one of a list of which it holds `items`, where `asked` were wanted at most.
    pub(super) fn is_last(&self, page: u64, items: usize, asked: u64) -> bool {
        let info = |key: &str| self.result_info.as_ref().and_then(|info| info[key].as_u64());
        let pages = info("total_pages").or_else(|| {
            let (total, per_page) = (info("total_count")?, info("per_page").filter(|number| *number > 0)?);
            Some(total.div_ceil(per_page))
        });
        items == 0 || pages.map_or((items as u64) < asked, |pages| page >= pages)
    }
}

impl Message {
    fn read(value: &Value) -> Self {
        let code = &value["code"];
        let code = code.as_i64().or_else(|| code.as_str()?.parse().ok()).unwrap_or(0);
        let mut message = value["message"].as_str().or(value.as_str()).unwrap_or_default().to_owned();
        let chain = value["error_chain"].as_array().map(Vec::as_slice).unwrap_or_default();
        for cause in chain.iter().take(MAX_MESSAGES).filter_map(|cause| cause["message"].as_str()) {
            message = format!("{message}: {cause}");
        }
        Self { code, message: clipped(&message) }
    }
}

fn messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Message>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_array().into_iter().flatten().take(MAX_MESSAGES).map(Message::read).collect())
}

/// What another server wrote, as long as it may be kept, on one line.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
