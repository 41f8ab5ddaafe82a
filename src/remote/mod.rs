//! Other servers' APIs, typed: the admin side of a proxy, and a Prometheus.
//!
//! Every call blocks: this is the command line's side, which has nothing else to do meanwhile.

pub mod admin;
pub mod fleet;
pub mod prometheus;

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

#[cfg(test)]
mod tests;
