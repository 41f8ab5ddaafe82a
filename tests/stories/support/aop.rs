//! An origin, Cloudflare's stand-in and its edges, and the companion that sets them up.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use originlock::clock::Clock;
use originlock::cloudflare::{Cloudflare, Pace};
use originlock::fetch::{Client, Endpoint, TlsFiles};
use originlock::hostname::Hostname;
use originlock::pki::files::write_pair;
use originlock::pki::{Issued, LeafOptions};
use originlock::policy::client_auth::Mode;
use originlock::remote::admin::AdminClient;
use originlock::rollout::apply::{Outcome, apply};
use originlock::rollout::context::Context;
use originlock::rollout::desired::Desired;
use originlock::rollout::error::RolloutError;
use originlock::rollout::journal::Journal;
use originlock::rollout::leaf::Leaf;
use originlock::rollout::patience::Patience;
use originlock::rollout::preflight::{self, Preflight};
use originlock::rollout::progress::Unwatched;
use originlock::rollout::step::Level;
use originlock::secret::Secret;
use originlock::x509::Fingerprint;
use tempfile::TempDir;

use super::program::{Ran, finish, originlock};
use super::{HostSetup, PATIENCE, World, pki};
use crate::cloudflare::{self, Edge, Fake, FakeClock, Visiting, Zone};
use crate::support::certificates::good;
use crate::support::world;

pub const SHOP: &str = "shop.example.com";
pub const WWW: &str = "www.example.com";
pub const ZONE: &str = "example.com";
const ADMIN_TOKEN: &str = "a-token-of-the-storys-own";
/// The fake's clock beside the machine's: five seconds of deployment take a tenth of a second.
const SPEED: u32 = 50;

/// Both sides of a hostname, with traffic on the way.
pub struct Aop {
    pub world: World,
    pub fake: Fake,
    pub edge: Edge,
    pub leaf: Issued,
    visiting: Vec<Visiting>,
    /// Moves the origin's clock as long as it lives.
    ticking: Option<Ticking>,
    folder: TempDir,
}

/// The origin's time passes a thousand times as fast as the machine's.
struct Ticking(Arc<AtomicBool>);

impl Ticking {
    fn start(clock: Clock) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                clock.advance(Duration::from_secs(5));
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self(ends)
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The zone of the stories: two proxied hostnames.
pub fn zone() -> Zone {
    Zone::new(ZONE).proxied(SHOP, "127.0.0.1").proxied(WWW, "127.0.0.1")
}

/// An origin that 127.0.1.0/24 is Cloudflare for, and that a few handshakes convince.
pub fn origin() -> world::Builder {
    World::builder()
        .file("edge.txt", "127.0.1.0/24\n")
        .file("admin.token", ADMIN_TOKEN)
        .admin("address = \"127.0.0.1:0\"\nchange = { token = \"admin.token\" }")
        .tables("[evidence]\ncloudflare_ranges = \"edge.txt\"\n[readiness]\nhandshakes = 3\nedge_addresses = 2\n")
}

/// A fake that deploys fast.
pub fn cloudflare() -> cloudflare::Builder {
    Fake::builder().clock(FakeClock::Scaled(SPEED))
}

/// A leaf that the origins of the stories trust.
pub fn leaf() -> Issued {
    pki().ours.issue(&LeafOptions::client("cloudflare-origin-pull", good())).expect("a leaf")
}

fn edges(world: &World, fake: &Fake) -> Edge {
    let edge = Edge::of(fake, world.address()).from("127.0.1.1").from("127.0.1.2");
    edge.requests_per_connection(1).start()
}

impl Aop {
    /// Two hostnames in `observe`, nothing at Cloudflare.
    pub fn new() -> Self {
        let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
        Self::with(origin.start(), cloudflare().zone(zone()).start())
    }

    pub fn with(world: World, fake: Fake) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (edge, leaf) = (edges(&world, &fake), leaf());
        let aop = Self { world, fake, edge, leaf, visiting: Vec::new(), ticking: None, folder };
        write_pair(&aop.path("leaf.pem"), &aop.path("leaf.key"), &aop.leaf).expect("files");
        std::fs::write(aop.path("token"), aop.fake.token()).expect("a file");
        aop
    }

    /// Other edges, for an origin that listens elsewhere by now.
    pub fn with_new_edges(mut self) -> Self {
        self.edge = edges(&self.world, &self.fake);
        self
    }

    /// From now on somebody visits both hostnames all the time, and the origin's time passes.
    pub fn visited(self) -> Self {
        self.visited_at(&[SHOP, WWW])
    }

    /// The same, of these hostnames.
    pub fn visited_at(mut self, names: &[&str]) -> Self {
        let pause = Duration::from_millis(20);
        self.ticking = Some(Ticking::start(self.world.clock.clone()));
        self.visiting = names.iter().map(|name| self.edge.keep_visiting(name, pause)).collect();
        self
    }

    /// Visits so far that came to nothing.
    pub fn failures(&self) -> Vec<String> {
        self.visiting.iter().flat_map(|visiting| visiting.counts().failures).collect()
    }

    /// A file of the companion's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn sha256(&self) -> Fingerprint {
        Fingerprint::of(&self.leaf.certificate_der)
    }

    pub fn mode(&self, name: &str) -> Mode {
        self.admin().host(name, None).expect("a host").host.mode
    }

    pub fn admin(&self) -> AdminClient {
        let url = self.world.server().admin_url().expect("an admin side");
        let token = Secret::new(ADMIN_TOKEN.into());
        let client = Client::new(Endpoint::parse(url).expect("a URL"), &TlsFiles::default(), Some(&token));
        AdminClient::new(client.expect("a client")).expect("a client")
    }

    pub fn api(&self) -> Cloudflare {
        let token = Secret::new(self.fake.token().into_bytes());
        let endpoint = Endpoint::parse(&self.fake.base_url()).expect("a URL");
        let client = Client::new(endpoint, &TlsFiles::default(), Some(&token)).expect("a client");
        let pace = Pace { second: Duration::from_secs(1) / SPEED, ..Pace::default() };
        Cloudflare::new(client).expect("a client").with_pace(pace)
    }

    /// Both hostnames, to the end.
    pub fn desired(&self) -> Desired {
        let leaf = Leaf::from_pem(self.leaf.certificate_pem.as_bytes(), self.leaf.key_pem.clone());
        Desired {
            level: Level::Hostname,
            hostnames: [SHOP, WWW].iter().map(|name| Hostname::parse(name).expect("a hostname")).collect(),
            leaf: Some(leaf.expect("a leaf")),
            zone_setting: true,
            post_quantum: None,
            enforce: true,
            replace: false,
            window: None,
            origin_address: None,
            force: Vec::new(),
        }
    }

    /// One run of the engine, with an impatience that ends stories that fail.
    pub fn apply(&self, desired: &Desired) -> Result<Outcome, RolloutError> {
        self.apply_for(desired, PATIENCE)
    }

    /// One run that waits this long at most for each thing that takes time.
    pub fn apply_for(&self, desired: &Desired, limit: Duration) -> Result<Outcome, RolloutError> {
        self.in_context(limit, |context| {
            // By the origin's clock, which runs.
            context.patience.settle = Duration::from_mins(1);
            apply(context, desired)
        })
    }

    /// What the engine does works with this origin, this fake and the story's journal.
    pub fn in_context<T>(&self, limit: Duration, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let (cloudflare, admin) = (self.api(), self.admin());
        let zone = cloudflare.zones_named(ZONE).expect("zones").into_iter().next().expect("a zone");
        let poll = Duration::from_millis(20);
        let journal = Journal::open(&self.path("state"), &zone.id).expect("a journal");
        let mut context = Context {
            cloudflare: &cloudflare,
            origin: &admin,
            zone,
            journal,
            patience: Patience { poll, deploy: limit, evidence: limit, settle: Duration::ZERO },
            progress: &mut Unwatched,
            clock: Clock::System,
        };
        act(&mut context)
    }

    /// What the pre-flight checks find.
    pub fn preflight(&self, desired: &Desired, zone: Option<&str>) -> Preflight {
        preflight::look(&self.api(), &self.admin(), desired, zone, |_| None, Clock::System.now())
    }

    /// Runs `originlock aop VERB` for both hostnames with this origin, this fake, and the story's token, leaf and folder.
    pub fn run(&self, verb: &str, words: &[&str]) -> Ran {
        finish(self.program(verb, words).spawn().expect("the program starts"))
    }

    /// The same with the story's leaf.
    pub fn run_with_leaf(&self, verb: &str, words: &[&str]) -> Ran {
        let files = self.leaf_files();
        let leaf = ["--certificate", &files[0], "--key", &files[1]];
        self.run(verb, &[words, &leaf].concat())
    }

    /// The leaf's certificate and key.
    pub fn leaf_files(&self) -> [String; 2] {
        ["leaf.pem", "leaf.key"].map(|name| self.path(name).to_string_lossy().into_owned())
    }

    /// The built program, not started yet.
    pub fn program(&self, verb: &str, words: &[&str]) -> Command {
        self.program_at(&self.fake.base_url(), verb, words)
    }

    /// The same, with the API at another URL.
    pub fn program_at(&self, api: &str, verb: &str, words: &[&str]) -> Command {
        let mut command = originlock(&["aop", verb, SHOP, WWW, "--zone", ZONE]);
        let url = self.world.server().admin_url().expect("an admin side");
        command.args(words).args(["--admin", url, "--token-file"]).arg(self.world.path("admin.token"));
        command.args(["--api", api, "--api-second", "0.02", "--api-token-file"]);
        command.arg(self.path("token")).arg("--state").arg(self.path("state"));
        if verb == "apply" {
            command.args(["--poll", "20ms"]);
        }
        command
    }
}
