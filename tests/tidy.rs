//! The house keeps its order: every module imports downwards, every outside crate has its home, files stay readable.
//!
//! Each table below is the rule itself; `docs/design/architecture.md` says why. Test code may import what it likes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use originlock::policy::verdict::Reason;
use originlock::probe::battery::Attempt;
use originlock::rollout::drift::FindingKind;
use originlock::telemetry::metrics::{Metrics, Refusal};
use originlock::upstream::UpstreamError;

/// The top modules by row. A module imports from rows below its own.
const ROWS: [&[&str]; 9] = [
    &["hostname", "x509", "secret", "clock", "alert"],
    &["policy", "http1", "cloudflare", "loadtest", "fetch"],
    &["evidence", "upstream", "pki"],
    &["tls", "config", "telemetry", "remote", "probe"],
    &["snapshot"],
    &["proxy", "admin"],
    &["server", "rollout"],
    &["cli"],
    &["main", "lib"],
];

/// Imports inside one row, from left to right. What is not here is not allowed, so there is no circle.
const WITHIN_A_ROW: [(&str, &str); 6] = [
    ("tls", "config"),
    ("telemetry", "config"),
    ("x509", "clock"),
    ("x509", "hostname"),
    ("cloudflare", "fetch"),
    ("server", "rollout"),
];

/// The two sides that share words and the admin API, never imports.
const DATA_PLANE: [&str; 3] = ["proxy", "tls", "snapshot"];
const COMPANION: [&str; 2] = ["cloudflare", "rollout"];

/// Outside crates and the only places that may name them: a module, or a file or folder in it.
const HOMES: [(&str, &[&str]); 21] = [
    ("annotate_snippets", &["config", "cli"]),
    ("anyhow", &["cli", "main"]),
    ("axum", &["admin", "server/demo"]),
    ("clap", &["cli", "main"]),
    ("httparse", &["http1"]),
    ("hyper", &["proxy", "admin", "upstream", "fetch", "loadtest", "probe", "server/demo"]),
    ("hyper_util", &["proxy", "admin", "upstream", "fetch", "loadtest", "probe", "server/demo"]),
    ("idna", &["hostname"]),
    ("ipnet", &["evidence"]),
    ("prometheus", &["telemetry/metrics"]),
    ("rcgen", &["pki", "server/demo"]),
    ("rustls", &["tls", "policy", "upstream", "snapshot", "fetch", "loadtest", "probe", "alert"]),
    ("strsim", &["config"]),
    ("time", &["clock", "pki", "telemetry"]),
    ("tokio_rustls", &["tls", "upstream", "fetch", "loadtest", "probe"]),
    ("toml", &["config"]),
    ("tracing_appender", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("webpki", &["policy"]),
    ("x509_parser", &["x509"]),
    ("zeroize", &["secret", "tls/tickets"]),
];

/// Types without behaviour that any module may name although their crate has a home.
const WORDS: [&str; 1] = ["rustls::pki_types"];

/// Lines of a file without its tests. A longer one has more than one purpose.
const MAX_LINES: usize = 450;

#[test]
fn imports_follow_the_rows_of_the_house() {
    let breaches: Vec<String> = sources().iter().flat_map(Source::breaches).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn a_breach_is_found_and_named() {
    for (module, code, rule) in [
        ("policy/trust", "use crate::proxy::respond;", "`policy` (row 1) imports `proxy` (row 5)"),
        ("policy/trust", "use crate::{clock, proxy};", "`policy` (row 1) imports `proxy` (row 5)"),
        ("policy/trust", "fn f() -> crate::proxy::X {", "`policy` (row 1) imports `proxy` (row 5)"),
        ("config/file", "use crate::tls::hello;", "`config` (row 3) imports `tls` (row 3)"),
        ("proxy/request", "use crate::cloudflare::zone;", "the data plane and the companion share no imports"),
        ("rollout/plan", "use crate::tls::accept;", "the data plane and the companion share no imports"),
        ("proxy/request", "use x509_parser::prelude::*;", "`x509_parser` has its home in x509"),
        ("proxy/request", "    let e = rustls::Error::General;", "`rustls` has its home in tls"),
        ("attic", "use crate::clock::Clock;", "`attic` has no row"),
        ("clock", "let x = y.unwrap();", "unwrap() outside tests"),
    ] {
        let found = Source::read(Path::new(module), code).breaches();
        assert!(found.len() == 1 && found[0].contains(rule), "{module}: {code}: {found:?}");
        assert!(found[0].contains(&format!("{module}:1:")), "{found:?}");
    }
}

#[test]
fn what_is_allowed_is_no_breach() {
    for (module, code) in [
        ("proxy/request", "use crate::policy::verdict::Reason;"),
        ("proxy/request", "use crate::proxy::respond;"),
        ("proxy/request", "use rustls::pki_types::CertificateDer;"),
        ("proxy/request", "// crate::cli and rustls:: are only talked about"),
        ("tls/accept", "use crate::config::model::Limits;"),
        ("tls/accept", "let x = tokio_rustls::rustls::version::TLS13;"),
        ("clock", "use std::time::Duration;"),
        ("policy/trust", "#[cfg(test)]\nmod tests {\n    use crate::cli;\n    x.unwrap();\n}"),
        ("policy/trust", "#[cfg(test)]\nfn f() {\n    crate::cli::x().unwrap();\n}"),
    ] {
        assert_eq!(Source::read(Path::new(module), code).breaches(), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn every_kind_of_finding_has_its_place_in_the_guide() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/cloudflare-watch.md");
    let guide = fs::read_to_string(path).expect("the guide");
    for kind in FindingKind::ALL {
        assert!(guide.contains(&format!("\n| `{}` |", kind.label())), "{}", kind.label());
    }
}

#[test]
fn every_reason_metric_and_attempt_has_its_place_in_the_reference() {
    let page = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name));
    let reasons = page("reasons.md").expect("the page of reasons");
    for reason in Reason::HANDSHAKE.into_iter().chain(Reason::REQUEST) {
        assert!(reasons.contains(&format!("\n### `{}`\n", reason.label())), "{}", reason.label());
    }
    let attempts = page("probe.md").expect("the page of attempts");
    let attempts: Vec<_> = attempts.lines().filter(|line| line.starts_with("| `")).collect();
    for attempt in Attempt::ALL.map(Attempt::label) {
        let named = |line: &&str| line.split('|').nth(1).is_some_and(|words| words.contains(&format!("`{attempt}`")));
        assert!(attempts.iter().any(named), "{attempt}");
    }
    let metrics = page("metrics.md").expect("the page of metrics");
    let families = Metrics::new(10).render();
    for family in families.lines().filter_map(|line| line.strip_prefix("# TYPE originlock_")) {
        let name = family.split(' ').next().unwrap_or_default();
        assert!(metrics.contains(&format!("\n| `originlock_{name}` |")), "originlock_{name}");
    }
    for reason in Refusal::ALL.map(Refusal::label).into_iter().chain(UpstreamError::REASONS) {
        assert!(metrics.contains(&format!("\n| `{reason}` |")), "{reason}");
    }
}

/// One file of `src` without its comments and tests.
struct Source {
    /// The path below `src` without `.rs` and `mod`, with `/`.
    path: String,
    lines: Vec<(usize, String)>,
}

impl Source {
    fn read(path: &Path, text: &str) -> Self {
        let path = path.with_extension("").to_string_lossy().replace('\\', "/");
        let path = path.strip_suffix("/mod").unwrap_or(&path).to_owned();
        Self { path, lines: without_tests(text) }
    }

    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    fn breaches(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        let Some(row) = row(self.module()) else {
            return vec![format!("src/{}:1: `{}` has no row; give it one in tests/tidy.rs", self.path, self.module())];
        };
        for (number, line) in &self.lines {
            let mut say = |rule: String| breaches.push(format!("src/{}:{number}: {rule}", self.path));
            imported(line).iter().filter_map(|target| self.import_breach(row, target)).for_each(&mut say);
            HOMES.iter().filter_map(|home| self.home_breach(line, home)).for_each(&mut say);
            if line.contains(".unwrap()") {
                say("unwrap() outside tests would panic on bad input".into());
            }
        }
        if let Some((last, _)) = self.lines.get(MAX_LINES) {
            breaches.push(format!("src/{}:{last}: more than {MAX_LINES} lines; split it by purpose", self.path));
        }
        breaches
    }

    fn import_breach(&self, row_here: usize, target: &str) -> Option<String> {
        let here = self.module();
        let crosses = |one: &[&str], other: &[&str]| one.contains(&here) && other.contains(&target);
        if crosses(&DATA_PLANE, &COMPANION) || crosses(&COMPANION, &DATA_PLANE) {
            return Some(format!("`{here}` imports `{target}`: the data plane and the companion share no imports"));
        }
        let Some(row_there) = row(target) else { return Some(format!("`{target}` has no row; give it one")) };
        let down = row_there < row_here || here == target || WITHIN_A_ROW.contains(&(here, target));
        (!down).then(|| {
            format!("`{here}` (row {row_here}) imports `{target}` (row {row_there}); imports go to lower rows only")
        })
    }

    fn home_breach(&self, line: &str, (name, homes): &(&str, &[&str])) -> Option<String> {
        let at_home = homes
            .iter()
            .any(|home| self.path.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        let named = paths_from(line, name).any(|path| !WORDS.iter().any(|word| path.starts_with(word)));
        (named && !at_home).then(|| format!("`{name}` has its home in {}", homes.join(", ")))
    }
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The top modules that `line` names after `crate::`, braces included. rustfmt keeps one `use` on one line where it fits;
/// the members of a longer list stand on lines of their own and are seen only through their `use crate::module::{`.
fn imported(line: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for path in paths_from(line, "crate") {
        let rest = path.strip_prefix("crate::").unwrap_or_default();
        let names = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap_or(list));
        let count = if rest.starts_with('{') { usize::MAX } else { 1 };
        for name in names.split(',').take(count) {
            let name = name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            if name.starts_with(|c: char| c.is_lowercase()) {
                found.insert(name);
            }
        }
    }
    found
}

/// Every place in `line` where a path starts with `root::`, up to the line's end.
fn paths_from<'a>(line: &'a str, root: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(root).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let starts = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '$');
        let path = &line[at..];
        (starts && path[root.len()..].starts_with("::")).then_some(path)
    })
}

/// The numbered lines that are neither comments nor items under `#[cfg(test)]`; rustfmt's indentation tells where one ends.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let code = line.trim_start();
        if code == "#[cfg(test)]" {
            let indent = line.len() - code.len();
            let ends = |line: &str| {
                let code = line.trim_start();
                let outer = line.len() - code.len() == indent;
                outer && !code.starts_with("#[") && (code.starts_with('}') || code.ends_with(['}', ';']))
            };
            lines.find(|(_, line)| ends(line));
        } else if !code.starts_with("//") {
            kept.push((at + 1, line.split(" // ").next().unwrap_or(line).to_owned()));
        }
    }
    kept
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    gather(&root, &mut files);
    let texts: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            (file, text)
        })
        .collect();
    let test_files: BTreeSet<PathBuf> = texts.iter().flat_map(|(file, text)| test_modules(file, text)).collect();
    let relative = |file: &Path| file.strip_prefix(&root).expect("a file below src").to_owned();
    texts
        .iter()
        .filter(|(file, _)| !test_files.iter().any(|test| file == test || file.starts_with(test.with_extension(""))))
        .map(|(file, text)| Source::read(&relative(file), text))
        .collect()
}

/// The files that hold a module declared under `#[cfg(test)]`.
fn test_modules(file: &Path, text: &str) -> Vec<PathBuf> {
    let folder = file.parent().expect("a file has a folder");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[cfg(test)]") {
        let path = lines.get(at + 1).and_then(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
        let module = lines.get(at + 1).and_then(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        found.extend(path.map(|path| folder.join(path)));
        if let Some(module) = module {
            found.push(folder.join(format!("{module}.rs")));
            found.push(file.with_extension("").join(format!("{module}.rs")));
        }
    }
    found
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of src is readable") {
        let path = entry.expect("an entry of src").path();
        match path.is_dir() {
            true => gather(&path, files),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
}
