//! What does not fit about one hostname.

use std::time::Duration;

use super::at_origin::{AtOrigin, Seen};
use super::facts::{HostFacts, Presented, ZoneFacts};
use super::finding::{FindingKind, alarm_if};
use crate::clock::Timestamp;
use crate::cloudflare::{DnsRecord, Status, UploadedCertificate};
use crate::evidence::report::{FindingReport, FindingWeight};
use crate::evidence::wording::{count, day, distance, span};
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;
use crate::x509::Fingerprint;

/// As long as after a change some edges may still present the certificate from before it, and be right.
const OVERLAP: Duration = Duration::from_mins(10);
const TUNNEL: &str = ".cfargotunnel.com";
const DAY: Duration = Duration::from_hours(24);
const EXPIRES_SOON: Duration = DAY.saturating_mul(30);
const EXPIRES_VERY_SOON: Duration = DAY.saturating_mul(14);
const EXPIRES_NOW: Duration = DAY.saturating_mul(3);

/// One hostname before the judges.
struct Case<'a> {
    zone: &'a ZoneFacts,
    host: &'a HostFacts,
    now: Timestamp,
    enforced: bool,
    presented: Presented<'a>,
}

pub(super) fn findings(zone: &ZoneFacts, host: &HostFacts, now: Timestamp) -> Vec<FindingReport> {
    let enforced = host.origin.as_ref().is_some_and(AtOrigin::is_enforced);
    let case = Case { zone, host, now, enforced, presented: host.presented(zone) };
    let found = [
        case.way(),
        case.nothing_presented(),
        case.deployment(),
        case.judgement(),
        case.expiry(),
        case.evidence(),
        case.not_enforced(),
    ];
    found.into_iter().flatten().collect()
}

impl Case<'_> {
    fn found(&self, kind: FindingKind, weight: FindingWeight, sentence: String, next_step: String) -> FindingReport {
        kind.of(weight, Some(&self.host.hostname), &self.zone.zone, sentence, next_step)
    }

    /// `originlock aop VERB shop.example.com --zone example.com`
    fn command(&self, verb: &str) -> String {
        format!("`originlock aop {verb} {} --zone {}`", self.host.hostname, self.zone.zone.name)
    }

    /// Visitors that do not come through Cloudflare's proxy.
    fn way(&self) -> Option<FindingReport> {
        let name = &self.host.hostname;
        let leads = |record: &&DnsRecord| matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME");
        let records = self.host.records.iter().flatten().filter(leads);
        if records.clone().any(|record| record.content.trim_end_matches('.').ends_with(TUNNEL)) {
            let sentence = format!("{name} goes through a Cloudflare Tunnel, where no client certificate is presented");
            let next_step =
                "point the DNS record at this origin, or guard the hostname with the tunnel's own means".to_owned();
            return Some(self.found(FindingKind::Tunnel, alarm_if(self.enforced), sentence, next_step));
        }
        let grey = records.filter(|record| !record.proxied).count();
        if grey == 0 {
            return None;
        }
        let sentence = format!(
            "{name} has {} with DNS only: visitors come to the origin themselves",
            count(grey as u64, "record")
        );
        let next_step = "switch the proxy on for the record in Cloudflare's DNS settings".to_owned();
        Some(self.found(FindingKind::DnsOnly, alarm_if(self.enforced), sentence, next_step))
    }

    /// An enforced hostname for which edges present nothing that could verify.
    fn nothing_presented(&self) -> Option<FindingReport> {
        let origin = self.host.origin.as_ref().filter(|_| self.enforced)?;
        let name = &self.host.hostname;
        let sentence = match self.presented {
            Presented::Disabled => format!(
                "{name} is enforced, and its association at Cloudflare is disabled: edges present no certificate"
            ),
            Presented::Nothing if self.zone.tls_client_auth.is_none() && origin.trusts_shared_ca => return None,
            Presented::Nothing => {
                let how = self.host.association.as_ref().map_or("it has no association", |_| "its association is void");
                format!("{name} is enforced, and {how} at Cloudflare: edges present no certificate")
            }
            Presented::Shared if !origin.trusts_shared_ca => format!(
                "{name} is enforced, and edges present the certificate that all of Cloudflare's customers share, which the \
                 origin does not trust"
            ),
            Presented::Own(certificate) => self.gone(certificate)?,
            Presented::Shared | Presented::Zone(_) => return None,
        };
        let next_step =
            format!("at once: `originlock observe {name}`; then {} puts the association back", self.command("apply"));
        Some(self.found(FindingKind::AssociationOff, FindingWeight::Alarm, sentence, next_step))
    }

    /// An association says that edges present a certificate that is not there any more.
    fn gone(&self, certificate: Option<&UploadedCertificate>) -> Option<String> {
        let name = &self.host.hostname;
        let id = self.host.association.as_ref()?.cert_id.as_ref()?;
        let is = match certificate {
            None => "is not at Cloudflare".to_owned(),
            Some(certificate) if certificate.status.is_leaving() => format!("is {}", certificate.status),
            Some(_) => return None,
        };
        Some(format!("{name} is enforced, and certificate {id} that it is associated with {is}: edges present none"))
    }

    /// What is on its way to the edges, or got stuck.
    fn deployment(&self) -> Option<FindingReport> {
        let Presented::Own(certificate) = self.presented else { return None };
        let association = self.host.association.as_ref()?;
        let name = &self.host.hostname;
        let subjects = [
            (format!("the association of {name}"), &association.status),
            (format!("the certificate of {name}"), certificate.map_or(&association.cert_status, |known| &known.status)),
        ];
        let timed_out = subjects.iter().find(|(_, status)| *status == &Status::DeploymentTimedOut);
        if let Some((subject, status)) = timed_out {
            let sentence = format!("{subject} is {status}: Cloudflare stopped deploying it");
            let next_step = format!("{}, then {}", self.command("rollback"), self.command("apply"));
            return Some(self.found(FindingKind::DeploymentTimedOut, alarm_if(self.enforced), sentence, next_step));
        }
        let (subject, status) = subjects.iter().find(|(_, status)| is_pending(status))?;
        let sentence = format!("{subject} is {status}");
        let next_step = "wait: usually seconds to a few minutes".to_owned();
        Some(self.found(FindingKind::AssociationPending, FindingWeight::Warning, sentence, next_step))
    }

    /// The origin's own judgement of the certificate.
    fn judgement(&self) -> Option<FindingReport> {
        let judged = self.host.judgement.as_ref().filter(|judged| judged.reason != Reason::Verified)?;
        let name = &self.host.hostname;
        let refuses = if self.enforced { "refuses" } else { "would refuse" };
        let sentence = format!(
            "the origin {refuses} the certificate that Cloudflare presents for {name}: {}",
            judged.reason.label()
        );
        let next_step = judged.next_step.clone().unwrap_or_else(|| self.command("rotate"));
        Some(self.found(FindingKind::Judged, alarm_if(self.enforced), sentence, next_step))
    }

    fn expiry(&self) -> Option<FindingReport> {
        let expires_on = self.presented.certificate()?.expires_on?;
        let left = expires_on.since(self.now);
        let name = &self.host.hostname;
        let weight = match left {
            left if left <= EXPIRES_NOW => FindingWeight::Alarm,
            left if left <= EXPIRES_SOON => FindingWeight::Warning,
            _ => return None,
        };
        let (verb, when) = match expires_on > self.now {
            true => ("expires", distance(expires_on, self.now)),
            false => ("expired", distance(expires_on, self.now)),
        };
        let hurry = if left <= EXPIRES_VERY_SOON { ", now" } else { "" };
        let sentence =
            format!("the certificate that Cloudflare presents for {name} {verb} on {}, {when}", day(expires_on));
        let next_step = format!("renew it{hurry}: {}", self.command("rotate"));
        Some(self.found(FindingKind::CertificateExpiring, weight, sentence, next_step))
    }

    /// What the edges really presented, beside what the API says they do.
    fn evidence(&self) -> Option<FindingReport> {
        let origin = self.host.origin.as_ref().filter(|origin| origin.mode != Mode::Off)?;
        let expected = self.presented.certificate().filter(|certificate| certificate.status == Status::Active)?;
        if !self.is_settled() {
            return None;
        }
        let sha256 = expected.sha256?;
        let last_seen = origin.last_seen(sha256);
        if let Some(other) = self.other_than(expected, origin) {
            return Some(self.other(other, last_seen));
        }
        let within = last_seen.is_some_and(|at| at >= self.now.before(origin.window));
        if within || origin.handshakes == 0 {
            return None;
        }
        let name = &self.host.hostname;
        let sentence = format!(
            "{} from Cloudflare for {name} in the last {}, none with the certificate that is associated (SHA-256 {})",
            count(origin.handshakes, "handshake"),
            span(origin.window),
            short(sha256)
        );
        let next_step = format!("`originlock explain {name}` says what came instead");
        Some(self.found(FindingKind::CertificateUnseen, alarm_if(self.enforced), sentence, next_step))
    }

    /// Another certificate than the expected one that came lately.
    fn other_than<'a>(&self, expected: &UploadedCertificate, origin: &'a AtOrigin) -> Option<&'a Seen> {
        let lately = self.now.before(OVERLAP);
        let mut others = origin.seen.iter().filter(|seen| Some(seen.sha256) != expected.sha256);
        others.find(|seen| seen.last_seen >= lately)
    }

    fn other(&self, other: &Seen, expected_seen: Option<Timestamp>) -> FindingReport {
        let name = &self.host.hostname;
        let of_zone = [&self.zone.certificates, &self.zone.zone_certificates].into_iter().flatten();
        let known = of_zone.clone().find(|certificate| certificate.sha256 == Some(other.sha256));
        let whose = match known {
            Some(certificate) => format!("certificate {} of this zone", certificate.id),
            None => "one that is not in this zone, perhaps of another customer of Cloudflare".to_owned(),
        };
        let sentence = format!(
            "edges still present another certificate for {name} than the associated one: SHA-256 {}, {whose}",
            short(other.sha256)
        );
        let next_step = match known {
            Some(_) => "do not delete it while they do; it usually ends within minutes of a change".to_owned(),
            None => format!("`originlock explain {name}` says who; enforcing keeps it out"),
        };
        // While the right one comes too, nobody of ours is refused.
        let cut_off =
            self.enforced && other.reason != Reason::Verified && expected_seen.is_none_or(|at| at < other.last_seen);
        self.found(FindingKind::OldCertificate, alarm_if(cut_off), sentence, next_step)
    }

    /// Whether the association has been as it is for long enough that all edges know.
    fn is_settled(&self) -> bool {
        let Presented::Own(_) = self.presented else { return true };
        let Some(association) = &self.host.association else { return true };
        let fresh = |at: Timestamp| at > self.now.before(OVERLAP);
        !is_pending(&association.status) && !association.updated_at.is_some_and(fresh)
    }

    /// All is there and only the origin's last step is missing.
    fn not_enforced(&self) -> Option<FindingReport> {
        let origin = self.host.origin.as_ref().filter(|origin| origin.mode != Mode::Enforce)?;
        let expected = self.presented.certificate()?;
        let name = &self.host.hostname;
        let sentence = match origin.mode {
            Mode::Off => format!("Cloudflare presents a certificate for {name}, and the origin does not ask for one"),
            Mode::Observe => {
                origin.last_seen(expected.sha256?)?;
                format!("Cloudflare presents its certificate for {name}, and the origin admits everyone all the same")
            }
            Mode::Enforce => return None,
        };
        let next_step = match origin.mode {
            Mode::Off => format!("`originlock observe {name}`"),
            Mode::Observe | Mode::Enforce => format!("`originlock ready {name}`, then `originlock enforce {name}`"),
        };
        Some(self.found(FindingKind::NotEnforced, FindingWeight::Warning, sentence, next_step))
    }
}

fn is_pending(status: &Status) -> bool {
    matches!(status, Status::Initializing | Status::PendingDeployment)
}

/// Enough of a fingerprint to tell it from others.
fn short(sha256: Fingerprint) -> String {
    let mut text = sha256.to_string();
    text.truncate(16);
    text
}
