//! What is, at Cloudflare and at the origin: read, never remembered.

use std::collections::BTreeMap;

use super::certificates;
use super::desired::Desired;
use super::error::RolloutError;
use super::journal::Entries;
use super::origin::Origin;
use super::seen::Host;
use super::step::{Step, StepName};
use crate::clock::Timestamp;
use crate::cloudflare::{Association, Cloudflare, PostQuantum, Setting, UploadedCertificate, Zone};
use crate::evidence::report::StatusReport;
use crate::hostname::Hostname;

/// Whom to ask.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub cloudflare: &'a Cloudflare,
    pub origin: &'a dyn Origin,
    pub zone: &'a Zone,
    /// Of the journal, where there is one.
    pub entries: Option<&'a Entries>,
}

/// Everything that a plan is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    pub zone: String,
    pub status: StatusReport,
    /// `None`: it could not be read, and is not needed.
    pub tls_client_auth: Option<Setting<String>>,
    pub zone_level: Option<bool>,
    /// Where it is asked for.
    pub post_quantum: Option<Setting<PostQuantum>>,
    /// The wanted certificate in the wanted collection.
    pub certificate: Option<UploadedCertificate>,
    pub hostnames: BTreeMap<Hostname, ObservedHostname>,
}

/// What is of one hostname.
#[derive(Clone, Debug)]
pub struct ObservedHostname {
    /// `None`: there is none, or a void one.
    pub association: Option<Association>,
    /// `None`: the origin knows no host for it.
    pub host: Option<Host>,
}

impl Observed {
    /// Reads all of it.
    ///
    /// # Errors
    /// Cloudflare or the origin does not tell.
    pub fn read(sources: Sources<'_>, desired: &Desired) -> Result<Self, RolloutError> {
        let mut hostnames = BTreeMap::new();
        for hostname in &desired.hostnames {
            let association = sources.association(hostname)?;
            hostnames.insert(hostname.clone(), ObservedHostname { association, host: sources.host(hostname)? });
        }
        Ok(Self {
            zone: sources.zone.name.clone(),
            status: sources.origin.status()?,
            tls_client_auth: sources.tls_client_auth(desired)?,
            zone_level: Some(sources.cloudflare.zone_level(&sources.zone.id)?),
            post_quantum: sources.post_quantum(desired)?,
            certificate: sources.certificate(desired)?,
            hostnames,
        })
    }

    /// Reads again what `step` may have changed.
    ///
    /// # Errors
    /// As of [`Observed::read`].
    pub fn read_again(&mut self, sources: Sources<'_>, desired: &Desired, step: &Step) -> Result<(), RolloutError> {
        match step.name {
            StepName::Upload | StepName::Delete => self.certificate = sources.certificate(desired)?,
            StepName::ZoneSetting => self.tls_client_auth = sources.tls_client_auth(desired)?,
            StepName::ZoneLevel => self.zone_level = Some(sources.cloudflare.zone_level(&sources.zone.id)?),
            StepName::PostQuantum => self.post_quantum = sources.post_quantum(desired)?,
            StepName::Associate | StepName::Void => {
                for (hostname, observed) in &mut self.hostnames {
                    if hostname.as_str() == step.subject {
                        observed.association = sources.association(hostname)?;
                    }
                }
            }
            StepName::Observe
            | StepName::Trust
            | StepName::Seen
            | StepName::Unseen
            | StepName::Enforce
            | StepName::Prove
            | StepName::Distrust => {}
        }
        // It is near, and its evidence grows all the time.
        self.status = sources.origin.status()?;
        for (hostname, observed) in &mut self.hostnames {
            observed.host = sources.host(hostname)?;
        }
        Ok(())
    }

    /// The origin's time of day.
    pub fn at(&self) -> Timestamp {
        self.status.at
    }
}

impl Sources<'_> {
    fn association(&self, hostname: &Hostname) -> Result<Option<Association>, RolloutError> {
        let association = self.cloudflare.association(&self.zone.id, hostname)?;
        Ok(association.filter(|association| association.enabled.is_some()))
    }

    fn host(&self, hostname: &Hostname) -> Result<Option<Host>, RolloutError> {
        Ok(Host::find(self.origin, hostname)?)
    }

    fn tls_client_auth(&self, desired: &Desired) -> Result<Option<Setting<String>>, RolloutError> {
        match self.cloudflare.tls_client_auth(&self.zone.id) {
            Ok(setting) => Ok(Some(setting)),
            Err(_) if !desired.zone_setting => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn post_quantum(&self, desired: &Desired) -> Result<Option<Setting<PostQuantum>>, RolloutError> {
        let wanted = desired.post_quantum.is_some();
        Ok(wanted.then(|| self.cloudflare.post_quantum(&self.zone.id)).transpose()?)
    }

    fn certificate(&self, desired: &Desired) -> Result<Option<UploadedCertificate>, RolloutError> {
        let Some((collection, leaf)) = desired.collection().zip(desired.leaf.as_ref()) else { return Ok(None) };
        let sha256 = leaf.sha256();
        Ok(certificates::find(self.cloudflare, &self.zone.id, collection, self.entries, sha256)?)
    }
}
