//! `[cloudflare]`: which zones are looked at now and then, and with what.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::model::{CloudflareWatch, Placed, TokenSource};
use crate::config::parse::non_empty;
use crate::config::reader::{Context, Table, Value, quotable};
use crate::fetch::Endpoint;
use crate::hostname::Hostname;

/// What a token in systemd's care is written as.
const CREDENTIAL: &str = "credential:";
const ZONES_HELP: &str = "write zones = [\"example.com\"]";
const TOKEN_HELP: &str = "write token = \"FILE\" or token = \"credential:NAME\", with a token that may only read";
const DEFAULT_MINUTES: usize = 60;
const MAX_MINUTES: usize = 24 * 60;

/// `None`: nothing is written there, and nothing is looked at; or something is wrong, which has been reported.
pub(super) fn read_cloudflare(context: &Context<'_>, mut table: Table<'_>) -> Option<CloudflareWatch> {
    let (zones, token) = (table.take("zones"), table.take("token"));
    let minutes = table.take("check_minutes");
    let (api, ca) = (table.take("api"), table.take("ca"));
    let place = table.place.clone();
    table.finish();
    let any = [&zones, &token, &minutes, &api, &ca].into_iter().any(Option::is_some);
    for (key, missing, help) in [("zones", zones.is_none(), ZONES_HELP), ("token", token.is_none(), TOKEN_HELP)] {
        if any && missing {
            context.error(&place, format!("`cloudflare.{key}` is missing"), help);
        }
    }
    let minutes = minutes.map_or(Some(DEFAULT_MINUTES), |value| value.integer(1..=MAX_MINUTES));
    // Everything is read before anything is given up: all mistakes are told at once.
    let api = api.map(|value| read_api(&value));
    let zones: Option<Vec<_>> = zones.map(|value| non_empty(value, ZONES_HELP))?.iter().map(read_zone).collect();
    let token = token.and_then(|value| read_token(&value))?;
    Some(CloudflareWatch {
        zones: zones.filter(|zones| !zones.is_empty())?,
        token,
        every: Duration::from_secs(minutes? as u64 * 60),
        api: match api {
            Some(read) => Some(read?),
            None => None,
        },
        ca: ca.and_then(|value| value.path()),
    })
}

/// A name, or the 32 hexadecimal digits that Cloudflare knows it by.
fn read_zone(value: &Value<'_>) -> Option<Placed<String>> {
    let text = value.string()?;
    match Hostname::parse(text) {
        Ok(name) => Some(value.placed(name.to_string())),
        Err(error) => {
            let help = "write the zone's name, such as \"example.com\", or its id";
            value.error(format!("cannot be \"{}\": it {error}", quotable(text)), help);
            None
        }
    }
}

fn read_token(value: &Value<'_>) -> Option<Placed<TokenSource>> {
    let text = value.string()?;
    let Some(name) = text.strip_prefix(CREDENTIAL) else {
        let Placed { value: path, place } = value.path()?;
        return Some(Placed { value: TokenSource::File(path), place });
    };
    // A name of a file in the folder that systemd gives, and nothing that leads out of it.
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_name) {
        value.error("names no credential", "write \"credential:NAME\", with the name of LoadCredential= in the unit");
        return None;
    }
    Some(value.placed(TokenSource::Credential(name.to_owned())))
}

/// The token goes with every request: only over TLS, or not over a network at all.
fn read_api(value: &Value<'_>) -> Option<Placed<Endpoint>> {
    let text = value.string()?;
    let help = "write \"https://HOST/PATH\"; without this key it is https://api.cloudflare.com/client/v4";
    let endpoint = match Endpoint::parse(text) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            value.error(format!("cannot be used: {error}"), help);
            return None;
        }
    };
    if !endpoint.is_private() {
        value.error("would send the token over the network in the clear", help);
        return None;
    }
    Some(value.placed(endpoint))
}

impl TokenSource {
    /// Where the file is. `credentials` is the folder that systemd gives a service.
    pub fn path(&self, credentials: Option<PathBuf>) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => credentials.map(|folder| folder.join(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::file;

    use super::*;

    const HOST: &str = "[[host]]\nnames = [\"a.example\"]\ncertificate = { chain = \"a.pem\", key = \"a.key\" }
client_auth = { mode = \"off\" }\nupstream = \"http://127.0.0.1:8080\"\n";

    fn read(table: &str) -> Result<Option<CloudflareWatch>, String> {
        let loaded = file::parse("dir/o.toml", format!("[cloudflare]\n{table}\n{HOST}"));
        loaded.map(|loaded| loaded.config.cloudflare).map_err(|problems| problems.to_string())
    }

    #[test]
    fn what_is_written_is_looked_at_and_nothing_else() {
        assert!(read("").expect("a configuration").is_none());
        let id = "023e105f4ecef8ad9ca31a8372d0c353";
        let watch = read(&format!("zones = [\"Example.COM\", \"{id}\"]\ntoken = \"read.token\"")).expect("it is right");
        let watch = watch.expect("it is watched");
        let zones: Vec<_> = watch.zones.iter().map(|zone| zone.value.as_str()).collect();
        assert_eq!((zones, watch.every), (vec!["example.com", id], Duration::from_hours(1)));
        assert_eq!((watch.token.value, watch.api.is_none()), (TokenSource::File("dir/read.token".into()), true));
        let text = "zones = \"example.com\"\ntoken = \"credential:cloudflare-read\"\ncheck_minutes = 5\n\
                    api = \"http://127.0.0.1:8787/client/v4\"\nca = \"own.pem\"";
        let watch = read(text).expect("it is right").expect("it is watched");
        let source = watch.token.value;
        assert_eq!(source.path(Some("/run/c".into())), Some("/run/c/cloudflare-read".into()));
        assert_eq!((source.path(None), watch.every), (None, Duration::from_mins(5)));
        assert_eq!(watch.ca.map(|ca| ca.value), Some("dir/own.pem".into()));
    }

    #[test]
    fn mistakes_are_named_with_their_remedy() {
        let good = "zones = [\"example.com\"]\ntoken = \"t\"\n";
        for (table, said) in [
            ("zones = [\"example.com\"]".to_owned(), "`cloudflare.token` is missing; write token = \"FILE\""),
            ("token = \"t\"".to_owned(), "`cloudflare.zones` is missing; write zones = [\"example.com\"]"),
            ("zones = []\ntoken = \"t\"".to_owned(), "`cloudflare.zones` is empty; write zones = [\"example.com\"]"),
            ("zones = [\"*.example.com\"]\ntoken = \"t\"".to_owned(), "`cloudflare.zones` cannot be \"*.example.com\""),
            (
                "zones = [\"a.example\"]\ntoken = \"credential:../x\"".to_owned(),
                "`cloudflare.token` names no credential",
            ),
            (
                format!("{good}check_minutes = 0"),
                "`cloudflare.check_minutes` cannot be 0; write a number from 1 to 1440",
            ),
            (
                format!("{good}api = \"http://api.example.com\""),
                "`cloudflare.api` would send the token over the network",
            ),
            (format!("{good}api = \"https://me:secret@api.example\""), "`cloudflare.api` cannot be used"),
            (format!("{good}zone = \"example.com\""), "unknown key `cloudflare.zone`, did you mean `zones`?"),
        ] {
            let problems = read(&table).expect_err("a mistake");
            assert!(problems.contains(said) && !problems.contains("secret"), "{table}: {problems}");
        }
    }
}
