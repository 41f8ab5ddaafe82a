//! Steps as they are taken: lines that stay on standard output, and what is waited for on standard error.

use std::io::{self, Write};
use std::time::Duration;

use super::interrupted::SoFar;
use super::render;
use crate::cli::OutputFormat;
use crate::cli::paper::Paper;
use crate::cli::progress::Waiting;
use crate::rollout::progress::Progress;
use crate::rollout::step::{Check, Step, StepState};

/// Tells whoever sits at the terminal, or reads the log.
pub(super) struct Told {
    output: OutputFormat,
    waiting: Waiting,
    so_far: SoFar,
}

impl Told {
    pub(super) fn new(output: OutputFormat) -> Self {
        Self { output, waiting: Waiting::new(), so_far: SoFar::watched() }
    }

    /// Programs get one document on standard output, and nothing else.
    fn line(&self, text: &str) {
        self.waiting.end();
        // Nobody is left to tell if this fails.
        let _ = match self.output {
            OutputFormat::Text => write!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()),
            OutputFormat::Json => write!(io::stderr(), "{text}"),
        };
    }
}

fn short(step: &Step) -> String {
    format!("{} {}", step.name.label(), step.subject)
}

impl Progress for Told {
    fn checked(&mut self, _: &Check) {}

    fn begins(&mut self, step: &Step) {
        let told = short(step);
        self.so_far.begins(&told);
        self.waiting.begin(&told);
    }

    fn waits(&mut self, step: &Step, what: &str, since: Duration, limit: Duration) {
        self.waiting.say(&format!("{}: {what}", step.name.label()), since, limit);
    }

    fn ended(&mut self, step: &Step) {
        self.so_far.ended(&short(step), step.state == StepState::Done);
        self.line(&render::ended(Paper::of_stdout(), step));
    }

    fn notes(&mut self, text: &str) {
        self.line(&Paper::of_stdout().paragraph("    ", text));
    }
}
