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
            let room = Paper::of_stdout().width.saturating_sub(30);
            let short: String = harmless(text).chars().take(room).collect();
            let _ = write!(err, "{CLEAR}{} {waited} of {of}  {short}", SPINNER[self.turn]);
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
