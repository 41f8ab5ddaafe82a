//! The log: one subscriber, built here, written by a thread of its own so that no worker waits for a terminal.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::telemetry::escape::Escaping;
use crate::telemetry::human::Human;

/// How the log is written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    pub format: LogFormat,
    /// As `tracing-subscriber`'s `EnvFilter` reads it: `info`, or `info,originlock::handshake=warn`.
    pub filter: String,
    /// Lines that may wait for the writer; more are dropped and counted.
    pub queue: usize,
}

/// The form of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One short line, for a terminal.
    Human,
}

impl LogFormat {
    /// Human for a person at a terminal, JSON for everything else.
    pub fn for_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Human } else { Self::Json }
    }
}

/// Writes what is still queued when it is dropped. Keep it until the end of `main`.
#[derive(Debug)]
pub struct LogGuard {
    _worker: WorkerGuard,
    drops: LineDrops,
}

impl LogGuard {
    /// The count of lines that the log's queue dropped.
    pub fn line_drops(&self) -> LineDrops {
        self.drops.clone()
    }
}

/// Counts the lines that a log's queue dropped. The default counts none, for a process without a log.
#[derive(Clone, Default, Debug)]
pub struct LineDrops(Option<ErrorCounter>);

impl LineDrops {
    /// Lines dropped so far.
    pub fn total(&self) -> u64 {
        self.0.as_ref().map_or(0, |counter| u64::try_from(counter.dropped_lines()).unwrap_or(u64::MAX))
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log filter `{filter}` cannot be read; write a level (`info`) or `target=level` pairs")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("a log is already set up in this process")]
    AlreadySet(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Makes the log of this process, on standard output.
pub fn init(options: &LogOptions) -> Result<LogGuard, LogError> {
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (writer, guard) = queue(options.queue, io::stdout());
    tracing::subscriber::set_global_default(subscriber(options, colours, writer)?)?;
    Ok(guard)
}

/// The bounded queue before `output`, and the thread that empties it.
fn queue(lines: usize, output: impl io::Write + Send + 'static) -> (NonBlocking, LogGuard) {
    let (writer, worker) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(lines).thread_name("log").finish(output);
    let drops = LineDrops(Some(writer.error_counter()));
    (writer, LogGuard { _worker: worker, drops })
}

/// The subscriber that `options` ask for, writing to `writer`.
pub(crate) fn subscriber<W>(
    options: &LogOptions,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.filter)
        .map_err(|source| LogError::Filter { filter: options.filter.clone(), source })?;
    let registry = Registry::default().with(filter);
    Ok(match options.format {
        LogFormat::Json => Box::new(
            registry.with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(Escaping(writer)),
            ),
        ),
        LogFormat::Human => Box::new(registry.with(
            tracing_subscriber::fmt::layer().event_format(Human { colours }).with_ansi(colours).with_writer(writer),
        )),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use tracing::{info, warn};

    use super::*;

    /// What a subscriber wrote.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("UTF-8")
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` writes in `format`.
    pub(crate) fn written(format: LogFormat, log: impl FnOnce()) -> String {
        let output = Written::default();
        let make = output.clone();
        let options = LogOptions { format, filter: "info".into(), queue: 10 };
        let subscriber = subscriber(&options, false, move || make.clone()).expect("a subscriber");
        tracing::subscriber::with_default(subscriber, log);
        output.text()
    }

    #[test]
    fn a_json_event_is_one_line_with_flat_fields() {
        let text =
            written(LogFormat::Json, || info!(server.address = "a\n\"b\x1b[\u{9b}2J", port = 7, "a thing happened"));
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains(['\x1b', '\u{9b}']), "{text}");
        let event: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["message"], "a thing happened");
        assert_eq!(event["server.address"], "a\n\"b\x1b[\u{9b}2J");
        assert_eq!(event["port"], 7);
        let timestamp = event["timestamp"].as_str().expect("a timestamp");
        let format = &time::format_description::well_known::Rfc3339;
        assert!(time::OffsetDateTime::parse(timestamp, format).is_ok(), "{timestamp}");
    }

    #[test]
    fn a_human_event_cannot_reach_the_terminal() {
        let attack = "evil\x1b]0;owned\x07\r\n\u{9b}2J\u{202e}gnp";
        let text = written(LogFormat::Human, || warn!(server.address = attack, "a thing happened"));
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(text.contains("WARN  a thing happened  server.address=evil"), "{text:?}");
        let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(harmful), "{text:?}");
    }

    #[test]
    fn a_bad_filter_says_so() {
        let options = LogOptions { format: LogFormat::Json, filter: "a=b=c".into(), queue: 1 };
        let error = subscriber(&options, false, io::sink).err().expect("an error");
        assert!(error.to_string().contains("`a=b=c`"), "{error}");
    }

    /// Output that accepts nothing until it is told.
    struct Stuck(mpsc::Receiver<()>);

    impl io::Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that the test let go of its end: flow from now on.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_terminal_drops_lines_and_counts_them() {
        let (open, gate) = mpsc::channel();
        let (mut writer, guard) = queue(2, Stuck(gate));
        for _ in 0..10 {
            io::Write::write_all(&mut writer, b"line\n").expect("never blocks nor fails");
        }
        // Two wait in the queue, and one more may be on its way out.
        assert!((7..=8).contains(&guard.line_drops().total()), "{}", guard.line_drops().total());
        drop(open);
    }
}
