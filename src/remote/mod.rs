//! Other servers' APIs, typed: the admin side of a proxy, and a Prometheus.
//!
//! Every call blocks: this is the command line's side, which has nothing else to do meanwhile.

pub mod admin;
pub mod fleet;
pub mod prometheus;

use std::fmt::Write as _;
use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::fetch::{Answer, Client, FetchError};

/// A client and the runtime that drives it.
#[derive(Debug)]
struct Blocking {
    client: Client,
    runtime: Runtime,
}

impl Blocking {
    fn new(client: Client) -> io::Result<Self> {
        Ok(Self { client, runtime: Builder::new_current_thread().enable_all().build()? })
    }

    fn get(&self, path: &str) -> Result<Answer, FetchError> {
        self.runtime.block_on(self.client.get(path))
    }

    fn post(&self, path: &str, json: Vec<u8>) -> Result<Answer, FetchError> {
        self.runtime.block_on(self.client.post(path, json))
    }
}

/// `text` as one segment of a path, or one value of a query (RFC 3986, section 2.3).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => encoded.push(byte.into()),
            // Writing to a string cannot fail.
            false => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
