//! Everything that a configuration means: immutable, and swapped whole.

pub mod build;
pub mod current;
mod files;
pub mod host;

use std::sync::Arc;

use crate::config::model::Limits;
use crate::policy::hosts::HostTable;
use crate::snapshot::host::Host;

/// One state of the world. Connections hold on to the hosts of the one they were accepted under.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the states of this process, from 1.
    pub generation: u64,
    /// From SNI and authority to a host.
    pub hosts: HostTable<Arc<Host>>,
    /// The hosts in the order of the configuration.
    pub all: Vec<Arc<Host>>,
    /// The bounds on what strangers send.
    pub limits: Limits,
}
