//! What all verbs print alike.

use std::io::{self, IsTerminal, Write};

use super::OutputFormat;
use crate::config::problem::Problems;

/// Whether standard error takes colours.
pub(super) fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && wants_colour()
}

/// Whether standard output takes colours.
pub(super) fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && wants_colour()
}

/// The environment's word on it (no-color.org).
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether whoever read the output has read enough, as `head` does.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints what is wrong with a configuration.
pub(super) fn problems(problems: &Problems, format: OutputFormat) {
    match format {
        OutputFormat::Text if problems.is_empty() => {}
        OutputFormat::Text => eprintln!("{}", problems.render(colour_on_stderr())),
        // Nobody is left to tell if this fails.
        OutputFormat::Json => drop(writeln!(io::stdout(), "{}", serde_json::json!({ "problems": problems.to_json() }))),
    }
}
