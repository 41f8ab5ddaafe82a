//! A unified diff of one changed place.

use std::fmt::Write;
use std::ops::Range;

use crate::config::problem::Place;

/// Unchanged lines around the changed ones.
const CONTEXT: usize = 3;

/// From the text of `place`'s file to `new`, which differs inside `place` only. Empty if it does not differ.
pub fn unified(place: &Place, new: &str) -> String {
    let old = &place.file.text;
    if old == new {
        return String::new();
    }
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let line_of = |byte: usize| place.file.text[..byte].matches('\n').count();
    let changed = line_of(place.span.start)..line_of(place.span.end) + 1;
    let behind = old.len() - changed.end;
    let shown = shown(place, &changed, &old);
    let replacement = changed.start..new.len() - behind;
    let path = place.file.path.display();
    let (lines, new_lines) = (shown.len(), shown.len() + replacement.len() - changed.len());
    let mut text = format!("--- {path}\n+++ {path}\n@@ -{0},{lines} +{0},{new_lines} @@\n", shown.start + 1);
    let mut write = |sign: char, lines: &[&str]| {
        for line in lines {
            // Writing to a string cannot fail.
            let _ = write!(text, "{sign}{line}");
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    };
    write(' ', &old[shown.start..changed.start]);
    write('-', &old[changed.clone()]);
    write('+', &new[replacement]);
    write(' ', &old[changed.end..shown.end]);
    text
}

/// The changed lines and those around them. Lines with key material (in a comment, say) end it: they are shown nowhere.
fn shown(place: &Place, changed: &Range<usize>, lines: &[&str]) -> Range<usize> {
    let starts: Vec<_> = lines
        .iter()
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some(start)
        })
        .collect();
    let may_be_shown = |line: &usize| {
        let start = starts[*line];
        Place { file: place.file.clone(), span: start..start }.line_text().is_some()
    };
    let before = (0..changed.start).rev().take(CONTEXT).take_while(may_be_shown).count();
    let after = (changed.end..lines.len()).take(CONTEXT).take_while(may_be_shown).count();
    changed.start - before..changed.end + after
}
