//! Hosts and what is made of them, from one running proxy or from a fleet.

use std::time::Duration;

use serde::Serialize;

use super::paper::{DIM, GREEN, Paper, RED, YELLOW};
use crate::evidence::readiness::{Shortfall, ShortfallKind};
use crate::evidence::report::HostReport;
use crate::evidence::wording;
use crate::policy::client_auth::Mode;
use crate::telemetry::escape::harmless;

/// A host before its operator.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Judged(pub(super) HostReport);

impl Judged {
    /// One line, and below it what is missing and what is good to know.
    pub(super) fn told(&self, paper: Paper) -> String {
        let HostReport { name, readiness, mode, .. } = &self.0;
        let name = harmless(name);
        let mut text = match (readiness.ready, mode) {
            (true, Mode::Enforce) => format!("{} {name} is enforced, and ready to be\n", paper.paint(GREEN, "✓")),
            (true, _) => format!("{} {name} is ready to be enforced\n", paper.paint(GREEN, "✓")),
            (false, Mode::Enforce) => format!("{} {name} is enforced, and would not be ready\n", paper.paint(RED, "✗")),
            (false, _) => format!("{} {name} is not ready\n", paper.paint(RED, "✗")),
        };
        if readiness.ready {
            let lead = format!("  {} ", paper.paint(GREEN, "·"));
            text += &paragraph(paper, &lead, &self.proof());
        }
        text + &self.reasons(paper)
    }

    /// What is missing, and what is good to know.
    fn reasons(&self, paper: Paper) -> String {
        self.listed(paper, self.0.readiness.shortfalls.iter())
    }

    /// The same of a host that is walking to enforce; of one that is there, what it refuses and what will make it refuse.
    pub(super) fn at_a_glance(&self, paper: Paper) -> String {
        match self.0.mode {
            Mode::Off | Mode::Observe => self.reasons(paper),
            Mode::Enforce => self.listed(paper, self.troubles()),
        }
    }

    /// What is wrong with a host that is enforced, however much evidence it has.
    fn troubles(&self) -> impl Iterator<Item = &Shortfall> {
        self.0.readiness.shortfalls.iter().filter(|shortfall| match shortfall.kind {
            ShortfallKind::Failing
            | ShortfallKind::EndsSoon
            | ShortfallKind::FleetDisagrees
            | ShortfallKind::FleetIncomplete => true,
            ShortfallKind::NotObserved
            | ShortfallKind::TooFewHandshakes
            | ShortfallKind::TooFewEdges
            | ShortfallKind::NameUnseen => false,
        })
    }

    fn listed<'a>(&self, paper: Paper, shortfalls: impl Iterator<Item = &'a Shortfall>) -> String {
        let mut text = String::new();
        for shortfall in shortfalls {
            text += &paragraph(paper, &format!("  {} ", paper.paint(RED, "·")), &shortfall.sentence);
        }
        for notice in &self.0.readiness.notices {
            text += &paragraph(paper, &format!("  {} ", paper.paint(YELLOW, "!")), notice);
        }
        if let Some(by) = self.0.confirm_by {
            let sentence =
                format!("falls back to observe unless it is confirmed by {by}: originlock confirm {}", self.0.name);
            text += &paragraph(paper, &format!("  {} ", paper.paint(YELLOW, "!")), &sentence);
        }
        text
    }

    fn proof(&self) -> String {
        let evidence = &self.0.evidence;
        format!(
            "{} from {} of Cloudflare's edge verified in the last {}",
            wording::count(evidence.cloudflare.verified, "handshake"),
            wording::count(evidence.edge_addresses, "address"),
            wording::window(Duration::from_secs(evidence.window_seconds)),
        )
    }

    /// The word for a table.
    pub(super) fn word(&self) -> (String, &'static str) {
        match (self.0.mode, self.0.readiness.ready) {
            (Mode::Off, _) => ("-".to_owned(), DIM),
            (Mode::Observe, true) => ("ready".to_owned(), GREEN),
            (Mode::Observe, false) => ("not ready".to_owned(), RED),
            (Mode::Enforce, _) => match self.0.evidence.cloudflare.failing() {
                0 if self.troubles().next().is_some() => ("ok".to_owned(), YELLOW),
                0 => ("ok".to_owned(), GREEN),
                refused => (format!("{refused} refused"), RED),
            },
        }
    }
}

/// A paragraph whose lead may be painted.
fn paragraph(paper: Paper, lead: &str, text: &str) -> String {
    let plain = paper.paragraph("    ", text);
    format!("{lead}{}", plain.trim_start())
}
