//! What an edge presents for a hostname: association, then the zone's certificate, then the shared one.

use std::sync::OnceLock;

use originlock::clock::{Clock, Timestamp};
use originlock::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, Validity};
use originlock::secret::Secret;

use super::super::certificates::Certificate;
use super::super::state::{State, Zone};

/// Where the certificate comes from, or why there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Hostname,
    Zone,
    /// The one that all customers share.
    Global,
    /// Through an edge, without a certificate.
    Nothing,
    /// Through an edge, without TLS.
    Plain,
    /// Not through any edge.
    Direct,
    /// Not to the origin's address at all.
    Elsewhere,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Credential {
    pub certificate: Vec<u8>,
    pub key_pem: Secret,
}

/// What the edge does for one connection.
#[derive(Clone, Debug)]
pub struct Presents {
    pub level: Level,
    pub credential: Option<Credential>,
    /// Whether the origin's own certificate is looked at.
    pub is_strict: bool,
}

impl Presents {
    const fn bare(level: Level) -> Self {
        Self { level, credential: None, is_strict: false }
    }
}

/// What an edge presents that has seen the state up to `moment`. Of several records that differ, `turn` chooses one.
pub fn presents(state: &State, hostname: &str, moment: Timestamp, turn: usize) -> Presents {
    let Some(zone) = state.zone_of(hostname) else { return Presents::bare(Level::Elsewhere) };
    let records = zone.records_of(hostname);
    let Some(record) = records.get(turn % records.len().max(1)) else { return Presents::bare(Level::Elsewhere) };
    if record.content.ends_with(".cfargotunnel.com") {
        return Presents::bare(Level::Elsewhere);
    }
    if !record.proxied || zone.paused {
        return Presents::bare(Level::Direct);
    }
    let mode = encryption_mode(zone, hostname, moment);
    if matches!(mode.as_str(), "off" | "flexible") {
        return Presents::bare(Level::Plain);
    }
    let is_strict = matches!(mode.as_str(), "strict" | "origin_pull");
    let (level, credential) = certificate(state, zone, hostname, moment);
    Presents { level, credential, is_strict }
}

fn certificate(state: &State, zone: &Zone, hostname: &str, moment: Timestamp) -> (Level, Option<Credential>) {
    let is_global = zone.tls_client_auth.value(moment);
    let of_the_zone = || zone.zone_certificates.newest_deployed(moment).filter(|_| zone.switch.value(moment));
    let effect = zone.associations.effect(hostname, moment).or_else(|| {
        let (_, parent) = hostname.split_once('.')?;
        zone.associations.effect(&format!("*.{parent}"), moment)
    });
    match effect {
        Some(effect) if effect.enabled => {
            let own = zone.certificates.get(&effect.cert_id).filter(|own| own.is_deployed(moment));
            own.map_or((Level::Nothing, None), |own| (Level::Hostname, Some(Credential::of(own))))
        }
        Some(_) if is_global && !state.settings.disabled_suppresses_global => (Level::Global, Some(shared())),
        Some(_) => (Level::Nothing, None),
        None => match of_the_zone() {
            Some(own) => (Level::Zone, Some(Credential::of(own))),
            None if is_global => (Level::Global, Some(shared())),
            None => (Level::Nothing, None),
        },
    }
}

/// The zone's mode, unless a rule that names the hostname says otherwise.
fn encryption_mode(zone: &Zone, hostname: &str, moment: Timestamp) -> String {
    let names = |expression: &str| expression == "true" || expression.contains(&format!("\"{hostname}\""));
    let mut rules = zone.rules.iter().filter(|rule| rule.enabled && names(&rule.expression));
    rules.next_back().map_or_else(|| zone.ssl.value(moment), |rule| rule.ssl.clone())
}

impl Credential {
    fn of(certificate: &Certificate) -> Self {
        Self { certificate: certificate.described.der.clone(), key_pem: certificate.key.pem.clone() }
    }
}

/// The stand-in for the certificate that Cloudflare presents for every customer.
fn shared() -> Credential {
    let (_, leaf) = standing_in();
    Credential { certificate: leaf.certificate_der.clone(), key_pem: leaf.key_pem.clone() }
}

/// The CA of the stand-in, to be trusted where Cloudflare's shared one would be.
pub fn shared_ca_pem() -> &'static str {
    standing_in().0.certificate_pem()
}

fn standing_in() -> &'static (Ca, Issued) {
    static SHARED: OnceLock<(Ca, Issued)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let validity = Validity::days(Clock::System.now(), 365);
        let options =
            CaOptions { common_name: "shared origin-pull CA".to_owned(), key_type: KeyType::default(), validity };
        let (ca, _) = Ca::create(&options).expect("a CA");
        let leaf = ca.issue(&LeafOptions::client("origin-pull.cloudflare.net", validity)).expect("a leaf");
        (ca, leaf)
    })
}
