//! Evidence by host, configured name and trust.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::handshake::HandshakeOutcome;
use super::report::Column;
use super::tally::Evidence;
use crate::clock::Timestamp;
use crate::hostname::HostPattern;
use crate::policy::trust::TrustDigest;

/// All evidence of this process.
#[derive(Debug, Default)]
pub struct Ledger {}

/// A host of the configuration in force, as the ledger has to know it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The first of its names.
    pub host: Arc<str>,
    pub names: Vec<HostPattern>,
    /// `None` where the mode is `off`: there is nothing to judge by.
    pub trust: Option<TrustDigest>,
}

/// How far back a chart goes, and by what steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    /// The last hour by minutes.
    Hour,
    /// The last seven days by hours.
    Week,
}

impl Ledger {
    /// Puts the hosts of a new configuration in place of the old ones. Evidence of a (host, name, trust) that is still
    /// there stays; another trust starts from zero.
    pub fn adopt(&self, _subjects: &[Subject]) {}

    /// Adds what a handshake came to.
    pub fn record(&self, _outcome: &HandshakeOutcome) {}

    /// What was seen of `host` within `window` under the trust in force, by configured name: every configured name is
    /// there, seen or not. Empty for an unknown host and one that is `off`.
    pub fn evidence(&self, _host: &str, _window: Duration, _now: Timestamp) -> BTreeMap<String, Evidence> {
        BTreeMap::new()
    }

    /// The same over time, all names together.
    pub fn columns(&self, _host: &str, _span: Span, _now: Timestamp) -> Vec<Column> {
        Vec::new()
    }
}
