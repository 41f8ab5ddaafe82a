//! One look at one zone.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::origin::InProcess;
use crate::admin::control::View;
use crate::clock::Timestamp;
use crate::cloudflare::{Cloudflare, CloudflareError, DEFAULT_API, Pace};
use crate::config::model::CloudflareWatch;
use crate::evidence::report::FindingReport;
use crate::fetch::{Client, Endpoint, FetchError, TlsFiles};
use crate::hostname::Hostname;
use crate::rollout::drift;
use crate::rollout::error::RolloutError;
use crate::secret::Secret;

/// Where systemd puts what `LoadCredential=` names.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const MAX_TOKEN_BYTES: u64 = 64 * 1024;
/// For one call.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest list that is asked for has a thousand entries.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Why a look came to nothing. Says nothing of the token but where it lies.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("systemd gives this process no credentials; add LoadCredential= to the unit, or write token = \"FILE\"")]
    NoCredentials,
    #[error("the token file {} cannot be read", path.display())]
    Token { path: PathBuf, source: io::Error },
    #[error("the token file {} holds no token: it is one line without spaces", path.display())]
    NoToken { path: PathBuf },
    #[error("there is no way to the API")]
    Client(#[from] FetchError),
    #[error(transparent)]
    Cloudflare(#[from] CloudflareError),
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error("the look itself failed, which is a bug: the log has the reason")]
    Panicked,
}

/// What of `zone` does not fit what `view` tells of this origin. Asks Cloudflare, and changes nothing.
pub fn look(
    configured: &CloudflareWatch,
    zone: &str,
    view: &dyn View,
    pace: Pace,
    now: Timestamp,
) -> Result<Vec<FindingReport>, LookError> {
    let token = token(configured)?;
    let endpoint = match &configured.api {
        Some(api) => api.value.clone(),
        None => Endpoint::parse(DEFAULT_API).expect("Cloudflare's own address is one"),
    };
    let tls = TlsFiles { ca: configured.ca.as_ref().map(|ca| ca.value.clone()), client: None };
    let client = Client::new(endpoint, &tls, Some(&token))?.with_bounds(DEADLINE, MAX_ANSWER_BYTES);
    let cloudflare = Cloudflare::new(client)?.with_pace(pace);
    let hosts = hosts_of(zone, configured.zones.iter().map(|zone| zone.value.as_str()), view);
    Ok(drift::look(&cloudflare, &InProcess(view), zone, &hosts, now)?)
}

/// All configured names but those that belong to a deeper one of the zones: example.com and eu.example.com may both be
/// zones. Wildcards have no association of their own.
fn hosts_of<'z>(zone: &str, zones: impl Iterator<Item = &'z str>, view: &dyn View) -> Vec<Hostname> {
    let deeper: Vec<_> = zones.filter(|other| is_below(other, zone)).collect();
    let names = view.hosts(None).hosts.into_iter().flat_map(|host| host.names);
    names
        .filter_map(|name| Hostname::parse(&name).ok())
        .filter(|name| !deeper.iter().any(|other| name.as_str() == *other || is_below(name.as_str(), other)))
        .collect()
}

fn is_below(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// As it lies there now: it may have been renewed.
fn token(configured: &CloudflareWatch) -> Result<Secret, LookError> {
    let credentials = std::env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from);
    let path = configured.token.value.path(credentials).ok_or(LookError::NoCredentials)?;
    let bytes = read(&path).map_err(|source| LookError::Token { path: path.clone(), source })?;
    let token = bytes.expose().trim_ascii();
    match !token.is_empty() && token.iter().all(u8::is_ascii_graphic) {
        true => Ok(Secret::new(token.to_vec())),
        false => Err(LookError::NoToken { path }),
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_TOKEN_BYTES {
        return Err(io::Error::other("the file is too large to be a token"));
    }
    // Room for all of it from the beginning: what is moved while it grows stays behind in memory.
    let mut bytes = Vec::with_capacity(usize::try_from(MAX_TOKEN_BYTES).unwrap_or_default());
    file.take(MAX_TOKEN_BYTES).read_to_end(&mut bytes)?;
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_below_its_zone_and_no_other() {
        for (name, zone, below) in [
            ("shop.example.com", "example.com", true),
            ("a.b.example.com", "example.com", true),
            ("example.com", "example.com", false),
            ("notexample.com", "example.com", false),
            ("example.com", "shop.example.com", false),
        ] {
            assert_eq!(is_below(name, zone), below, "{name} {zone}");
        }
    }
}
