//! A unified diff of one change.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

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
    hunk(&place.file.path, &shown, (&old, &changed), (&new, &replacement))
}

/// From `old` to `new`, both of the file at `path`, in one hunk. Empty if they do not differ.
pub fn between(path: &Path, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let behind = old[before..].iter().rev().zip(new[before..].iter().rev()).take_while(|(old, new)| old == new).count();
    let (changed, replacement) = (before..old.len() - behind, before..new.len() - behind);
    let shown = before.saturating_sub(CONTEXT)..(changed.end + CONTEXT).min(old.len());
    hunk(path, &shown, (&old, &changed), (&new, &replacement))
}

/// `shown` of the old lines, where `changed` of them give way to those of the new ones.
fn hunk(
    path: &Path,
    shown: &Range<usize>,
    (old, changed): (&[&str], &Range<usize>),
    (new, replacement): (&[&str], &Range<usize>),
) -> String {
    let path = path.display();
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
    write('+', &new[replacement.clone()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_texts_differ_in_one_hunk() {
        let diff = |old: &str, new: &str| between(Path::new("ca.pem"), old, new);
        assert_eq!(diff("a\nb\n", "a\nb\n"), "");
        let head = "--- ca.pem\n+++ ca.pem\n";
        let long = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(
            diff(long, &long.replace("5\n", "")),
            format!("{head}@@ -2,7 +2,6 @@\n 2\n 3\n 4\n-5\n 6\n 7\n 8\n")
        );
        assert_eq!(diff("a\nb\n", "a\nb\nc\n"), format!("{head}@@ -1,2 +1,3 @@\n a\n b\n+c\n"));
        // The same line twice is not taken for two ends of the same one.
        assert_eq!(diff("a\na\n", "a\n"), format!("{head}@@ -1,2 +1,1 @@\n a\n-a\n"));
        let unended = format!("{head}@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n");
        assert_eq!(diff("a", "a\nb\n"), unended);
    }
}
