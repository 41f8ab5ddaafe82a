//! Which paths and methods there are, and what each needs of a token.

use super::seed::Permission;

/// What a request wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    VerifyUserToken,
    VerifyAccountToken,
    Ips,
    Zones,
    Zone,
    DnsRecords,
    ConfigurationRules,
    ReadSetting(Setting),
    WriteSetting(Setting),
    ListCertificates(Level),
    UploadCertificate(Level),
    ReadCertificate(Level),
    DeleteCertificate(Level),
    ReadZoneSwitch,
    WriteZoneSwitch,
    ListAssociations,
    WriteAssociations,
    ReadAssociation,
    AvailableAlerts,
    ListPolicies,
    CreatePolicy,
}

/// The two collections of certificates in a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Hostname,
    Zone,
}

/// The settings of a zone that stand alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    Ssl,
    TlsClientAuth,
    SslAutomaticMode,
    PostQuantum,
}

/// A path that is known: the operation, and what stands in the places of `{…}`, decoded.
#[derive(Debug)]
pub struct Route {
    pub operation: Operation,
    pub parameters: Vec<String>,
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRoute {
    Path,
    Method,
}

/// Fixed words stand before `{…}` in the same place: the first path that fits is the one.
const ROUTES: [(&str, &str, Operation); 29] = [
    ("GET", "/user/tokens/verify", Operation::VerifyUserToken),
    ("GET", "/accounts/{}/tokens/verify", Operation::VerifyAccountToken),
    ("GET", "/accounts/{}/alerting/v3/available_alerts", Operation::AvailableAlerts),
    ("GET", "/accounts/{}/alerting/v3/policies", Operation::ListPolicies),
    ("POST", "/accounts/{}/alerting/v3/policies", Operation::CreatePolicy),
    ("GET", "/ips", Operation::Ips),
    ("GET", "/zones", Operation::Zones),
    ("GET", "/zones/{}", Operation::Zone),
    ("GET", "/zones/{}/dns_records", Operation::DnsRecords),
    ("GET", "/zones/{}/rulesets/phases/http_config_settings/entrypoint", Operation::ConfigurationRules),
    ("GET", "/zones/{}/settings/ssl", Operation::ReadSetting(Setting::Ssl)),
    ("PATCH", "/zones/{}/settings/ssl", Operation::WriteSetting(Setting::Ssl)),
    ("GET", "/zones/{}/settings/tls_client_auth", Operation::ReadSetting(Setting::TlsClientAuth)),
    ("PATCH", "/zones/{}/settings/tls_client_auth", Operation::WriteSetting(Setting::TlsClientAuth)),
    ("GET", "/zones/{}/settings/ssl_automatic_mode", Operation::ReadSetting(Setting::SslAutomaticMode)),
    ("PATCH", "/zones/{}/settings/ssl_automatic_mode", Operation::WriteSetting(Setting::SslAutomaticMode)),
    ("GET", "/zones/{}/cache/origin_post_quantum_encryption", Operation::ReadSetting(Setting::PostQuantum)),
    ("PUT", "/zones/{}/cache/origin_post_quantum_encryption", Operation::WriteSetting(Setting::PostQuantum)),
    ("GET", "/zones/{}/origin_tls_client_auth", Operation::ListCertificates(Level::Zone)),
    ("POST", "/zones/{}/origin_tls_client_auth", Operation::UploadCertificate(Level::Zone)),
    ("GET", "/zones/{}/origin_tls_client_auth/settings", Operation::ReadZoneSwitch),
    ("PUT", "/zones/{}/origin_tls_client_auth/settings", Operation::WriteZoneSwitch),
    ("GET", "/zones/{}/origin_tls_client_auth/hostnames", Operation::ListAssociations),
    ("PUT", "/zones/{}/origin_tls_client_auth/hostnames", Operation::WriteAssociations),
    ("GET", "/zones/{}/origin_tls_client_auth/hostnames/certificates", Operation::ListCertificates(Level::Hostname)),
    ("POST", "/zones/{}/origin_tls_client_auth/hostnames/certificates", Operation::UploadCertificate(Level::Hostname)),
    ("GET", "/zones/{}/origin_tls_client_auth/hostnames/certificates/{}", Operation::ReadCertificate(Level::Hostname)),
    (
        "DELETE",
        "/zones/{}/origin_tls_client_auth/hostnames/certificates/{}",
        Operation::DeleteCertificate(Level::Hostname),
    ),
    ("GET", "/zones/{}/origin_tls_client_auth/hostnames/{}", Operation::ReadAssociation),
];

/// Those whose last place would also fit the words above.
const LAST: [(&str, &str, Operation); 2] = [
    ("GET", "/zones/{}/origin_tls_client_auth/{}", Operation::ReadCertificate(Level::Zone)),
    ("DELETE", "/zones/{}/origin_tls_client_auth/{}", Operation::DeleteCertificate(Level::Zone)),
];

/// Finds what `method` and `path`, below the API's prefix, mean.
pub fn find(method: &str, path: &str) -> Result<Route, NoRoute> {
    let all = || ROUTES.iter().chain(&LAST);
    let fitting = all().find_map(|(_, pattern, _)| parameters(pattern, path).map(|parameters| (*pattern, parameters)));
    let (pattern, parameters) = fitting.ok_or(NoRoute::Path)?;
    let operation = all().find(|(known, other, _)| *known == method && *other == pattern);
    let (_, _, operation) = operation.ok_or(NoRoute::Method)?;
    Ok(Route { operation: *operation, parameters })
}

fn parameters(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some("{}"), Some(value)) if !value.is_empty() => found.push(decoded(value)),
            (Some(word), Some(value)) if word == value => {}
            _ => return None,
        }
    }
}

/// Percent-decoding; what is no escape stays as it is.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The fields of a query, decoded.
pub fn query(text: &str) -> Vec<(String, String)> {
    let fields = text.split('&').filter(|field| !field.is_empty());
    fields
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect()
}

impl Operation {
    /// What a token needs: one of these. Empty: nothing.
    pub const fn needs(self) -> &'static [Permission] {
        use Permission::{
            ConfigRead, DnsRead, NotificationsRead, NotificationsWrite, SslRead, SslWrite, ZoneRead, ZoneSettingsRead,
            ZoneSettingsWrite,
        };
        match self {
            // The list of zones refuses nobody: it leaves out what the token may not see.
            Self::VerifyUserToken | Self::VerifyAccountToken | Self::Ips | Self::Zones => &[],
            Self::Zone => &[ZoneRead],
            Self::DnsRecords => &[DnsRead],
            Self::ConfigurationRules => &[ConfigRead],
            Self::ReadSetting(Setting::SslAutomaticMode) => &[ZoneSettingsRead, ZoneSettingsWrite, SslRead, SslWrite],
            Self::ReadSetting(Setting::Ssl | Setting::TlsClientAuth | Setting::PostQuantum) => {
                &[ZoneSettingsRead, ZoneSettingsWrite]
            }
            Self::WriteSetting(_) => &[ZoneSettingsWrite],
            Self::ListCertificates(_)
            | Self::ReadCertificate(_)
            | Self::ReadZoneSwitch
            | Self::ListAssociations
            | Self::ReadAssociation => &[SslRead, SslWrite],
            Self::UploadCertificate(_)
            | Self::DeleteCertificate(_)
            | Self::WriteZoneSwitch
            | Self::WriteAssociations => &[SslWrite],
            Self::AvailableAlerts | Self::ListPolicies => &[NotificationsRead, NotificationsWrite],
            Self::CreatePolicy => &[NotificationsWrite],
        }
    }

    /// Whether its first parameter is a zone.
    pub const fn is_of_a_zone(self) -> bool {
        match self {
            Self::VerifyUserToken
            | Self::VerifyAccountToken
            | Self::Ips
            | Self::Zones
            | Self::AvailableAlerts
            | Self::ListPolicies
            | Self::CreatePolicy => false,
            Self::Zone
            | Self::DnsRecords
            | Self::ConfigurationRules
            | Self::ReadSetting(_)
            | Self::WriteSetting(_)
            | Self::ListCertificates(_)
            | Self::UploadCertificate(_)
            | Self::ReadCertificate(_)
            | Self::DeleteCertificate(_)
            | Self::ReadZoneSwitch
            | Self::WriteZoneSwitch
            | Self::ListAssociations
            | Self::WriteAssociations
            | Self::ReadAssociation => true,
        }
    }

    /// Whether it changes the client certificates of a zone or where they are used, one at a time.
    pub const fn is_serialised(self) -> bool {
        matches!(self, Self::UploadCertificate(_) | Self::DeleteCertificate(_) | Self::WriteAssociations)
    }
}
