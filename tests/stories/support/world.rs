//! A running proxy, its configuration folder and its clock.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use originlock::clock::{Clock, Timestamp};
use originlock::evidence::handshake::HandshakeOutcome;
use originlock::server::{Options, Server};
use tempfile::TempDir;

use super::PATIENCE;
use super::certificates::{now, pki};
use super::client::Client;
use super::echo::Echo;
use super::setup::{HostSetup, Setup};

/// A proxy that serves a [`Setup`] out of a folder of its own.
pub struct World {
    pub clock: Clock,
    pub echo: Echo,
    setup: Setup,
    folder: TempDir,
    server: Option<Server>,
    /// The last handshake that the story has looked at.
    seen: AtomicU64,
}

/// What a world will be.
#[derive(Default)]
pub struct Builder {
    setup: Setup,
}

impl World {
    /// A world with the CA `ours` and, until told otherwise, no host.
    pub fn builder() -> Builder {
        Builder::default().ca("ours", pki().ours.certificate_pem())
    }

    /// A world with one host that the echo stands behind.
    pub fn with(host: HostSetup) -> Self {
        Self::builder().host(host).start()
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.server().addresses()[0]
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs until the story takes it")
    }

    /// The server, to be drained and joined.
    pub fn take_server(&mut self) -> Server {
        self.server.take().expect("the server is taken once")
    }

    /// Starts the proxy again, in the same folder and at the same time of day.
    pub fn restart(&mut self) {
        let server = self.take_server();
        server.drain();
        server.join();
        self.start_again();
    }

    /// Starts the proxy that was taken and ended.
    pub fn start_again(&mut self) {
        let options = Options { clock: self.clock.clone(), ..Options::default() };
        let server = Server::start(self.path("originlock.toml"), options).expect("the configuration is good");
        self.server = Some(server);
        self.seen.store(0, Ordering::Relaxed);
    }

    /// A client without a certificate that asks for `name`.
    pub fn client(&self, name: &str) -> Client {
        Client::new(self.address(), name)
    }

    /// A path in the configuration's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the configuration's folder, without telling the proxy.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        write(&self.path(name), text);
    }

    /// Changes the configuration and its files, without telling the proxy.
    pub fn change(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        write_files(self.folder.path(), &self.setup, self.echo.address);
    }

    /// Reads the configuration again; what is wrong with it.
    pub fn reload(&self) -> Result<(), String> {
        self.server().reload().map(drop).map_err(|error| error.to_string())
    }

    /// Changes the configuration and has it taken.
    pub fn change_and_reload(&mut self, change: impl FnOnce(&mut Setup)) {
        self.change(change);
        self.reload().expect("the new configuration is good");
    }

    /// The next handshake that the story has not looked at, once it is recorded.
    pub fn next_handshake(&self) -> Arc<HandshakeOutcome> {
        let after = self.seen.load(Ordering::Relaxed);
        let recorded = self.server().recent().wait_for(after, PATIENCE, |_| true).expect("a handshake is recorded");
        self.seen.store(recorded.sequence, Ordering::Relaxed);
        recorded.outcome
    }

    /// All metrics as Prometheus reads them.
    pub fn metrics(&self) -> String {
        self.server().metrics().render()
    }

    /// The value of one series, written as in the exposition: `name{label="value"}`.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Waits until a series has a value.
    pub fn wait_for_metric(&self, series: &str, value: f64) {
        wait_until(&format!("{series} is {value}"), || self.metric(series) == Some(value));
    }

    /// Moves the clock to a moment given relative to the world's beginning.
    pub fn set_clock(&self, since_start: Duration) {
        self.clock.set(now().after(since_start));
    }
}

/// Waits for a state that has no waker of its own.
pub fn wait_until(what: &str, state: impl Fn() -> bool) {
    let begun = Instant::now();
    while !state() {
        assert!(begun.elapsed() < PATIENCE, "never came about: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Builder {
    pub fn host(mut self, host: HostSetup) -> Self {
        self.setup.hosts.push(host);
        self
    }

    /// Defines a CA by the PEM text of its bundle.
    pub fn ca(mut self, name: &str, bundle: &str) -> Self {
        self.setup.ca(name).bundle = bundle.to_owned();
        self
    }

    pub fn crl(mut self, name: &str, list: &str) -> Self {
        self.setup.ca(name).crl = Some(list.to_owned());
        self
    }

    /// Keys before the first table.
    pub fn top(mut self, lines: &str) -> Self {
        self.setup.top.push_str(lines);
        self
    }

    /// What stands under `[admin]`.
    pub fn admin(mut self, lines: &str) -> Self {
        self.setup.admin = Some(lines.to_owned());
        self
    }

    /// Whole tables.
    pub fn tables(mut self, lines: &str) -> Self {
        self.setup.tables.push_str(lines);
        self
    }

    /// A file in the configuration's folder.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.setup.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Starts the proxy, on the thread's log if it has one.
    pub fn start(self) -> World {
        self.start_at(now())
    }

    /// Starts it at another time of day.
    pub fn start_at(self, start: Timestamp) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let echo = Echo::start();
        let clock = Clock::manual(start);
        write_files(folder.path(), &self.setup, echo.address);
        let options = Options { clock: clock.clone(), ..Options::default() };
        let server = match Server::start(folder.path().join("originlock.toml"), options) {
            Ok(server) => server,
            Err(error) => panic!("{error}\n{}", self.setup),
        };
        World { clock, echo, setup: self.setup, folder, server: Some(server), seen: AtomicU64::new(0) }
    }
}

/// Certificates of hosts that have theirs already stay as they are.
fn write_files(folder: &Path, setup: &Setup, echo: SocketAddr) {
    let mut setup = setup.clone();
    for (name, ca) in &setup.cas {
        write(&folder.join(format!("ca/{name}.pem")), &ca.bundle);
        if let Some(list) = &ca.crl {
            write(&folder.join(format!("ca/{name}.crl")), list);
        }
    }
    for (name, text) in &setup.files {
        write(&folder.join(name), text);
    }
    write(&folder.join("tls/site-ca.pem"), pki().site.certificate_pem());
    for host in &mut setup.hosts {
        host.upstream.get_or_insert_with(|| format!("\"http://{echo}\""));
        let stem = host.stem();
        if !folder.join(format!("{stem}.pem")).exists() {
            let issued = pki().server_certificate(&host.names);
            write(&folder.join(format!("{stem}.pem")), &issued.certificate_pem);
            write(&folder.join(format!("{stem}.key")), issued.key_pem.expose());
        }
    }
    write(&folder.join("originlock.toml"), setup.to_string());
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}
