//! Everything that a configuration means: immutable, and swapped whole.

pub mod admin;
pub mod build;
mod caution;
pub mod current;
mod files;
pub mod host;
mod opened;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::model::Limits;
use crate::evidence::known::KnownCertificates;
use crate::evidence::network::Networks;
use crate::policy::hosts::HostTable;
use crate::policy::trust::{Trust, TrustDigest};
use crate::snapshot::admin::AdminAccess;
use crate::snapshot::build::LoadedCa;
use crate::snapshot::host::Host;
use crate::upstream::UpstreamSpec;

type Trusts = HashMap<TrustDigest, Arc<Trust>>;
type UpstreamsBySetting = HashMap<String, Arc<UpstreamSpec>>;

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
    /// The ranges that count as Cloudflare's.
    pub networks: Arc<Networks>,
    /// The CAs by their name in the configuration.
    pub cas: BTreeMap<String, LoadedCa>,
    /// Who may do what on the admin side.
    pub admin: Arc<AdminAccess>,
    /// Certificates that can be called by a name.
    pub known: Arc<KnownCertificates>,
    trusts: Trusts,
    upstreams: UpstreamsBySetting,
}

impl Snapshot {
    /// Every upstream once.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<UpstreamSpec>> {
        self.upstreams.values()
    }
}
