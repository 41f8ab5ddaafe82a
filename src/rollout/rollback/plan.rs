//! From what is and what the journal remembers to the steps back. Reads, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Wanted;
use crate::cloudflare::{Association, CertificateId, Collection, Status, UploadedCertificate};
use crate::hostname::Hostname;
use crate::rollout::context::Context;
use crate::rollout::error::RolloutError;
use crate::rollout::journal::{AssociationBefore, Entries, Upload, ZoneBefore};
use crate::rollout::plan::short;
use crate::rollout::release::{self, Release};
use crate::rollout::step::{Level, Step, StepName, StepState};
use crate::rollout::void::{self, is_restored, is_there};

const VOID: &str = "void, not disabled: the hostname shows again what its zone shows";

/// The steps back, in their order.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) releases: Vec<Release>,
    pub(super) acts: Vec<(Step, Act)>,
    /// Hostnames that neither the origin, nor Cloudflare, nor the journal knows: mistyped, most likely.
    pub unknown: Vec<Hostname>,
}

/// What is done at Cloudflare.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Void(Hostname, CertificateId),
    Restore(Hostname, AssociationBefore),
    ZoneSetting(bool),
    ZoneLevel(bool),
    Delete {
        collection: Collection,
        id: CertificateId,
        certificate: UploadedCertificate,
    },
    /// It is only told.
    Nothing,
}

/// What a plan is made from.
struct Observed<'a> {
    wanted: &'a Wanted,
    entries: &'a Entries,
    zone: &'a str,
    associations: BTreeMap<Hostname, Option<Association>>,
    /// Of all hostnames that are known.
    all: Vec<Association>,
    /// Whether those are all there are.
    complete: bool,
    /// Of the collection of the level.
    certificates: Vec<UploadedCertificate>,
    tls_client_auth: Option<bool>,
    zone_level: Option<bool>,
}

/// Reads what is, and says what has to be done.
///
/// # Errors
/// Cloudflare or the origin does not tell.
pub fn plan(ctx: &Context<'_>, wanted: &Wanted) -> Result<Plan, RolloutError> {
    let releases = release::plan(ctx.origin, &wanted.hostnames)?;
    let observed = Observed::read(ctx, wanted)?;
    let mut acts = Vec::new();
    match wanted.level {
        Level::Hostname => {
            acts.extend(wanted.hostnames.iter().map(|hostname| observed.association(hostname)));
            acts.extend(observed.zone_setting_of_old());
        }
        Level::Zone => {
            acts.push(observed.zone_level());
            acts.extend(observed.zone_setting_of_old());
        }
        Level::Global => acts.push(observed.zone_setting()),
    }
    acts.extend(observed.deletions());
    let nobodys = |hostname: &&Hostname| observed.is_unknown(hostname) && !release::is_known(&releases, hostname);
    let unknown = wanted.hostnames.iter().filter(nobodys).cloned().collect();
    Ok(Plan { releases, acts, unknown })
}

impl Plan {
    /// All steps in their order.
    pub fn steps(&self) -> Vec<Step> {
        let released = self.releases.iter().map(|release| release.step.clone());
        released.chain(self.acts.iter().map(|(step, _)| step.clone())).collect()
    }

    /// Associations that are to be voided.
    pub(super) fn open_voids(&self) -> Vec<(Hostname, CertificateId)> {
        let open = self.acts.iter().filter(|(step, _)| step.state == StepState::Todo);
        open.filter_map(|(_, act)| match act {
            Act::Void(hostname, id) => Some((hostname.clone(), id.clone())),
            Act::Restore(..) | Act::ZoneSetting(_) | Act::ZoneLevel(_) | Act::Delete { .. } | Act::Nothing => None,
        })
        .collect()
    }

    /// Remembers which certificates are to go: after a crash in between nothing refers to them any more.
    pub(super) fn claim(&self, ctx: &mut Context<'_>, wanted: &Wanted) -> Result<(), RolloutError> {
        let begun_at = ctx.clock.now();
        let going: Vec<_> = self.going().filter_map(|certificate| Some((certificate.sha256?, certificate))).collect();
        ctx.journal.record(|entries| {
            for (sha256, certificate) in going {
                let id = Some(certificate.id.clone());
                let upload = entries.uploads.entry(sha256.to_string());
                let upload = upload.or_insert(Upload { begun_at, id, was_there: false, hostnames: BTreeSet::new() });
                upload.hostnames.extend(wanted.hostnames.iter().map(Hostname::to_string));
                upload.was_there &= !wanted.delete_certificate;
            }
        })?;
        Ok(())
    }

    /// All is as it was: there is nothing to remember of it.
    pub(super) fn forget(&self, ctx: &mut Context<'_>, wanted: &Wanted) -> Result<(), RolloutError> {
        let gone: Vec<_> = self.going().filter_map(|certificate| certificate.sha256).collect();
        ctx.journal.record(|entries| {
            for sha256 in gone {
                entries.uploads.remove(&sha256.to_string());
            }
            if wanted.level == Level::Hostname {
                for hostname in &wanted.hostnames {
                    entries.rotations.remove(hostname.as_str());
                    if let Some(before) = entries.before.get_mut(hostname.as_str()) {
                        before.restored = true;
                    }
                }
            }
            let all = wanted.level != Level::Hostname || entries.before.values().all(|before| before.restored);
            if let Some(zone) = entries.zone_before.as_mut().filter(|_| all && !wanted.keep_zone_setting) {
                zone.restored = true;
            }
        })?;
        Ok(())
    }

    fn going(&self) -> impl Iterator<Item = &UploadedCertificate> {
        self.acts.iter().filter_map(|(step, act)| match act {
            Act::Delete { certificate, .. } if step.state != StepState::LeftOut => Some(certificate),
            Act::Delete { .. }
            | Act::Void(..)
            | Act::Restore(..)
            | Act::ZoneSetting(_)
            | Act::ZoneLevel(_)
            | Act::Nothing => None,
        })
    }
}

impl<'a> Observed<'a> {
    fn read(ctx: &'a Context<'_>, wanted: &'a Wanted) -> Result<Self, RolloutError> {
        let (cloudflare, zone) = (ctx.cloudflare, &ctx.zone.id);
        let mut associations = BTreeMap::new();
        let (mut all, mut complete) = (Vec::new(), true);
        let mut certificates = Vec::new();
        match wanted.level {
            Level::Hostname => {
                for hostname in &wanted.hostnames {
                    associations.insert(hostname.clone(), cloudflare.association(zone, hostname)?);
                }
                (all, complete) = void::all(ctx)?;
                certificates = cloudflare.certificates(zone, Collection::Hostname)?;
                read_unlisted(ctx, Collection::Hostname, &mut certificates)?;
            }
            Level::Zone => {
                certificates = cloudflare.certificates(zone, Collection::Zone)?;
                read_unlisted(ctx, Collection::Zone, &mut certificates)?;
            }
            Level::Global => {}
        }
        let entries = ctx.journal.entries();
        // It is read only where it may have to be changed: the token may lack the right.
        let knows_before = entries.zone_before.as_ref().is_some_and(|before| before.tls_client_auth.is_some());
        let wants_setting = wanted.level == Level::Global || (knows_before && !wanted.keep_zone_setting);
        let setting = wants_setting.then(|| cloudflare.tls_client_auth(zone)).transpose()?;
        let zone_level = (wanted.level == Level::Zone).then(|| cloudflare.zone_level(zone)).transpose()?;
        Ok(Self {
            wanted,
            entries,
            zone: &ctx.zone.name,
            associations,
            all,
            complete,
            certificates,
            tls_client_auth: setting.map(|setting| setting.value == "on"),
            zone_level,
        })
    }

    fn association(&self, hostname: &Hostname) -> (Step, Act) {
        let association = self.associations.get(hostname).and_then(Option::as_ref);
        let recorded = self.entries.before.get(hostname.as_str());
        let before = recorded.and_then(|before| before.association.as_ref());
        match before.filter(|before| self.is_live(&before.cert_id)) {
            Some(before) => restoration(hostname, association, before),
            None => {
                let why = match (recorded, before) {
                    (_, Some(before)) => {
                        format!("before, it showed certificate {}, which is not at Cloudflare any more", before.cert_id)
                    }
                    (Some(_), None) => "it had no association before".to_owned(),
                    (None, None) if association.is_some_and(is_there) => format!(
                        "nothing is remembered here of what was before; was it set up by another user or machine? Then \
                         name its journal with --state FOLDER. {VOID}"
                    ),
                    (None, None) => VOID.to_owned(),
                };
                voiding(hostname, association, why)
            }
        }
    }

    fn is_unknown(&self, hostname: &Hostname) -> bool {
        let association = self.associations.get(hostname).and_then(Option::as_ref);
        self.wanted.level == Level::Hostname
            && association.is_none()
            && !self.entries.before.contains_key(hostname.as_str())
    }

    fn is_live(&self, id: &CertificateId) -> bool {
        self.certificates.iter().any(|known| known.id == *id && !known.status.is_leaving())
    }

    fn zone_level(&self) -> (Step, Act) {
        let is = self.zone_level == Some(true);
        let word = |on| format!("zone-level is {}", if on { "on" } else { "off" });
        let Some(was) = self.recorded(|before| before.zone_level).or(self.wanted.switch_off.then_some(false)) else {
            return self.not_recorded(StepName::ZoneLevel, word(is));
        };
        let step = Step {
            name: StepName::ZoneLevel,
            subject: self.zone.to_owned(),
            is: word(is),
            will_be: word(was),
            why: "from then on hostnames without an association do not show the zone's certificate".to_owned(),
            state: if is == was { StepState::Done } else { StepState::Todo },
        };
        (step, Act::ZoneLevel(was))
    }

    /// What the zone was like before the first change that has not been taken back.
    fn recorded(&self, of: impl FnOnce(&ZoneBefore) -> Option<bool>) -> Option<bool> {
        self.entries.zone_before.as_ref().filter(|before| !before.restored).and_then(of)
    }

    /// What was on before somebody came here may be needed.
    fn not_recorded(&self, name: StepName, is: String) -> (Step, Act) {
        let step = Step {
            name,
            subject: self.zone.to_owned(),
            is,
            will_be: "as it is".to_owned(),
            why: "nothing is recorded here of what it was before; --switch-off switches it off".to_owned(),
            state: StepState::LeftOut,
        };
        (step, Act::Nothing)
    }

    /// `tls_client_auth`, where it was changed on the way to another level.
    fn zone_setting_of_old(&self) -> Option<(Step, Act)> {
        let was = self.entries.zone_before.as_ref().filter(|before| !before.restored)?.tls_client_auth?;
        let is = self.tls_client_auth?;
        let set_up = self.entries.before.iter().filter(|(_, before)| !before.restored).map(|(name, _)| name);
        let others: Vec<_> =
            set_up.filter(|name| !self.wanted.hostnames.iter().any(|hostname| hostname.as_str() == *name)).collect();
        let (mut step, act) = self.setting(is, was);
        if is != was && self.wanted.level == Level::Hostname && !others.is_empty() {
            let others: Vec<_> = others.iter().map(|name| name.as_str()).collect();
            step.why = format!("it stays on with the hostnames that were set up with it: {}", others.join(", "));
            step.state = StepState::LeftOut;
            return Some((step, Act::Nothing));
        }
        Some((step, act))
    }

    fn zone_setting(&self) -> (Step, Act) {
        let is = self.tls_client_auth == Some(true);
        match self.recorded(|before| before.tls_client_auth).or(self.wanted.switch_off.then_some(false)) {
            Some(was) => self.setting(is, was),
            None => {
                let word = format!("tls_client_auth is {}", if is { "on" } else { "off" });
                self.not_recorded(StepName::ZoneSetting, word)
            }
        }
    }

    fn setting(&self, is: bool, was: bool) -> (Step, Act) {
        let word = |on| format!("tls_client_auth is {}", if on { "on" } else { "off" });
        let step = Step {
            name: StepName::ZoneSetting,
            subject: self.zone.to_owned(),
            is: word(is),
            will_be: word(was),
            why: "it was so before; it is about Cloudflare's shared certificate on all hostnames of the zone"
                .to_owned(),
            state: if is == was { StepState::Done } else { StepState::Todo },
        };
        (step, Act::ZoneSetting(was))
    }

    fn deletions(&self) -> Vec<(Step, Act)> {
        let candidates = self.certificates.iter().filter(|certificate| !certificate.status.is_leaving());
        candidates.filter_map(|certificate| self.deletion(certificate)).collect()
    }

    /// `None`: the certificate has nothing to do with it.
    fn deletion(&self, certificate: &UploadedCertificate) -> Option<(Step, Act)> {
        let id = &certificate.id;
        let refers = |association: &Association| association.cert_id.as_ref() == Some(id) && is_there(association);
        let here = self.associations.values().flatten().any(refers);
        let upload = self.upload_of(certificate).filter(|upload| !upload.was_there);
        let ours = upload.is_some();
        let named = |upload: &Upload| self.wanted.hostnames.iter().any(|name| upload.hostnames.contains(name.as_str()));
        // What was uploaded for other hostnames may be on its way to them.
        let for_these = upload.is_some_and(|upload| self.wanted.level == Level::Zone || named(upload));
        let asked_for = self.wanted.level == Level::Zone && self.wanted.delete_certificate;
        if !(here || for_these || asked_for) {
            return None;
        }
        let collection = match self.wanted.level {
            Level::Zone => Collection::Zone,
            Level::Hostname | Level::Global => Collection::Hostname,
        };
        let others: Vec<_> = self.all.iter().filter(|other| refers(other) && !self.is_wanted(other)).collect();
        // An upload that was not for these hostnames.
        if !here && !others.is_empty() {
            return None;
        }
        let before = self.entries.before.values().filter_map(|before| before.association.as_ref());
        let was_shown = before.clone().any(|before| before.cert_id == *id);
        let stays = if self.wanted.keep_certificate {
            Some("it is to be kept".to_owned())
        } else if !others.is_empty() {
            let names: Vec<_> = others.iter().map(|other| other.hostname.as_str()).collect();
            Some(format!("other hostnames show it: {}", names.join(", ")))
        } else if was_shown {
            Some("it was shown before".to_owned())
        } else if !ours && !self.complete {
            Some("which hostnames show it cannot be listed here: delete it in Cloudflare's dashboard".to_owned())
        } else if !ours && !self.wanted.delete_certificate {
            Some("it was not uploaded from here; --delete-certificate deletes it all the same".to_owned())
        } else {
            None
        };
        let step = Step {
            name: StepName::Delete,
            subject: self.zone.to_owned(),
            is: format!(
                "certificate {id} ({}) is {}",
                certificate.sha256.map_or_else(String::new, short),
                certificate.status
            ),
            will_be: if stays.is_some() { "as it is".to_owned() } else { "gone".to_owned() },
            state: if stays.is_some() { StepState::LeftOut } else { StepState::Todo },
            why: stays.unwrap_or_else(|| "it was uploaded for this; a zone takes 10 of them".to_owned()),
        };
        Some((step, Act::Delete { collection, id: id.clone(), certificate: certificate.clone() }))
    }

    fn is_wanted(&self, association: &Association) -> bool {
        self.wanted.hostnames.iter().any(|hostname| hostname.as_str().eq_ignore_ascii_case(&association.hostname))
    }

    fn upload_of(&self, certificate: &UploadedCertificate) -> Option<&Upload> {
        let by_id = || self.entries.uploads.values().find(|upload| upload.id.as_ref() == Some(&certificate.id));
        certificate.sha256.and_then(|sha256| self.entries.uploads.get(&sha256.to_string())).or_else(by_id)
    }
}

/// The list lags behind: what the journal knows by its id is asked for.
fn read_unlisted(
    ctx: &Context<'_>,
    collection: Collection,
    certificates: &mut Vec<UploadedCertificate>,
) -> Result<(), RolloutError> {
    let known = ctx.journal.entries().uploads.values().filter_map(|upload| upload.id.as_ref());
    for id in known {
        if !certificates.iter().any(|listed| listed.id == *id)
            && let Some(found) = ctx.cloudflare.certificate(&ctx.zone.id, collection, id)?
        {
            certificates.push(found);
        }
    }
    Ok(())
}

fn voiding(hostname: &Hostname, association: Option<&Association>, why: String) -> (Step, Act) {
    let open = association.filter(|association| is_there(association) || association.status == Status::PendingDeletion);
    let id = open.and_then(|association| association.cert_id.clone());
    let step = Step {
        name: StepName::Void,
        subject: hostname.to_string(),
        is: told(association),
        will_be: "no association".to_owned(),
        why,
        state: if open.is_some() { StepState::Todo } else { StepState::Done },
    };
    (step, id.map_or(Act::Nothing, |id| Act::Void(hostname.clone(), id)))
}

fn restoration(hostname: &Hostname, association: Option<&Association>, before: &AssociationBefore) -> (Step, Act) {
    let as_it_was =
        association.is_some_and(|association| is_restored(association, before) && association.status == Status::Active);
    let step = Step {
        name: StepName::Associate,
        subject: hostname.to_string(),
        is: told(association),
        will_be: format!("{} with {}", if before.enabled { "enabled" } else { "disabled" }, before.cert_id),
        why: "it was so before".to_owned(),
        state: if as_it_was { StepState::Done } else { StepState::Todo },
    };
    (step, Act::Restore(hostname.clone(), before.clone()))
}

fn told(association: Option<&Association>) -> String {
    let Some(association) = association.filter(|association| association.status != Status::Deleted) else {
        return "no association".to_owned();
    };
    let enabled = match association.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "void",
    };
    let id = association.cert_id.as_ref().map_or("no certificate".to_owned(), ToString::to_string);
    format!("{enabled} with {id}, {}", association.status)
}
