//! Client certificates in a zone: two collections that know nothing of each other.

use std::time::Duration;

use originlock::clock::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::Call;
use super::pem::{self, Described, Key};
use super::random::Random;
use super::route::Level;
use super::seed::Deposit;
use super::settings::{Delay, FinalNewline, Outcome};
use super::status::Status;
use super::timeline::Timeline;

const ID_LENGTH: usize = 36;
const DAY: Duration = Duration::from_hours(24);

/// The certificates of one level.
#[derive(Debug)]
pub struct Collection {
    level: Level,
    kept: Vec<Certificate>,
}

/// A certificate that was uploaded, alive or a tombstone.
#[derive(Debug)]
pub struct Certificate {
    pub id: String,
    pub described: Described,
    pub key: Key,
    pub uploaded: Timestamp,
    pub life: Timeline<Status>,
}

impl Certificate {
    /// Where it stands; `None` before it came.
    pub fn status(&self, moment: Timestamp) -> Option<&Status> {
        self.life.at(moment)
    }

    /// Whether the edges have it.
    pub fn is_deployed(&self, moment: Timestamp) -> bool {
        self.life.until(moment).fold(false, |deployed, (_, status)| match status {
            Status::Active => true,
            Status::Initializing | Status::PendingDeployment | Status::DeploymentTimedOut | Status::Deleted => false,
            Status::PendingDeletion | Status::DeletionTimedOut | Status::Other(_) => deployed,
        })
    }

    /// Since when it is deployed, if it is.
    pub fn deployed_since(&self, moment: Timestamp) -> Option<Timestamp> {
        let active = self.life.until(moment).filter(|(_, status)| *status == Status::Active);
        active.map(|(from, _)| *from).next_back().filter(|_| self.is_deployed(moment))
    }

    fn is_live(&self, moment: Timestamp) -> bool {
        self.status(moment).is_some_and(|status| !status.is_ending())
    }

    /// As the API shows it.
    fn shown(&self, moment: Timestamp) -> Value {
        json!({
            "id": self.id,
            "certificate": self.described.pem,
            "issuer": self.described.issuer,
            "signature": self.described.signature,
            "serial_number": self.described.serial,
            "expires_on": self.described.expires,
            "status": self.status(moment).map(Status::word),
            "uploaded_on": self.uploaded,
        })
    }
}

impl Collection {
    /// # Panics
    /// A certificate or key cannot be read.
    pub fn seeded(level: Level, deposits: &[Deposit], now: Timestamp, random: &mut Random) -> Self {
        let kept = deposits.iter().map(|deposit| Certificate {
            id: random.uuid(),
            described: pem::certificate(&deposit.certificate).expect("a certificate of the seed"),
            key: pem::private_key(&deposit.private_key).expect("a private key of the seed"),
            uploaded: now.before(DAY),
            life: Timeline::starting(now.before(DAY), Status::of(&deposit.status)),
        });
        Self { level, kept: kept.collect() }
    }

    pub fn get(&self, id: &str) -> Option<&Certificate> {
        self.kept.iter().find(|certificate| certificate.id == id)
    }

    /// Whether `id` may be associated.
    pub fn is_live(&self, id: &str, moment: Timestamp) -> bool {
        self.get(id).is_some_and(|certificate| certificate.is_live(moment))
    }

    /// All that there were, oldest first.
    pub fn all(&self) -> &[Certificate] {
        &self.kept
    }

    /// Those that were not deleted.
    pub fn live(&self, moment: Timestamp) -> impl Iterator<Item = &Certificate> {
        self.kept.iter().filter(move |certificate| certificate.is_live(moment))
    }

    /// Of the deployed ones the one that was deployed last.
    pub fn newest_deployed(&self, moment: Timestamp) -> Option<&Certificate> {
        self.kept
            .iter()
            .filter(|certificate| certificate.is_deployed(moment))
            .max_by_key(|certificate| certificate.deployed_since(moment))
    }

    /// Sets a certificate's status from now on, whatever was to come.
    ///
    /// # Panics
    /// There is no such certificate.
    pub fn set_status(&mut self, id: &str, now: Timestamp, status: Status) {
        let certificate = self.kept.iter_mut().find(|certificate| certificate.id == id);
        certificate.expect("a certificate of this collection").life.change(now, status);
    }

    pub(super) fn upload(&mut self, call: &mut Call<'_>) -> Answer {
        let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
        let codes = &call.settings.codes;
        let Ok(mut described) = pem::certificate(&text("certificate")) else {
            return Answer::refused(400, 1408, "Unable to parse certificate");
        };
        if described.count > 1 && !call.settings.accept_chain {
            return Answer::refused(400, codes.chain, "Only one certificate is allowed.");
        }
        if described.is_ca {
            return Answer::refused(400, 1412, "Only leaf certificate is allowed.");
        }
        let key = match pem::private_key(&text("private_key")) {
            Ok(key) if key.public_key == described.public_key => key,
            Ok(_) => return Answer::refused(400, codes.bad_key, "The private key does not match the certificate"),
            Err(_) => return Answer::refused(400, codes.bad_key, "Unable to parse private key"),
        };
        if described.expires < call.now && !call.settings.accept_expired {
            return Answer::refused(400, codes.expired, "The certificate has expired");
        }
        let known = self.kept.iter().position(|known| known.described.der == described.der);
        let gone = known.is_some_and(|at| self.kept[at].status(call.now) == Some(&Status::Deleted));
        if known.is_some() && !gone {
            return Answer::refused(400, 1406, "This certificate already exists for this zone.");
        }
        if self.live(call.now).count() >= call.settings.max_certificates {
            return Answer::refused(400, codes.too_many_certificates, "Certificate quota reached for this zone");
        }
        described.pem = line_ended(&described.pem, call.settings.final_newline);
        call.counters.uploads += 1;
        let outcome = call.settings.uploads.get(&call.counters.uploads).cloned().unwrap_or_default();
        let at = known.unwrap_or_else(|| {
            let (id, uploaded) = (call.random.uuid(), call.now);
            let life = Timeline::starting(call.now, Status::PendingDeployment);
            self.kept.push(Certificate { id, described, key, uploaded, life });
            self.kept.len() - 1
        });
        let certificate = &mut self.kept[at];
        certificate.uploaded = call.now;
        deploy(&mut certificate.life, call, &outcome);
        Answer::ok(&certificate.shown(call.now))
    }

    pub(super) fn list(&self, call: &Call<'_>) -> Answer {
        let moment = call.now.before(call.settings.list_lag);
        let stands = |certificate: &&Certificate| match certificate.status(moment) {
            None => false,
            Some(Status::Deleted) => call.settings.list_tombstones && !is_forgotten(certificate, call),
            Some(_) => true,
        };
        let items = self.kept.iter().filter(stands).map(|certificate| certificate.shown(moment)).collect();
        Answer::page(items, Page::WHOLE)
    }

    pub(super) fn read(&self, id: &str, call: &Call<'_>) -> Answer {
        let found = self.get(id).filter(|certificate| !is_forgotten(certificate, call));
        match found.filter(|certificate| certificate.status(call.read_at()).is_some()) {
            Some(certificate) => Answer::ok(&certificate.shown(call.read_at())),
            None => Answer::refused(404, 1552, "certificate not found"),
        }
    }

    /// `in_use`: an association refers to it.
    pub(super) fn delete(&mut self, id: &str, in_use: bool, call: &mut Call<'_>) -> Answer {
        if id.len() > ID_LENGTH || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Answer::refused(400, 1415, "Invalid Certificate ID");
        }
        let not_found = Answer::refused(404, 1551, "certificate not found");
        let Some(at) = self.kept.iter().position(|certificate| certificate.id == id) else { return not_found };
        let certificate = &mut self.kept[at];
        match (certificate.status(call.now), self.level) {
            (None, _) | (Some(Status::Deleted), Level::Hostname) => return not_found,
            (Some(Status::Deleted | Status::PendingDeletion), Level::Zone) => {
                return Answer::refused(400, 1414, "Certificate is already deleted.");
            }
            (Some(Status::PendingDeletion), Level::Hostname) => {
                return Answer::refused(400, 1414, "certificate is pending deletion");
            }
            (Some(Status::Initializing | Status::PendingDeployment), _) => {
                return Answer::refused(400, 1434, "certificate is pending deployment");
            }
            (Some(_), _) if in_use => return Answer::refused(400, 1433, "certificate is in use"),
            (Some(Status::Active | Status::DeploymentTimedOut | Status::DeletionTimedOut | Status::Other(_)), _) => {}
        }
        call.counters.deletions += 1;
        let outcome = call.settings.deletions.get(&call.counters.deletions).cloned().unwrap_or_default();
        certificate.life.change(call.now, Status::PendingDeletion);
        let done = call.now.after(call.random.delay(call.settings.deletion));
        match outcome {
            Outcome::Succeeds => certificate.life.plan(done, Status::Deleted),
            Outcome::TimesOut => certificate.life.plan(done, Status::DeletionTimedOut),
            Outcome::Hangs => {}
            Outcome::Becomes(word) => certificate.life.plan(done, Status::Other(word)),
        }
        Answer::ok(&certificate.shown(call.now))
    }

    pub(super) fn picture(&self, now: Timestamp) -> Value {
        let known = self.kept.iter().filter(|certificate| certificate.status(now).is_some());
        known.map(|certificate| certificate.shown(now)).collect()
    }
}

fn deploy(life: &mut Timeline<Status>, call: &mut Call<'_>, outcome: &Outcome) {
    let pending = call.now.after(call.random.delay(call.settings.initializing));
    let done = pending.after(call.random.delay(call.settings.deployment));
    if call.settings.initializing != Delay::seconds(0) {
        life.change(call.now, Status::Initializing);
        life.plan(pending, Status::PendingDeployment);
    } else {
        life.change(call.now, Status::PendingDeployment);
    }
    match outcome {
        Outcome::Succeeds => life.plan(done, Status::Active),
        Outcome::TimesOut => life.plan(done, Status::DeploymentTimedOut),
        Outcome::Hangs => {}
        Outcome::Becomes(word) => life.plan(done, Status::Other(word.clone())),
    }
}

/// Whether a tombstone is too old to be read.
fn is_forgotten(certificate: &Certificate, call: &Call<'_>) -> bool {
    let is_gone = certificate.status(call.now) == Some(&Status::Deleted);
    let since = certificate.life.since(call.now).unwrap_or(call.now);
    is_gone && call.now.since(since) >= call.settings.tombstone_ttl
}

fn line_ended(text: &str, newline: FinalNewline) -> String {
    match newline {
        FinalNewline::Kept => text.to_owned(),
        FinalNewline::Dropped => text.trim_end_matches('\n').to_owned(),
        FinalNewline::Added => format!("{text}\n"),
    }
}
