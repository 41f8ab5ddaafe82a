use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::model::{AdminAddress, Balance, Evidence, Limits, Log, Pin, Shutdown, Upstream};
use crate::evidence::readiness::Gate;

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
    assert_eq!(config.evidence.save, Evidence::default().save);
    assert_eq!((config.log.format, &config.log.level), (Log::default().format, &Log::default().level));
    assert_eq!(config.listeners[0].address.value, "[::]:443".parse::<SocketAddr>().unwrap());
    let admin = config.admin.as_ref().map(|admin| &admin.address.value);
    assert_eq!(admin, Some(&AdminAddress::Tcp("127.0.0.1:9090".parse().unwrap())));
    assert_eq!(config.hosts[1].value.gate, Gate::default());
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
    for text in [EVERY_KEY, &every_key_set()] {
        let loaded = parse("config/o.toml", text).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert_defaults(&loaded.config);
        let chain = &loaded.config.hosts[0].value.certificate.chain.value;
        assert_eq!(chain, Path::new("config/tls/shop.pem"), "relative to the file");
    }
}

#[test]
fn the_quickstart_is_right_and_its_files_belong_into_certs() {
    let loaded =
        parse("config/quickstart.toml", QUICKSTART).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let page = include_str!("../../../certs/README.md");
    for name in ["shop.pem", "shop.key", "www.pem", "www.key", "origin-pull-ca.pem", "admin.token"] {
        assert!(QUICKSTART.contains(&format!("\"../certs/{name}\"")), "{name}");
        assert!(page.contains(&format!("`{name}`")), "{name}");
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
    let auth = |table: &str| host("{ mode = \"off\" }", table);
    let upstream = |value: &str| host("\"http://127.0.0.1:8080\"", value);
    for (text, expected) in [
        (String::new(), &["o.toml:1: there is no [[host]]; add one"][..]),
        (
            "x = [1\n".to_owned(),
            &["o.toml:1: not TOML: unclosed array, expected `]`; see https://toml.io/en/v1.0.0"][..],
        ),
        (main("workers = 1\nworkers = 2"), &["o.toml:2: not TOML: duplicate key; see https://toml.io/en/v1.0.0"][..]),
        (main("worker = 2"), &["o.toml:1: unknown key `worker`, did you mean `workers`?"][..]),
        (main("workers = -1"), &["o.toml:1: `workers` cannot be -1; write a number from 0 to 1024"][..]),
        (main("workers = \"two\""), &["o.toml:1: `workers` is a string; a whole number is needed"][..]),
        (
            main("ssl_verify_client = \"on\""),
            &[
                r#"o.toml:1: unknown key `ssl_verify_client`; write client_auth = { mode = "enforce", ca = "NAME" } in the [[host]]"#,
            ][..],
        ),
        (
            main("shiny = 1"),
            &[
                "o.toml:1: unknown key `shiny`; known here: include, workers, listener, admin, log, limits, evidence, cloudflare, shutdown, readiness, known_certificates, default_host, ca, host",
            ][..],
        ),
        (
            main("[limits]\nheader_byte = 9000"),
            &["o.toml:2: unknown key `limits.header_byte`, did you mean `header_bytes`?"][..],
        ),
        (
            main("[limits]\nhandshake_timeout_seconds = 31"),
            &["o.toml:2: `limits.handshake_timeout_seconds` cannot be 31; write a number of seconds from 0.1 to 30"][..],
        ),
        (
            main("[limits]\nheader_timeout_seconds = nan"),
            &["o.toml:2: `limits.header_timeout_seconds` cannot be nan; write a number of seconds from 0.1 to 30"][..],
        ),
        (
            main("[limits]\nidle_verified_seconds = 60"),
            &[
                "o.toml:2: `limits.idle_verified_seconds` is less than the 900 s that Cloudflare keeps a connection; closing first can cost a request (error 520); write 930",
            ][..],
        ),
        (
            main("[limits]\nheader_bytes = 16384"),
            &["o.toml:2: `limits.header_bytes` is less than the 128 KB that Cloudflare may send; write 163840"][..],
        ),
        (
            main("[evidence]\nsave_seconds = 0\nranges = \"x\""),
            &[
                "o.toml:2: `evidence.save_seconds` cannot be 0; write a number of seconds from 1 to 3600",
                "o.toml:3: unknown key `evidence.ranges`; known here: cloudflare_ranges, file, save_seconds",
            ][..],
        ),
        (main("[shutdown]\ndrain = 5"), &["o.toml:2: unknown key `shutdown.drain`, did you mean `drain_seconds`?"][..]),
        (
            main("[shutdown]\ndrain_seconds = \"5s\""),
            &["o.toml:2: `shutdown.drain_seconds` is a string; a number of seconds is needed"][..],
        ),
        (
            main("[log]\nformat = \"xml\""),
            &[r#"o.toml:2: `log.format` cannot be "xml"; write one of "auto", "json", "human""#][..],
        ),
        (
            main("[admin]\naddress = \"10.0.0.5:9090\"\nread = { token = \"a\" }\nchange = { token = \"b\" }"),
            &[
                "o.toml:3: this token crosses the network unencrypted: whoever sees it has the right too; add certificate = { chain = \"FILE\", key = \"FILE\" } under [admin]",
                "o.toml:4: this token crosses the network unencrypted: whoever sees it has the right too; add certificate = { chain = \"FILE\", key = \"FILE\" } under [admin]",
            ],
        ),
        (
            main("[admin]\nread = { ca = \"nowhere\" }"),
            &[
                "o.toml:2: a client certificate can only be shown over TLS; add certificate = { chain = \"FILE\", key = \"FILE\" } under [admin]",
                "o.toml:2: no CA is called `nowhere`; define it under [ca.nowhere]",
            ],
        ),
        (
            main("[admin]\nread = \"secret\"\nchange = {}"),
            &[
                "o.toml:2: `admin.read` is no table; write { token = \"FILE\" }, { ca = \"NAME\" } or both",
                "o.toml:3: `admin.change` names no proof; write { token = \"FILE\" }, { ca = \"NAME\" } or both",
            ],
        ),
        (
            main("[admin]\naddress = \"unix:/run/a.sock\"\nchange = { token = \"b\" }"),
            &[
                "o.toml:3: a socket file asks for no proof: whoever may open it may read and change; remove this, or write an IP address and a port",
            ],
        ),
        (
            main("[admin]\nhostnames = [\"originlock.internal:9090\"]"),
            &[
                "o.toml:2: `admin.hostnames` cannot be \"originlock.internal:9090\": it has a character that no hostname has; write a name such as \"originlock.internal\", without a port",
            ],
        ),
        (
            main("[admin]\naddress = \"0.0.0.0:9090\""),
            &[
                r#"o.toml:2: `admin.address` is reachable from other machines; say who may read: read = { token = "FILE" } and certificate = { chain = "FILE", key = "FILE" } under [admin], or write "127.0.0.1:9090" or "unix:/run/originlock/admin.sock""#,
            ][..],
        ),
        (
            main("[admin]\naddress = \"unix:admin.sock\""),
            &[
                r#"o.toml:2: `admin.address` needs the absolute path of a socket; write "unix:/run/originlock/admin.sock""#,
            ][..],
        ),
        (
            main("[listener]\naddress = \"[::]:443\""),
            &["o.toml:1: `listener` has to be a list of tables; write `[[listener]]` with two brackets"][..],
        ),
        (
            main("[[listener]]\naddress = \":443\""),
            &[
                r#"o.toml:2: `listener.address` cannot be ":443": an IP address and a port are needed; write address = "[::]:443""#,
            ][..],
        ),
        (
            main("default_host = \"b.example\""),
            &[
                "o.toml:1: `default_host` is `b.example`, which no host has among its names; write one of the names of a [[host]]",
            ][..],
        ),
        (
            main("include = [\"*/a.toml\"]"),
            &[
                r#"o.toml:1: `include` cannot be "*/a.toml": `*` may stand in the last component only; write include = ["hosts.d/*.toml"]"#,
            ][..],
        ),
        (
            main("include = [\"none/a.toml\"]"),
            &["o.toml:1: none/a.toml: cannot be read (entity not found); correct `include` or the file's permissions"]
                [..],
        ),
        (main("[ca.x]"), &[r#"o.toml:1: `ca.x.bundle` is missing; write bundle = ["ca/our-origin-pull.pem"]"#][..]),
        (
            main("[ca.x]\nbundle = []"),
            &[r#"o.toml:2: `ca.x.bundle` is empty; write bundle = ["ca/our-origin-pull.pem"]"#][..],
        ),
        (
            host("names", "name"),
            &[
                r#"o.toml:1: `names` is missing; write names = ["www.example.com"]"#,
                "o.toml:2: unknown key `name`, did you mean `names`?",
            ][..],
        ),
        (host("[\"a.example\"]", "[]"), &[r#"o.toml:2: `names` is empty; write names = ["www.example.com"]"#][..]),
        (
            host("a.example", "10.0.0.1"),
            &[
                r#"o.toml:2: `names` cannot be "10.0.0.1": it is an IP address, a hostname is needed; write a name such as "www.example.com" or "*.example.com""#,
            ][..],
        ),
        (
            host("a.example", "a.*.example"),
            &[
                r#"o.toml:2: `names` cannot be "a.*.example": it has `*` where only the whole first label may be one; write a name such as "www.example.com" or "*.example.com""#,
            ][..],
        ),
        (
            host("a.example", "a.example\", \"A.example."),
            &["o.toml:2: two hosts have the name `a.example`; remove it from one of them; the first is at o.toml:2"][..],
        ),
        (
            host(", key = \"a.key\"", ""),
            &[
                r#"o.toml:3: `certificate.key` is missing; write certificate = { chain = "tls/site.pem", key = "tls/site.key" }"#,
            ][..],
        ),
        (
            host("{ chain = \"a.pem\", key = \"a.key\" }", "\"a.pem\""),
            &[
                r#"o.toml:3: `certificate` needs two files; write certificate = { chain = "tls/site.pem", key = "tls/site.key" }"#,
            ][..],
        ),
        (
            host("a.key", "-----BEGIN PRIVATE KEY-----"),
            &[
                "o.toml:3: `certificate.key` holds a pasted key or certificate; write it into a file and give the file's path here",
            ][..],
        ),
        (
            host("client_auth = { mode = \"off\" }\n", ""),
            &["o.toml:1: `client_auth` is missing; choose off, observe or enforce"][..],
        ),
        (auth("\"enforce\""), &["o.toml:4: `client_auth` is no table; choose off, observe or enforce"][..]),
        (auth("{ mode = true }"), &["o.toml:4: `client_auth.mode` is a boolean; a string is needed"][..]),
        (auth("{ mode = \"require\" }"), &[r#"o.toml:4: `client_auth.mode` cannot be "require"; write "enforce""#][..]),
        (
            auth("{ mode = \"optional\" }"),
            &[r#"o.toml:4: `client_auth.mode` cannot be "optional"; write "observe""#][..],
        ),
        (
            auth("{ mode = \"enforced\" }"),
            &[r#"o.toml:4: `client_auth.mode` cannot be "enforced"; write one of "off", "observe", "enforce""#][..],
        ),
        (
            auth("{ mode = \"enforce\" }"),
            &[
                r#"o.toml:4: mode `enforce` needs a CA or pins to judge by; add ca = "NAME", defined under [ca.NAME], or pins = ["sha256:HEX"]"#,
            ][..],
        ),
        (
            auth("{ mode = \"observe\", cabundle = \"x\" }"),
            &[
                "o.toml:4: unknown key `client_auth.cabundle`, did you mean `ca`?",
                r#"o.toml:4: mode `observe` needs a CA or pins to judge by; add ca = "NAME", defined under [ca.NAME], or pins = ["sha256:HEX"]"#,
            ][..],
        ),
        (
            auth("{ mode = \"observe\", ca = \"our-ca\" }"),
            &["o.toml:4: no CA is called `our-ca`; define it under [ca.our-ca]"][..],
        ),
        (
            auth("{ mode = \"observe\", ca = \"our-ca\" }") + "[ca.our-cas]\nbundle = \"x\"",
            &["o.toml:4: no CA is called `our-ca`, did you mean `our-cas`?"][..],
        ),
        (
            auth("{ mode = \"observe\", pins = \"sha256:12\" }"),
            &[
                "o.toml:4: `client_auth.pins` needs 64 hexadecimal digits after the colon; `originlock pki inspect FILE` prints them",
            ][..],
        ),
        (
            auth(&format!("{{ mode = \"observe\", pins = \"{}\" }}", "ab".repeat(32))),
            &[
                r#"o.toml:4: `client_auth.pins` is a bare digest; write "sha256:HEX" for a certificate or "spki-sha256:HEX" for a public key"#,
            ][..],
        ),
        (
            upstream("\"127.0.0.1:8080\""),
            &[
                r#"o.toml:5: `upstream` cannot be "127.0.0.1:8080": it starts with none of `http://`, `https://`, `h2c://`, `unix:`; write "http://127.0.0.1:8080""#,
            ][..],
        ),
        (
            upstream("\"ftp://app\""),
            &[
                r#"o.toml:5: `upstream` cannot be "ftp://app": it starts with none of `http://`, `https://`, `h2c://`, `unix:`; write "http://127.0.0.1:8080" or "unix:/run/site.sock""#,
            ][..],
        ),
        (
            upstream("\"http://u:secret@app\""),
            &[
                r#"o.toml:5: `upstream` cannot be "…": it goes on after host and port; a path, query or user name has no meaning here; write "http://127.0.0.1:8080" or "unix:/run/site.sock""#,
            ][..],
        ),
        (upstream("[]"), &[r#"o.toml:5: `upstream` is empty; write upstream = "http://127.0.0.1:8080""#][..]),
        (
            upstream("{ to = \"http://app\", ca = \"x.pem\" }"),
            &["o.toml:5: `upstream.ca` has no meaning without TLS; write an https:// address or remove it"][..],
        ),
        (
            upstream("{ to = \"http://app\", balance = \"random\" }"),
            &[r#"o.toml:5: `upstream.balance` cannot be "random"; write one of "round_robin", "least_connections""#][..],
        ),
        (
            upstream("{ to = \"http://app\", health = { path = \"healthz\" } }"),
            &[r#"o.toml:5: `upstream.health.path` is no path of a URL; write path = "/healthz""#][..],
        ),
        (
            upstream("{ to = \"https://app\", server_name = \"a b\" }"),
            &[r#"o.toml:5: `upstream.server_name` cannot be "a b"; write the hostname in the backend's certificate"#][..],
        ),
        (
            main("identity_headers = 1"),
            &[
                "o.toml:1: unknown key `identity_headers`; known here: include, workers, listener, admin, log, limits, evidence, cloudflare, shutdown, readiness, known_certificates, default_host, ca, host",
            ][..],
        ),
    ] {
        assert_eq!(messages(&text), expected, "{text}");
    }
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

    let text = format!("default_host = \"b.example\"\ninclude = \"{}\"\n", "hosts.d/none.toml");
    fs::write(path("o.toml"), text).unwrap();
    let problems = load(&path("o.toml")).unwrap_err();
    assert_eq!(problems.iter().count(), 1, "what a missing file hides is no second mistake: {problems}");
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
