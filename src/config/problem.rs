//! What is wrong with a configuration, and where it was written.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file as it was read.
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
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
    pub fn new(severity: Severity, place: Option<Place>, message: String, help: Option<String>) -> Self {
        Self { severity, place, message, help, also: Vec::new() }
    }
}

impl SourceFile {
    /// The directory that relative paths in this file start from.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }
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
