//! Many machines, one verdict: through a real Prometheus that scrapes two real proxies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use originlock::pki::LeafOptions;

use crate::cloudflare::{Fake, Zone};
use crate::support::certificates::{Shape, good};
use crate::support::program::{Ran, ask, run};
use crate::support::prometheus::{Prometheus, instance};
use crate::support::world::{Builder, wait_until};
use crate::support::{HostSetup, World, pki};

const SHOP: &str = "shop.example.com";
const TABLES: &str = "[evidence]\ncloudflare_ranges = \"ranges.txt\"\nfile = \"state/evidence.json\"\n[readiness]\n\
                      handshakes = 4\nedge_addresses = 2\n";

fn builder() -> Builder {
    World::builder()
        .ca("other", pki().other.certificate_pem())
        .file("ranges.txt", "127.0.1.0/24\n")
        .file("state/.keep", "")
        .tables(TABLES)
}

/// A machine that saw half of what is needed.
fn machine() -> World {
    let world = builder().host(HostSetup::new(SHOP).observe("ours")).start();
    for edge in ["127.0.1.1", "127.0.1.2"] {
        visit(&world, edge, Some(Shape::P256));
    }
    world
}

fn visit(world: &World, edge: &str, shape: Option<Shape>) {
    let client = world.client(SHOP).from(edge);
    let client = shape.into_iter().fold(client, |client, shape| client.presenting(shape));
    client.get().expect("it is let in");
    world.next_handshake();
}

/// Asks the fleet, with the gate of `world`'s configuration.
fn ready(prometheus: &Prometheus, world: &World, more: &[&str]) -> Ran {
    let (url, config) = (prometheus.url(), world.path("originlock.toml"));
    let config = config.to_str().expect("a path");
    run(&[&["ready", SHOP, "--prometheus", &url, "-c", config], more].concat())
}

/// Waits until Prometheus has from both machines what they count now.
fn wait_for_scrapes(prometheus: &Prometheus, machines: usize, verified: f64) {
    let sum = "sum(originlock_evidence_handshakes{network=\"cloudflare\",reason=\"verified\"})";
    let value = |expression: &str| prometheus.query(expression).ok()?.first().map(|sample| sample.value);
    wait_until("prometheus has scraped", || {
        value("count(originlock_build_info)") == Some(machines as f64) && value(sum) == Some(verified)
    });
}

#[test]
fn a_fleet_of_two_gives_one_verdict() {
    let (one, two) = (machine(), machine());
    for alone in [&one, &two] {
        let said = ask(alone, &["ready", SHOP]).expect(3);
        assert!(
            said.contains("2 handshakes from Cloudflare verified in the last 24 h; at least 4 are needed"),
            "{said}"
        );
    }
    let prometheus = Prometheus::of(&[&one, &two]);
    wait_for_scrapes(&prometheus, 2, 4.0);
    let proof = "4 handshakes from 2 addresses of Cloudflare's edge verified in the last 24 h";
    let said = ready(&prometheus, &one, &["--instances", "2", "--match", "cluster=\"a\""]).expect(0);
    assert_eq!(said, format!("✓ {SHOP} is ready to be enforced\n  · {proof}\n"));

    let config = one.path("originlock.toml");
    let words = ["status", "--prometheus", &prometheus.url(), "-c", config.to_str().expect("a path")];
    let said = run(&words).expect(0);
    let row: Vec<_> = said.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..6], [SHOP, "observe", "ready", "4", "0", "2"]);

    // One machine's failure is the fleet's.
    visit(&two, "127.0.1.9", None);
    let sentence =
        "1 of 5 handshakes from Cloudflare for shop.example.com in the last 24 h brought no certificate; last";
    wait_until("the failure is scraped", || ready(&prometheus, &one, &[]).code == 3);
    let said = ready(&prometheus, &one, &[]).expect(3).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(sentence), "{said}");

    // Without a configuration the defaults hold, and that is said.
    let said = run(&["ready", SHOP, "--prometheus", &prometheus.url()]).expect(3);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("at least 100 are needed") && said.contains("! no configuration is read: "), "{said}");

    let ran = run(&["ready", "other.example.com", "--prometheus", &prometheus.url()]);
    assert!(ran.stderr.contains("knows no machine with a host other.example.com"), "{ran:?}");
    assert_eq!(ran.code, 1);
    let ran = ready(&prometheus, &one, &["--match", "cluster=\"b\""]);
    assert!(ran.stderr.contains("knows no machine"), "{ran:?}");
    let ran = ready(&prometheus, &one, &["--match", "cluster"]);
    assert!(ran.stderr.contains("refused the query") && ran.stderr.contains("parse error"), "{ran:?}");
}

#[test]
fn a_machine_that_is_missing_or_of_another_mind_is_named() {
    let (one, mut two) = (machine(), machine());
    let prometheus = Prometheus::of(&[&one, &two]);
    wait_for_scrapes(&prometheus, 2, 4.0);
    ready(&prometheus, &one, &[]).expect(0);

    two.change_and_reload(|setup| setup.host(SHOP).ca = Some("other".to_owned()));
    wait_until("the other trust is scraped", || ready(&prometheus, &one, &[]).code == 3);
    let said = ready(&prometheus, &one, &[]).expect(3).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("the machines do not trust the same clients on shop.example.com: trust "), "{said}");
    assert!(said.contains(&instance(&one)) && said.contains(&instance(&two)), "{said}");

    let gone = instance(&two);
    let server = two.take_server();
    server.drain();
    server.join();
    let alone = || ready(&prometheus, &one, &["--instances", "2"]);
    wait_until("the machine is no longer heard of", || !alone().stdout.contains(&gone));
    let said = alone().expect(3);
    assert!(said.contains(&format!("1 of 2 machines are heard of: {}", instance(&one))), "{said}");
}

#[test]
fn a_prometheus_that_is_not_there_is_named() {
    let ran = run(&["ready", SHOP, "--prometheus", "http://127.0.0.1:1"]);
    assert!(ran.stderr.starts_with("originlock: http://127.0.0.1:1 cannot be reached"), "{ran:?}");
    assert_eq!(ran.code, 1);
    assert_eq!(run(&["ready", SHOP, "--instances", "2"]).code, 2, "of which fleet?");
}

#[test]
fn the_shipped_alert_rules_are_right_and_every_one_has_its_cases() {
    for (verb, file) in [("check", "alerts.yml"), ("test", "alerts.test.yml")] {
        let output = Command::new("promtool").args([verb, "rules"]).arg(shipped(file)).output();
        let output = output.expect("promtool is installed; tests/run installs it");
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }
    let (rules, cases) = (read("alerts.yml"), read("alerts.test.yml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let of_alert =
            cases.split("\n      - alertname: ").skip(1).filter(|case| case.starts_with(&format!("{alert}\n")));
        let fires: BTreeSet<_> = of_alert.map(|case| !case.contains("exp_alerts: []")).collect();
        assert_eq!(fires, BTreeSet::from([true, false]), "{alert} fires in one case and does not in another");
    }
}

#[test]
fn the_shipped_rules_and_the_dashboard_ask_for_what_a_proxy_exports() {
    // Something at Cloudflare that does not fit: a certificate that lies there for nothing.
    let leaf = pki().ours.issue(&LeafOptions::client("unused", good())).expect("a leaf");
    let fake = Fake::builder().zone(Zone::new("example.com").certificate(&leaf)).start();
    let cloudflare =
        format!("[cloudflare]\nzones = [\"example.com\"]\ntoken = \"api.token\"\napi = \"{}\"\n", fake.base_url());
    let world = builder()
        .tables(&cloudflare)
        .file("api.token", &fake.token())
        .crl("ours", &pki().crl())
        .host(HostSetup::new(SHOP).observe("ours"))
        .start();
    wait_until("it is found", || world.metrics().contains("\noriginlock_cloudflare_findings{"));
    visit(&world, "127.0.1.1", Some(Shape::P256));
    visit(&world, "127.0.1.1", None);
    let prometheus = Prometheus::of(&[&world]);
    wait_for_scrapes(&prometheus, 1, 1.0);
    let board: serde_json::Value = serde_json::from_str(&read("grafana.json")).expect("JSON");
    let mut expressions = Vec::new();
    collect(&board, &mut expressions);
    assert!(expressions.len() > 25, "{expressions:?}");
    for expression in &expressions {
        let filled = expression.replace("$__rate_interval", "1m").replace("$host", ".*");
        prometheus.query(&filled).unwrap_or_else(|error| panic!("{expression}: {error}"));
    }
    let rules = prometheus.get("/api/v1/rules").expect("an answer").1;
    let rules: serde_json::Value = serde_json::from_str(&rules).expect("JSON");
    for rule in rules["data"]["groups"][0]["rules"].as_array().expect("rules") {
        assert_ne!(rule["health"], "err", "{rule}");
        expressions.push(rule["query"].as_str().expect("an expression").to_owned());
    }
    let missing: BTreeSet<_> = expressions
        .iter()
        .flat_map(|expression| names(expression))
        .filter(|name| prometheus.query(name).expect("a name is an expression").is_empty())
        .collect();
    assert_eq!(missing, BTreeSet::new(), "nothing exports these");
}

/// Every `expr` of a dashboard.
fn collect(value: &serde_json::Value, expressions: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            expressions.extend(fields.get("expr").and_then(|expr| expr.as_str()).map(str::to_owned));
            fields.values().for_each(|value| collect(value, expressions));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, expressions)),
        _ => {}
    }
}

/// The metrics that an expression names.
fn names(expression: &str) -> impl Iterator<Item = String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("originlock_")).map(str::to_owned)
}

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(shipped(file)).expect("a file")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
