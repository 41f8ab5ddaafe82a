//! What people read: paragraphs as wide as the terminal, tables, colours where they are wanted.

use terminal_size::{Width, terminal_size};

use super::{again, output};
use crate::clock::Timestamp;
use crate::telemetry::escape::harmless;

pub(super) const BOLD: &str = "\x1b[1m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const RED: &str = "\x1b[31m";
pub(super) const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// Where no terminal says how wide it is.
const USUAL_WIDTH: usize = 100;
const MIN_WIDTH: usize = 40;
/// Longer lines are hard to read, however wide the terminal is.
const MAX_WIDTH: usize = 120;

/// A page of a width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    pub(super) colours: bool,
    pub(super) width: usize,
}

/// A table whose columns are as wide as their widest cell.
pub(super) struct Table {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// Where a column's texts stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// One text of a table. Whatever it holds, the terminal does not obey it.
pub(super) struct Cell {
    text: String,
    colour: Option<&'static str>,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()).into_owned(), colour: None }
    }

    pub(super) fn painted(text: impl AsRef<str>, colour: &'static str) -> Self {
        Self { colour: Some(colour), ..Self::new(text) }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl Paper {
    /// As standard output is.
    pub(super) fn of_stdout() -> Self {
        let width = terminal_size().map_or(USUAL_WIDTH, |(Width(width), _)| usize::from(width));
        Self { colours: output::colour_on_stdout(), width: width.clamp(MIN_WIDTH, MAX_WIDTH) }
    }

    pub(super) fn paint(&self, colour: &str, text: &str) -> String {
        match self.colours {
            true => format!("{colour}{text}{RESET}"),
            false => text.to_owned(),
        }
    }

    /// `text` behind `lead`, its further lines below its first one. Ends with a line's end.
    pub(super) fn paragraph(&self, lead: &str, text: &str) -> String {
        let indent = lead.chars().count();
        let room = self.width.saturating_sub(indent).max(MIN_WIDTH / 2);
        let mut lines = vec![String::new()];
        for word in again::words(&harmless(text)) {
            let line = lines.last_mut().expect("there always is a line");
            if line.is_empty() {
                line.push_str(word);
            } else if line.chars().count() + 1 + word.chars().count() <= room {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
        let joint = format!("\n{}", " ".repeat(indent));
        format!("{lead}{}\n", lines.join(&joint))
    }
}

impl Table {
    pub(super) fn new(heads: &[(&'static str, Align)]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// A row has a cell for every column.
    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Ends with a line's end.
    pub(super) fn render(&self, paper: Paper) -> String {
        let heads: Vec<_> = self.heads.iter().map(|(head, _)| Cell::painted(head, DIM)).collect();
        let all = || std::iter::once(&heads).chain(&self.rows);
        let widths: Vec<_> = (0..heads.len())
            .map(|column| all().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in all() {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.heads) {
                let blank = " ".repeat(width - cell.width());
                let shown = cell.colour.map_or_else(|| cell.text.clone(), |colour| paper.paint(colour, &cell.text));
                line += &match align {
                    Align::Left => format!("{shown}{blank}  "),
                    Align::Right => format!("{blank}{shown}  "),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// To the second: `2026-11-23 10:42:07Z`.
pub(super) fn moment(at: Timestamp) -> String {
    let text = Timestamp::from_seconds(at.seconds()).to_string();
    text.replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_keeps_to_the_width_and_obeys_nobody() {
        let paper = Paper { colours: false, width: 40 };
        let text = paper.paragraph("  · ", "one two three four five six seven eight nine ten \x1b[2J eleven");
        assert_eq!(text, "  · one two three four five six seven\n    eight nine ten \u{fffd}[2J eleven\n");
        assert_eq!(paper.paragraph("- ", &"x".repeat(60)), format!("- {}\n", "x".repeat(60)));
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&[("HOST", Align::Left), ("VERIFIED", Align::Right), ("READY", Align::Left)]);
        table.push(vec![Cell::new("shop.example.com"), Cell::new("7"), Cell::painted("no", RED)]);
        table.push(vec![Cell::new("a"), Cell::new("1200"), Cell::painted("yes", GREEN)]);
        let plain = table.render(Paper { colours: false, width: 80 });
        let expected =
            "HOST              VERIFIED  READY\nshop.example.com         7  no\na                     1200  yes\n";
        assert_eq!(plain, expected);
        assert!(table.render(Paper { colours: true, width: 80 }).contains("\x1b[31mno\x1b[0m"));
    }
}
