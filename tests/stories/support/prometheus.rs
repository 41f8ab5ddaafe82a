//! A real Prometheus that scrapes worlds every second.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use originlock::fetch::{Client, Endpoint, TlsFiles};
use originlock::remote::prometheus::Sample;
use tempfile::TempDir;

use super::World;
use super::world::wait_until;

/// It ends with the story.
pub struct Prometheus {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes the admin sides of `worlds`, and evaluates the alert rules that are shipped.
    pub fn of(worlds: &[&World]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let targets: Vec<_> = worlds.iter().map(|world| instance(world)).collect();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/alerts.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: origin\n    static_configs:\n      - targets: {targets:?}\n        labels: \
             {{cluster: a}}\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("a file");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.args([&format!("--web.listen-address={address}"), "--log.level=error"]).stdin(Stdio::null());
        let process = command.spawn().expect("prometheus is installed; tests/run installs it");
        let prometheus = Self { process, address, _folder: folder };
        wait_until("prometheus is ready", || prometheus.get("/-/ready").is_some_and(|(status, _)| status == 200));
        prometheus
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What an expression comes to, or what is wrong with it.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let client = originlock::remote::prometheus::Prometheus::new(self.client()).expect("a runtime");
        client.query(expression).map_err(|error| error.to_string())
    }

    /// Status and body of an answer, if there is one.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = runtime.block_on(self.client().get(path)).ok()?;
        Some((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
    }

    fn client(&self) -> Client {
        let endpoint = Endpoint::parse(&self.url()).expect("an endpoint");
        Client::new(endpoint, &TlsFiles::default(), None).expect("a client")
    }
}

/// What Prometheus calls a world.
pub fn instance(world: &World) -> String {
    let url = world.server().admin_url().expect("an admin side");
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It is ended, or has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
