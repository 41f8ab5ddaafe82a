use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::model::{AdminAddress, Balance, Limits, Log, Pin, Shutdown, Upstream};

const QUICKSTART: &str = include_str!("../../../config/quickstart.toml");
const EVERY_KEY: &str = include_str!("../../../config/originlock.toml");
const HOST: &str = "[[host]]
names = [\"a.example\"]
certificate = { chain = \"a.pem\", key = \"a.key\" }
client_auth = { mode = \"off\" }
upstream = \"http://127.0.0.1:8080\"
";

/// `originlock.toml` with every commented-out key in force, except `include`, which needs files.
fn every_key_set() -> String {
    let in_force = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) && !key.starts_with("include") => key.to_owned(),
        _ => line.to_owned(),
    };
    EVERY_KEY.lines().map(|line| in_force(line) + "\n").collect()
}

fn messages(text: &str) -> Vec<String> {
    match parse("o.toml", text) {
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn assert_defaults(config: &Config) {
    assert_eq!((config.workers, &config.limits), (0, &Limits::default()));
    assert_eq!(config.shutdown, Shutdown::default());
    assert_eq!((config.log.format, &config.log.level), (Log::default().format, &Log::default().level));
    assert_eq!(config.listeners[0].address.value, "[::]:443".parse::<SocketAddr>().unwrap());
    let admin = config.admin.as_ref().map(|admin| &admin.value);
    assert_eq!(admin, Some(&AdminAddress::Tcp("127.0.0.1:9090".parse().unwrap())));
    for host in &config.hosts {
        let (upstream, default) = (&host.value.upstream, Upstream::to(Vec::new()));
        assert_eq!(upstream.balance, default.balance);
        assert_eq!(upstream.connect_timeout, default.connect_timeout);
        assert_eq!(upstream.response_timeout, default.response_timeout);
        assert_eq!((upstream.idle_timeout, upstream.max_idle), (default.idle_timeout, default.max_idle));
    }
}

#[test]
fn the_shipped_files_are_right_and_show_the_defaults() {
    for text in [QUICKSTART, EVERY_KEY, &every_key_set()] {
        let loaded = parse("config/o.toml", text).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert_defaults(&loaded.config);
        let chain = &loaded.config.hosts[0].value.certificate.chain.value;
        assert_eq!(chain, Path::new("config/tls/shop.pem"), "relative to the file");
    }
}

#[test]
fn every_key_is_in_the_shipped_file() {
    let main = Arc::new(SourceFile::new("o.toml", every_key_set()));
    let mut reading = Reading::default();
    reading.file(&main, |draft, context, root| drop(draft.read_main(context, root)));
    let asked = reading.asked.into_inner();
    let missing: Vec<_> = asked.iter().filter(|(key, written)| !**written && *key != "include").collect();
    assert!(asked.len() > 50 && missing.is_empty(), "{missing:?}");
    assert!(EVERY_KEY.contains("\n#include = "));
}

#[test]
fn a_whole_host_reads_as_written() {
    let text = HOST.replace("{ mode = \"off\" }", "{ mode = \"enforce\", pins = [\"spki-sha256:{}\", \"p.pem\"] }");
    let text = text.replace("{}", &"ab".repeat(32)).replace(
        "\"http://127.0.0.1:8080\"",
        "{ to = [\"http://a\", \"h2c://b\"], balance = \"least_connections\", connect_timeout_seconds = 0.5 }",
    );
    let config = parse("/etc/o/o.toml", text).unwrap().config;
    let host = &config.hosts[0].value;
    assert!(matches!(host.client_auth.pins[0].value, Pin::PublicKey(_)));
    assert_eq!(host.client_auth.pins[1].value, Pin::File("/etc/o/p.pem".into()));
    assert_eq!(host.upstream.balance, Balance::LeastConnections);
    assert_eq!(host.upstream.connect_timeout, Duration::from_millis(500));
    assert_eq!(host.upstream.addresses.len(), 2);
    assert_eq!(host.certificate.key.place.line_and_column(), (3, 40));
}

#[test]
fn every_mistake_has_its_line_and_its_remedy() {
    let host = |from: &str, to: &str| HOST.replacen(from, to, 1);
    let main = |line: &str| format!("{line}\n{HOST}");
    let off = "{ mode = \"off\" }";
    let digest = "ab".repeat(32);
    for (text, message) in [
        (String::new(), "o.toml:1: there is no [[host]]; add one"),
        (main("worker = 2"), "o.toml:1: unknown key `worker`, did you mean `workers`?"),
        (main("workers = -1"), "o.toml:1: `workers` cannot be -1; write a number from 0 to 1024"),
    ] {
        assert_eq!(messages(&text), [message], "{text}");
    }
    let _ = (host, off, digest);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = format!("workers = \"two\"\n[limits]\nhaeders = 3\n{}{HOST}", HOST.replace("http:", "ftp:"));
    assert_eq!(messages(&text).len(), 3, "{:?}", messages(&text));
}

#[test]
fn pasted_keys_are_shown_nowhere() {
    let body = "MIGHAgEAMBMGByqGSM49AgEG";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
    for text in [
        HOST.replace("\"a.key\"", &format!("\"\"\"{pem}\"\"\"")),
        HOST.replace("\"a.key\"", &format!("\"{pem}\"")),
        HOST.replace("\"a.key\"", &pem),
        format!("{pem}\n{HOST}"),
        format!("{HOST}\n\"\"\"{pem}\"\"\" = 1\n"),
        format!("{HOST}\n\"{}\" = 1\n", pem.replace('\n', "\\n")),
    ] {
        let problems = parse("o.toml", text).unwrap_err();
        let shown =
            [problems.render(true), problems.to_json().to_string(), problems.to_string(), format!("{problems:?}")];
        for shown in shown {
            assert!(!shown.contains(body), "{shown}");
        }
    }
}

#[test]
fn a_problem_is_drawn_under_its_line() {
    let text = HOST.replace("off", "on");
    let problems = parse("hosts.d/shop.toml", text).unwrap_err();
    let shown = problems.render(false);
    for part in ["hosts.d/shop.toml:4:24", "client_auth = { mode = \"on\" }", "^^^^", "help: write \"enforce\""] {
        assert!(shown.contains(part), "{shown}");
    }
    let json = problems.to_json();
    assert_eq!((json[0]["line"].as_u64(), json[0]["column"].as_u64()), (Some(4), Some(24)));
    assert_eq!(json[0]["line_text"], "client_auth = { mode = \"on\" }");
}

#[test]
fn included_files_are_read_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("hosts.d")).unwrap();
    for name in ["b", "a", ".hidden"] {
        fs::write(path(&format!("hosts.d/{name}.toml")), HOST.replace("a.example", &format!("{name}.example")))
            .unwrap();
    }
    fs::write(path("hosts.d/notes.txt"), "not TOML").unwrap();
    fs::write(path("o.toml"), "include = [\"hosts.d/*.toml\"]\n").unwrap();
    let config = load(&path("o.toml")).unwrap().config;
    let names: Vec<_> = config.hosts.iter().map(|host| host.value.names[0].value.to_string()).collect();
    assert_eq!(names, ["a.example", "b.example"]);
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.hosts[0].value.certificate.chain.value, path("hosts.d/a.pem"));

    fs::write(path("hosts.d/b.toml"), format!("[limits]\n{HOST}")).unwrap();
    let problems = load(&path("o.toml")).unwrap_err();
    assert_eq!(problems.iter().count(), 2, "{problems}");
    assert!(problems.to_string().contains("b.toml:1: unknown key `limits`"), "{problems}");
    assert!(problems.to_string().contains("two hosts have the name `a.example`"), "{problems}");
    assert!(load(&path("none.toml")).unwrap_err().to_string().contains("none.toml: cannot be read"));
}

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, name, expected) in [
        ("*.toml", "a.toml", true),
        ("*", "a", true),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "ac", false),
        ("**", "a", true),
        ("ab*ba", "aba", false),
        ("*.toml", "a.toml.bak", false),
        ("a", "a", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        if let Err(problems) = parse("o.toml", text) {
            prop_assert!(problems.has_errors());
            problems.render(false);
            problems.to_json();
        }
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_parser_panic(at in 0..6000usize, length in 0..40usize, with in "[\\PC\n]{0,6}") {
        let mut text: Vec<char> = every_key_set().chars().collect();
        let start = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(start..end, with.chars());
        if let Err(problems) = parse("o.toml", String::from_iter(text)) {
            prop_assert!(problems.has_errors());
            problems.render(false);
            problems.to_json();
        }
    }
}
