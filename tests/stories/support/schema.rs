//! Whether an answer is what the OpenAPI document says, in as much of JSON Schema 2020-12 as the document uses. A word that
//! is not understood here is a failure, so that nothing passes unlooked at.

use std::collections::BTreeSet;

use serde_json::Value;

/// An OpenAPI document.
pub struct Document(pub Value);

impl Document {
    /// What `value` breaks of the schema called `name`; nothing, if it fits.
    pub fn mistakes(&self, name: &str, value: &Value) -> Vec<String> {
        let mut mistakes = Vec::new();
        self.check(&self.0["components"]["schemas"][name], value, name, &mut mistakes);
        mistakes
    }

    /// What the answer to `GET path` should be, by its schema's name.
    pub fn answer(&self, method: &str, path: &str) -> Option<&str> {
        let content = &self.0["paths"][path][method]["responses"]["200"]["content"]["application/json"];
        content["schema"]["$ref"].as_str().map(name_of)
    }

    /// Adds what `value`, which stands at `at`, breaks of `schema`. Returns the properties that the schema knows.
    fn check(&self, schema: &Value, value: &Value, at: &str, mistakes: &mut Vec<String>) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        let words = schema.as_object().unwrap_or_else(|| panic!("{at}: no schema"));
        let closed = ["additionalProperties", "unevaluatedProperties"].iter().any(|word| schema[*word] == false);
        for (word, said) in words {
            let mut say = |what: String| mistakes.push(format!("{at}: {what}"));
            match word.as_str() {
                "description" | "default" | "unevaluatedProperties" => {}
                "$ref" => {
                    let name = name_of(said.as_str().expect("a reference"));
                    known.append(&mut self.check(&self.0["components"]["schemas"][name], value, at, mistakes));
                }
                "type" if !is_of_type(said, value) => say(format!("{value} is not of type {said}")),
                "type" => {}
                "enum" if !said.as_array().expect("a list").contains(value) => {
                    say(format!("{value} is none of {said}"))
                }
                "const" if said != value => say(format!("{value} is not {said}")),
                "enum" | "const" => {}
                "minimum" if value.as_f64().is_some_and(|number| number < said.as_f64().expect("a number")) => {
                    say(format!("{value} is below {said}"));
                }
                "minimum" => {}
                "pattern" if value.as_str().is_some_and(|text| !matches(said.as_str().expect("a pattern"), text)) => {
                    say(format!("{value} does not match {said}"));
                }
                "pattern" => {}
                "required" => {
                    for key in said.as_array().expect("a list").iter().filter_map(Value::as_str) {
                        if value.is_object() && value.get(key).is_none() {
                            say(format!("`{key}` is missing"));
                        }
                    }
                }
                "properties" => {
                    for (key, schema) in said.as_object().expect("properties") {
                        known.insert(key.clone());
                        if let Some(value) = value.get(key) {
                            self.check(schema, value, &format!("{at}.{key}"), mistakes);
                        }
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(said, item, &format!("{at}[{index}]"), mistakes);
                    }
                }
                "additionalProperties" => {
                    for (key, value) in value.as_object().into_iter().flatten().filter(|_| said.is_object()) {
                        self.check(said, value, &format!("{at}.{key}"), mistakes);
                    }
                }
                "propertyNames" => {
                    for key in value.as_object().into_iter().flatten().map(|(key, _)| Value::from(key.as_str())) {
                        self.check(said, &key, &format!("{at}.{key}"), mistakes);
                    }
                }
                "allOf" => {
                    for part in said.as_array().expect("a list") {
                        known.append(&mut self.check(part, value, at, mistakes));
                    }
                }
                "oneOf" | "anyOf" => {
                    let tried: Vec<_> =
                        said.as_array().expect("a list").iter().map(|one| self.tried(one, value, at)).collect();
                    let fitting = tried.iter().filter(|mistakes| mistakes.is_empty()).count();
                    if fitting == 0 || (word == "oneOf" && fitting > 1) {
                        say(format!("{fitting} of {word} fit: {tried:?}"));
                    }
                }
                word => panic!("{at}: `{word}` is not understood by this check"),
            }
        }
        for key in value.as_object().into_iter().flatten().map(|(key, _)| key).filter(|_| closed) {
            if !known.contains(key) {
                mistakes.push(format!("{at}: `{key}` is not described"));
            }
        }
        known
    }

    fn tried(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        self.check(schema, value, at, &mut mistakes);
        mistakes
    }
}

fn name_of(reference: &str) -> &str {
    reference.strip_prefix("#/components/schemas/").expect("a schema of the document")
}

fn is_of_type(said: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        name => panic!("`{name}` is no type"),
    };
    match said {
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        name => is(name.as_str().expect("a type")),
    }
}

/// The two patterns of the document, by what they mean.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$" => {
            text != "never" && originlock::clock::Timestamp::parse(text).is_some() && text.ends_with('Z')
        }
        pattern => panic!("`{pattern}` is not understood by this check"),
    }
}
