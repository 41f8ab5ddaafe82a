//! The token: good, and with the permissions that are needed, as far as reading shows.

use std::collections::BTreeSet;

use super::{Asking, Finding, told};
use crate::cloudflare::{
    Association, Cloudflare, CloudflareError, Collection, ConfigRule, Dns, Kind, PostQuantum, Setting, SslMode,
    TokenState, UploadedCertificate, Zone,
};
use crate::hostname::Hostname;

type Reading<T> = Result<T, CloudflareError>;

const TOKENS_PAGE: &str = "https://dash.cloudflare.com/profile/api-tokens";

/// All that has to be read before something is changed.
pub(super) struct Readings {
    pub(super) ssl: Reading<Setting<SslMode>>,
    pub(super) automatic: Reading<bool>,
    pub(super) rules: Reading<Vec<ConfigRule>>,
    pub(super) tls_client_auth: Reading<Setting<String>>,
    pub(super) zone_level: Reading<bool>,
    pub(super) certificates: Reading<Vec<UploadedCertificate>>,
    pub(super) associations: Vec<(Hostname, Reading<Option<Association>>)>,
    /// Of the zone. `None`: the API cannot list them.
    pub(super) all_associations: Reading<Option<Vec<Association>>>,
    pub(super) dns: Vec<(Hostname, Reading<Dns>)>,
    post_quantum: Option<Reading<Setting<PostQuantum>>>,
}

impl Readings {
    pub(super) fn read(asking: &Asking<'_>, zone: &Zone) -> Self {
        let (cloudflare, id): (&Cloudflare, _) = (asking.cloudflare, &zone.id);
        let collection = asking.desired.collection().unwrap_or(Collection::Hostname);
        let hostnames = &asking.desired.hostnames;
        Self {
            ssl: cloudflare.ssl_mode(id),
            automatic: cloudflare.ssl_is_automatic(id),
            rules: cloudflare.config_rules(id),
            tls_client_auth: cloudflare.tls_client_auth(id),
            zone_level: cloudflare.zone_level(id),
            certificates: cloudflare.certificates(id, collection),
            associations: hostnames.iter().map(|name| (name.clone(), cloudflare.association(id, name))).collect(),
            all_associations: cloudflare.associations(id),
            dns: hostnames.iter().map(|name| (name.clone(), cloudflare.dns(zone, name))).collect(),
            post_quantum: asking.desired.post_quantum.map(|_| cloudflare.post_quantum(id)),
        }
    }

    fn errors(&self) -> impl Iterator<Item = &CloudflareError> {
        fn of<T>(reading: &Reading<T>) -> Option<&CloudflareError> {
            reading.as_ref().err()
        }
        let associations = self.associations.iter().filter_map(|(_, reading)| of(reading));
        let dns = self.dns.iter().filter_map(|(_, reading)| of(reading));
        [of(&self.ssl), of(&self.rules), of(&self.tls_client_auth), of(&self.zone_level), of(&self.certificates)]
            .into_iter()
            .chain([self.post_quantum.as_ref().and_then(of)])
            .flatten()
            .chain(associations)
            .chain(dns)
    }

    /// The permissions that the refused readings lack, each once.
    fn missing(&self) -> BTreeSet<String> {
        let refused = self.errors().filter_map(CloudflareError::refusal);
        let refused = refused.filter(|refusal| matches!(refusal.kind, Kind::NotPermitted | Kind::Foreign));
        refused.filter_map(|refusal| refusal.permission()).collect()
    }
}

pub(super) fn look(asking: &Asking<'_>, zone: Option<&Zone>, readings: Option<&Readings>) -> Finding {
    let account = zone.and_then(|zone| zone.account.as_ref());
    let state = match account {
        Some(account) => asking.cloudflare.verify_token_of(&account.id),
        None => asking.cloudflare.verify_token(),
    };
    let missing = readings.map(Readings::missing).unwrap_or_default();
    match state {
        Ok(state) => judge(asking, &state, &missing, known(readings)),
        // What it may read it may read, whoever cannot look it up.
        Err(error) if readings.is_some_and(|readings| readings.errors().next().is_none()) => Finding::warns(
            format!("it reads all that is needed, and could not be looked up: {}", told(&error)),
            "nothing; when it ends is not known",
        ),
        Err(error) => Finding::unread(&error),
    }
}

/// What the readings show of what the token may do.
fn known(readings: Option<&Readings>) -> &'static str {
    match readings.map(|readings| readings.errors().next().is_none()) {
        Some(true) => "it may read all that is needed",
        Some(false) => "whether it may read all that is needed is not established, since not everything could be read",
        None => "what it may read is not established without a zone",
    }
}

fn judge(asking: &Asking<'_>, state: &TokenState, missing: &BTreeSet<String>, known: &str) -> Finding {
    let now = asking.now;
    if state.status != "active" {
        return Finding::fails(format!("the token is {}", state.status), format!("make a new one at {TOKENS_PAGE}"));
    }
    if let Some(ended) = state.expires_on.filter(|at| *at <= now) {
        return Finding::fails(format!("the token expired on {ended}"), format!("make a new one at {TOKENS_PAGE}"));
    }
    if let Some(begins) = state.not_before.filter(|at| *at > now) {
        return Finding::fails(
            format!("the token is not valid before {begins}"),
            "wait until then, or look at this machine's clock",
        );
    }
    if !missing.is_empty() {
        let list: Vec<_> = missing.iter().map(String::as_str).collect();
        let list = list.join("`, `");
        return Finding::fails(
            format!("the token lacks the permission `{list}`"),
            format!("add `{list}` to the token at {TOKENS_PAGE}"),
        );
    }
    let until = state.expires_on.map_or_else(String::new, |at| format!(", until {at}"));
    Finding::holds(format!(
        "active{until}; {known}. Not established: whether it may change anything (Zone > SSL and Certificates > Edit, \
         Zone > Zone Settings > Edit), which no reading shows"
    ))
}
