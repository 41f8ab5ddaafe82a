//! A log in memory, written as the server writes JSON.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use super::world::wait_until;

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

impl Log {
    /// Has the worlds of `story` write here.
    pub fn capture(story: impl FnOnce(&Self)) {
        // While there is one subscriber alone, `tracing` has the thread that first passes a line of the log decide for
        // good whether anyone wants it: another story's thread, which has none.
        LazyLock::force(&ANOTHER);
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
        tracing::subscriber::with_default(subscriber, || story(&log));
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("a log").clone()).expect("text")
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    pub fn handshakes(&self) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["target"] == "originlock::handshake").collect()
    }

    pub fn wait_for_handshakes(&self, count: usize) -> Vec<Value> {
        wait_until("the handshakes are in the log", || self.handshakes().len() >= count);
        self.handshakes()
    }
}
