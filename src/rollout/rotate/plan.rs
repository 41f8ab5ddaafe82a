//! From what is and what the journal remembers to the steps of a rotation. Reads, and changes nothing.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Wanted, bundle, no_host};
use crate::cloudflare::{Association, CertificateId, Status, UploadedCertificate};
use crate::evidence::report::{CertificateRole, JudgeRequest, TrustChangeReport};
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::rollout::associations::is_of;
use crate::rollout::certificates;
use crate::rollout::context::Context;
use crate::rollout::error::RolloutError;
use crate::rollout::journal::Replaced;
use crate::rollout::plan::short;
use crate::rollout::seen::Host;
use crate::rollout::step::{Level, Step, StepName, StepState};
use crate::rollout::void;
use crate::x509::{CertificateSummary, Fingerprint};

/// The steps of a rotation, in their order.
#[derive(Clone, Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub(super) items: Vec<Item>,
    /// The new certificate at Cloudflare, as soon as it is there.
    pub(super) new: Option<UploadedCertificate>,
}

/// One hostname.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) hostname: Hostname,
    /// As the origin has it.
    pub(super) configured: String,
    /// The first name of the origin's host.
    host: String,
    association: Option<Association>,
    /// What the origin makes of the new certificate.
    judged: Reason,
    pub(super) old: Vec<Replaced>,
    pub(super) old_cas: Vec<Fingerprint>,
    /// Who else needs those, as of before the first change. `None`: not known.
    pub(super) needed_by: Option<Vec<String>>,
}

/// Reads what is, and says what has to be done.
///
/// # Errors
/// Cloudflare or the origin does not tell, there is nothing to be replaced, or the new certificate would be refused.
pub fn plan(ctx: &Context<'_>, wanted: &Wanted) -> Result<Plan, RolloutError> {
    let entries = Some(ctx.journal.entries());
    let (zone, collection, sha256) = (&ctx.zone.id, wanted.collection(), wanted.leaf.sha256());
    let new = certificates::find(ctx.cloudflare, zone, collection, entries, sha256)?;
    let listed = ctx.cloudflare.certificates(zone, collection)?;
    let mut items = Vec::new();
    for hostname in &wanted.hostnames {
        items.push(item(ctx, wanted, hostname, &listed)?);
    }
    let mut plan = Plan { steps: Vec::new(), items, new };
    plan.steps = plan.make(ctx, wanted)?;
    Ok(plan)
}

/// Why `id` has to stay: it is somebody else's, or other hostnames show it, or nobody can say.
pub(super) fn stays(ctx: &Context<'_>, wanted: &Wanted, id: &CertificateId) -> Result<Option<String>, RolloutError> {
    let mut uploads = ctx.journal.entries().uploads.values();
    let ours = uploads.any(|upload| upload.id.as_ref() == Some(id) && !upload.was_there);
    if !ours && !wanted.delete_certificate {
        let why = "it was not uploaded from here; --delete-certificate deletes it all the same";
        return Ok(Some(why.to_owned()));
    }
    if wanted.level == Level::Zone {
        return Ok(None);
    }
    let (all, complete) = void::all(ctx)?;
    if !ours && !complete {
        let why = "which hostnames show it cannot be listed here: delete it in Cloudflare's dashboard";
        return Ok(Some(why.to_owned()));
    }
    let is_other = |association: &&Association| {
        let refers = association.cert_id.as_ref() == Some(id) && association.enabled.is_some();
        let named = |hostname: &Hostname| hostname.as_str().eq_ignore_ascii_case(&association.hostname);
        refers && !association.status.is_leaving() && !wanted.hostnames.iter().any(named)
    };
    let others: Vec<_> = all.iter().filter(is_other).map(|other| other.hostname.as_str()).collect();
    Ok((!others.is_empty()).then(|| format!("other hostnames show it: {}", others.join(", "))))
}

fn item(
    ctx: &Context<'_>,
    wanted: &Wanted,
    hostname: &Hostname,
    listed: &[UploadedCertificate],
) -> Result<Item, RolloutError> {
    let host = watching(ctx, hostname)?;
    let association = ctx.cloudflare.association(&ctx.zone.id, hostname)?;
    let shown = association.clone().filter(|found| found.enabled == Some(true) && !found.status.is_leaving());
    let new = wanted.leaf.sha256();
    let rotation = ctx.journal.entries().rotations.get(hostname.as_str());
    let mut old: Vec<_> = rotation.map(|rotation| rotation.old.clone()).unwrap_or_default();
    old.extend(current(ctx, wanted, hostname, shown.as_ref(), listed)?);
    old.retain(|old| old.sha256 != new);
    old.sort_by(|one, other| one.id.cmp(&other.id));
    old.dedup();
    let request = JudgeRequest { certificates: wanted.leaf.certificate.clone() };
    let judged = ctx.origin.judge(&host.configured, &request)?.reason;
    let of_rotation = rotation.filter(|rotation| rotation.new == new).map(|rotation| rotation.old_cas.clone());
    let old_cas = match of_rotation {
        _ if wanted.keep_old_ca => Vec::new(),
        Some(known) if !known.is_empty() => known,
        // The new certificate verifies by what is trusted anyway: nothing is added, and nothing is dropped.
        _ if judged == Reason::Verified => Vec::new(),
        _ => issuers(&host, &old, listed),
    };
    let known = rotation.filter(|rotation| rotation.new == new).and_then(|rotation| rotation.needed_by.clone());
    let needed_by = match known {
        // With the new CA in the bundle it would be too late.
        None if !old_cas.is_empty() && judged != Reason::Verified && wanted.add_ca.is_some() => {
            let spared = bundle::spared(&old, new);
            Some(bundle::needed_by(ctx.origin, &host.configured, &old_cas, &spared, wanted)?)
        }
        known => known,
    };
    Ok(Item {
        hostname: hostname.clone(),
        configured: host.configured,
        host: host.detail.host.name,
        association,
        judged,
        old,
        old_cas,
        needed_by,
    })
}

/// The origin's host, which has to see what edges present: nothing else tells when the old certificate may go.
fn watching(ctx: &Context<'_>, hostname: &Hostname) -> Result<Host, RolloutError> {
    let host = Host::find(ctx.origin, hostname)?.ok_or_else(|| no_host(hostname))?;
    match host.detail.host.mode {
        Mode::Observe | Mode::Enforce => Ok(host),
        Mode::Off => Err(RolloutError::Unsafe {
            what: format!("{hostname} is off at the origin: it asks for no certificate, and sees none"),
            next_step: format!(
                "`originlock observe {}` first; without what it sees nothing is replaced",
                host.configured
            ),
        }),
    }
}

/// The certificates that edges show for `hostname` now.
fn current(
    ctx: &Context<'_>,
    wanted: &Wanted,
    hostname: &Hostname,
    association: Option<&Association>,
    listed: &[UploadedCertificate],
) -> Result<Vec<Replaced>, RolloutError> {
    let unfit = |what: String, next_step: String| Err(RolloutError::Unsafe { what, next_step });
    let apply = format!("`originlock aop apply {hostname}` sets it up");
    match (wanted.level, association) {
        (Level::Global, _) => {
            unfit("Cloudflare rotates its shared certificate itself".to_owned(), "leave --level global out".to_owned())
        }
        (Level::Zone, Some(_)) => unfit(
            format!("{hostname} has an association of its own and does not show the zone's certificate"),
            "leave it out, or rotate it without --level zone".to_owned(),
        ),
        (Level::Zone, None) if !ctx.cloudflare.zone_level(&ctx.zone.id)? => {
            unfit(format!("zone-level is off in zone {}", ctx.zone.name), apply)
        }
        (Level::Zone, None) => {
            let active = listed.iter().filter(|certificate| certificate.status == Status::Active);
            active.map(|certificate| replaced(&certificate.id, certificate.sha256)).collect()
        }
        (Level::Hostname, None) => unfit(format!("{hostname} shows no certificate of its own"), apply),
        (Level::Hostname, Some(association)) => {
            let Some(id) = &association.cert_id else {
                return unfit(format!("Cloudflare does not say which certificate {hostname} shows"), apply);
            };
            let by_list = || listed.iter().find(|certificate| certificate.id == *id)?.sha256;
            Ok(vec![replaced(id, association.sha256.or_else(by_list))?])
        }
    }
}

fn replaced(id: &CertificateId, sha256: Option<Fingerprint>) -> Result<Replaced, RolloutError> {
    let unknown = || RolloutError::Unsafe {
        what: format!(
            "Cloudflare does not give certificate {id} itself: whether edges still show it could not be told"
        ),
        next_step: "run the same command again later".to_owned(),
    };
    Ok(Replaced { id: id.clone(), sha256: sha256.ok_or_else(unknown)? })
}

/// The CAs that the host trusts by the name of those who issued the old certificates.
fn issuers(host: &Host, old: &[Replaced], listed: &[UploadedCertificate]) -> Vec<Fingerprint> {
    let pems = old.iter().filter_map(|old| listed.iter().find(|known| known.id == old.id)?.pem.as_deref());
    let names: Vec<_> = pems
        .filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok())
        .filter_map(|der| Some(CertificateSummary::read(&der).fields?.issuer))
        .collect();
    let cas = host.detail.certificates.iter().filter(|report| report.role == CertificateRole::Ca);
    cas.filter(|ca| names.contains(&ca.subject)).map(|ca| ca.sha256).collect()
}

impl Item {
    /// Whether the hostname still shows what it showed when the plan was made.
    pub(super) fn is_as_planned(&self, now: Option<&Association>) -> bool {
        let shows = |found: Option<&Association>| found.map(|found| (found.cert_id.clone(), found.enabled));
        shows(now) == shows(self.association.as_ref())
    }
}

impl Plan {
    pub(super) fn item(&self, subject: &str) -> Result<&Item, RolloutError> {
        let known = self.items.iter().find(|item| item.hostname.as_str() == subject);
        known.ok_or_else(|| RolloutError::GaveUp {
            what: format!("{subject} is no hostname of this run"),
            next_step: "run the same command again".to_owned(),
        })
    }

    pub(super) fn old(&self, id: &str) -> Option<&Replaced> {
        self.items.iter().flat_map(|item| &item.old).find(|old| old.id.0 == id)
    }

    /// Whether the origin's host of this name is part of the run.
    pub(super) fn has_host(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.host == name)
    }

    fn make(&self, ctx: &Context<'_>, wanted: &Wanted) -> Result<Vec<Step>, RolloutError> {
        let mut steps = Vec::new();
        for item in self.first_of_hosts() {
            steps.push(self.trust(ctx, item, wanted)?);
        }
        steps.push(self.upload(ctx, wanted));
        if wanted.level == Level::Hostname {
            steps.extend(self.items.iter().map(|item| self.associate(item)));
        }
        let changing: Vec<_> = self.items.iter().filter(|item| !item.old.is_empty()).collect();
        steps.extend(changing.iter().map(|item| seen(item, wanted)));
        steps.extend(changing.iter().map(|item| unseen(item)));
        let mut olds: Vec<_> = changing.iter().flat_map(|item| &item.old).collect();
        olds.sort_by(|one, other| one.id.cmp(&other.id));
        olds.dedup();
        for old in olds {
            steps.push(delete(old, stays(ctx, wanted, &old.id)?));
        }
        let old_stays = steps.iter().any(|step| step.name == StepName::Delete && step.state == StepState::LeftOut);
        for item in self.first_of_hosts().filter(|item| !item.old_cas.is_empty()) {
            let would = bundle::would_remove(ctx.origin, &item.configured, &item.old_cas, wanted)?;
            let in_use = old_stays.then(|| {
                let remedy = bundle::remedy(&item.old_cas, &would.file);
                format!("an old certificate of that CA stays at Cloudflare; {remedy}")
            });
            steps.push(distrust(item, self.keeps_old_ca(item, &would).or(in_use)));
        }
        Ok(steps)
    }

    /// Why the old CA stays in the bundle; `None`: nobody was seen to need it.
    pub(super) fn keeps_old_ca(&self, item: &Item, would: &TrustChangeReport) -> Option<String> {
        let others = self.others(would);
        if !others.is_empty() {
            let remedy = bundle::remedy(&item.old_cas, &would.file);
            return Some(format!("the bundle {} serves other hosts too: {}; {remedy}", would.ca, others.join(", ")));
        }
        match &item.needed_by {
            Some(needed_by) if needed_by.is_empty() => None,
            Some(needed_by) => Some(needed(item, needed_by, &would.file)),
            None => {
                let remedy = bundle::remedy(&item.old_cas, &would.file);
                Some(format!("who else needs it was not looked up before the bundle changed; {remedy}"))
            }
        }
    }

    /// The certificates that this run replaces, and the new one.
    pub(super) fn spared(&self, wanted: &Wanted) -> Vec<Fingerprint> {
        self.items.iter().flat_map(|item| bundle::spared(&item.old, wanted.leaf.sha256())).collect()
    }

    /// Hosts that the bundle serves and that are no part of this run.
    fn others<'a>(&self, would: &'a TrustChangeReport) -> Vec<&'a str> {
        would.hosts.iter().filter(|host| !self.has_host(host)).map(String::as_str).collect()
    }

    /// One hostname of each of the origin's hosts: what is changed there is changed once.
    fn first_of_hosts(&self) -> impl Iterator<Item = &Item> {
        let is_first = |at: usize, item: &Item| !self.items[..at].iter().any(|before| before.host == item.host);
        self.items.iter().enumerate().filter(move |(at, item)| is_first(*at, item)).map(|(_, item)| item)
    }

    fn trust(&self, ctx: &Context<'_>, item: &Item, wanted: &Wanted) -> Result<Step, RolloutError> {
        let verified = item.judged == Reason::Verified;
        let mut step = Step {
            name: StepName::Trust,
            subject: item.hostname.to_string(),
            is: "the origin would let the new certificate in".to_owned(),
            will_be: "the origin lets the old and the new certificate in".to_owned(),
            why: "before any edge shows it".to_owned(),
            state: if verified { StepState::Done } else { StepState::Todo },
        };
        if verified {
            return Ok(step);
        }
        let refused = item.judged.label();
        if wanted.add_ca.is_none() {
            return Err(RolloutError::Unsafe {
                what: format!("the origin would refuse the new certificate for {}: {refused}", item.hostname),
                next_step: "name the CA that issued it with --add-ca FILE: it is trusted beside the old one".to_owned(),
            });
        }
        let would = bundle::would_add(ctx.origin, item, wanted)?;
        let others = self.others(&would);
        let whom = match others.is_empty() {
            true => String::new(),
            false => format!("; from then on it is trusted for {}, too", others.join(", ")),
        };
        if !others.is_empty() && !wanted.shared_bundle {
            return Err(RolloutError::Unsafe {
                what: format!("--add-ca would add to {} ([ca.{}]){whom}", would.file, would.ca),
                next_step: "if that is meant, say --shared-bundle; else give the hosts bundles of their own".to_owned(),
            });
        }
        step.is = format!("the origin would refuse the new certificate: {refused}");
        step.why = format!("before any edge shows it; the CA is added to {} ([ca.{}]){whom}", would.file, would.ca);
        Ok(step)
    }

    fn upload(&self, ctx: &Context<'_>, wanted: &Wanted) -> Step {
        let (is, state) = match &self.new {
            Some(found) if found.status == Status::Active => {
                (format!("certificate {} is {}", found.id, found.status), StepState::Done)
            }
            Some(found) => (format!("certificate {} is {}", found.id, found.status), StepState::Todo),
            None => ("not at Cloudflare".to_owned(), StepState::Todo),
        };
        Step {
            name: StepName::Upload,
            subject: ctx.zone.name.clone(),
            is,
            will_be: format!("certificate {} is active", short(wanted.leaf.sha256())),
            why: "the new certificate lies beside the old one until nobody shows the old one any more".to_owned(),
            state,
        }
    }

    fn associate(&self, item: &Item) -> Step {
        let association = item.association.as_ref();
        let new = self.new.as_ref().map(|new| &new.id);
        let is_new = association.zip(new).is_some_and(|(association, id)| is_of(association, id));
        let active = association.is_some_and(|association| association.status == Status::Active);
        let shown = association.and_then(|association| association.cert_id.as_ref());
        Step {
            name: StepName::Associate,
            subject: item.hostname.to_string(),
            is: shown.map_or("no certificate".to_owned(), |id| format!("enabled with {id}")),
            will_be: new.map_or("enabled with the new certificate".to_owned(), |id| format!("enabled with {id}")),
            why: "edges change over one after the other; the origin takes both meanwhile".to_owned(),
            state: if is_new && active { StepState::Done } else { StepState::Todo },
        }
    }
}

fn seen(item: &Item, wanted: &Wanted) -> Step {
    Step {
        name: StepName::Seen,
        subject: item.hostname.to_string(),
        is: "not looked at yet".to_owned(),
        will_be: format!("certificate {} seen from Cloudflare", short(wanted.leaf.sha256())),
        why: "only what the origin itself saw proves that the edges show it".to_owned(),
        state: StepState::Waiting,
    }
}

fn unseen(item: &Item) -> Step {
    let old: Vec<_> = item.old.iter().map(|old| short(old.sha256)).collect();
    Step {
        name: StepName::Unseen,
        subject: item.hostname.to_string(),
        is: "not looked at yet".to_owned(),
        will_be: format!("{} not seen from Cloudflare for a while", old.join(", ")),
        why: "as long as an edge shows it, it must not go".to_owned(),
        state: StepState::Waiting,
    }
}

fn delete(old: &Replaced, stays: Option<String>) -> Step {
    Step {
        name: StepName::Delete,
        subject: old.id.to_string(),
        is: format!("certificate {} is at Cloudflare", short(old.sha256)),
        will_be: if stays.is_some() { "as it is".to_owned() } else { "gone".to_owned() },
        state: if stays.is_some() { StepState::LeftOut } else { StepState::Todo },
        why: stays.unwrap_or_else(|| "nobody shows it any more; a zone takes 10 of them".to_owned()),
    }
}

fn distrust(item: &Item, stays: Option<String>) -> Step {
    let cas: Vec<_> = item.old_cas.iter().map(|ca| short(*ca)).collect();
    Step {
        name: StepName::Distrust,
        subject: item.hostname.to_string(),
        is: format!("the origin trusts CA {}", cas.join(", ")),
        will_be: if stays.is_some() { "as it is".to_owned() } else { "it does not".to_owned() },
        state: if stays.is_some() { StepState::LeftOut } else { StepState::Todo },
        why: stays.unwrap_or_else(|| "what nothing needs should open nothing; --keep-old-ca keeps it".to_owned()),
    }
}

/// Why the old CA stays where others need it.
pub(super) fn needed(item: &Item, needed_by: &[String], file: &str) -> String {
    format!("others present certificates of that CA: {}; {}", needed_by.join(", "), bundle::remedy(&item.old_cas, file))
}
