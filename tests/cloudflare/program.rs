//! The fake as a program: `cargo run --example cloudflare-fake -- --help`.

#[path = "mod.rs"]
mod cloudflare;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use cloudflare::{Edge, Fake, FakeClock, Level, Logged, Seed, Visit, Zone};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// How often what has come is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A stand-in for Cloudflare's API and its edges, on this machine alone.
///
/// It remembers what it is told: certificates take seconds to deploy, associations come and go, the number of requests
/// is limited. With --origin its edges visit an origin without pause, and every change of what they present is told.
#[derive(Parser, Debug)]
#[command(name = "cloudflare-fake")]
struct Words {
    /// Where the API listens; a loopback address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The zone there is
    #[arg(long, default_value = "example.com")]
    zone: String,
    /// A proxied hostname of the zone, once for each [default: shop.ZONE]
    #[arg(long, value_name = "NAME")]
    hostname: Vec<String>,
    /// The origin that the edges visit
    #[arg(long, value_name = "ADDRESS:PORT")]
    origin: Option<SocketAddr>,
    /// How long each edge waits between two visits
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    every: Duration,
    /// The addresses that the edges connect from; each learns of a change a second after the one before it
    #[arg(long, value_name = "ADDRESS", default_values = ["127.0.1.1", "127.0.1.2", "127.0.1.3"])]
    edge: Vec<IpAddr>,
    /// What the origin's own certificate has to chain to in mode strict, PEM
    #[arg(long, value_name = "FILE")]
    origin_ca: Option<PathBuf>,
    /// How many times as fast the fake's time passes; 0: only when it is moved by `POST /__fake/advance`
    #[arg(long, value_name = "N", default_value_t = 1)]
    speed: u32,
    /// What there is instead: zones, tokens, settings and faults, as TOML
    #[arg(long, value_name = "FILE", conflicts_with_all = ["zone", "hostname"])]
    seed: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Words::parse()) {
        Ok(never) => match never {},
        Err(message) => {
            eprintln!("cloudflare-fake: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &Words) -> Result<std::convert::Infallible, String> {
    let seed = words.seed.as_deref().map_or_else(|| Ok(made_up(words)), read)?;
    let hostnames = hostnames(words, &seed);
    let builder = Fake::builder().seed(seed).clock(FakeClock::Scaled(words.speed)).listen(words.listen);
    let fake = builder.try_start().map_err(|error| format!("{}: {error}", words.listen))?;
    introduce(&fake, words, &hostnames);
    let edge = words.origin.map(|origin| start_edges(&fake, origin, words)).transpose()?;
    let visits: Vec<_> = edge.iter().flat_map(|edge| visit(edge, &hostnames, words.every)).collect();
    let mut told = 0;
    let mut before: BTreeMap<(String, IpAddr), String> = BTreeMap::new();
    loop {
        let requests = fake.requests();
        requests[told..].iter().for_each(tell_request);
        told = requests.len();
        for (hostname, visiting) in &visits {
            for (from, visit) in visiting.counts().last {
                let (key, now) = ((hostname.clone(), from), describe(&visit));
                if before.get(&key) != Some(&now) {
                    println!("{}  {from}  {hostname}  {now}", fake.now());
                    before.insert(key, now);
                }
            }
        }
        thread::sleep(LOOK);
    }
}

fn read(path: &Path) -> Result<Seed, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn made_up(words: &Words) -> Seed {
    let address = words.origin.map_or_else(|| "198.51.100.4".to_owned(), |origin| origin.ip().to_string());
    let zone = Zone::new(&words.zone);
    let zone = named(words).iter().fold(zone, |zone, name| zone.proxied(name, &address));
    Seed { zones: vec![zone], ..Seed::default() }
}

fn named(words: &Words) -> Vec<String> {
    match words.hostname.is_empty() {
        true => vec![format!("shop.{}", words.zone)],
        false => words.hostname.clone(),
    }
}

/// Those that the edges visit.
fn hostnames(words: &Words, seed: &Seed) -> Vec<String> {
    if words.seed.is_none() {
        return named(words);
    }
    let records = seed.zones.iter().flat_map(|zone| &zone.records);
    let mut names: Vec<String> = records.map(|record| record.name.clone()).filter(|name| !name.contains('*')).collect();
    names.sort();
    names.dedup();
    names
}

fn introduce(fake: &Fake, words: &Words, hostnames: &[String]) {
    let (url, token, control) = (fake.base_url(), fake.token(), fake.control_url());
    let zone = fake.state(|state| state.zones.first().map(|zone| zone.name.clone())).unwrap_or_default();
    let hostname = hostnames.first().map_or("shop.example.com", String::as_str);
    let whom = format!("{hostname} --zone {zone} --api {url}");
    println!("API      {url}");
    println!("token    {token}");
    println!("control  {control}");
    println!("time     {}, {} times as fast as here", fake.now(), words.speed);
    println!(
        "\nTry, with a certificate that `originlock pki ca` and `originlock pki leaf` made, and originlock.toml being the"
    );
    println!("configuration of the originlock that runs as the origin:");
    println!("  export CLOUDFLARE_API_TOKEN={token}");
    for verb in ["plan", "apply"] {
        println!(
            "  originlock aop {verb} {whom} -c originlock.toml --certificate origin-pull.pem --key origin-pull.key"
        );
    }
    for verb in ["status", "rollback"] {
        println!("  originlock aop {verb} {whom} -c originlock.toml");
    }
    println!("  curl -s {control}/state");
    println!("  curl -s {control}/faults -d '{{\"method\": \"PUT\", \"effect\": \"close\", \"applied\": true}}'");
    match words.origin {
        Some(origin) => {
            let edges: Vec<String> = words.edge.iter().map(ToString::to_string).collect();
            println!("\nThe edges visit {origin} from {}.", edges.join(", "));
            println!(
                "They are Cloudflare to an origin whose evidence.cloudflare_ranges names a file with these addresses.\n"
            );
        }
        None => println!("\nNo --origin: no edge visits anybody.\n"),
    }
}

fn start_edges(fake: &Fake, origin: SocketAddr, words: &Words) -> Result<Edge, String> {
    let mut builder = Edge::of(fake, origin);
    if let Some(path) = &words.origin_ca {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?.collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.map_err(|error| failed(&error))?);
        builder = builder.trusting(roots);
    }
    let later = |index: usize| Duration::from_secs(u64::try_from(index).unwrap_or(0));
    let edges = words.edge.iter().enumerate();
    Ok(edges.fold(builder, |builder, (index, address)| builder.behind(&address.to_string(), later(index))).start())
}

fn visit(edge: &Edge, hostnames: &[String], pause: Duration) -> Vec<(String, cloudflare::Visiting)> {
    hostnames.iter().map(|hostname| (hostname.clone(), edge.keep_visiting(hostname, pause))).collect()
}

fn tell_request(request: &Logged) {
    let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let code = request.code().map_or_else(String::new, |code| format!(" (code {code})"));
    println!("{}  {}  → {status}{code}", request.at, request.line());
}

fn describe(visit: &Visit) -> String {
    let short = visit.presented.map(|sha256| sha256.to_string()[..16].to_owned()).unwrap_or_default();
    let presents = match visit.level {
        Level::Hostname => format!("presents the hostname's certificate {short}…"),
        Level::Zone => format!("presents the zone's certificate {short}…"),
        Level::Global => format!("presents the shared certificate {short}…"),
        Level::Nothing => "presents no certificate".to_owned(),
        Level::Plain => "comes without TLS".to_owned(),
        Level::Direct => "is not proxied: visitors come themselves".to_owned(),
        Level::Elsewhere => "does not lead to this origin".to_owned(),
    };
    let outcome = match &visit.outcome {
        Ok(page) => format!("answered with {}", page.status),
        Err(refused) => match &refused.alert {
            Some(alert) => format!("refused with {alert}"),
            None => format!("failed: {}", refused.error),
        },
    };
    format!("{presents}, {outcome}")
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "write 500ms, 2s or 1m".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err("write 500ms, 2s or 1m".to_owned()),
    }
}
