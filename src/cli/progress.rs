//! What happens while something takes time, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::duration;
use super::paper::Paper;
use crate::telemetry::escape::harmless;

/// How often somebody is told that waiting goes on, where lines cannot be drawn over.
const REMINDER: Duration = Duration::from_secs(60);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Back to the line's beginning, and away with it.
const CLEAR: &str = "\r\x1b[2K";

/// One line that is drawn over, or, where nobody looks, a line per change.
pub(super) struct Waiting {
    terminal: bool,
    turn: usize,
    said: String,
    said_at: Option<Instant>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), turn: 0, said: String::new(), said_at: None }
    }

    /// What begins; said only where the line can be drawn over.
    pub(super) fn begin(&mut self, text: &str) {
        if self.terminal {
            let _ = write!(io::stderr(), "{CLEAR}{} {}", SPINNER[self.turn], harmless(text));
            let _ = io::stderr().flush();
        }
    }

    /// What is waited for, since when, and for how long at most.
    pub(super) fn say(&mut self, text: &str, waited: Duration, of: Duration) {
        let (waited, of) = (duration::spoken(waited), duration::spoken(of));
        let mut err = io::stderr().lock();
        // Nobody is left to tell if this fails.
        if self.terminal {
            self.turn = (self.turn + 1) % SPINNER.len();
            let lead = format!("{} {waited} of {of}  ", SPINNER[self.turn]);
            // The last column stays empty: some terminals begin a new line there, which cannot be drawn over.
            let room = Paper::of_stdout().width.saturating_sub(lead.chars().count() + 1);
            let _ = write!(err, "{CLEAR}{lead}{}", shortened(&harmless(text), room));
            let _ = err.flush();
        } else if self.said != text || self.said_at.is_none_or(|at| at.elapsed() >= REMINDER) {
            let _ = writeln!(err, "waited {waited} of {of}: {}", harmless(text));
            self.said_at = Some(Instant::now());
            text.clone_into(&mut self.said);
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

/// `text` in `room` characters: whole words, and a mark where some are left out.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for word in text.split_whitespace() {
        let blank = usize::from(!short.is_empty());
        if short.chars().count() + blank + word.chars().count() + 2 > room {
            break;
        }
        if blank == 1 {
            short.push(' ');
        }
        short.push_str(word);
    }
    short + " …"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_a_whole_word() {
        let text = "enforce: 3 of 10 handshakes verified";
        assert_eq!(shortened(text, 36), text);
        for room in 2..36 {
            let short = shortened(text, room);
            assert!(short.chars().count() <= room, "{room}: {short}");
            let words = short.strip_suffix(" …").expect("a mark");
            assert!(words.is_empty() || text.strip_prefix(words).is_some_and(|rest| rest.starts_with(' ')), "{short}");
        }
    }
}
