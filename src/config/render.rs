//! Problems as text for people, as one line for the log, as JSON for programs.

use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::config::problem::{Place, Problem, Problems, Severity, char_start};

/// A longer line is named but not shown: it helps nobody, and drawing under it takes time.
const LONGEST_SHOWN_LINE: usize = 2000;

/// What `-o json` prints of one problem.
#[derive(Serialize)]
struct Entry<'a> {
    severity: Severity,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    help: Option<&'a str>,
    line_text: Option<&'a str>,
}

impl Problems {
    /// All problems as a compiler shows them: the line, what is wrong with it, what to write instead.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in self.iter() {
            text.push_str(&renderer.render(&groups(problem)));
            text.push_str("\n\n");
        }
        text
    }

    /// A list of objects: severity, file, line, column, message, help, line_text.
    pub fn to_json(&self) -> serde_json::Value {
        self.iter().map(|problem| serde_json::json!(Entry::from(problem))).collect()
    }
}

/// One line: `file:line: what is wrong; what to write instead`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}: ", place.file.path.display(), place.line_and_column().0)?;
        }
        f.write_str(&self.message)?;
        match self.help.as_deref().and_then(|help| help.lines().next()) {
            Some(help) => write!(f, "; {}", help.trim_end_matches(':')),
            None => Ok(()),
        }
    }
}

/// One line per problem.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl std::error::Error for Problems {}

impl<'a> From<&'a Problem> for Entry<'a> {
    fn from(problem: &'a Problem) -> Self {
        let position = problem.place.as_ref().map(Place::line_and_column);
        Self {
            severity: problem.severity,
            file: problem.place.as_ref().map(|place| place.file.path.display().to_string()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            message: &problem.message,
            help: problem.help.as_deref(),
            line_text: problem.place.as_ref().and_then(Place::line_text),
        }
    }
}

fn groups(problem: &Problem) -> Vec<Group<'_>> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.message.as_str());
    let mut group = match &problem.place {
        Some(place) => shown(Group::with_title(title), place, AnnotationKind::Primary, None),
        None => Group::with_title(title),
    };
    for (place, label) in &problem.also {
        group = shown(group, place, AnnotationKind::Context, Some(label));
    }
    let mut groups = vec![group];
    groups.extend(problem.help.as_deref().map(|help| Group::with_title(Level::HELP.secondary_title(help))));
    groups
}

fn shown<'a>(group: Group<'a>, place: &'a Place, kind: AnnotationKind, label: Option<&'a str>) -> Group<'a> {
    let path = place.file.path.display().to_string();
    let (number, column) = place.line_and_column();
    let range = place.line().1;
    match place.line_text().filter(|line| line.len() <= LONGEST_SHOWN_LINE) {
        Some(line) => {
            let start = char_start(line, place.span.start.saturating_sub(range.start));
            let end = char_start(line, place.span.end.saturating_sub(range.start));
            let mark: Annotation<'a> = kind.span(start..end.max(start)).label(label);
            group.element(Snippet::source(line).line_start(number).path(path).annotation(mark))
        }
        None => group.element(Origin::path(path).line(number).char_column(column)),
    }
}
