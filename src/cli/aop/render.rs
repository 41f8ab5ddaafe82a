//! Checks and steps as people read them.

use crate::cli::again;
use crate::cli::paper::{BOLD, DIM, GREEN, Paper, RED, YELLOW};
use crate::rollout::step::{Check, CheckVerdict, Step, StepName, StepState};

/// All checks, those in the way with what to do about them.
pub(super) fn checks(paper: Paper, checks: &[Check]) -> String {
    paper.paint(BOLD, "Checks") + "\n" + &lines(paper, checks)
}

/// The same without a heading.
pub(super) fn lines(paper: Paper, checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let mark = match check.verdict {
            CheckVerdict::Holds => paper.paint(GREEN, "✓"),
            CheckVerdict::Warning => paper.paint(YELLOW, "!"),
            CheckVerdict::Fails => paper.paint(RED, "✗"),
            CheckVerdict::Forced => paper.paint(YELLOW, "✗"),
        };
        let forced = if check.verdict == CheckVerdict::Forced { " (overruled)" } else { "" };
        let subject = if check.subject.is_empty() { String::new() } else { format!("{}: ", check.subject) };
        let sentence = format!("{subject}{}{forced}", check.found);
        text += &paragraph(paper, &format!("  {mark} {:width$}  ", check.name), width + 6, &sentence);
        if !check.next_step.is_empty() {
            let lead = " ".repeat(width + 6) + "→ ";
            text += &paragraph(paper, &paper.paint(DIM, &lead), width + 8, &check.next_step);
        }
    }
    text
}

/// All steps: what is, what will be, and why.
pub(super) fn steps(paper: Paper, steps: &[Step]) -> String {
    let mut text = paper.paint(BOLD, "Steps") + "\n";
    for (number, step) in steps.iter().enumerate() {
        text += &numbered(paper, number + 1, step);
    }
    text
}

fn numbered(paper: Paper, number: usize, step: &Step) -> String {
    let change = match step.state {
        StepState::Done | StepState::LeftOut => step.is.clone(),
        StepState::Todo | StepState::Waiting | StepState::Failed => format!("{} → {}", step.is, step.will_be),
    };
    let sentence = format!("{} {}: {change}{}", step.name.label(), step.subject, word(step.state));
    let mut text = paragraph(paper, &format!(" {number:>2} {} ", mark(paper, step.state)), 6, &sentence);
    match step.state {
        StepState::Done => {}
        StepState::Todo | StepState::Waiting | StepState::LeftOut | StepState::Failed => {
            text += &paper.paint(DIM, &paragraph(paper, "      ", 6, &again::completed(&step.why)));
        }
    }
    text
}

/// One step that has ended, in a line.
pub(super) fn ended(paper: Paper, step: &Step) -> String {
    let now = match step.state {
        StepState::Done => &step.will_be,
        StepState::Todo | StepState::Waiting | StepState::LeftOut | StepState::Failed => &step.is,
    };
    let sentence = format!("{} {}: {now}{}", step.name.label(), step.subject, word(step.state));
    let mut text = paragraph(paper, &format!("  {} ", mark(paper, step.state)), 4, &sentence);
    if step.state == StepState::LeftOut {
        text += &paper.paint(DIM, &paragraph(paper, "    ", 4, &step.why));
    }
    text
}

fn mark(paper: Paper, state: StepState) -> String {
    match state {
        StepState::Done => paper.paint(GREEN, "✓"),
        StepState::Todo => paper.paint(YELLOW, "+"),
        StepState::Waiting => paper.paint(YELLOW, "…"),
        StepState::LeftOut => paper.paint(DIM, "-"),
        StepState::Failed => paper.paint(RED, "✗"),
    }
}

fn word(state: StepState) -> &'static str {
    match state {
        StepState::LeftOut => " (left out)",
        StepState::Failed => " (did not come about)",
        StepState::Done | StepState::Todo | StepState::Waiting => "",
    }
}

/// Whether taking the step changes something; the others look and wait.
pub(super) fn changes(step: &Step) -> bool {
    let is_open = match step.state {
        StepState::Todo => true,
        StepState::Done | StepState::Waiting | StepState::LeftOut | StepState::Failed => false,
    };
    is_open && !matches!(step.name, StepName::Seen | StepName::Unseen | StepName::Prove)
}

/// A paragraph whose lead may be painted, and is `indent` wide.
fn paragraph(paper: Paper, lead: &str, indent: usize, text: &str) -> String {
    let plain = paper.paragraph(&" ".repeat(indent), text);
    format!("{lead}{}", plain.trim_start())
}
