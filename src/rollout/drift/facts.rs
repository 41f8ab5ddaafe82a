//! What was read, from Cloudflare and from the origin.

use super::at_origin::AtOrigin;
use crate::clock::Timestamp;
use crate::cloudflare::{
    Association, Cloudflare, CloudflareError, Collection, ConfigRule, DnsRecord, Kind, SslMode, Status,
    UploadedCertificate, Zone,
};
use crate::evidence::report::{JudgeReport, JudgeRequest};
use crate::hostname::Hostname;
use crate::policy::client_auth::Mode;
use crate::remote::admin::AdminError;
use crate::rollout::origin::Origin;
use crate::rollout::seen::Host;
use crate::rollout::step::Level;

/// What Cloudflare tells of a zone.
#[derive(Clone, Debug)]
pub struct ZoneFacts {
    pub zone: Zone,
    pub token_expires_on: Option<Timestamp>,
    /// `None`: the token may not look.
    pub ssl: Option<SslMode>,
    /// Configuration rules that set an SSL mode.
    pub rules: Vec<ConfigRule>,
    /// Whether the certificate that all customers share is presented. `None`: the token may not look.
    pub tls_client_auth: Option<bool>,
    pub zone_level: bool,
    pub certificates: Vec<UploadedCertificate>,
    pub zone_certificates: Vec<UploadedCertificate>,
    /// `None`: this API cannot list them.
    pub associations: Option<Vec<Association>>,
    pub left_out: Vec<LeftOut>,
}

/// Something that the token may not look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeftOut {
    pub what: &'static str,
    /// Which it would need.
    pub permission: &'static str,
}

/// What Cloudflare and the origin tell of one hostname.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub hostname: Hostname,
    pub association: Option<Association>,
    /// The certificate that it refers to, as far as Cloudflare shows it.
    pub certificate: Option<UploadedCertificate>,
    /// Of the name, or of the wildcard that stands for it. `None`: the token may not look.
    pub records: Option<Vec<DnsRecord>>,
    /// `None`: the origin was not asked, or does not have the hostname.
    pub origin: Option<AtOrigin>,
    /// What the origin makes of the certificate that is to be presented.
    pub judgement: Option<JudgeReport>,
}

/// Which certificate the API's state has edges present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presented<'a> {
    /// The hostname's own.
    Own(Option<&'a UploadedCertificate>),
    /// The zone's.
    Zone(&'a UploadedCertificate),
    /// The one that all customers share.
    Shared,
    /// None, because the association says so.
    Disabled,
    /// None.
    Nothing,
}

impl ZoneFacts {
    /// Reads all that needs no hostname.
    ///
    /// # Errors
    /// Cloudflare does not tell the certificates, their associations or the zone-level switch.
    pub fn read(cloudflare: &Cloudflare, zone: Zone) -> Result<Self, CloudflareError> {
        let mut left_out = Vec::new();
        let mut unless = |what, permission| left_out.push(LeftOut { what, permission });
        // A token of an account is not known to the endpoint of users.
        let token = if_permitted(cloudflare.verify_token(), || {})?;
        let id = &zone.id;
        let settings = "Zone Settings Read";
        let ssl = if_permitted(cloudflare.ssl_mode(id), || unless("the SSL mode", settings))?;
        let shared = if_permitted(cloudflare.tls_client_auth(id), || unless("tls_client_auth", settings))?;
        let rules = cloudflare.config_rules(id);
        let rules = if_permitted(rules, || unless("configuration rules", "Config Settings Read"))?;
        Ok(Self {
            token_expires_on: token.and_then(|token| token.expires_on),
            ssl: ssl.map(|setting| setting.value),
            rules: rules.unwrap_or_default(),
            tls_client_auth: shared.map(|setting| setting.value == "on"),
            zone_level: cloudflare.zone_level(id)?,
            certificates: cloudflare.certificates(id, Collection::Hostname)?,
            zone_certificates: cloudflare.certificates(id, Collection::Zone)?,
            associations: cloudflare.associations(id)?,
            zone,
            left_out,
        })
    }

    /// The zone's own certificate that edges present where no hostname's own comes before it: the newest.
    pub fn zone_certificate(&self) -> Option<&UploadedCertificate> {
        let active = self.zone_certificates.iter().filter(|certificate| certificate.status == Status::Active);
        active.max_by_key(|certificate| certificate.uploaded_on).filter(|_| self.zone_level)
    }
}

impl HostFacts {
    /// Reads what Cloudflare tells of a hostname.
    ///
    /// # Errors
    /// It does not tell.
    pub fn read(cloudflare: &Cloudflare, zone: &mut ZoneFacts, hostname: &Hostname) -> Result<Self, CloudflareError> {
        let association = cloudflare.association(&zone.zone.id, hostname)?;
        let id = association.as_ref().and_then(|association| association.cert_id.as_ref());
        let certificate = match id.map(|id| (id, zone.certificates.iter().find(|listed| listed.id == *id))) {
            None => None,
            Some((_, Some(listed))) => Some(listed.clone()),
            // The list lags behind.
            Some((id, None)) => cloudflare.certificate(&zone.zone.id, Collection::Hostname, id)?,
        };
        let records = if_permitted(records(cloudflare, zone, hostname), || {
            let left_out = LeftOut { what: "DNS records", permission: "DNS Read" };
            if !zone.left_out.contains(&left_out) {
                zone.left_out.push(left_out);
            }
        })?;
        Ok(Self { hostname: hostname.clone(), association, certificate, records, origin: None, judgement: None })
    }

    /// Asks the origin about it. A hostname that it does not have is no error.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&mut self, origin: &dyn Origin, zone: &ZoneFacts) -> Result<(), AdminError> {
        let Some(host) = Host::find(origin, &self.hostname)? else { return Ok(()) };
        let at_origin = AtOrigin::of(&host);
        let pem = match self.presented(zone) {
            Presented::Own(certificate) => certificate.and_then(|certificate| certificate.pem.clone()),
            Presented::Zone(certificate) => certificate.pem.clone(),
            Presented::Shared | Presented::Disabled | Presented::Nothing => None,
        };
        if let Some(certificates) = pem.filter(|_| at_origin.mode != Mode::Off) {
            self.judgement = match origin.judge(&host.configured, &JudgeRequest { certificates }) {
                Ok(judged) => Some(judged),
                // What cannot be judged is no drift.
                Err(AdminError::Problem(_)) => None,
                Err(error) => return Err(error),
            };
        }
        self.origin = Some(at_origin);
        Ok(())
    }

    /// Which certificate edges are to present for it.
    pub fn presented<'a>(&'a self, zone: &'a ZoneFacts) -> Presented<'a> {
        let own = self.association.as_ref().filter(|association| !association.status.is_leaving());
        match (own.and_then(|association| association.enabled), zone.zone_certificate()) {
            (Some(true), _) => Presented::Own(self.certificate.as_ref()),
            (Some(false), _) => Presented::Disabled,
            (None, Some(certificate)) => Presented::Zone(certificate),
            (None, None) if zone.tls_client_auth == Some(true) => Presented::Shared,
            (None, None) => Presented::Nothing,
        }
    }
}

impl<'a> Presented<'a> {
    /// On which level.
    pub fn level(self) -> Option<Level> {
        match self {
            Self::Own(_) => Some(Level::Hostname),
            Self::Zone(_) => Some(Level::Zone),
            Self::Shared => Some(Level::Global),
            Self::Disabled | Self::Nothing => None,
        }
    }

    /// The customer's own certificate, where it is known.
    pub fn certificate(self) -> Option<&'a UploadedCertificate> {
        match self {
            Self::Own(certificate) => certificate,
            Self::Zone(certificate) => Some(certificate),
            Self::Shared | Self::Disabled | Self::Nothing => None,
        }
    }
}

fn records(cloudflare: &Cloudflare, zone: &ZoneFacts, hostname: &Hostname) -> Result<Vec<DnsRecord>, CloudflareError> {
    let own = cloudflare.dns_records(&zone.zone.id, hostname.as_str())?;
    match hostname.parent() {
        Some(parent) if own.is_empty() => cloudflare.dns_records(&zone.zone.id, &format!("*.{parent}")),
        Some(_) | None => Ok(own),
    }
}

/// `None`, and whatever is to be done then, where the token lacks the right.
fn if_permitted<T>(
    read: Result<T, CloudflareError>,
    not_permitted: impl FnOnce(),
) -> Result<Option<T>, CloudflareError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), Some(Kind::NotPermitted | Kind::Foreign | Kind::InvalidToken)) => {
            not_permitted();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
