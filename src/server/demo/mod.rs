//! A demonstration that needs no files, no network and no rights: throwaway certificates, a backend, and four hosts in
//! front of it, served by the same [`Server`] as everything else.

mod backend;
mod folder;
mod pki;
pub mod proof;
pub mod steps;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use self::backend::Backend;
use self::folder::PrivateFolder;
pub use self::pki::{CredentialsError, SITE_CA};
use self::steps::{ENFORCE, ENOUGH_VISITS, OBSERVE, OFF, WALK};
use super::{Options, Server, StartError};

/// The name of the configuration in the demonstration's folder.
pub const CONFIG: &str = "originlock.toml";
/// Which addresses count as Cloudflare's edge here.
const EDGE: &str = "edge.txt";
/// Whoever reads this file may change a mode.
const TOKEN: &str = "admin.token";
const TOKEN_BYTES: usize = 16;
const TOKEN_MODE: u32 = 0o600;

/// A running demonstration. [`Demo::end`] ends it in good order; its folder is gone in any case.
pub struct Demo {
    server: Server,
    address: SocketAddr,
    token: String,
    notes: Vec<String>,
    // After the server: what runs may still want them.
    _backend: Backend,
    folder: PrivateFolder,
}

/// The ports to listen on where they are free.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub tls: u16,
    pub admin: u16,
}

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("no folder for the demonstration can be made in {}; name another place in TMPDIR", std::env::temp_dir().display())]
    Folder(#[source] io::Error),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("no port of 127.0.0.1 can be listened on")]
    NoPort(#[source] io::Error),
    #[error("the demonstration's backend cannot be started")]
    Backend(#[source] io::Error),
    #[error("the system's randomness cannot be read")]
    NoRandomness,
    #[error("{} cannot be written", path.display())]
    Config { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Demo {
    /// Makes everything and serves it.
    pub fn start(ports: Ports, options: Options) -> Result<Self, DemoError> {
        let folder = PrivateFolder::create("originlock-demo").map_err(DemoError::Folder)?;
        pki::make(folder.path(), &[OFF, OBSERVE, ENFORCE, WALK], options.clock.now())?;
        let backend = Backend::start().map_err(DemoError::Backend)?;
        let mut notes = Vec::new();
        let address = free_address(ports.tls, &mut notes).map_err(DemoError::NoPort)?;
        let admin = free_address(ports.admin, &mut notes).map_err(DemoError::NoPort)?;
        let token = token()?;
        let path = folder.path().join(CONFIG);
        for (name, text) in [
            (EDGE, "# In this demonstration Cloudflare's edge connects from here.\n127.0.0.1\n"),
            (TOKEN, &token),
            (CONFIG, &config(address, admin, backend.address())),
        ] {
            let path = folder.path().join(name);
            write(&path, text).map_err(|source| DemoError::Config { path, source })?;
        }
        let server = Server::start(path, options)?;
        Ok(Self { server, address, token, notes, _backend: backend, folder })
    }

    /// Where the hosts are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went otherwise than asked, for a person.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where certificates, keys and the configuration are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration that is served.
    pub fn config(&self) -> PathBuf {
        self.folder().join(CONFIG)
    }

    /// The admin page, with the token that lets it change something. What stands behind `#` stays in the browser.
    pub fn admin_page(&self) -> Option<String> {
        self.server.admin_url().map(|url| format!("{}/#token={}", url.trim_end_matches('/'), self.token))
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Lets running requests finish, for a moment, and removes the folder.
    pub fn end(self) {
        self.server.drain();
        self.server.join();
    }
}

fn token() -> Result<String, DemoError> {
    let mut random = [0; TOKEN_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| DemoError::NoRandomness)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Nobody else reads it, even where the folder's own mode is of no use.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(TOKEN_MODE).open(path)?;
    file.write_all(text.as_bytes())
}

/// `port` of the loopback address, or another one if that is taken.
///
/// The server's own sockets would share a port with those of another originlock of the same user, so it is tried with
/// a socket that would not.
fn free_address(port: u16, notes: &mut Vec<String>) -> io::Result<SocketAddr> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(socket) => socket.local_addr(),
        Err(error) => {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            notes.push(format!("port {port} cannot be used ({error}); took {} instead", address.port()));
            Ok(address)
        }
    }
}

fn config(address: SocketAddr, admin: SocketAddr, backend: SocketAddr) -> String {
    let host = |name: &str, client_auth: &str| {
        format!(
            r#"
[[host]]
names       = ["{name}"]
certificate = {{ chain = "site.pem", key = "site.key" }}
client_auth = {{ {client_auth} }}
upstream    = "http://{backend}"
"#
        )
    };
    let hosts = [
        host(OFF, r#"mode = "off""#),
        host(OBSERVE, r#"mode = "observe", ca = "origin-pull""#),
        host(ENFORCE, r#"mode = "enforce", ca = "origin-pull""#),
        host(WALK, r#"mode = "observe", ca = "origin-pull""#),
    ];
    format!(
        r#"# What `originlock demo` serves. Paths are relative to this file.

[[listener]]
address = "{address}"

[admin]
address = "{admin}"
# Whoever reads this file may change a mode.
change = {{ token = "{TOKEN}" }}

[evidence]
cloudflare_ranges = "{EDGE}"

# Less than anyone should be content with, so that a host turns ready at once.
[readiness]
handshakes = {ENOUGH_VISITS}
edge_addresses = 1

[shutdown]
drain_seconds = 2

# The CA that issued edge.pem. stranger.pem is from another one.
[ca.origin-pull]
bundle = ["origin-pull-ca.pem"]
{}"#,
        hosts.concat()
    )
}
