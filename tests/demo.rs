//! What `originlock demo` prints is true: the built program is run, and its own lines are pasted into a shell.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The last line before the log.
const WALK_ENDS: &str = "The handshake log, as it happens:";

#[test]
fn every_promise_of_the_walk_holds_and_nothing_is_left_behind() {
    let place = tempfile::tempdir().expect("a folder");
    let output = demo(place.path(), 0).arg("--self-test").output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 15, "{text}");
    assert!(text.lines().all(|line| line.starts_with('✓')), "{text}");
    assert!(is_empty(place.path()));
}

#[test]
fn the_printed_lines_do_in_a_shell_what_they_say() {
    let place = tempfile::tempdir().expect("a folder");
    let mut running = Running::start(demo(place.path(), 0));
    let folder = running.folder();
    assert_eq!(fs::metadata(&folder).expect("a folder").permissions().mode() & 0o777, 0o700);
    let mut check = Command::new(env!("CARGO_BIN_EXE_originlock"));
    let check = check.args(["check", "-c"]).arg(folder.join("originlock.toml")).output().expect("the program runs");
    assert!(check.status.success() && check.stderr.is_empty(), "{check:?}");

    let (page, walk) = running.walk.split_once("\nwalk.localhost").expect("the walk is there");
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with("  curl ")).map(str::to_owned).collect();
    let is_line = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let turns: Vec<_> = walk.lines().filter(is_line).map(str::to_owned).collect();
    for (line, expected, logged) in [
        (0, "X-Client-Verify   NONE", "admitted      off.localhost       off      no_certificate"),
        (1, "421 Misdirected Request", "admitted      off.localhost       off      no_certificate"),
        (2, "X-Client-Verify   SUCCESS", "admitted      observe.localhost   observe  verified"),
        (3, "X-Client-Verify   NONE", "would refuse  observe.localhost   observe  no_certificate"),
        (4, "X-Client-Verify   FAILED:unknown_issuer", "would refuse  observe.localhost   observe  unknown_issuer"),
        (5, "X-Client-Verify   NONE", "would refuse  observe.localhost   observe  no_certificate"),
        (6, "X-Client-Verify   SUCCESS", "admitted      enforce.localhost   enforce  verified"),
        (7, "alert certificate required", "refused       enforce.localhost   enforce  no_certificate"),
        (8, "alert unknown ca", "refused       enforce.localhost   enforce  unknown_issuer"),
    ] {
        let output = shell(&lines[line], &folder);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains(expected), "{}: {said}", lines[line]);
        running.wait_for(logged);
    }
    assert_eq!(lines.len(), 9);

    for (line, code, expected) in [
        (0, 3, "walk.localhost is not ready"),
        (1, 0, ""),
        (2, 0, "walk.localhost is ready to be enforced"),
        (3, 0, "walk.localhost without a certificate: refused with certificate_required"),
        (4, 56, "alert certificate required"),
        (5, 0, "enforce → observe"),
    ] {
        let output = shell(&turns[line], &folder);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains(expected) && output.status.code() == Some(code), "{}: {said}", turns[line]);
    }
    assert_eq!(turns.len(), 6);
    assert!(running.interrupt().success());
    assert!(is_empty(place.path()));
}

#[test]
fn a_taken_port_is_left_alone_and_said() {
    let place = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let running = Running::start(demo(place.path(), port));
    assert!(running.walk.contains(&format!("note: port {port} cannot be used")), "{}", running.walk);
    assert!(!running.walk.contains(&format!("localhost:{port}/")), "{}", running.walk);
    assert!(running.interrupt().success());
}

/// The command, with free ports and `place` for temporary files.
fn demo(place: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_originlock"));
    command.args(["demo", "--admin-port", "0", "--port", &port.to_string()]).env("TMPDIR", place);
    for proxy in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command
}

fn shell(line: &str, folder: &Path) -> Output {
    Command::new("sh").args(["-c", line]).current_dir(folder).output().expect("a shell")
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

/// A demonstration that has printed its walk. Killed if the test fails.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    walk: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let walk = read_until(&mut output, WALK_ENDS);
        Self { child, output, walk }
    }

    fn folder(&self) -> PathBuf {
        let line = self.walk.lines().find_map(|line| line.strip_prefix("  cd "));
        line.expect("the walk begins with its folder").into()
    }

    fn wait_for(&mut self, logged: &str) {
        read_until(&mut self.output, logged);
    }

    fn interrupt(mut self) -> std::process::ExitStatus {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        self.child.wait().expect("an end")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads up to and with the line that contains `wanted`.
fn read_until(output: &mut impl BufRead, wanted: &str) -> String {
    let mut text = String::new();
    loop {
        let before = text.len();
        let read = output.read_line(&mut text).expect("UTF-8");
        assert!(read > 0, "`{wanted}` never came:\n{text}");
        if text[before..].contains(wanted) {
            return text;
        }
    }
}
