//! JSON lines that a terminal shows as text, whatever a stranger put into them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Writes lines of JSON with every character escaped that a terminal could obey. `serde_json` escapes only what JSON
/// demands: neither DEL nor the C1 controls, of which U+009B opens a terminal's escape sequence, nor bidi overrides.
pub(super) struct Escaping<W>(pub W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Escaping<W> {
    type Writer = EscapingWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapingWriter(self.0.make_writer())
    }
}

/// One line's writer.
pub(super) struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    /// Takes whole lines, as the subscriber writes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The first bytes, in UTF-8, of all that is looked for.
        if line.iter().any(|byte| matches!(byte, 0x7f | 0xc2 | 0xe2)) {
            let line = String::from_utf8_lossy(line);
            self.0.write_all(escape(&line).as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether a terminal would not show `c` but move its cursor, change its state, or turn its reading direction.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` as a terminal may show it: one line, and nothing that it would obey.
pub fn harmless(text: &str) -> Cow<'_, str> {
    match text.contains(is_harmful) {
        true => Cow::Owned(text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()),
        false => Cow::Borrowed(text),
    }
}

fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        // Below stands only the line's own end: JSON has no other control characters left.
        match c >= '\u{7f}' && is_harmful(c) {
            // All of them lie in the basic plane. Writing to a string cannot fail.
            true => _ = write!(escaped, "\\u{:04x}", u32::from(c)),
            false => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_line_is_harmless_and_says_the_same(text in "(\\PC|[\u{0}-\u{ff}\u{2000}-\u{2070}]){0,40}") {
            let mut written = Vec::new();
            let mut line = serde_json::to_vec(&text).expect("JSON");
            line.push(b'\n');
            EscapingWriter(&mut written).write_all(&line).expect("memory");
            let written = String::from_utf8(written).expect("UTF-8");
            let line = written.strip_suffix('\n').expect("a line");
            prop_assert!(!line.contains(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(line).expect("JSON"), text);
        }
    }
}
