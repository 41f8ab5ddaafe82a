//! Cloudflare's edges: they read the fake's state and visit an origin as Cloudflare would.

mod connection;
mod presents;
mod tls;
mod visiting;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use connection::{Kept, Way};
use originlock::x509::Fingerprint;
use rustls::RootCertStore;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Fake;
use super::server::Shared;

pub use connection::Refused;
pub use presents::{Level, shared_ca_pem};
pub use visiting::{Counts, Visiting};

/// Requests that one connection carries.
const REQUESTS_PER_CONNECTION: usize = 10;
/// Where visitors come from who are not led through an edge.
const VISITOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 9, 9));

/// One or several data centres in front of one origin. They end with this handle.
#[derive(Debug)]
pub struct Edge {
    inner: Arc<Inner>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What edges will be.
#[derive(Debug)]
pub struct Builder {
    shared: Arc<Shared>,
    ways: Ways,
}

/// How edges behave.
#[derive(Clone, Debug)]
struct Ways {
    origin: SocketAddr,
    plain_origin: Option<SocketAddr>,
    centres: Vec<Centre>,
    roots: Option<Arc<RootCertStore>>,
    /// What is asked for in SNI and `Host` in the place of the hostname.
    asks_for: Option<String>,
    version: Option<&'static rustls::SupportedProtocolVersion>,
    http2: bool,
    requests_per_connection: usize,
    deadline: Duration,
}

/// A data centre.
#[derive(Clone, Copy, Debug)]
struct Centre {
    address: IpAddr,
    /// How much later than the first a change arrives here, of the fake's time.
    behind: Duration,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    ways: Ways,
    /// Open connections by data centre and hostname.
    kept: Mutex<BTreeMap<(IpAddr, String), Vec<Kept>>>,
    count: AtomicUsize,
}

/// One request that an edge made, and what came of it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The address that it came from.
    pub from: IpAddr,
    pub level: Level,
    /// SHA-256 of the certificate that its connection was opened with.
    pub presented: Option<Fingerprint>,
    /// Whether the connection was opened for it.
    pub is_fresh: bool,
    pub outcome: Result<Page, Refused>,
}

/// What the origin answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    pub status: u16,
    pub body: String,
}

impl Visit {
    /// The status of the answer, if there is one.
    pub fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().map(|page| page.status)
    }

    /// The alert with which the origin ended the handshake, by its name in the RFC's spelling without underscores.
    pub fn alert(&self) -> Option<&str> {
        self.outcome.as_ref().err().and_then(|refused| refused.alert.as_deref())
    }
}

impl Edge {
    /// Edges that see what `fake` says, in front of `origin`.
    pub fn of(fake: &Fake, origin: SocketAddr) -> Builder {
        let ways = Ways {
            origin,
            plain_origin: None,
            centres: Vec::new(),
            roots: None,
            asks_for: None,
            version: None,
            http2: false,
            requests_per_connection: REQUESTS_PER_CONNECTION,
            deadline: super::PATIENCE,
        };
        Builder { shared: Arc::clone(&fake.shared), ways }
    }

    /// Asks for `/`, from each data centre in turn.
    pub fn request(&self, hostname: &str) -> Visit {
        self.get(hostname, "/")
    }

    pub fn get(&self, hostname: &str, path: &str) -> Visit {
        let turn = self.inner.count.fetch_add(1, Ordering::Relaxed);
        let centre = self.inner.ways.centres[turn % self.inner.ways.centres.len()];
        let (inner, hostname, path) = (Arc::clone(&self.inner), hostname.to_owned(), path.to_owned());
        self.wait_for(async move { inner.visit(centre, &hostname, &path).await })
    }

    /// Asks for `/` once from every data centre.
    pub fn request_from_everywhere(&self, hostname: &str) -> Vec<Visit> {
        (0..self.inner.ways.centres.len()).map(|_| self.request(hostname)).collect()
    }

    /// From now on every data centre asks for `/` again and again, with `pause` of the machine's time in between.
    pub fn keep_visiting(&self, hostname: &str, pause: Duration) -> Visiting {
        Visiting::start(&self.handle, &self.inner, hostname, pause)
    }

    /// Closes all connections that are kept open.
    pub fn close_connections(&self) {
        self.inner.kept().clear();
    }

    /// Runs `future` among the edges' own tasks and waits for it here.
    fn wait_for<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        self.handle.spawn(async move {
            let _ = sender.send(future.await);
        });
        receiver.recv().expect("the edges run as long as their handle lives")
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

impl Builder {
    /// A data centre that connects from this loopback address; the first one, unless told otherwise, from 127.0.1.1.
    #[must_use]
    pub fn from(self, address: &str) -> Self {
        self.behind(address, Duration::ZERO)
    }

    /// A data centre to which changes come so much later, of the fake's time.
    #[must_use]
    pub fn behind(mut self, address: &str, behind: Duration) -> Self {
        self.ways.centres.push(Centre { address: address.parse().expect("an address"), behind });
        self
    }

    /// Where encryption modes without TLS lead to.
    #[must_use]
    pub const fn plain_origin(mut self, address: SocketAddr) -> Self {
        self.ways.plain_origin = Some(address);
        self
    }

    /// What the origin's own certificate has to chain to in mode `strict`.
    #[must_use]
    pub fn trusting(mut self, roots: RootCertStore) -> Self {
        self.ways.roots = Some(Arc::new(roots));
        self
    }

    /// Says this name to the origin, whatever hostname is visited: what another customer of Cloudflare can do too.
    #[must_use]
    pub fn asking_for(mut self, name: &str) -> Self {
        self.ways.asks_for = Some(name.to_owned());
        self
    }

    /// Offers this version of TLS alone.
    #[must_use]
    pub const fn version(mut self, version: &'static rustls::SupportedProtocolVersion) -> Self {
        self.ways.version = Some(version);
        self
    }

    /// Offers HTTP/2 too.
    #[must_use]
    pub const fn http2(mut self) -> Self {
        self.ways.http2 = true;
        self
    }

    /// How many requests a connection carries; 1: every request has its own.
    #[must_use]
    pub const fn requests_per_connection(mut self, count: usize) -> Self {
        self.ways.requests_per_connection = count;
        self
    }

    /// # Panics
    /// No thread can be had.
    pub fn start(mut self) -> Edge {
        if self.ways.centres.is_empty() {
            self = self.from("127.0.1.1");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Whichever way it ends: the handle is gone.
            let _ = runtime.block_on(stopped);
        };
        let thread = std::thread::Builder::new().name("edge".to_owned()).spawn(run).expect("a thread");
        let inner =
            Inner { shared: self.shared, ways: self.ways, kept: Mutex::default(), count: AtomicUsize::default() };
        Edge { inner: Arc::new(inner), handle, stop: Some(stop), thread: Some(thread) }
    }
}

impl Inner {
    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<(IpAddr, String), Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request from one data centre, over a connection that is open already or over a new one.
    async fn visit(&self, centre: Centre, hostname: &str, path: &str) -> Visit {
        let key = (centre.address, hostname.to_owned());
        loop {
            let taken = self.kept().get_mut(&key).and_then(Vec::pop);
            let is_fresh = taken.is_none();
            let mut open = match taken {
                Some(open) if !open.is_usable() => continue,
                Some(open) => open,
                None => {
                    let way = self.way(centre, hostname);
                    match tokio::time::timeout(self.ways.deadline, Kept::open(&self.ways, way.clone())).await {
                        Ok(Ok(open)) => open,
                        Ok(Err(refused)) => return way.visit(Err(refused), true),
                        Err(_) => return way.visit(Err(Refused::late()), true),
                    }
                }
            };
            let way = open.way.clone();
            let asked = tokio::time::timeout(self.ways.deadline, open.get(&self.ways, hostname, path)).await;
            match asked.unwrap_or_else(|_| Err(Refused::late())) {
                Ok(page) => {
                    if open.requests < self.ways.requests_per_connection && open.is_usable() {
                        self.kept().entry(key).or_default().push(open);
                    }
                    return way.visit(Ok(page), is_fresh);
                }
                // The origin may close a connection while it lies idle: that is no failure, and Cloudflare asks again.
                Err(refused) if !is_fresh && refused.before_any_answer => {}
                Err(refused) => return way.visit(Err(refused), is_fresh),
            }
        }
    }

    fn way(&self, centre: Centre, hostname: &str) -> Way {
        let turn = self.count.load(Ordering::Relaxed);
        Way::find(&self.shared.lock(), centre, hostname, turn)
    }
}
