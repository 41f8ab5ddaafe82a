//! The frame around every answer.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// `success`, `errors`, `result`; the rest is only sometimes there.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    /// Decides, whatever the HTTP status says.
    #[serde(default)]
    pub(super) success: bool,
    #[serde(default = "none")]
    pub(super) result: Option<T>,
    #[serde(default)]
    pub(super) result_info: Option<ResultInfo>,
}

/// The frame of an answer that refuses: its `result` is of no interest.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refused {
    #[serde(default)]
    pub(super) success: bool,
    #[serde(default)]
    pub(super) errors: Option<Vec<Message>>,
    #[serde(default)]
    #[expect(dead_code, reason = "taken whatever it is")]
    result: Option<IgnoredAny>,
}

/// One entry of `errors`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, serde::Serialize)]
pub struct Message {
    #[serde(default)]
    pub code: i64,
    #[serde(default)]
    pub message: String,
}

/// Where in a list an answer is.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct ResultInfo {
    #[serde(default)]
    pub(super) total_pages: Option<u64>,
}

fn none<T>() -> Option<T> {
    None
}
