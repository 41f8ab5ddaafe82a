//! A typed reader over TOML that keeps going after a mistake, knows where everything was written, and notices keys that
//! nobody asked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::config::model::Placed;
use crate::config::problem::{Place, Problem, Problems, Severity, SourceFile, holds_key_material};

/// Below this likeness (Jaro-Winkler) a suggestion would only puzzle.
const LIKE_ENOUGH: f64 = 0.79;
/// Longest piece of a value that a message repeats.
const LONGEST_QUOTE: usize = 80;

/// One file being read, and what was found wrong with it.
pub struct Context<'a> {
    pub file: &'a Arc<SourceFile>,
    pub problems: &'a RefCell<Problems>,
    /// What to write instead of a key that other proxies, or common sense, would have.
    pub habits: &'static [(&'static str, &'static str)],
    #[cfg(test)]
    pub asked: &'a RefCell<std::collections::BTreeMap<String, bool>>,
}

/// A table, and the keys asked of it so far.
pub struct Table<'a> {
    context: &'a Context<'a>,
    entries: &'a DeTable<'a>,
    pub place: Place,
    /// Dotted, as shown to the operator; empty for the file's root and for a host.
    path: Cow<'static, str>,
    known: Vec<&'static str>,
}

/// The value of a key.
pub struct Value<'a> {
    context: &'a Context<'a>,
    value: &'a Spanned<DeValue<'a>>,
    name: Cow<'static, str>,
}

impl<'a> Context<'a> {
    /// The place of some bytes of this file.
    pub fn place(&self, span: Range<usize>) -> Place {
        Place { file: Arc::clone(self.file), span }
    }

    /// Reports an error.
    pub fn error(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.borrow_mut().error(place, message, help);
    }

    /// Reports an error whose message already is the remedy.
    fn plain_error(&self, place: Place, message: String) {
        self.problems.borrow_mut().push(Problem::new(Severity::Error, Some(place), message, None));
    }
}

impl<'a> Table<'a> {
    /// `path` is what the keys of this table are called by.
    pub fn new(context: &'a Context<'a>, entries: &'a DeTable<'a>, place: Place, path: Cow<'static, str>) -> Self {
        Self { context, entries, place, path, known: Vec::new() }
    }

    /// The value of `key`, if written.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let name = dotted(&self.path, key);
        let value = self.entries.get(key);
        #[cfg(test)]
        {
            let mut asked = self.context.asked.borrow_mut();
            *asked.entry(name.clone().into_owned()).or_default() |= value.is_some();
        }
        value.map(|value| Value { context: self.context, value, name })
    }

    /// The value of `key`; its absence is an error.
    pub fn require(&mut self, key: &'static str, help: &str) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() {
            self.context.error(&self.place, format!("`{}` is missing", dotted(&self.path, key)), help);
        }
        value
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        for key in self.entries.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let text = quotable(key.get_ref());
            let place = self.context.place(key.span());
            let message = format!("unknown key `{}`", dotted(&self.path, &text));
            let habit = self.context.habits.iter().find(|(habit, _)| *habit == text);
            match (habit, nearest(&text, self.known.iter().copied())) {
                (Some((_, instead)), _) => self.context.error(&place, message, *instead),
                (None, Some(near)) => self.context.plain_error(place, format!("{message}, did you mean `{near}`?")),
                (None, None) => self.context.error(&place, message, format!("known here: {}", self.known.join(", "))),
            }
        }
    }

    /// All entries, for a table whose keys are names of the operator's.
    pub fn named_entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries.iter().map(|(key, value)| {
            let name = Cow::Owned(format!("{}.{}", self.path, quotable(key.get_ref())));
            (key.get_ref().as_ref(), Value { context: self.context, value, name })
        })
    }
}

impl<'a> Value<'a> {
    /// Where the value stands.
    pub fn place(&self) -> Place {
        self.context.place(self.value.span())
    }

    /// The file it stands in.
    pub fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// The dotted key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reports an error at the value. The message goes on after the key's name.
    pub fn error(&self, what: impl AsRef<str>, help: impl Into<String>) {
        self.context.error(&self.place(), format!("`{}` {}", self.name, what.as_ref()), help);
    }

    /// Whether the value is a table.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A text. A pasted key is refused here, for every key.
    pub fn string(&self) -> Option<&'a str> {
        match self.value.get_ref().as_str() {
            Some(text) if holds_key_material(text) => {
                self.error("holds a pasted key or certificate", "write it into a file and give the file's path here");
                None
            }
            Some("") => {
                self.error("is empty", "give it a value or remove the line");
                None
            }
            Some(text) => Some(text),
            None => self.mismatch("a string"),
        }
    }

    /// A text with its place.
    pub fn placed_string(&self) -> Option<Placed<String>> {
        self.string().map(|text| self.placed(text.to_owned()))
    }

    /// A path, resolved against the directory of the file that names it.
    pub fn path(&self) -> Option<Placed<PathBuf>> {
        self.string().map(|text| self.placed(self.context.file.directory().join(text)))
    }

    /// `value` at this place.
    pub fn placed<T>(&self, value: T) -> Placed<T> {
        Placed { value, place: self.place() }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.error(format!("cannot be \"{}\"", quotable(text)), format!("write one of {}", all.join(", ")));
        }
        found
    }

    /// A whole number within `range`.
    pub fn integer(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let Some(number) = self.value.get_ref().as_integer() else {
            return self.mismatch("a whole number");
        };
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.and_then(|value| usize::try_from(value).ok()).filter(|value| range.contains(value));
        if value.is_none() {
            let help = format!("write a number from {} to {}", range.start(), range.end());
            self.error(format!("cannot be {}", quotable(&number.to_string())), help);
        }
        value
    }

    /// A number of seconds within `range`, fractions allowed.
    pub fn seconds(&self, range: RangeInclusive<f64>) -> Option<Duration> {
        self.number("a number of seconds", range).map(Duration::from_secs_f64)
    }

    /// A number within `range`, fractions allowed; `what` says of what it is one.
    pub fn number(&self, what: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let (text, number) = match self.value.get_ref() {
            DeValue::Integer(number) => {
                let whole = i64::from_str_radix(number.as_str(), number.radix()).ok();
                (number.to_string(), whole.map(|whole| whole as f64))
            }
            DeValue::Float(number) => (number.to_string(), number.as_str().parse().ok()),
            _ => return self.mismatch(what),
        };
        let number = number.filter(|number: &f64| range.contains(number));
        if number.is_none() {
            let help = format!("write {what} from {} to {}", range.start(), range.end());
            self.error(format!("cannot be {}", quotable(&text)), help);
        }
        number
    }

    /// A table, whose keys are called by `path`.
    pub fn table_called(&self, path: impl Into<Cow<'static, str>>) -> Option<Table<'a>> {
        match self.value.get_ref().as_table() {
            Some(entries) => Some(Table::new(self.context, entries, self.place(), path.into())),
            None => self.mismatch("a table"),
        }
    }

    /// A table, whose keys are called by the key it stands at.
    pub fn table(&self) -> Option<Table<'a>> {
        self.table_called(self.name.clone())
    }

    /// The elements of a list, or the one value that is no list.
    pub fn one_or_many(self) -> Vec<Value<'a>> {
        match self.value.get_ref().as_array() {
            Some(array) => self.elements(array),
            None => vec![self],
        }
    }

    /// The tables written as `[[name]]`.
    pub fn tables(&self) -> Vec<Value<'a>> {
        match self.value.get_ref() {
            DeValue::Array(array) => self.elements(array),
            _ => {
                self.error("has to be a list of tables", format!("write `[[{}]]` with two brackets", self.name));
                Vec::new()
            }
        }
    }

    fn elements(&self, array: &'a DeArray<'a>) -> Vec<Value<'a>> {
        array.iter().map(|value| Value { context: self.context, value, name: self.name.clone() }).collect()
    }

    fn mismatch<T>(&self, wanted: &str) -> Option<T> {
        let kind = match self.value.get_ref() {
            DeValue::Array(_) => "a list",
            DeValue::Integer(_) => "an integer",
            DeValue::String(_) => "a string",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("is {kind}"), format!("{wanted} is needed"));
        None
    }
}

/// The most alike of `known`, if any is like enough.
pub fn nearest<'k>(text: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|key| (likeness(text, key), key))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}

/// A name without its unit, or one with too much at its end, is still the same name.
fn likeness(text: &str, key: &str) -> f64 {
    let extends = text.len() >= 4 && key.starts_with(text);
    let likeness = strsim::jaro_winkler(text, key);
    if extends { likeness.max(LIKE_ENOUGH) } else { likeness }
}

/// A value's text, fit for a message.
pub fn quotable(text: &str) -> String {
    let short: String = text.chars().take(LONGEST_QUOTE).collect();
    let shown = if holds_key_material(text) { "…" } else { short.as_str() };
    shown.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn dotted(path: &str, key: &str) -> Cow<'static, str> {
    match path {
        "" => Cow::Owned(key.to_owned()),
        _ => Cow::Owned(format!("{path}.{key}")),
    }
}
