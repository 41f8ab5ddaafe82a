//! The command line before servers that are not what they should be: one that never answers, one that lies, one that
//! talks to the terminal.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::program::{Ran, finish, originlock, run};

const SHOP: &str = "shop.example.com";
const OBSERVE: &str = "mode = \"observe\"";
const ENFORCE: &str = "mode = \"enforce\"";

/// Answers by what is asked. `None`: the connection is closed without an answer.
struct FalseServer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl FalseServer {
    fn start(answer: impl Fn(&str) -> Option<(u16, String)> + Send + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").expect("a port"), answer)
    }

    fn at(listener: TcpListener, answer: impl Fn(&str) -> Option<(u16, String)> + Send + 'static) -> Self {
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let head = read(&stream);
                if let Some((status, body)) = answer(&head) {
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
                    // Whoever left does not want it.
                    let _ = (&stream).write_all((head + &body).as_bytes());
                }
                seen.lock().expect("nobody panics").push(head);
            }
        });
        Self { address, heads }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn heads(&self) -> String {
        self.heads.lock().expect("nobody panics").join("").to_lowercase()
    }
}

/// A request's head; its body is taken, too, as what lies unread would have the answer thrown away.
fn read(stream: &TcpStream) -> String {
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    head
}

/// A configuration that is never served.
fn config(admin: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("originlock.toml");
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n{admin}[ca.ours]\nbundle = [\"ca.pem\"]\n[[host]]\nnames = \
         [\"{SHOP}\"]\ncertificate = {{ chain = \"a.pem\", key = \"a.key\" }}\nclient_auth = {{ {OBSERVE}, ca = \
         \"ours\" }}\nupstream = \"http://127.0.0.1:1\"\n"
    );
    fs::write(&path, text).expect("a file");
    (folder, path)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

/// As a proxy says it that may not write `file`, and would change it by `diff`.
fn not_writable(file: &Path, diff: &str) -> String {
    serde_json::json!({
        "type": "not_writable", "title": "the configuration is not writable here", "status": 409, "detail": "it is not",
        "next_step": null, "readiness": null, "diff": diff, "source": { "file": file, "line": 8 },
    })
    .to_string()
}

fn status(config: &Path) -> String {
    serde_json::json!({
        "at": "2026-11-23T10:00:00Z", "version": "0.1.0", "started_at": "2026-11-23T10:00:00Z", "generation": 1,
        "config": config, "listeners": [], "networks": { "source": "shipped", "dated": null, "ranges": 22 },
        "unknown_names": [], "evidence_file": null, "may_change": true,
    })
    .to_string()
}

/// All hosts: one that is observed, and not ready for a reason.
fn hosts(name: &str, sentence: &str, trust: &serde_json::Value) -> String {
    let network = serde_json::json!({ "handshakes": 0, "verified": 0, "requests": 0, "by_reason": {} });
    let readiness = serde_json::json!({
        "ready": false, "shortfalls": [{ "kind": "failing", "name": null, "sentence": sentence }], "notices": [],
    });
    let evidence = serde_json::json!({
        "window_seconds": 3600, "edge_addresses": 0, "last_verified": null, "cloudflare": network, "elsewhere": network,
    });
    serde_json::json!({ "at": "2026-11-23T10:00:00Z", "hosts": [{
        "name": name, "names": [name], "mode": "observe", "trust": trust, "certificate_not_after": null, "upstream": [],
        "source": null, "confirm_by": null, "readiness": readiness, "evidence": evidence,
    }]})
    .to_string()
}

/// The change that enforcing makes to `file`.
fn diff(file: &Path) -> String {
    run(&["enforce", SHOP, "--print", "-c", file.to_str().expect("a path")]).expect(0)
}

/// Enforces at a proxy that calls `named` its configuration, while `own` is the caller's.
fn enforce(named: &Path, own: &Path, reload: Option<(u16, String)>) -> (Ran, FalseServer) {
    let (refusal, status) = (not_writable(named, &diff(named)), status(named));
    let server = FalseServer::start(move |head| match head {
        head if head.contains("/mode ") => Some((409, refusal.clone())),
        head if head.contains("/reload ") => reload.clone(),
        head if head.contains("/hosts ") => Some((200, r#"{"at":"2026-11-23T10:00:00Z","hosts":[]}"#.to_owned())),
        _ => Some((200, status.clone())),
    });
    let ran = run(&["enforce", SHOP, "--admin", &server.url(), "-c", own.to_str().expect("a path")]);
    (ran, server)
}

#[test]
fn a_change_by_hand_is_taken_back_when_nobody_says_that_it_was_taken() {
    let (_folder, path) = config("");
    let before = text(&path);
    let (ran, server) = enforce(&path, &path, None);
    assert!(server.heads().contains("/reload "), "it was written and asked for: {ran:?}");
    assert_eq!(text(&path), before, "{ran:?}");
    assert!(ran.code == 1 && ran.stderr.contains("is as it was"), "{ran:?}");
    assert!(ran.stderr.contains("originlock status"), "the proxy may have read it all the same: {ran:?}");
}

#[test]
fn the_file_to_write_is_never_the_servers_choice() {
    let (_theirs, theirs) = config("");
    let (_ours, ours) = config("");
    let before = [text(&theirs), text(&ours)];
    let (ran, server) = enforce(&theirs, &ours, Some((200, r#"{"generation":2,"warnings":[]}"#.to_owned())));
    assert_eq!([text(&theirs), text(&ours)], before, "{ran:?}");
    assert!(!server.heads().contains("/reload "), "{ran:?}");
    let flat = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(ran.code == 1 && flat.contains(&ours.display().to_string()), "{ran:?}");
    assert!(flat.contains(&theirs.display().to_string()) && flat.contains("-c FILE"), "{ran:?}");
    assert!(before[0].contains(OBSERVE) && ran.stdout.contains(ENFORCE), "the change is shown: {ran:?}");
}

#[test]
fn a_change_by_hand_is_taken_back_when_another_trust_came_with_it() {
    let (_folder, path) = config("");
    let before = text(&path);
    let (refusal, reloads) = (not_writable(&path, &diff(&path)), AtomicU64::new(0));
    let server = FalseServer::start(move |head| match head {
        head if head.contains("/mode ") => Some((409, refusal.clone())),
        head if head.contains("/reload ") => {
            let generation = reloads.fetch_add(1, Ordering::Relaxed) + 1;
            Some((200, serde_json::json!({ "generation": generation, "warnings": [] }).to_string()))
        }
        _ => {
            let trust = serde_json::json!({
                "digest": reloads.load(Ordering::Relaxed).to_string(), "ca": ["ours"], "pins": 0, "ca_not_after": null,
                "crl_next_update": null, "cloudflare_shared_ca": false,
            });
            Some((200, hosts(SHOP, "", &trust)))
        }
    });
    let ran = run(&["enforce", SHOP, "--force", "--admin", &server.url(), "-c", path.to_str().expect("a path")]);
    assert!(ran.code == 1 && ran.stderr.contains("readiness was judged without it"), "{ran:?}");
    assert_eq!(server.heads().matches("/reload ").count(), 2, "and the proxy takes it back, too: {ran:?}");
    assert_eq!(text(&path), before);
}

#[test]
fn what_a_server_says_is_not_obeyed_by_the_terminal() {
    let evil = "\u{1b}[2J\u{9b}2J\u{202e}";
    let problem = serde_json::json!({
        "type": "write_failed", "title": format!("title{evil}"), "status": 409, "detail": format!("detail{evil}"),
        "next_step": format!("next{evil}"), "readiness": null, "diff": format!("diff{evil}\n"), "source": null,
    });
    let trust = serde_json::Value::Null;
    let hosts = hosts(&format!("host{evil}"), &format!("sentence{evil}"), &trust);
    let mut own: serde_json::Value = serde_json::from_str(&status(Path::new("/x"))).expect("JSON");
    own["version"] = format!("version{evil}").into();
    let (problem, own) = (problem.to_string(), own.to_string());
    let server = FalseServer::start(move |head| match head {
        head if head.contains("/mode ") => Some((409, problem.clone())),
        head if head.contains("/hosts ") => Some((200, hosts.clone())),
        head if head.contains("/status ") => Some((200, own.clone())),
        head if head.contains("/hosts/") => Some((409, problem.clone())),
        _ => Some((400, serde_json::json!({ "status": "error", "error": format!("said{evil}") }).to_string())),
    });
    let url = server.url();
    for (words, said) in [
        (&["observe", SHOP, "--admin", &url][..], &["title", "detail", "next", "diff"][..]),
        (&["status", "--admin", &url], &["host", "sentence", "version"]),
        (&["ready", SHOP, "--admin", &url], &["title", "detail", "next"]),
        (&["ready", SHOP, "--prometheus", &url], &["said"]),
    ] {
        let ran = run(words);
        let all = ran.stdout.clone() + &ran.stderr;
        assert!(said.iter().all(|word| all.contains(word)), "{ran:?}");
        assert!(!all.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{ran:?}");
    }
}

#[test]
fn the_token_of_the_admin_side_is_not_shown_to_a_prometheus() {
    let server = FalseServer::start(|_| Some((404, String::new())));
    let (folder, _) = config("");
    let [change, metrics] = ["change", "metrics"].map(|name| {
        let path = folder.path().join(name);
        fs::write(&path, format!("{name}-0123456789abcdef")).expect("a file");
        path
    });
    let mut command = originlock(&["status", "--prometheus", &server.url()]);
    command.env("ORIGINLOCK_TOKEN_FILE", &change);
    assert_eq!(finish(command.spawn().expect("the program starts")).code, 1);
    assert!(
        server.heads().contains("/api/v1/query") && !server.heads().contains("authorization"),
        "{}",
        server.heads()
    );
    let mut command = originlock(&["status", "--prometheus", &server.url()]);
    command.env("ORIGINLOCK_PROMETHEUS_TOKEN_FILE", &metrics);
    assert_eq!(finish(command.spawn().expect("the program starts")).code, 1);
    assert!(server.heads().contains("authorization: bearer metrics-0123456789abcdef"), "{}", server.heads());
}

#[test]
fn who_only_reads_does_not_show_the_token_for_changes_where_nobody_proves_who_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = format!(
        "[admin]\naddress = \"{}\"\nread = {{ token = \"gone.token\" }}\nchange = {{ token = \"change.token\" }}\n",
        listener.local_addr().expect("an address")
    );
    let (folder, path) = config(&admin);
    fs::write(folder.path().join("change.token"), "change-0123456789abcdef").expect("a file");
    let server = FalseServer::at(listener, |_| Some((404, String::new())));
    let ran = run(&["status", "-c", path.to_str().expect("a path")]);
    assert!(ran.code == 1 && ran.stderr.contains("gone.token cannot be read"), "{ran:?}");
    assert!(!server.heads().contains("authorization"), "{}", server.heads());
}

#[test]
fn a_fleet_is_not_judged_by_a_gate_that_cannot_be_read() {
    let server = FalseServer::start(|_| Some((404, String::new())));
    let (_folder, path) = config("nonsense\n");
    let ran = run(&["ready", SHOP, "--prometheus", &server.url(), "-c", path.to_str().expect("a path")]);
    let expected = format!("{} cannot be used; `originlock check -c", path.display());
    assert!(ran.code == 1 && ran.stderr.contains(&expected), "{ran:?}");
    assert_eq!(server.heads(), "");
}
