//! The log for a person at a terminal: one short line an event.

use std::fmt::{self, Write};

use time::OffsetDateTime;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::policy::verdict::Reason;
use crate::telemetry::escape::is_harmful;
use crate::telemetry::observer::HANDSHAKE_TARGET;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Formats events for a terminal.
pub(super) struct Human {
    pub colours: bool,
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = OffsetDateTime::now_utc().time();
        // The format has nothing that a time of day could lack.
        let time = time.format(format_description!("[hour]:[minute]:[second]")).unwrap_or_default();
        let line = match event.metadata().target() {
            HANDSHAKE_TARGET => self.handshake(&fields),
            _ => self.event(*event.metadata().level(), &fields),
        };
        writeln!(writer, "{} {}", self.paint(DIM, &time), line.trim_end())
    }
}

impl Human {
    /// `WARN  log lines dropped  originlock.dropped=12`
    fn event(&self, level: Level, fields: &Fields) -> String {
        let colour = match level {
            Level::ERROR => RED,
            Level::WARN => YELLOW,
            _ => DIM,
        };
        let mut line =
            format!("{} {}", self.paint(colour, &format!("{level:<5}")), fields.get("message").unwrap_or(""));
        for (name, value) in fields.0.iter().filter(|(name, _)| *name != "message") {
            let separator =
                if value.contains([' ', '"']) { format!("{name}={value:?}") } else { format!("{name}={value}") };
            line.push_str("  ");
            line.push_str(&separator);
        }
        line
    }

    /// Where, what was done, why, who, how, and in brackets what the reason means.
    fn handshake(&self, fields: &Fields) -> String {
        let get = |name| fields.get(name);
        let reason = get("originlock.reason").unwrap_or("");
        let (done, colour) = match (get("originlock.decision"), get("originlock.would_refuse")) {
            (Some("admit"), Some("true")) => ("would refuse", YELLOW),
            (Some("admit"), _) => ("admitted", GREEN),
            _ => ("refused", RED),
        };
        let host = get("originlock.host").or(get("server.address")).unwrap_or("(no name)");
        let mode = get("originlock.mode").unwrap_or("-");
        let mut line = format!("{host:<24}  {mode:<7}  {}  {reason}", self.paint(colour, &format!("{done:<12}")));
        if let Some(subject) = get("tls.client.subject") {
            let _ = write!(line, "  {subject:?}");
        }
        let address = get("client.address").unwrap_or("?");
        let port = get("client.port").unwrap_or("?");
        let _ = match address.contains(':') {
            true => write!(line, "  from [{address}]:{port}"),
            false => write!(line, "  from {address}:{port}"),
        };
        if let Some(version) = get("tls.protocol.version") {
            let _ = write!(line, " TLS{version}");
        }
        if let Some(protocol) = get("tls.next_protocol") {
            let _ = write!(line, " {protocol}");
        }
        if get("tls.resumed") == Some("true") {
            line.push_str(" resumed");
        }
        let explanation = Reason::HANDSHAKE.into_iter().find(|known| known.label() == reason).map(Reason::explanation);
        match (get("originlock.detail"), explanation) {
            _ if reason == Reason::Verified.label() => {}
            (Some(detail), _) => line.push_str(&self.paint(DIM, &format!(" ({detail})"))),
            (None, Some(explanation)) => line.push_str(&self.paint(DIM, &format!(" ({explanation})"))),
            (None, None) => {}
        }
        line
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.colours {
            true => format!("{colour}{text}{RESET}"),
            false => text.to_owned(),
        }
    }
}

/// An event's fields in their order, fit for a terminal.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), harmless(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.push((field.name(), harmless(&value.to_string())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), harmless(&format!("{value:?}"))));
    }
}

/// Text without what would move a terminal's cursor, recolour it, or reverse the reading direction: names in
/// certificates are a stranger's to choose.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}
