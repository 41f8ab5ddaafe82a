//! The calls.

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::envelope::{Envelope, Refused};
use super::error::{CloudflareError, Kind, Refusal};
use super::types::{
    AccountId, AddressRanges, AlertPolicy, Association, AssociationChange, CertificateId, Collection, ConfigRule,
    DnsRecord, NewAlertPolicy, PostQuantum, Setting, SslMode, TokenState, UploadedCertificate, Zone, ZoneId,
};
use crate::fetch::{Answer, Client, percent_encoded as encoded};
use crate::hostname::Hostname;
use crate::secret::Secret;

/// Where the API is.
pub const DEFAULT_API: &str = "https://api.cloudflare.com/client/v4";
/// As many associations as one page of the list may hold.
const PER_PAGE: u64 = 1000;
/// More pages than any zone has.
const MAX_PAGES: u64 = 1000;

/// Speaks to the API with one token.
#[derive(Debug)]
pub struct Cloudflare {
    client: Client,
    runtime: Runtime,
}

type Result<T> = std::result::Result<T, CloudflareError>;

/// One call: what it is for, and what goes over the wire.
struct Call<'a> {
    doing: &'a str,
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Cloudflare {
    /// Over `client`, which knows the base URL and the token.
    ///
    /// # Errors
    /// The operating system has no room for it.
    pub fn new(client: Client) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(CloudflareError::Start)?;
        Ok(Self { client, runtime })
    }

    /// `GET /user/tokens/verify`
    pub fn verify_token(&self) -> Result<TokenState> {
        self.get("verify the token", "/user/tokens/verify".to_owned())
    }

    /// All zones of this very name that the token sees; one that it does not see is no error but missing.
    pub fn zones_named(&self, name: &str) -> Result<Vec<Zone>> {
        self.get(&format!("look up zone {name}"), format!("/zones?name={}&per_page=50", encoded(name)))
    }

    /// One zone by its id.
    pub fn zone(&self, id: &ZoneId) -> Result<Zone> {
        self.get(&format!("look up zone {id}"), format!("/zones/{}", encoded(&id.0)))
    }

    /// The records of this very name.
    pub fn dns_records(&self, zone: &ZoneId, name: &str) -> Result<Vec<DnsRecord>> {
        let path = zone_path(zone, &format!("dns_records?name.exact={}&per_page=100", encoded(name)));
        self.get(&format!("read DNS records of {name}"), path)
    }

    /// How Cloudflare connects to the zone's origins.
    pub fn ssl_mode(&self, zone: &ZoneId) -> Result<Setting<SslMode>> {
        self.get("read setting ssl", zone_path(zone, "settings/ssl"))
    }

    /// Whether the zone presents Cloudflare's shared certificate: `on` or `off`.
    pub fn tls_client_auth(&self, zone: &ZoneId) -> Result<Setting<String>> {
        self.get("read setting tls_client_auth", zone_path(zone, "settings/tls_client_auth"))
    }

    /// Switches it.
    pub fn set_tls_client_auth(&self, zone: &ZoneId, on: bool) -> Result<Setting<String>> {
        let body = json!({ "value": if on { "on" } else { "off" } });
        let path = zone_path(zone, "settings/tls_client_auth");
        self.change("set tls_client_auth", Method::PATCH, path, body)
    }

    /// The zone's key agreement with origins.
    pub fn post_quantum(&self, zone: &ZoneId) -> Result<Setting<PostQuantum>> {
        let path = zone_path(zone, "cache/origin_post_quantum_encryption");
        self.get("read setting origin_post_quantum_encryption", path)
    }

    /// Sets it.
    pub fn set_post_quantum(&self, zone: &ZoneId, value: PostQuantum) -> Result<Setting<PostQuantum>> {
        let path = zone_path(zone, "cache/origin_post_quantum_encryption");
        self.change("set origin_post_quantum_encryption", Method::PUT, path, json!({ "value": value }))
    }

    /// The configuration rules that set an SSL mode.
    pub fn config_rules(&self, zone: &ZoneId) -> Result<Vec<ConfigRule>> {
        let path = zone_path(zone, "rulesets/phases/http_config_settings/entrypoint");
        let ruleset: Option<Value> = none_if_not_found(self.get("read configuration rules", path))?;
        let rules = ruleset.as_ref().and_then(|set| set["rules"].as_array()).map(Vec::as_slice).unwrap_or_default();
        Ok(rules.iter().filter_map(config_rule).collect())
    }

    /// All certificates of a collection; those on their way out may be among them, fresh ones may be missing for a while.
    pub fn certificates(&self, zone: &ZoneId, collection: Collection) -> Result<Vec<UploadedCertificate>> {
        self.get("list certificates", certificates_path(zone, collection))
    }

    /// One certificate; `None`: there is none of this id.
    pub fn certificate(
        &self,
        zone: &ZoneId,
        collection: Collection,
        id: &CertificateId,
    ) -> Result<Option<UploadedCertificate>> {
        let path = format!("{}/{}", certificates_path(zone, collection), encoded(&id.0));
        none_if_not_found(self.get(&format!("read certificate {id}"), path))
    }

    /// Uploads a leaf and its key, both PEM. Not repeated by itself once it may have arrived.
    pub fn upload(
        &self,
        zone: &ZoneId,
        collection: Collection,
        certificate: &str,
        key: &Secret,
    ) -> Result<UploadedCertificate> {
        let key = String::from_utf8_lossy(key.expose());
        let body = json!({ "certificate": certificate, "private_key": key });
        self.change("upload the certificate", Method::POST, certificates_path(zone, collection), body)
    }

    /// Asks for a certificate's deletion. What is gone or going already is no error.
    pub fn delete_certificate(&self, zone: &ZoneId, collection: Collection, id: &CertificateId) -> Result<()> {
        let path = format!("{}/{}", certificates_path(zone, collection), encoded(&id.0));
        let doing = format!("delete certificate {id}");
        let deleted = self.call::<Value>(&Call { doing: &doing, method: Method::DELETE, path, body: None });
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), Some(Kind::NotFound | Kind::PendingDeletion)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The association of a hostname; `None`: there is none.
    pub fn association(&self, zone: &ZoneId, hostname: &Hostname) -> Result<Option<Association>> {
        let path = format!("{}/{}", zone_path(zone, "origin_tls_client_auth/hostnames"), encoded(hostname.as_str()));
        none_if_not_found(self.get(&format!("read the association of {hostname}"), path))
    }

    /// All associations of the zone, whatever their status. `None`: this API cannot list them.
    pub fn associations(&self, zone: &ZoneId) -> Result<Option<Vec<Association>>> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let query = format!("origin_tls_client_auth/hostnames?status=all&per_page={PER_PAGE}&page={page}");
            let call =
                Call { doing: "list associations", method: Method::GET, path: zone_path(zone, &query), body: None };
            let envelope: Envelope<Vec<Association>> = match self.call(&call) {
                Ok(envelope) => envelope,
                Err(CloudflareError::Refused(refusal)) if matches!(refusal.status, 404 | 405) => return Ok(None),
                Err(error) => return Err(error),
            };
            let items = envelope.result.unwrap_or_default();
            let last = match envelope.result_info.and_then(|info| info.total_pages) {
                Some(pages) => page >= pages,
                None => (items.len() as u64) < PER_PAGE,
            };
            all.extend(items);
            if last {
                break;
            }
        }
        Ok(Some(all))
    }

    /// Changes associations; hostnames that are not among them stay as they are. To be read again afterwards: the answer
    /// may hold the old state, or those of other hostnames.
    pub fn associate(&self, zone: &ZoneId, changes: &[AssociationChange]) -> Result<()> {
        let names: Vec<_> = changes.iter().map(|change| change.hostname.as_str()).collect();
        let doing = format!("change the association of {}", names.join(", "));
        let path = zone_path(zone, "origin_tls_client_auth/hostnames");
        self.change::<Value>(&doing, Method::PUT, path, json!({ "config": changes })).map(drop)
    }

    /// Whether the zone presents its own certificate on all hostnames.
    pub fn zone_level(&self, zone: &ZoneId) -> Result<bool> {
        let read: Value = self.get("read the zone-level switch", zone_path(zone, "origin_tls_client_auth/settings"))?;
        Ok(read["enabled"].as_bool().unwrap_or(false))
    }

    /// Switches it.
    pub fn set_zone_level(&self, zone: &ZoneId, enabled: bool) -> Result<()> {
        let path = zone_path(zone, "origin_tls_client_auth/settings");
        let body = json!({ "enabled": enabled });
        self.change::<Value>("set the zone-level switch", Method::PUT, path, body).map(drop)
    }

    /// Where Cloudflare's edges connect from. Needs no token.
    pub fn address_ranges(&self) -> Result<AddressRanges> {
        self.get("read Cloudflare's address ranges", "/ips".to_owned())
    }

    /// Types of notifications that the account can have.
    pub fn available_alerts(&self, account: &AccountId) -> Result<Vec<String>> {
        let path = format!("/accounts/{}/alerting/v3/available_alerts", encoded(&account.0));
        let read: Value = self.get("list notification types", path)?;
        let kinds = read.as_object().into_iter().flat_map(|groups| groups.values());
        let kinds = kinds.filter_map(Value::as_array).flatten().filter_map(|kind| kind["type"].as_str());
        Ok(kinds.map(str::to_owned).collect())
    }

    /// The account's notification policies.
    pub fn alert_policies(&self, account: &AccountId) -> Result<Vec<AlertPolicy>> {
        self.get("list notification policies", format!("/accounts/{}/alerting/v3/policies", encoded(&account.0)))
    }

    /// Makes one; duplicates are not refused.
    pub fn create_alert_policy(&self, account: &AccountId, policy: &NewAlertPolicy) -> Result<()> {
        let email: Vec<_> = policy.email.iter().map(|address| json!({ "id": address })).collect();
        let body = json!({
            "name": policy.name, "alert_type": policy.alert_type, "enabled": true, "mechanisms": { "email": email },
        });
        let path = format!("/accounts/{}/alerting/v3/policies", encoded(&account.0));
        self.change::<Value>("create the notification policy", Method::POST, path, body).map(drop)
    }

    fn get<T: DeserializeOwned>(&self, doing: &str, path: String) -> Result<T> {
        self.result_of(&Call { doing, method: Method::GET, path, body: None })
    }

    fn change<T: DeserializeOwned>(&self, doing: &str, method: Method, path: String, body: Value) -> Result<T> {
        self.result_of(&Call { doing, method, path, body: Some(body) })
    }

    fn result_of<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        let unreadable = || CloudflareError::Unreadable { doing: call.doing.to_owned(), status: 200, request_id: None };
        self.call(call)?.result.ok_or_else(unreadable)
    }

    fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Envelope<T>> {
        let json = call.body.as_ref().map(|body| body.to_string().into_bytes());
        let answer = self.runtime.block_on(self.client.send(call.method.clone(), &call.path, json));
        let answer = answer.map_err(|source| CloudflareError::Fetch { doing: call.doing.to_owned(), source })?;
        read(call, &answer)
    }
}

fn read<T: DeserializeOwned>(call: &Call<'_>, answer: &Answer) -> Result<Envelope<T>> {
    let request_id = answer.headers.get("cf-ray").and_then(|ray| ray.to_str().ok()).map(str::to_owned);
    if answer.status.is_success()
        && let Ok(envelope) = serde_json::from_slice::<Envelope<T>>(&answer.body)
        && envelope.success
    {
        return Ok(envelope);
    }
    let refused: Option<Refused> = serde_json::from_slice(&answer.body).ok();
    let errors = match refused {
        Some(refused) if !refused.success => refused.errors.unwrap_or_default(),
        None if !answer.status.is_success() => Vec::new(),
        Some(_) | None => {
            let (doing, status) = (call.doing.to_owned(), answer.status.as_u16());
            return Err(CloudflareError::Unreadable { doing, status, request_id });
        }
    };
    let kind = Kind::of(call.method.as_str(), &call.path, answer.status, &errors);
    Err(CloudflareError::Refused(Box::new(Refusal {
        doing: call.doing.to_owned(),
        method: method_name(&call.method),
        path: call.path.clone(),
        status: answer.status.as_u16(),
        errors,
        request_id,
        kind,
    })))
}

fn method_name(method: &Method) -> &'static str {
    ["POST", "PUT", "PATCH", "DELETE"].into_iter().find(|name| *name == method.as_str()).unwrap_or("GET")
}

fn none_if_not_found<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == Some(Kind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn config_rule(rule: &Value) -> Option<ConfigRule> {
    let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let ssl = rule["action_parameters"]["ssl"].as_str()?.to_owned();
    let enabled = rule["enabled"].as_bool().unwrap_or(true);
    Some(ConfigRule { description: text("description"), expression: text("expression"), enabled, ssl: ssl.into() })
}

fn zone_path(zone: &ZoneId, rest: &str) -> String {
    format!("/zones/{}/{rest}", encoded(&zone.0))
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
