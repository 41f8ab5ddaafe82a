//! What is wrong with a configuration, and where it was written.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const KEY_BEGINS: &str = "-----BEGIN";
const KEY_ENDS: &str = "-----END";

/// A file as it was read.
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
    /// Worked out on the first question: most files have no problem.
    layout: OnceLock<Layout>,
}

/// What rendering needs to know of a text. Found in one pass, so that many problems in a large file stay cheap.
struct Layout {
    /// Where each line begins.
    lines: Vec<usize>,
    /// From each `-----BEGIN` to its `-----END`, or to the end of the text.
    keys: Vec<Range<usize>>,
}

/// Bytes of a file. Line and column are worked out only when somebody wants to read them.
#[derive(Clone)]
pub struct Place {
    pub file: Arc<SourceFile>,
    pub span: Range<usize>,
}

/// Whether the configuration can be used all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong or will bite.
#[derive(Clone, Debug)]
pub struct Problem {
    pub severity: Severity,
    /// `None` for what no line can be blamed for, such as a missing file.
    pub place: Option<Place>,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that belong to it, each with a word about its part.
    pub also: Vec<(Place, String)>,
}

/// Everything found so far, in the order found.
#[derive(Clone, Default, Debug)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds an error at `place`; `help` says what to write instead.
    pub fn error(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Problem::new(Severity::Error, Some(place.clone()), message.into(), Some(help.into())));
    }

    /// Adds a warning at `place`; `help` says what to do about it.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Problem::new(Severity::Warning, Some(place.clone()), message.into(), Some(help.into())));
    }

    /// Adds a problem of any shape.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Whether the configuration cannot be used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Takes over the problems of another stage.
    pub fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
    }
}

impl Problem {
    /// A problem that no other place belongs to.
    pub fn new(severity: Severity, place: Option<Place>, message: String, help: Option<String>) -> Self {
        Self { severity, place, message, help, also: Vec::new() }
    }
}

impl SourceFile {
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), layout: OnceLock::new() }
    }

    /// The directory that relative paths in this file start from.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }

    fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
            Layout { lines, keys: key_ranges(&self.text) }
        })
    }
}

impl Place {
    /// Line and column of the first character, both counted from 1, the column in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let (number, range) = self.line();
        let text = &self.file.text;
        let end = char_start(text, self.span.start.clamp(range.start, range.end));
        (number, text[range.start..end].chars().count() + 1)
    }

    /// The first line, without its end. `None` for a line that holds key material: it must not be shown anywhere.
    pub fn line_text(&self) -> Option<&str> {
        let range = self.line().1;
        let keys = &self.file.layout().keys;
        let next = keys.partition_point(|key| key.end < range.start);
        let shows_key = keys.get(next).is_some_and(|key| key.start <= range.end);
        (!shows_key).then(|| &self.file.text[range])
    }

    /// The first line's number, counted from 1, and its bytes.
    pub(super) fn line(&self) -> (usize, Range<usize>) {
        let text = &self.file.text;
        let lines = &self.file.layout().lines;
        let number = lines.partition_point(|start| *start <= self.span.start.min(text.len())).max(1);
        let start = lines[number - 1];
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let end = if text[start..end].ends_with('\r') { end - 1 } else { end };
        (number, start..end)
    }
}

fn key_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(begin) = text[from..].find(KEY_BEGINS).map(|at| from + at) {
        let end = text[begin..].find(KEY_ENDS).map_or(text.len(), |at| begin + at + KEY_ENDS.len());
        ranges.push(begin..end);
        from = end;
    }
    ranges
}

/// The start of the character that byte `at` belongs to.
pub(super) fn char_start(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Whether `text` is a pasted key or certificate.
pub(super) fn holds_key_material(text: &str) -> bool {
    text.contains(KEY_BEGINS)
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.file.path == other.file.path && self.span == other.span
    }
}

impl Eq for Place {}

/// The text stays out: a line may hold a pasted key.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}..{}]", self.file.path.display(), self.span.start, self.span.end)
    }
}
