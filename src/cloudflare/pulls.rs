//! The calls of Authenticated Origin Pulls: certificates, associations, the zone-level switch.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Cloudflare, PER_PAGE, Result, zone_path};
use super::error::{CloudflareError, Kind};
use super::persistence::Effort;
use super::types::{Association, AssociationChange, CertificateId, Collection, UploadedCertificate, ZoneId};
use crate::fetch::percent_encoded as encoded;
use crate::hostname::Hostname;
use crate::secret::Secret;

const ASSOCIATIONS: &str = "origin_tls_client_auth/hostnames";

/// What an upload sends.
#[derive(Serialize)]
struct Upload<'a> {
    certificate: &'a str,
    private_key: &'a str,
}

impl Cloudflare {
    /// All certificates of a collection; those on their way out may be among them, fresh ones may be missing for a while.
    pub fn certificates(&self, zone: &ZoneId, collection: Collection) -> Result<Vec<UploadedCertificate>> {
        self.list("list certificates", &certificates_path(zone, collection), PER_PAGE)
    }

    /// One certificate; `None`: there is none of this id.
    pub fn certificate(
        &self,
        zone: &ZoneId,
        collection: Collection,
        id: &CertificateId,
    ) -> Result<Option<UploadedCertificate>> {
        self.find(&format!("read certificate {id}"), certificate_path(zone, collection, id))
    }

    /// Uploads a leaf and its key, both PEM. Not repeated by itself once it may have arrived.
    pub fn upload(
        &self,
        zone: &ZoneId,
        collection: Collection,
        certificate: &str,
        key: &Secret,
    ) -> Result<UploadedCertificate> {
        // What is no text is no PEM, which the API says better than we could.
        let upload = Upload { certificate, private_key: std::str::from_utf8(key.expose()).unwrap_or_default() };
        self.change("upload the certificate", Method::POST, certificates_path(zone, collection), &upload)
    }

    /// Asks for a certificate's deletion. What is gone or going already is no error.
    pub fn delete_certificate(&self, zone: &ZoneId, collection: Collection, id: &CertificateId) -> Result<()> {
        let path = certificate_path(zone, collection, id);
        match self.ask(&format!("delete certificate {id}"), Method::DELETE, path, None) {
            Err(error) if matches!(error.kind(), Some(Kind::NotFound | Kind::PendingDeletion)) => Ok(()),
            deleted => deleted,
        }
    }

    /// The association of a hostname; `None`: there is none.
    pub fn association(&self, zone: &ZoneId, hostname: &Hostname) -> Result<Option<Association>> {
        let path = zone_path(zone, &format!("{ASSOCIATIONS}/{}", encoded(hostname.as_str())));
        self.find(&format!("read the association of {hostname}"), path)
    }

    /// All associations of the zone, whatever their status. `None`: this API cannot list them.
    pub fn associations(&self, zone: &ZoneId) -> Result<Option<Vec<Association>>> {
        let path = zone_path(zone, &format!("{ASSOCIATIONS}?status=all&per_page={PER_PAGE}"));
        let doing = "list associations";
        match self.list::<Value>(doing, &path, PER_PAGE) {
            Ok(items) => items.iter().map(|item| listed(doing, item)).collect::<Result<_>>().map(Some),
            Err(CloudflareError::Refused(refusal)) if matches!(refusal.status, 404 | 405) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes associations; hostnames that are not among them stay as they are. To be read again afterwards: the answer
    /// may hold the old state, or those of other hostnames.
    pub fn associate(&self, zone: &ZoneId, changes: &[AssociationChange]) -> Result<()> {
        let names: Vec<_> = changes.iter().map(|change| change.hostname.as_str()).collect();
        let doing = format!("change the association of {}", names.join(", "));
        self.ask(&doing, Method::PUT, zone_path(zone, ASSOCIATIONS), Some(&json!({ "config": changes })))
    }

    /// Whether the zone presents its own certificate on all hostnames.
    pub fn zone_level(&self, zone: &ZoneId) -> Result<bool> {
        let read: Value = self.get("read the zone-level switch", zone_path(zone, "origin_tls_client_auth/settings"))?;
        Ok(read["enabled"].as_bool().unwrap_or(false))
    }

    /// Switches it.
    pub fn set_zone_level(&self, zone: &ZoneId, enabled: bool) -> Result<()> {
        let path = zone_path(zone, "origin_tls_client_auth/settings");
        self.ask("set the zone-level switch", Method::PUT, path, Some(&json!({ "enabled": enabled })))
    }
}

/// One that cannot be read may be another hostname's that shows the same certificate: it is not passed over.
fn listed(doing: &str, item: &Value) -> Result<Association> {
    let read = Some(item).filter(|item| item.is_object()).and_then(|item| Association::deserialize(item).ok());
    let (doing, effort) = (doing.to_owned(), Effort::default());
    read.filter(|association| !association.hostname.is_empty()).ok_or(CloudflareError::Unreadable {
        doing,
        status: 200,
        request_id: None,
        effort,
    })
}

fn certificates_path(zone: &ZoneId, collection: Collection) -> String {
    zone_path(
        zone,
        match collection {
            Collection::Hostname => "origin_tls_client_auth/hostnames/certificates",
            Collection::Zone => "origin_tls_client_auth",
        },
    )
}

fn certificate_path(zone: &ZoneId, collection: Collection, id: &CertificateId) -> String {
    format!("{}/{}", certificates_path(zone, collection), encoded(&id.0))
}
