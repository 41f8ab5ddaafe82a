//! Which hostname gets which certificate.

use std::collections::BTreeMap;
use std::time::Duration;

use originlock::clock::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::Call;
use super::certificates::Collection;
use super::seed;
use super::settings::{Outcome, VoidEcho, VoidRead};
use super::state::Zone;
use super::status::Status;
use super::timeline::Timeline;

const DAY: Duration = Duration::from_hours(24);

/// The associations of a zone by hostname, in lower case.
#[derive(Debug, Default)]
pub struct Associations(BTreeMap<String, Association>);

#[derive(Debug)]
pub struct Association {
    created: Timestamp,
    life: Timeline<Version>,
}

/// What an association says from some moment on.
#[derive(Clone, Debug)]
pub struct Version {
    pub cert_id: String,
    /// `None`: voided.
    pub enabled: Option<bool>,
    pub status: Status,
    updated: Timestamp,
}

/// What the edges do for a hostname.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    pub cert_id: String,
    pub enabled: bool,
}

/// One item of a `PUT`.
struct Item {
    hostname: String,
    cert_id: String,
    enabled: Option<bool>,
}

impl Associations {
    pub fn seeded(seeds: &[seed::Association], certificates: &Collection, now: Timestamp) -> Self {
        let before = now.before(DAY);
        let one = |seed: &seed::Association| {
            let certificate = certificates.all().get(seed.certificate).expect("a certificate of the seed");
            let (cert_id, status) = (certificate.id.clone(), Status::of(&seed.status));
            let version = Version { cert_id, enabled: seed.enabled, status, updated: before };
            let association = Association { created: before, life: Timeline::starting(before, version) };
            (seed.hostname.to_lowercase(), association)
        };
        Self(seeds.iter().map(one).collect())
    }

    /// What is written of `hostname`.
    pub fn get(&self, hostname: &str, moment: Timestamp) -> Option<&Version> {
        self.0.get(hostname)?.life.at(moment)
    }

    /// What the edges do: what was active last, until it is gone.
    pub fn effect(&self, hostname: &str, moment: Timestamp) -> Option<Effect> {
        let history = self.0.get(hostname)?.life.until(moment);
        history.fold(None, |before, (_, version)| match version.status {
            Status::Active => version.enabled.map(|enabled| Effect { cert_id: version.cert_id.clone(), enabled }),
            Status::Deleted => None,
            Status::Initializing
            | Status::PendingDeployment
            | Status::DeploymentTimedOut
            | Status::PendingDeletion
            | Status::DeletionTimedOut
            | Status::Other(_) => before,
        })
    }

    /// Whether anything still needs this certificate.
    pub fn refer_to(&self, cert_id: &str, moment: Timestamp) -> bool {
        self.0.keys().any(|hostname| {
            let written = self.get(hostname, moment);
            written.is_some_and(|version| version.cert_id == cert_id && version.status != Status::Deleted)
                || self.effect(hostname, moment).is_some_and(|effect| effect.cert_id == cert_id)
        })
    }

    /// Writes an association as if somebody else had, active at once; `None`: it is gone.
    pub fn set(&mut self, hostname: &str, effect: Option<Effect>, now: Timestamp) {
        let before = self.get(hostname, now).map(|version| version.cert_id.clone()).unwrap_or_default();
        let version = match effect {
            Some(Effect { cert_id, enabled }) => {
                Version { cert_id, enabled: Some(enabled), status: Status::Active, updated: now }
            }
            None => Version { cert_id: before, enabled: None, status: Status::Deleted, updated: now },
        };
        self.write(hostname, version, now);
    }

    fn write(&mut self, hostname: &str, version: Version, now: Timestamp) {
        match self.0.get_mut(hostname) {
            Some(association) => association.life.change(now, version),
            None => {
                let association = Association { created: now, life: Timeline::starting(now, version) };
                self.0.insert(hostname.to_owned(), association);
            }
        }
    }

    fn count_of(&self, cert_id: &str, except: &str, moment: Timestamp) -> usize {
        let others = self.0.keys().filter(|hostname| *hostname != except);
        let versions = others.filter_map(|hostname| self.get(hostname, moment));
        versions.filter(|version| version.cert_id == cert_id && !version.status.is_ending()).count()
    }

    pub(super) fn picture(&self, now: Timestamp) -> Value {
        let known = self.0.iter().filter_map(|(hostname, association)| Some((hostname, association.life.at(now)?)));
        let shown = known.map(|(hostname, version)| {
            let body =
                json!({ "cert_id": version.cert_id, "enabled": version.enabled, "status": version.status.word() });
            (hostname.clone(), body)
        });
        Value::Object(shown.collect())
    }
}

/// `PUT …/hostnames`.
pub(super) fn write(zone: &mut Zone, call: &mut Call<'_>) -> Answer {
    let items = call.body["config"].as_array().cloned().unwrap_or_default();
    let checked: Vec<Result<Item, Answer>> = items.iter().map(|item| check(zone, item, call)).collect();
    let mut written = Vec::new();
    if call.settings.put_atomic
        && let Some(refusal) = checked.iter().find_map(|item| item.as_ref().err())
    {
        return refusal.clone();
    }
    for item in checked {
        match item.and_then(|item| check_count(zone, item, call)) {
            Ok(item) => written.push(apply(zone, item, call)),
            Err(refusal) => return refusal,
        }
    }
    Answer::ok(&echo(zone, &written, call))
}

fn check(zone: &Zone, item: &Value, call: &Call<'_>) -> Result<Item, Answer> {
    let text = |name: &str| item[name].as_str().filter(|text| !text.is_empty());
    let (Some(hostname), Some(cert_id)) = (text("hostname"), text("cert_id")) else {
        return Err(Answer::refused(400, 1404, "Certificate ID required"));
    };
    if !zone.certificates.is_live(cert_id, call.now) {
        let message = "Certificate ID in request is either invalid or the certificate has been deleted";
        return Err(Answer::refused(400, 1415, message));
    }
    let hostname = hostname.to_lowercase();
    let bare = hostname.strip_prefix("*.").filter(|_| call.settings.wildcards).unwrap_or(&hostname);
    if bare.contains('*') || !zone.serves(bare) {
        let code = call.settings.codes.foreign_hostname;
        return Err(Answer::refused(400, code, "The hostname does not belong to this zone"));
    }
    Ok(Item { hostname, cert_id: cert_id.to_owned(), enabled: item["enabled"].as_bool() })
}

fn check_count(zone: &Zone, item: Item, call: &Call<'_>) -> Result<Item, Answer> {
    let count = zone.associations.count_of(&item.cert_id, &item.hostname, call.now);
    match item.enabled.is_some() && count >= call.settings.max_associations {
        true => {
            let code = call.settings.codes.too_many_associations;
            Err(Answer::refused(400, code, "Too many hostnames are associated with this certificate"))
        }
        false => Ok(item),
    }
}

/// What was written, with `enabled` as it was before.
fn apply(zone: &mut Zone, item: Item, call: &mut Call<'_>) -> (String, Option<bool>) {
    let Item { hostname, cert_id, enabled } = item;
    let before = zone.associations.get(&hostname, call.now).cloned();
    let was_enabled = before.as_ref().and_then(|version| version.enabled);
    let is_gone = before.as_ref().is_none_or(|version| version.status.is_ending());
    let is_same = before.is_some_and(|version| {
        version.status == Status::Active && version.cert_id == cert_id && version.enabled == enabled
    });
    if (enabled.is_none() && is_gone) || (is_same && !call.settings.put_same_redeploys) {
        return (hostname, was_enabled);
    }
    call.counters.associations += 1;
    let outcome = call.settings.associations.get(&call.counters.associations).cloned().unwrap_or_default();
    let (pending, done, late, delay) = match enabled {
        Some(_) => (Status::PendingDeployment, Status::Active, Status::DeploymentTimedOut, call.settings.assoc_delay),
        None => (Status::PendingDeletion, Status::Deleted, Status::DeletionTimedOut, call.settings.void_delay),
    };
    let later = call.now.after(call.random.delay(delay));
    let version = |status, updated| Version { cert_id: cert_id.clone(), enabled, status, updated };
    zone.associations.write(&hostname, version(pending, call.now), call.now);
    let life = &mut zone.associations.0.get_mut(&hostname).expect("written right now").life;
    match outcome {
        Outcome::Succeeds => life.plan(later, version(done, later)),
        Outcome::TimesOut => life.plan(later, version(late, later)),
        Outcome::Hangs => {}
        Outcome::Becomes(word) => life.plan(later, version(Status::Other(word), later)),
    }
    (hostname, was_enabled)
}

fn echo(zone: &Zone, written: &[(String, Option<bool>)], call: &Call<'_>) -> Value {
    let mut shown: Vec<Value> = Vec::new();
    for (hostname, was_enabled) in written {
        let mut one = shown_at(zone, hostname, call.now).unwrap_or_else(|| json!({ "hostname": hostname }));
        if one["enabled"].is_null() {
            one["enabled"] = match call.settings.void_echo {
                VoidEcho::Null => Value::Null,
                VoidEcho::False => false.into(),
                VoidEcho::Old => (*was_enabled).into(),
            };
        }
        shown.push(one);
    }
    if call.settings.put_reversed {
        shown.reverse();
    }
    if call.settings.put_echo_all {
        let others = zone.associations.0.keys().filter(|hostname| !written.iter().any(|(known, _)| known == *hostname));
        // The others first: whoever takes the first one takes a wrong one.
        let others: Vec<Value> = others.filter_map(|hostname| shown_at(zone, hostname, call.now)).collect();
        shown.splice(0..0, others);
    }
    shown.into()
}

/// `GET …/hostnames/{hostname}`.
pub(super) fn read(zone: &Zone, hostname: &str, call: &Call<'_>) -> Answer {
    let (hostname, moment) = (hostname.to_lowercase(), call.read_at());
    let not_found = Answer::refused(404, 1553, "setting for this hostname not found");
    let Some(mut shown) = shown_at(zone, &hostname, moment) else { return not_found };
    if shown["status"] == "deleted" {
        match call.settings.void_read {
            VoidRead::NotFound => return not_found,
            VoidRead::Null => {}
            VoidRead::Missing => {
                shown.as_object_mut().expect("an object").remove("enabled");
            }
            VoidRead::False => shown["enabled"] = false.into(),
        }
    }
    Answer::ok(&shown)
}

/// `GET …/hostnames`.
pub(super) fn list(zone: &Zone, call: &Call<'_>) -> Answer {
    let bad = |message: &str| Answer::refused(400, call.settings.codes.bad_body, message);
    let number = |name: &str, default: usize| call.field(name).map_or(Ok(default), str::parse::<usize>);
    let (Ok(page), Ok(size)) = (number("page", 1), number("per_page", 50)) else { return bad("invalid page") };
    if page == 0 || !(1..=1000).contains(&size) {
        return bad("invalid page");
    }
    let statuses: Vec<&str> = call.field("status").unwrap_or("active").split(',').collect();
    if statuses.iter().any(|word| *word != "all" && matches!(Status::of(word), Status::Other(_))) {
        return bad("invalid status");
    }
    let wanted = |shown: &Value| statuses.contains(&"all") || statuses.iter().any(|word| shown["status"] == *word);
    let all = zone.associations.0.keys().filter_map(|hostname| shown_at(zone, hostname, call.read_at()));
    let items = all.filter(wanted).map(short).collect();
    Answer::page(items, Page { number: page, size })
}

/// The list leaves out what is the certificate's.
fn short(shown: Value) -> Value {
    let kept = ["hostname", "cert_id", "enabled", "status", "created_at", "updated_at"];
    Value::Object(kept.iter().map(|name| ((*name).to_owned(), shown[*name].clone())).collect())
}

fn shown_at(zone: &Zone, hostname: &str, moment: Timestamp) -> Option<Value> {
    let association = zone.associations.0.get(hostname)?;
    let version = association.life.at(moment)?;
    let mut shown = json!({
        "hostname": hostname,
        "cert_id": version.cert_id,
        "enabled": version.enabled,
        "status": version.status.word(),
        "created_at": association.created,
        "updated_at": version.updated,
    });
    if let Some(certificate) = zone.certificates.get(&version.cert_id) {
        shown["cert_status"] = certificate.status(moment).map(Status::word).into();
        shown["certificate"] = certificate.described.pem.as_str().into();
        shown["issuer"] = certificate.described.issuer.as_str().into();
        shown["signature"] = certificate.described.signature.as_str().into();
        shown["serial_number"] = certificate.described.serial.as_str().into();
        shown["cert_uploaded_on"] = certificate.uploaded.to_string().into();
        let updated = certificate.life.since(moment).unwrap_or(certificate.uploaded);
        shown["cert_updated_at"] = updated.to_string().into();
        shown["expires_on"] = certificate.described.expires.to_string().into();
    }
    Some(shown)
}
