//! All that the fake remembers.

use std::collections::BTreeMap;
use std::time::Duration;

use originlock::clock::Timestamp;
use serde_json::{Value, json};

use super::associations::Associations;
use super::certificates::Collection;
use super::clock::{FakeClock, Running};
use super::faults::Faults;
use super::limits::Windows;
use super::log::Logged;
use super::random::Random;
use super::route::Level;
use super::seed::{Account, Record, Rule, Seed, Token, account_id};
use super::settings::Settings;
use super::timeline::Timeline;

/// The whole service.
#[derive(Debug)]
pub struct State {
    pub clock: Running,
    pub settings: Settings,
    pub accounts: Vec<Account>,
    pub zones: Vec<Zone>,
    pub tokens: Vec<Token>,
    pub faults: Faults,
    pub log: Vec<Logged>,
    pub policies: Vec<Policy>,
    pub(super) random: Random,
    pub(super) counters: Counters,
    pub(super) windows: Windows,
    pub(super) begun: Timestamp,
    seed: Seed,
}

/// How many writes were taken, for what the settings say of the n-th.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub uploads: usize,
    pub deletions: usize,
    pub associations: usize,
}

/// What a zone has and is.
#[derive(Debug)]
pub struct Zone {
    pub id: String,
    pub name: String,
    pub account: String,
    pub status: String,
    pub paused: bool,
    pub records: Vec<Record>,
    pub custom_hostnames: Vec<String>,
    pub rules: Vec<Rule>,
    pub ssl: Timeline<String>,
    pub ssl_editable: bool,
    pub tls_client_auth: Timeline<bool>,
    pub tls_client_auth_editable: bool,
    pub ssl_automatic_mode: Timeline<String>,
    pub post_quantum: Timeline<String>,
    /// Whether the zone's own certificates are in use.
    pub switch: Timeline<bool>,
    pub certificates: Collection,
    pub zone_certificates: Collection,
    pub associations: Associations,
    /// Until when a write has the zone to itself.
    pub(super) locked_until: Timestamp,
}

/// An alert on something.
#[derive(Clone, Debug)]
pub struct Policy {
    pub account: String,
    pub id: String,
    pub body: Value,
    pub created: Timestamp,
}

impl State {
    pub fn new(seed: Seed, clock: FakeClock, start: Timestamp) -> Self {
        let clock = Running::begin(clock, start);
        let mut random = Random::seeded(seed.random);
        let begun = clock.now();
        let zones = seed.zones.iter().map(|zone| Zone::new(zone, begun, &mut random)).collect();
        Self {
            clock,
            settings: seed.settings.clone(),
            accounts: seed.accounts.clone(),
            zones,
            tokens: seed.tokens.clone(),
            faults: Faults::new(seed.faults.clone()),
            log: Vec::new(),
            policies: Vec::new(),
            random,
            counters: Counters::default(),
            windows: Windows::default(),
            begun,
            seed,
        }
    }

    /// Back to the beginning, at the time that it is now.
    pub fn reset(&mut self) {
        let now = self.now();
        let fresh = Self::new(self.seed.clone(), FakeClock::Manual, now);
        let clock = std::mem::replace(self, fresh);
        self.clock = clock.clock;
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// The zone called `name`; of several the one that is active.
    ///
    /// # Panics
    /// There is none.
    pub fn zone(&mut self, name: &str) -> &mut Zone {
        let active = self.zones.iter().position(|zone| zone.name == name && zone.status == "active");
        let any = || self.zones.iter().position(|zone| zone.name == name);
        let at = active.or_else(any).unwrap_or_else(|| panic!("the fake has no zone {name}"));
        &mut self.zones[at]
    }

    /// The zone that `hostname` belongs to.
    pub fn zone_of(&self, hostname: &str) -> Option<&Zone> {
        let fitting = self.zones.iter().filter(|zone| zone.status == "active" && zone.serves(hostname));
        fitting.max_by_key(|zone| zone.name.len())
    }

    /// All accounts: those of the seed, and the owners of zones.
    pub fn account(&self, id: &str) -> Option<Account> {
        let known = self.accounts.iter().find(|account| account_id(&account.name) == id).cloned();
        let owner = || self.zones.iter().find(|zone| account_id(&zone.account) == id);
        known.or_else(|| owner().map(|zone| Account { name: zone.account.clone(), ..Account::default() }))
    }

    /// What is there now, for people and for comparing.
    pub fn picture(&self) -> Value {
        let now = self.now();
        let zones: BTreeMap<&str, Value> =
            self.zones.iter().map(|zone| (zone.id.as_str(), zone.picture(now))).collect();
        let policies: Vec<&Value> = self.policies.iter().map(|policy| &policy.body).collect();
        json!({ "now": now, "zones": zones, "policies": policies, "settings": self.settings, "requests": self.log.len() })
    }
}

impl Zone {
    fn new(seed: &super::seed::Zone, now: Timestamp, random: &mut Random) -> Self {
        let mut ssl = Timeline::always(seed.ssl.clone());
        if let Some(raise) = &seed.automatic_raise {
            ssl.plan(now.after(raise.after), raise.to.clone());
        }
        let certificates = Collection::seeded(Level::Hostname, &seed.certificates, now, random);
        let associations = Associations::seeded(&seed.associations, &certificates, now);
        Self {
            id: seed.id(),
            name: seed.name.clone(),
            account: seed.account.clone(),
            status: seed.status.clone(),
            paused: seed.paused,
            records: seed.records.clone(),
            custom_hostnames: seed.custom_hostnames.clone(),
            rules: seed.rules.clone(),
            ssl,
            ssl_editable: seed.ssl_editable,
            tls_client_auth: Timeline::always(seed.tls_client_auth),
            tls_client_auth_editable: seed.tls_client_auth_editable,
            ssl_automatic_mode: Timeline::always(seed.ssl_automatic_mode.clone()),
            post_quantum: Timeline::always(seed.post_quantum.clone()),
            switch: Timeline::always(seed.zone_switch),
            certificates,
            zone_certificates: Collection::seeded(Level::Zone, &seed.zone_certificates, now, random),
            associations,
            locked_until: Timestamp::from_seconds(0),
        }
    }

    /// Whether `hostname` lies in the zone, or is one of its custom hostnames.
    pub fn serves(&self, hostname: &str) -> bool {
        let inside = hostname.strip_suffix(self.name.as_str());
        inside.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            || self.custom_hostnames.iter().any(|custom| custom == hostname)
    }

    /// The records of `name`, or else of the wildcard that covers it.
    pub fn records_of(&self, name: &str) -> Vec<&Record> {
        let of = |wanted: &str| self.records.iter().filter(|record| record.name == wanted).collect::<Vec<_>>();
        let exact = of(name);
        match name.split_once('.').filter(|_| exact.is_empty()) {
            Some((_, parent)) => of(&format!("*.{parent}")),
            None => exact,
        }
    }

    fn picture(&self, now: Timestamp) -> Value {
        json!({
            "name": self.name,
            "ssl": self.ssl.value(now),
            "tls_client_auth": self.tls_client_auth.value(now),
            "ssl_automatic_mode": self.ssl_automatic_mode.value(now),
            "origin_post_quantum_encryption": self.post_quantum.value(now),
            "zone_switch": self.switch.value(now),
            "certificates": self.certificates.picture(now),
            "zone_certificates": self.zone_certificates.picture(now),
            "associations": self.associations.picture(now),
        })
    }
}
