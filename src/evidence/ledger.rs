//! Evidence by configured name and trust.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::account::{Account, Kind};
use super::enforced::Enforced;
use super::handshake::HandshakeOutcome;
use super::network::{Network, Networks};
use super::report::{Column, NetworksReport};
use super::requests::RequestNote;
use super::strangers::{Strangers, UnknownName};
use super::tally::{Evidence, SeenCertificate};
use super::window::Slice;
use crate::clock::Timestamp;
use crate::hostname::{HostPattern, Hostname};
use crate::policy::hosts::HostTable;
use crate::policy::trust::TrustDigest;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// What clients that name no configured name are told apart by: the default host's account for them. No host can be
/// called this.
pub const DEFAULT_NAME: &str = "*";
/// Trusts that a name had before, whose evidence is found again when one of them comes back.
const MAX_FORMER_TRUSTS: usize = 3;

/// All evidence of this process.
///
/// An account belongs to a configured name and a trust: what was seen under one CA says nothing about another. The mode
/// is no part of it, so that evidence goes on from observe to enforce; neither is the host, as no two hosts share a name.
/// Only what the configuration names has an account, which bounds the memory whatever strangers send.
#[derive(Debug, Default)]
pub struct Ledger {
    book: ArcSwap<Book>,
    networks: ArcSwap<Networks>,
    strangers: Mutex<Strangers>,
    /// What a file remembered and no configuration has claimed yet. Locked while the book is rewritten.
    remembered: Mutex<HashMap<Arc<str>, Vec<Arc<Account>>>>,
    /// How often anything was recorded.
    records: AtomicU64,
}

/// A host of the configuration in force, as the ledger has to know it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The first of its names.
    pub host: Arc<str>,
    pub names: Vec<HostPattern>,
    /// Whether it also takes clients that name no host, or an unknown one.
    pub is_default: bool,
    /// `None` where the mode is `off`: there is nothing to judge by.
    pub trust: Option<TrustDigest>,
    /// How far back the host's evidence counts.
    pub window: Duration,
}

/// What a host's evidence is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope {
    pub trust: TrustDigest,
    /// How far back it counts.
    pub window: Duration,
    /// Names that it is told by, at most: the configured ones and [`DEFAULT_NAME`].
    pub names: usize,
}

/// How far back a chart goes, and by what steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    /// The last hour by minutes.
    Hour,
    /// The last seven days by hours.
    Week,
}

/// The accounts of a configuration.
#[derive(Debug, Default)]
struct Book {
    by_name: HostTable<Arc<Named>>,
    by_host: HashMap<Arc<str>, HostAccounts>,
}

/// The accounts of one host.
#[derive(Debug)]
struct HostAccounts {
    /// In the order of the configuration.
    names: Vec<Arc<Named>>,
    scope: Option<Scope>,
}

/// The accounts of one configured name.
#[derive(Debug)]
struct Named {
    name: Arc<str>,
    /// That of the trust in force first, where there is one, then former ones, the latest first.
    accounts: Vec<Arc<Account>>,
}

impl Ledger {
    /// Puts the hosts of a new configuration in place of the old ones. Evidence of a name and trust that is still there
    /// stays; another trust starts from zero.
    pub fn adopt(&self, subjects: &[Subject], now: Timestamp) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.accounts_by_name();
        known.extend(remembered.drain());
        let mut book = Book::default();
        for subject in subjects {
            let mut named = Vec::new();
            for pattern in &subject.names {
                let one = Named::new(pattern.to_string().into(), subject.trust, &mut known, now);
                book.by_name.insert(pattern, Arc::clone(&one));
                named.push(one);
            }
            if subject.is_default {
                let one = Named::new(DEFAULT_NAME.into(), subject.trust, &mut known, now);
                book.by_name.set_default(Arc::clone(&one));
                named.push(one);
            }
            let scope = subject.trust.map(|trust| Scope { trust, window: subject.window, names: named.len() });
            book.by_host.insert(Arc::clone(&subject.host), HostAccounts { names: named, scope });
        }
        self.book.store(Arc::new(book));
    }

    /// Has other ranges count as Cloudflare's from now on. What was counted stays where it was.
    pub fn set_networks(&self, networks: Arc<Networks>) {
        self.networks.store(networks);
    }

    /// Where `address` belongs.
    pub fn network_of(&self, address: IpAddr) -> Network {
        self.networks.load().of(address)
    }

    /// Which ranges count as Cloudflare's.
    pub fn networks(&self) -> NetworksReport {
        self.networks.load().report()
    }

    /// Adds what a handshake came to.
    pub fn record(&self, outcome: &HandshakeOutcome) {
        let network = self.network_of(outcome.peer.ip());
        match (&outcome.host, outcome.trust) {
            (None, _) => self.lock_strangers().record(outcome, network),
            (Some(_), Some(trust)) => {
                let Some(account) = self.account(outcome.server_name.as_ref(), trust) else { return };
                account.record(outcome, network);
            }
            // A host that asks nobody for a certificate.
            (Some(_), None) => return,
        }
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds requests that came over one connection.
    pub fn note(&self, note: &RequestNote) {
        if let Some(account) = self.account(note.server_name.as_ref(), note.trust) {
            account.note(note, self.network_of(note.peer.ip()));
            self.records.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was seen of `host` within `window` under the trust in force, by configured name: every configured name is
    /// there, seen or not, and [`DEFAULT_NAME`] where anything came under another one. Empty for an unknown host and one
    /// that is `off`.
    pub fn evidence(&self, host: &str, window: Duration, now: Timestamp) -> BTreeMap<String, Evidence> {
        let in_force = self.in_force(host);
        let seen = in_force.iter().filter(|account| *account.name != *DEFAULT_NAME || !account.is_empty(now));
        seen.map(|account| (account.name.to_string(), account.evidence(window, now))).collect()
    }

    /// The client certificates that verified on `host` within `window` under the trust in force.
    pub fn verified_certificates(&self, host: &str, window: Duration, now: Timestamp) -> BTreeSet<Fingerprint> {
        let in_force = self.in_force(host);
        in_force.iter().flat_map(|account| account.verified_certificates(window, now)).collect()
    }

    /// The client certificates that edges of Cloudflare's came to `host` with within `window` and that verified when they
    /// last came, under the trust in force or one before it: the edges do not change with the trust.
    pub fn edge_certificates(
        &self,
        host: &str,
        window: Duration,
        now: Timestamp,
    ) -> BTreeMap<Fingerprint, SeenCertificate> {
        let book = self.book.load();
        let named = book.by_host.get(host).into_iter().flat_map(|accounts| &accounts.names);
        let mut latest: BTreeMap<Fingerprint, SeenCertificate> = BTreeMap::new();
        for account in named.flat_map(|named| &named.accounts) {
            for ((network, sha256), seen) in account.evidence(window, now).certificates {
                let is_later = latest.get(&sha256).is_none_or(|known| known.last_seen < seen.last_seen);
                if network == Network::Cloudflare && is_later {
                    latest.insert(sha256, seen);
                }
            }
        }
        latest.retain(|_, seen| seen.reason == Reason::Verified);
        latest
    }

    /// What enforcing has done so far to Cloudflare's handshakes with the configured name `name`, under the trust in
    /// force. What came under other names is not among them, whoever took it.
    pub fn enforced(&self, name: &HostPattern) -> Option<Enforced> {
        Some(self.book.load().by_name.get(name)?.accounts.first()?.enforced())
    }

    /// The same over time, all names together.
    pub fn columns(&self, host: &str, span: Span, now: Timestamp) -> Vec<Column> {
        let mut columns = BTreeMap::new();
        for account in self.in_force(host) {
            let slices = match span {
                Span::Hour => account.last_hour(now),
                Span::Week => account.last_week(now),
            };
            slices.into_iter().for_each(|slice| add_slice(&mut columns, slice));
        }
        columns.into_values().collect()
    }

    /// The trust in force of `host` and its window. `None` for an unknown host and one that is `off`.
    pub fn scope(&self, host: &str) -> Option<Scope> {
        self.book.load().by_host.get(host)?.scope
    }

    /// Handshakes for which no host was chosen.
    pub fn strangers(&self, window: Duration, now: Timestamp) -> BTreeMap<(Network, Reason), u64> {
        self.lock_strangers().counts(window, now)
    }

    /// Names that no host has and that Cloudflare asked for all the same: a hostname is missing from the configuration,
    /// or a DNS record leads here that should not. The latest first.
    pub fn unknown_names(&self, now: Timestamp) -> Vec<UnknownName> {
        self.lock_strangers().unknown_names(now)
    }

    /// How often anything was recorded. What has not changed need not be saved.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Keeps what a file remembered for the first configuration to adopt; what it does not name is forgotten.
    pub(super) fn remember(&self, accounts: impl Iterator<Item = Arc<Account>>, mut strangers: Strangers) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            remembered.entry(Arc::clone(&account.name)).or_default().push(account);
        }
        strangers.normalise();
        *self.lock_strangers() = strangers;
    }

    /// Every account, those of former trusts behind the one in force.
    pub(super) fn all_accounts(&self) -> Vec<Arc<Account>> {
        let book = self.book.load();
        let named = book.by_host.values().flat_map(|host| &host.names);
        named.flat_map(|named| &named.accounts).cloned().collect()
    }

    pub(super) fn copy_strangers(&self, now: Timestamp) -> Strangers {
        let mut strangers = self.lock_strangers();
        strangers.settle(now);
        strangers.clone()
    }

    fn account(&self, name: Option<&Hostname>, trust: TrustDigest) -> Option<Arc<Account>> {
        let book = self.book.load();
        let named = book.by_name.select(name).ok()?;
        named.accounts.iter().find(|account| account.trust == trust).cloned()
    }

    fn in_force(&self, host: &str) -> Vec<Arc<Account>> {
        let book = self.book.load();
        let Some(HostAccounts { names, scope: Some(_) }) = book.by_host.get(host) else { return Vec::new() };
        names.iter().filter_map(|named| named.accounts.first()).cloned().collect()
    }

    fn accounts_by_name(&self) -> HashMap<Arc<str>, Vec<Arc<Account>>> {
        let book = self.book.load();
        let named = book.by_host.values().flat_map(|host| &host.names);
        named.map(|named| (Arc::clone(&named.name), named.accounts.clone())).collect()
    }

    fn lock_strangers(&self) -> std::sync::MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Named {
    /// Takes over the accounts that are known under `name`.
    fn new(
        name: Arc<str>,
        trust: Option<TrustDigest>,
        known: &mut HashMap<Arc<str>, Vec<Arc<Account>>>,
        now: Timestamp,
    ) -> Arc<Self> {
        let mut former = known.remove(&name).unwrap_or_default();
        let mut accounts = Vec::new();
        if let Some(trust) = trust {
            let at = former.iter().position(|account| account.trust == trust);
            let account = at.map(|at| former.remove(at));
            accounts.push(account.unwrap_or_else(|| Arc::new(Account::new(Arc::clone(&name), trust))));
        }
        former.retain(|account| !account.is_empty(now));
        accounts.extend(former.into_iter().take(MAX_FORMER_TRUSTS));
        Arc::new(Self { name, accounts })
    }
}

fn add_slice(columns: &mut BTreeMap<Timestamp, Column>, slice: Slice<Kind>) {
    let new =
        || Column { from: slice.from, seconds: slice.seconds, cloudflare: BTreeMap::new(), elsewhere: BTreeMap::new() };
    for (kind, number) in slice.counts {
        let Kind::Handshake(network, reason) = kind else { continue };
        let column = columns.entry(slice.from).or_insert_with(new);
        let side = match network {
            Network::Cloudflare => &mut column.cloudflare,
            Network::Elsewhere => &mut column.elsewhere,
        };
        let sum = side.entry(reason).or_default();
        *sum = sum.saturating_add(number);
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
pub(super) mod tests;
