//! What is known of Cloudflare's side: for the admin side, the metrics and the log.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::look::LookError;
use crate::clock::Timestamp;
use crate::config::model::CloudflareWatch;
use crate::evidence::report::{CloudflareReport, FindingReport, FindingWeight};
use crate::telemetry::metrics::{CloudflareSeen, Metrics};

/// More findings of one zone are of no use to anybody.
const MAX_FINDINGS: usize = 500;
/// Of an error's text: half of it is an API's to choose.
const MAX_ERROR_CHARS: usize = 600;

/// What the looks so far came to.
#[derive(Debug)]
pub struct Known {
    metrics: Arc<Metrics>,
    zones: Mutex<Zones>,
}

/// In the order of the configuration. `None`: nothing is looked at.
type Zones = Option<Vec<(String, ZoneKnown)>>;

#[derive(Clone, Default, Debug)]
struct ZoneKnown {
    checked_at: Option<Timestamp>,
    error: Option<String>,
    findings: Vec<FindingReport>,
}

impl Known {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, zones: Mutex::default() }
    }

    /// As the admin side tells it.
    pub fn report(&self) -> CloudflareReport {
        let zones = self.lock();
        let Some(zones) = &*zones else { return CloudflareReport::default() };
        let mut findings: Vec<_> = zones.iter().flat_map(|(_, known)| known.findings.iter().cloned()).collect();
        findings.sort_by_key(|finding| finding.weight);
        let checked: Option<Vec<_>> = zones.iter().map(|(_, known)| known.checked_at).collect();
        let errors: Vec<_> = zones.iter().filter_map(|(_, known)| known.error.as_deref()).collect();
        CloudflareReport {
            watched: true,
            zones: zones.iter().map(|(zone, _)| zone.clone()).collect(),
            checked_at: checked.and_then(|checked| checked.into_iter().min()),
            error: (!errors.is_empty()).then(|| errors.join("; ")),
            findings,
        }
    }

    /// From now on this is looked at. What was found of a zone that stays, stays.
    pub(super) fn follow(&self, configured: Option<&CloudflareWatch>) {
        let mut zones = self.lock();
        let mut before: BTreeMap<_, _> = zones.take().into_iter().flatten().collect();
        *zones = configured.map(|configured| {
            let names = configured.zones.iter().map(|zone| zone.value.clone());
            names.map(|zone| (zone.clone(), before.remove(&zone).unwrap_or_default())).collect()
        });
        self.export(&zones);
    }

    /// What a look at `zone` came to. After a failure, what was found before still stands.
    pub(super) fn looked(&self, zone: &str, looked: Result<Vec<FindingReport>, LookError>, now: Timestamp) {
        let mut zones = self.lock();
        let Some((_, known)) = zones.iter_mut().flatten().find(|(name, _)| name == zone) else { return };
        match looked {
            Ok(mut findings) => {
                findings.truncate(MAX_FINDINGS);
                tell_changes(zone, &known.findings, &findings);
                if known.error.is_some() {
                    info!(cloudflare.zone = zone, "Cloudflare's side can be looked at again");
                }
                *known = ZoneKnown { checked_at: Some(now), error: None, findings };
            }
            Err(error) => {
                self.metrics.cloudflare_check_failed();
                let said: String = told(&error).chars().take(MAX_ERROR_CHARS).collect();
                // The first one of its kind is told; the rest are counted.
                if known.error.as_ref() != Some(&said) {
                    warn!(cloudflare.zone = zone, error = said, "Cloudflare's side could not be looked at");
                }
                known.error = Some(said);
            }
        }
        self.export(&zones);
    }

    fn export(&self, zones: &Zones) {
        let of_zones = || zones.iter().flatten();
        let checked: Vec<_> = of_zones().filter_map(|(zone, known)| Some((zone.clone(), known.checked_at?))).collect();
        let findings: Vec<_> = of_zones()
            .flat_map(|(zone, known)| known.findings.iter().map(|finding| (zone.clone(), finding.clone())))
            .collect();
        self.metrics.set_cloudflare(CloudflareSeen { checked: &checked, findings: &findings });
    }

    fn lock(&self) -> MutexGuard<'_, Zones> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each finding once when it comes, and once when it goes.
fn tell_changes(zone: &str, before: &[FindingReport], after: &[FindingReport]) {
    let key = |finding: &FindingReport| (finding.kind.clone(), finding.weight, finding.host.clone());
    let is_among =
        |finding: &FindingReport, others: &[FindingReport]| others.iter().any(|other| key(other) == key(finding));
    for finding in after.iter().filter(|finding| !is_among(finding, before)) {
        warn!(
            cloudflare.zone = zone,
            originlock.finding = finding.kind,
            originlock.weight = weight(finding.weight),
            server.address = finding.host,
            originlock.sentence = finding.sentence,
            originlock.next_step = finding.next_step,
            "Cloudflare's side does not fit what this origin demands"
        );
    }
    for finding in before.iter().filter(|finding| !is_among(finding, after)) {
        info!(
            cloudflare.zone = zone,
            originlock.finding = finding.kind,
            server.address = finding.host,
            "Cloudflare's side fits again"
        );
    }
}

const fn weight(weight: FindingWeight) -> &'static str {
    match weight {
        FindingWeight::Alarm => "alarm",
        FindingWeight::Warning => "warning",
    }
}

/// With its causes.
fn told(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}
