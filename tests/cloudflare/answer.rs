//! Answers in the service's envelope.

use bytes::Bytes;
use serde_json::{Value, json};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", headers: Vec::new(), body: body.to_string().into() }
    }

    /// 200 with a result.
    pub fn ok(result: &Value) -> Self {
        Self::json(200, &json!({ "success": true, "errors": [], "messages": [], "result": result }))
    }

    /// 200 with a result and a message.
    pub fn told(result: &Value, code: u32, message: &str) -> Self {
        let messages = json!([{ "code": code, "message": message, "type": null }]);
        Self::json(200, &json!({ "success": true, "errors": [], "messages": messages, "result": result }))
    }

    /// One page of a list.
    pub fn page(items: Vec<Value>, page: Page) -> Self {
        let total = items.len();
        let result: Vec<Value> = items.into_iter().skip((page.number - 1) * page.size).take(page.size).collect();
        let info = json!({
            "page": page.number,
            "per_page": page.size,
            "count": result.len(),
            "total_count": total,
            "total_pages": total.div_ceil(page.size).max(1),
        });
        let body = json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info });
        Self::json(200, &body)
    }

    /// A refusal as the origin-pull service writes it: without any `result`.
    pub fn refused(status: u16, code: u32, message: &str) -> Self {
        let errors = json!([{ "code": code, "message": message }]);
        Self::json(status, &json!({ "success": false, "errors": errors, "messages": [] }))
    }

    /// A refusal as everything in front of the services writes it.
    pub fn failure(status: u16, code: u32, message: &str) -> Self {
        let errors = json!([{ "code": code, "message": message }]);
        Self::json(status, &json!({ "success": false, "errors": errors, "messages": [], "result": null }))
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub const fn is_success(&self) -> bool {
        self.status < 300
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub number: usize,
    pub size: usize,
}

impl Page {
    /// The only page of a list that has no others.
    pub const WHOLE: Self = Self { number: 1, size: 1000 };
}
