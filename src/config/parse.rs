//! From TOML to the model: which keys there are, what they may hold, and what must fit together.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::admin::{Unaddressed, Written, read_admin};
use crate::config::cloudflare::read_cloudflare;
use crate::config::evidence::{read_gate, read_known_certificates};
use crate::config::host::read_host;
use crate::config::model::*;
use crate::config::problem::{Place, Problem, Problems, Severity, SourceFile};
use crate::config::reader::{Context, Table, Value, nearest, quotable};
use crate::evidence::readiness::Gate;
use crate::hostname::{HostPattern, Hostname};

const DEFAULT_LISTENER: &str = "[::]:443";
const DEFAULT_ADMIN: &str = "127.0.0.1:9090";
/// The longest wait that makes sense to write down.
pub const DAY: f64 = 86_400.0;
/// The edge keeps idle connections this long; closing earlier races its next request and ends in a 520.
const EDGE_IDLE_SECONDS: u64 = 900;
/// Names compared with a mistyped one: thousands of mistakes against thousands of names would take for ever.
const MAX_CANDIDATES: usize = 1000;
/// What the edge may send as request headers.
const EDGE_HEADER_BYTES: usize = 128 * 1024;

const HOST_HELP: &str = "add one:
[[host]]
names       = [\"www.example.com\"]
certificate = { chain = \"tls/www.pem\", key = \"tls/www.key\" }
client_auth = { mode = \"off\" }
upstream    = \"http://127.0.0.1:8080\"";

/// What nginx and habit call things, and what to write here.
pub const HABITS: &[(&str, &str)] = &[
    ("ssl_verify_client", "write client_auth = { mode = \"enforce\", ca = \"NAME\" } in the [[host]]"),
    ("ssl_client_certificate", "write bundle = [\"FILE\"] under [ca.NAME] and ca = \"NAME\" in the host's client_auth"),
    (
        "ssl_trusted_certificate",
        "write bundle = [\"FILE\"] under [ca.NAME] and ca = \"NAME\" in the host's client_auth",
    ),
    ("ssl_crl", "write crl = [\"FILE\"] under [ca.NAME]"),
    ("ssl_verify_depth", "write chain_length under [limits]"),
    ("ssl_certificate", "write certificate = { chain = \"FILE\", key = \"FILE\" } in the [[host]]"),
    ("ssl_certificate_key", "write certificate = { chain = \"FILE\", key = \"FILE\" } in the [[host]]"),
    ("server_name", "write names = [\"www.example.com\"] in the [[host]]"),
    ("proxy_pass", "write upstream = \"http://127.0.0.1:8080\" in the [[host]]"),
    ("listen", "write [[listener]] with address = \"[::]:443\""),
    ("server", "write [[host]]"),
    ("hosts", "write [[host]], once for each group of names"),
    ("worker_processes", "write workers = 0"),
];

const LOG_FORMATS: &[(&str, LogFormat)] =
    &[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("human", LogFormat::Human)];

/// The configuration as far as it has been read.
#[derive(Default)]
pub struct Draft {
    workers: usize,
    listeners: Vec<Listener>,
    admin: Option<Written>,
    log: Log,
    limits: Limits,
    evidence: Evidence,
    cloudflare: Option<CloudflareWatch>,
    shutdown: Shutdown,
    /// Of a host that says nothing else.
    gate: Gate,
    known_certificates: Vec<(String, Placed<KnownCertificate>)>,
    cas: BTreeMap<String, Placed<Ca>>,
    hosts: Vec<Placed<Host>>,
    /// A `[[host]]` with a mistake in it is missing from `hosts`; what refers to it is then no second mistake.
    some_host_was_bad: bool,
    default_host: Option<Placed<Hostname>>,
}

impl Draft {
    /// Reads the main file. Returns the patterns under `include`.
    pub fn read_main(&mut self, context: &Context<'_>, mut root: Table<'_>) -> Vec<Placed<String>> {
        let include = root.take("include").map(Value::one_or_many).unwrap_or_default();
        let include = include.iter().filter_map(Value::placed_string).collect();
        assign(&mut self.workers, root.take("workers").and_then(|value| value.integer(0..=1024)));
        for listener in root.take("listener").iter().flat_map(Value::tables) {
            self.listeners.extend(listener.table().and_then(read_listener));
        }
        self.admin = root.take("admin").and_then(|value| value.table()).map(|table| read_admin(context, table));
        if let Some(table) = root.take("log").and_then(|value| value.table()) {
            self.read_log(table);
        }
        if let Some(table) = root.take("limits").and_then(|value| value.table()) {
            self.read_limits(context, table);
        }
        if let Some(table) = root.take("evidence").and_then(|value| value.table()) {
            self.read_evidence(table);
        }
        let cloudflare = root.take("cloudflare").and_then(|value| value.table());
        self.cloudflare = cloudflare.and_then(|table| read_cloudflare(context, table));
        if let Some(mut table) = root.take("shutdown").and_then(|value| value.table()) {
            assign(&mut self.shutdown.drain, table.take("drain_seconds").and_then(|value| value.seconds(0.0..=DAY)));
            table.finish();
        }
        if let Some(table) = root.take("readiness").and_then(|value| value.table()) {
            self.gate = read_gate(table, self.gate);
        }
        if let Some(table) = root.take("known_certificates").and_then(|value| value.table()) {
            self.known_certificates = read_known_certificates(&table);
        }
        self.default_host = root.take("default_host").and_then(|value| match Hostname::parse(value.string()?) {
            Ok(name) => Some(value.placed(name)),
            Err(error) => {
                value.error(error.to_string(), "write one of the names of a [[host]]");
                None
            }
        });
        self.read_hosts_and_cas(context, root);
        include
    }

    /// Reads an included file, where hosts and their CAs may stand.
    pub fn read_included(&mut self, context: &Context<'_>, root: Table<'_>) {
        self.read_hosts_and_cas(context, root);
    }

    fn read_hosts_and_cas(&mut self, context: &Context<'_>, mut root: Table<'_>) {
        if let Some(table) = root.take("ca").and_then(|value| value.table()) {
            for (name, value) in table.named_entries() {
                self.read_ca(context, name, &value);
            }
        }
        for value in root.take("host").iter().flat_map(Value::tables) {
            match value.table_called("").and_then(|table| read_host(context, table, self.gate)) {
                Some(host) => self.hosts.push(value.placed(host)),
                None => self.some_host_was_bad = true,
            }
        }
        root.finish();
    }

    fn read_ca(&mut self, context: &Context<'_>, name: &str, value: &Value<'_>) {
        let Some(mut table) = value.table() else { return };
        let help = "write bundle = [\"ca/our-origin-pull.pem\"]";
        let bundle = table.require("bundle", help).map(|value| non_empty(value, help)).unwrap_or_default();
        let bundle = bundle.iter().filter_map(Value::path).collect();
        let crl = table.take("crl").map(Value::one_or_many).unwrap_or_default();
        let crl = crl.iter().filter_map(Value::path).collect();
        table.finish();
        let ca = value.placed(Ca { bundle, crl });
        if let Some(first) = self.cas.get(name) {
            let message = format!("two CAs are called `{}`", quotable(name));
            context.problems.borrow_mut().push(twice(
                message,
                "give one of them another name",
                &ca.place,
                &first.place,
            ));
            return;
        }
        self.cas.insert(name.to_owned(), ca);
    }

    fn read_log(&mut self, mut table: Table<'_>) {
        assign(&mut self.log.format, table.take("format").and_then(|value| value.choice(LOG_FORMATS)));
        if let Some(level) = table.take("level").and_then(|value| value.placed_string()) {
            self.log.level = level.value;
            self.log.place = Some(level.place);
        }
        table.finish();
    }

    fn read_evidence(&mut self, mut table: Table<'_>) {
        self.evidence.cloudflare_ranges = table.take("cloudflare_ranges").and_then(|value| value.path());
        self.evidence.file = table.take("file").and_then(|value| value.path());
        assign(&mut self.evidence.save, table.take("save_seconds").and_then(|value| value.seconds(1.0..=3600.0)));
        table.finish();
    }

    fn read_limits(&mut self, context: &Context<'_>, mut table: Table<'_>) {
        let limits = &mut self.limits;
        let most = Limits::MAX_HANDSHAKE.as_secs_f64();
        for (key, limit, range) in [
            ("handshake_timeout_seconds", &mut limits.handshake, 0.1..=most),
            ("header_timeout_seconds", &mut limits.header_timeout, 0.1..=most),
            ("body_timeout_seconds", &mut limits.body_timeout, 0.1..=most),
            ("idle_verified_seconds", &mut limits.idle_verified, 1.0..=DAY),
            ("idle_stranger_seconds", &mut limits.idle_stranger, 1.0..=75.0),
        ] {
            let value = table.take(key);
            assign(limit, value.as_ref().and_then(|value| value.seconds(range)));
            if let Some(value) = value.filter(|_| key == "idle_verified_seconds" && limit.as_secs() < EDGE_IDLE_SECONDS)
            {
                let message = format!("`{}` is less than the 900 s that Cloudflare keeps a connection", value.name());
                let help = "closing first can cost a request (error 520); write 930";
                context.problems.borrow_mut().warning(&value.place(), message, help);
            }
        }
        for (key, limit, range) in [
            ("client_hello_bytes", &mut limits.client_hello_bytes, 4096..=65_536),
            ("chain_length", &mut limits.chain_length, 1..=100),
            ("certificate_bytes", &mut limits.certificate_bytes, 1024..=1_048_576),
            ("header_bytes", &mut limits.header_bytes, 8192..=1_048_576),
            ("headers", &mut limits.headers, 16..=10_000),
            ("resets", &mut limits.resets, 1..=100_000),
            ("connections", &mut limits.connections, 0..=100_000_000),
            ("connections_per_address", &mut limits.connections_per_address, 0..=100_000_000),
            ("log_queue", &mut limits.log_queue, 1..=10_000_000),
            ("per_host_series", &mut limits.per_host_series, 0..=1_000_000),
        ] {
            let value = table.take(key);
            assign(limit, value.as_ref().and_then(|value| value.integer(range)));
            if let Some(value) = value.filter(|_| key == "header_bytes" && *limit < EDGE_HEADER_BYTES) {
                let message = format!("`{}` is less than the 128 KB that Cloudflare may send", value.name());
                context.problems.borrow_mut().warning(&value.place(), message, "write 163840");
            }
        }
        let streams = table.take("streams").and_then(|value| value.integer(1..=10_000));
        assign(&mut limits.streams, streams.and_then(|streams| u32::try_from(streams).ok()));
        table.finish();
    }

    /// Checks what only the whole shows. `main` is where a missing part is missing.
    pub fn finish(mut self, sources: Vec<Arc<SourceFile>>, main: &Place, problems: &mut Problems) -> Config {
        if self.hosts.is_empty() && !self.some_host_was_bad {
            problems.error(main, "there is no [[host]]", HOST_HELP);
        }
        let mut by_name: HashMap<&HostPattern, &Place> = HashMap::new();
        for name in self.hosts.iter().flat_map(|host| &host.value.names) {
            if let Some(first) = by_name.insert(&name.value, &name.place) {
                let message = format!("two hosts have the name `{}`", name.value);
                problems.push(twice(message, "remove it from one of them", &name.place, first));
            }
        }
        if let Some(name) = &self.default_host
            && !by_name.contains_key(&HostPattern::Exact(name.value.clone()))
            && !self.some_host_was_bad
        {
            let message = format!("`default_host` is `{}`, which no host has among its names", name.value);
            problems.error(&name.place, message, "write one of the names of a [[host]]");
        }
        let default = || {
            let address = DEFAULT_ADMIN.parse().expect("the default admin address is an address");
            Placed { value: AdminAddress::Tcp(address), place: main.clone() }
        };
        let admin = match self.admin {
            None => Some(Unaddressed::default().at(default())),
            Some(Written::NoAddress(rest)) => Some(rest.at(default())),
            Some(Written::At(admin)) => Some(*admin),
            Some(Written::Off | Written::Nothing) => None,
        };
        let of_hosts = self.hosts.iter().filter_map(|host| host.value.client_auth.ca.as_ref());
        let of_admin = admin.iter().flat_map(|admin| [&admin.read, &admin.change]);
        for ca in of_hosts.chain(of_admin.filter_map(|proofs| proofs.ca.as_ref())) {
            if !self.cas.contains_key(&ca.value) {
                problems.push(undefined_ca(ca, &self.cas));
            }
        }
        if self.listeners.is_empty() {
            let address = DEFAULT_LISTENER.parse().expect("the default listener is an address");
            self.listeners.push(Listener { address: Placed { value: address, place: main.clone() } });
        }
        Config {
            sources,
            workers: self.workers,
            listeners: self.listeners,
            admin,
            log: self.log,
            limits: self.limits,
            evidence: self.evidence,
            cloudflare: self.cloudflare,
            shutdown: self.shutdown,
            known_certificates: self.known_certificates,
            cas: self.cas,
            hosts: self.hosts,
            default_host: self.default_host,
        }
    }
}

fn read_listener(mut table: Table<'_>) -> Option<Listener> {
    let help = "write address = \"[::]:443\"";
    let address = table.require("address", help).and_then(|value| socket_address(&value, help));
    table.finish();
    address.map(|address| Listener { address })
}

pub(super) fn socket_address(value: &Value<'_>, help: &str) -> Option<Placed<SocketAddr>> {
    let text = value.string()?;
    match text.parse() {
        Ok(address) => Some(value.placed(address)),
        Err(_) => {
            value.error(format!("cannot be \"{}\": an IP address and a port are needed", quotable(text)), help);
            None
        }
    }
}

/// The elements of a list that may not be empty, or the one value that is no list.
pub fn non_empty<'a>(value: Value<'a>, help: &str) -> Vec<Value<'a>> {
    let (name, place) = (value.name().to_owned(), value.place());
    let context = value.context();
    let values = value.one_or_many();
    if values.is_empty() {
        context.error(&place, format!("`{name}` is empty"), help);
    }
    values
}

fn twice(message: String, help: &str, place: &Place, first: &Place) -> Problem {
    let mut problem = Problem::new(Severity::Error, Some(place.clone()), message, Some(help.to_owned()));
    let (line, _) = first.line_and_column();
    problem.help = Some(format!("{help}; the first is at {}:{line}", first.file.path.display()));
    problem.also.push((first.clone(), "the first one".to_owned()));
    problem
}

fn undefined_ca(ca: &Placed<String>, cas: &BTreeMap<String, Placed<Ca>>) -> Problem {
    let name = quotable(&ca.value);
    let message = format!("no CA is called `{name}`");
    let candidates = cas.keys().map(String::as_str).take(MAX_CANDIDATES);
    let Some(near) = nearest(&ca.value, candidates) else {
        let help = format!("define it under [ca.{name}]:\n[ca.{name}]\nbundle = [\"ca/{name}.pem\"]");
        return Problem::new(Severity::Error, Some(ca.place.clone()), message, Some(help));
    };
    let message = format!("{message}, did you mean `{near}`?");
    let mut problem = Problem::new(Severity::Error, Some(ca.place.clone()), message, None);
    problem.also.extend(cas.get(near).map(|ca| (ca.place.clone(), "defined here".to_owned())));
    problem
}

/// Keeps the default where nothing, or nothing usable, is written.
pub fn assign<T>(setting: &mut T, written: Option<T>) {
    if let Some(value) = written {
        *setting = value;
    }
}
