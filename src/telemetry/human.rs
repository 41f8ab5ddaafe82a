//! The log for a person at a terminal: one short line an event, and below a handshake's line who it was and why.

use std::borrow::Cow;
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

/// What a terminal shows in one line, if nothing in it is unusually long.
const COLUMNS: usize = 100;
/// Below the time.
const INDENT: usize = 9;
/// Names in certificates are as long as their maker likes.
const MAX_SUBJECT: usize = 120;
/// So are names that a stranger asks for.
const MAX_HOST: usize = 60;

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

    /// What was done, where, why, who and how; below it the certificate's subject and what the reason means.
    fn handshake(&self, fields: &Fields) -> String {
        let get = |name| fields.get(name);
        let reason = get("originlock.reason").unwrap_or("");
        let (done, colour) = match (get("originlock.decision"), get("originlock.would_refuse")) {
            (Some("admit"), Some("true")) => ("would refuse", YELLOW),
            (Some("admit"), _) => ("admitted", GREEN),
            _ => ("refused", RED),
        };
        let done = self.paint(colour, &format!("{done:<12}"));
        let host = get("server.address").or(get("originlock.host")).unwrap_or("(no name)");
        let host = shortened(host, MAX_HOST);
        let mode = get("originlock.mode").unwrap_or("-");
        let address = get("client.address").unwrap_or("?");
        let mut line = format!("{done}  {host:<18}  {mode:<7}  {reason:<14}  {address}");
        if let Some(version) = get("tls.protocol.version") {
            let _ = write!(line, " TLS{version}");
        }
        if let Some(protocol) = get("tls.next_protocol") {
            let _ = write!(line, " {protocol}");
        }
        if get("tls.resumed") == Some("true") {
            line.push_str(" resumed");
        }
        if get("originlock.own") == Some("true") {
            line.push_str(" own");
        }
        for below in wrapped(&story(fields, reason)) {
            let _ = write!(line, "\n{:INDENT$}{}", "", self.paint(DIM, &below));
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

/// Who it was, and what the reason means. Empty where the line says it all.
fn story(fields: &Fields, reason: &str) -> String {
    let explanation = Reason::HANDSHAKE.into_iter().find(|known| known.label() == reason).map(Reason::explanation);
    let admitted =
        fields.get("originlock.decision") == Some("admit") && fields.get("originlock.would_refuse") != Some("true");
    let why = explanation.filter(|_| !admitted);
    let who = fields.get("tls.client.subject").map(|subject| shortened(subject, MAX_SUBJECT));
    [who.as_deref(), why, fields.get("originlock.detail")].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// The first characters of `text`, with a sign that there are more.
fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Lines of whole words that fit beside the indent.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS - INDENT => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    const BROAD: [(&str, &str); 9] = [
        ("client.address", "203.0.113.199"),
        ("server.address", "observe.localhost"),
        ("tls.protocol.version", "1.3"),
        ("tls.next_protocol", "http/1.1"),
        ("tls.client.subject", "CN=cloudflare-origin-pull"),
        ("originlock.mode", "observe"),
        ("originlock.reason", "bad_signature"),
        ("originlock.decision", "admit"),
        ("originlock.would_refuse", "true"),
    ];

    fn fields(pairs: &[(&'static str, &str)]) -> Fields {
        Fields(pairs.iter().map(|&(name, value)| (name, value.to_owned())).collect())
    }

    #[test]
    fn a_handshake_fits_a_terminal_of_a_hundred_columns() {
        let text = Human { colours: false }.handshake(&fields(&BROAD));
        let mut lines = text.lines();
        let first = lines.next().expect("a line");
        assert!("20:45:00 ".len() + first.chars().count() <= COLUMNS, "{first}");
        let below: Vec<_> = lines.collect();
        assert_eq!(
            below,
            [
                "         CN=cloudflare-origin-pull: a signature in the chain does not fit; usually the CA was",
                "         re-issued under the same name with another key",
            ]
        );
    }

    #[test]
    fn what_needs_no_explanation_is_one_line() {
        let off = [
            ("client.address", "127.0.0.1"),
            ("originlock.host", "off.localhost"),
            ("originlock.mode", "off"),
            ("originlock.reason", "no_certificate"),
            ("originlock.decision", "admit"),
            ("originlock.would_refuse", "false"),
        ];
        let text = Human { colours: false }.handshake(&fields(&off));
        assert_eq!(text, "admitted      off.localhost       off      no_certificate  127.0.0.1");
    }

    #[test]
    fn a_stranger_who_named_nobody_is_explained() {
        let stranger = [
            ("client.address", "2001:db8::1"),
            ("originlock.reason", "sni_missing"),
            ("originlock.decision", "refuse"),
        ];
        let text = Human { colours: false }.handshake(&fields(&stranger));
        assert_eq!(
            text,
            "refused       (no name)           -        sni_missing     2001:db8::1\n         the client named no server \
             (SNI) and there is no default host"
        );
    }

    #[test]
    fn what_the_client_said_stands_behind_the_explanation() {
        let alert = [("originlock.reason", "client_alert"), ("originlock.detail", "unknown_ca")];
        let text = story(&fields(&alert), "client_alert");
        assert_eq!(text, "the client ended the handshake with an alert: unknown_ca");
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(shortened("CN=äöü", 4), "CN=ä…");
        assert_eq!(shortened("CN=ä", 4), "CN=ä");
    }
}
