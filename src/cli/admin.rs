//! Where the admin side of the running proxy is, and how one is let in there.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::DEFAULT_CONFIG;
use super::again::Options;
use crate::config::file;
use crate::config::model::{self, AdminAddress, Config};
use crate::fetch::{Client, Endpoint, TlsFiles};
use crate::remote::admin::{AdminClient, AdminError};
use crate::secret::Secret;

const DEFAULT_ADMIN: &str = "http://127.0.0.1:9090";
const ADDRESS_VARIABLE: &str = "ORIGINLOCK_ADMIN";
const TOKEN_VARIABLE: &str = "ORIGINLOCK_TOKEN_FILE";
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Which running proxy is asked
#[derive(Debug, clap::Args)]
pub(super) struct AdminArguments {
    /// Its admin address: http://HOST:PORT, https://HOST:PORT or unix:/PATH [default: $ORIGINLOCK_ADMIN, then the
    /// configuration's, then http://127.0.0.1:9090]
    #[arg(long, value_name = "URL", help_heading = "Whom to ask")]
    pub(super) admin: Option<String>,
    /// Its configuration, for the address and token that stand there [default: /etc/originlock/originlock.toml]
    #[arg(short, long, value_name = "FILE", help_heading = "Whom to ask")]
    pub(super) config: Option<PathBuf>,
    /// File with the token to show [default: $ORIGINLOCK_TOKEN_FILE, then the configuration's]
    #[arg(long, value_name = "FILE", help_heading = "Whom to ask")]
    pub(super) token_file: Option<PathBuf>,
    /// CA that its certificate must chain to [default: the system's]
    #[arg(long, value_name = "FILE", help_heading = "Whom to ask")]
    pub(super) ca: Option<PathBuf>,
    /// Client certificate to show
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "Whom to ask")]
    pub(super) certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Whom to ask")]
    pub(super) key: Option<PathBuf>,
}

impl AdminArguments {
    /// The options by which a further command asks the same proxy, as a shell reads them.
    pub(super) fn again(&self) -> Options {
        self.options("--certificate", "--key")
    }

    /// The same for a verb that has other names for the client certificate and its key.
    pub(super) fn options(&self, certificate: &'static str, key: &'static str) -> Options {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        Options::given([
            ("--admin", self.admin.clone()),
            ("-c", path(&self.config)),
            ("--token-file", path(&self.token_file)),
            ("--ca", path(&self.ca)),
            (certificate, path(&self.certificate)),
            (key, path(&self.key)),
        ])
    }
}

/// The running proxy, found.
#[derive(Debug)]
pub(super) struct Admin {
    client: AdminClient,
    /// Its address.
    place: String,
    why: Why,
}

/// What a verb is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Right {
    Read,
    Change,
}

/// Why an address is the one.
#[derive(Debug)]
enum Why {
    Flag,
    Variable,
    Configuration(PathBuf),
    /// With what is wrong with the configuration.
    Default(PathBuf),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--admin says so"),
            Self::Variable => write!(f, "{ADDRESS_VARIABLE} says so"),
            Self::Configuration(path) => write!(f, "[admin] of {} says so", path.display()),
            Self::Default(path) => {
                let path = path.display();
                write!(f, "it is the default, and neither --admin nor {ADDRESS_VARIABLE} nor {path} says another")
            }
        }
    }
}

impl AdminArguments {
    /// A client for whatever the arguments, the environment and the configuration say, with the token that `right` needs.
    pub(super) fn find(&self, right: Right) -> anyhow::Result<Admin> {
        let config = self.load();
        let (endpoint, why) = self.address(config.as_ref())?;
        let written = config.as_ref().and_then(|config| config.admin.as_ref());
        let token = match (self.token(TOKEN_VARIABLE)?, &why) {
            (Some(token), _) => Some(token),
            // Another address than the configuration's is not to be told the configuration's secret.
            (None, Why::Configuration(_)) if !endpoint.is_unix() => {
                written.map_or(Ok(None), |admin| right.token(admin))?
            }
            (None, _) => None,
        };
        let place = endpoint.to_string();
        let client = self.client(endpoint, token.as_ref())?;
        Ok(Admin { client: AdminClient::new(client)?, place, why })
    }

    /// A client for `endpoint` with the token and files that the arguments name.
    pub(super) fn client(&self, endpoint: Endpoint, token: Option<&Secret>) -> anyhow::Result<Client> {
        let client = self.certificate.clone().zip(self.key.clone());
        Ok(Client::new(endpoint, &TlsFiles { ca: self.ca.clone(), client }, token)?)
    }

    /// The token that the arguments name, or else the environment in `variable`.
    pub(super) fn token(&self, variable: &str) -> anyhow::Result<Option<Secret>> {
        let from_environment = || std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
        self.token_file.clone().or_else(from_environment).map(|path| read_token(&path)).transpose()
    }

    /// The configuration, where it can be used.
    pub(super) fn load(&self) -> Option<Config> {
        file::load(self.config_path()).ok().map(|loaded| loaded.config)
    }

    /// The configuration's path, named or usual.
    pub(super) fn config_path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG))
    }

    /// The configuration was named, and cannot be used.
    pub(super) fn unusable(&self) -> anyhow::Error {
        let path = self.config_path().display();
        anyhow!("{path} cannot be used; `originlock check -c {path}` says why")
    }

    fn address(&self, config: Option<&Config>) -> anyhow::Result<(Endpoint, Why)> {
        let parse = |text: &str, from: &str| Endpoint::parse(text).with_context(|| format!("{from} is no address"));
        if let Some(text) = &self.admin {
            return Ok((parse(text, "--admin")?, Why::Flag));
        }
        if let Some(text) = std::env::var(ADDRESS_VARIABLE).ok().filter(|text| !text.is_empty()) {
            return Ok((parse(&text, ADDRESS_VARIABLE)?, Why::Variable));
        }
        let path = self.config_path();
        match config {
            Some(config) => match &config.admin {
                Some(admin) => Ok((endpoint_of(admin), Why::Configuration(path.to_owned()))),
                None => bail!("the admin side is switched off in {}; nothing can be asked", path.display()),
            },
            None if self.config.is_some() => Err(self.unusable()),
            None => Ok((parse(DEFAULT_ADMIN, "the default")?, Why::Default(path.to_owned()))),
        }
    }
}

impl Admin {
    /// Its address, and why it is this one.
    pub(super) fn place(&self) -> (String, String) {
        (self.place.clone(), self.why.to_string())
    }

    /// Asks; whoever cannot be reached is named, with the reason why it was this one.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&AdminClient) -> Result<T, AdminError>) -> anyhow::Result<T> {
        let error = match question(&self.client) {
            Ok(told) => return Ok(told),
            Err(error) => error,
        };
        match &error {
            AdminError::Fetch(fetch) if fetch.is_unreachable() => Err(self.unreachable(anyhow!(error))),
            _ => Err(error.into()),
        }
    }

    /// Asks; whoever cannot be reached is told as such, without the reason.
    pub(super) fn ask_plainly<T>(
        &self,
        question: impl FnOnce(&AdminClient) -> Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        question(&self.client)
    }

    fn unreachable(&self, error: anyhow::Error) -> anyhow::Error {
        let Self { why, .. } = self;
        anyhow!(
            "{error:#}\n  asked there because {why}\n  is originlock running? Point elsewhere with --admin URL, \
             {ADDRESS_VARIABLE}=URL, or -c FILE of its configuration"
        )
    }
}

/// Where someone on this machine reaches what is configured.
fn endpoint_of(admin: &model::Admin) -> Endpoint {
    let mut address = match &admin.address.value {
        AdminAddress::Unix(path) => return Endpoint::unix(path.clone()),
        AdminAddress::Tcp(address) => *address,
    };
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let name = admin.hostnames.first().map(|name| name.value.to_string());
    match admin.certificate.is_some() {
        true => Endpoint::tls(name.unwrap_or_else(|| address.ip().to_string()), address),
        false => Endpoint::tcp(address),
    }
}

impl Right {
    /// The token in the configuration that gives this right.
    fn token(self, admin: &model::Admin) -> anyhow::Result<Option<Secret>> {
        let files = match self {
            // Without any proof everyone may read.
            Self::Read if admin.read.is_empty() => return Ok(None),
            // It is worth more than reading: shown to whom a certificate proves to be the proxy, and to nobody else.
            Self::Read if admin.certificate.is_some() => [&admin.read.token, &admin.change.token],
            Self::Read => [&admin.read.token, &None],
            Self::Change => [&admin.change.token, &None],
        };
        let mut first_error = None;
        for file in files.into_iter().flatten() {
            match read_token(&file.value) {
                Ok(token) => return Ok(Some(token)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(None), |error| Err(error.context("[admin] of the configuration asks for a token")))
    }
}

/// The token alone, without the line's end that editors put behind it.
fn read_token(path: &Path) -> anyhow::Result<Secret> {
    let shown = path.display();
    let size = fs::metadata(path).with_context(|| format!("token file {shown} cannot be read"))?.len();
    if size > MAX_TOKEN_BYTES {
        bail!("{shown} is too large to be a token");
    }
    let bytes = Secret::new(fs::read(path).with_context(|| format!("token file {shown} cannot be read"))?);
    Ok(Secret::new(bytes.expose().trim_ascii().to_vec()))
}
