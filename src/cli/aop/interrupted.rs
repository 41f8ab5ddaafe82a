//! Ctrl-C while steps are taken: what is done and how it goes on is said before the end.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Builder;

use crate::cli::again;
use crate::cli::paper::Paper;

/// As shells tell an end by SIGINT.
const INTERRUPTED: i32 = 130;

/// What whoever interrupts has to know.
#[derive(Clone, Default, Debug)]
pub(super) struct SoFar(Arc<Mutex<Steps>>);

#[derive(Default, Debug)]
struct Steps {
    done: Vec<String>,
    under_way: Option<String>,
}

impl SoFar {
    /// From now on an interrupt ends the process with what is known here. Nothing is taken back: what is under way at
    /// Cloudflare may come about or not, and the next run looks.
    pub(super) fn watched() -> Self {
        let so_far = Self::default();
        let told = so_far.clone();
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return so_far };
        thread::spawn(move || {
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                eprint!("\n{}", told.told(Paper::of_stdout()));
                process::exit(INTERRUPTED);
            }
        });
        so_far
    }

    pub(super) fn begins(&self, step: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way = Some(step.to_owned());
    }

    /// `done`: whether it came about.
    pub(super) fn ended(&self, step: &str, done: bool) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.under_way.take_if(|under_way| under_way == step);
        if done {
            steps.done.push(step.to_owned());
        }
    }

    fn told(&self, paper: Paper) -> String {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.done.is_empty() && steps.under_way.is_none() {
            return "originlock: interrupted; nothing was changed\n".to_owned();
        }
        let mut text = "originlock: interrupted\n".to_owned();
        if !steps.done.is_empty() {
            text += &paper.paragraph("  done: ", &steps.done.join(", "));
        }
        if let Some(step) = &steps.under_way {
            text += &paper.paragraph("  under way: ", &format!("{step}; it may have come about or not"));
        }
        text += "  the same command goes on from there, and looks first at what is there\n";
        let back = again::completed("`originlock aop rollback` takes everything back");
        text + &paper.paragraph("  ", &back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_and_what_is_under_way_is_told() {
        let (so_far, paper) = (SoFar::default(), Paper { colours: false, width: 100 });
        assert!(so_far.told(paper).contains("nothing was changed"));
        so_far.begins("upload example.com");
        so_far.ended("upload example.com", true);
        so_far.begins("associate shop.example.com");
        let told = so_far.told(paper);
        assert!(told.contains("done: upload example.com\n"), "{told}");
        assert!(told.contains("under way: associate shop.example.com; it may"), "{told}");
        so_far.ended("associate shop.example.com", false);
        let told = so_far.told(paper);
        assert!(!told.contains("associate") && told.contains("aop rollback"), "{told}");
    }
}
