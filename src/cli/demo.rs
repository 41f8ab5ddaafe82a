//! `originlock demo`: a walk to follow with `curl`, and the log of it.

use std::io::{self, Write};
use std::net::ToSocketAddrs;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::{Ended, output};
use crate::policy::client_auth::Mode;
use crate::server::demo::steps::{ENFORCE, ENOUGH_VISITS, OBSERVE, OFF, STEPS, Step, TURNS, Turn, WALK};
use crate::server::demo::{CONFIG, Demo, Ports, SITE_CA, proof};
use crate::server::{Options, panics};
use crate::telemetry::logging::{self, LogFormat, LogOptions};

/// A name that takes longer to resolve is asked of a network, which knows nothing of this demonstration.
const RESOLVE_LIMIT: Duration = Duration::from_millis(300);
const LOG_QUEUE: usize = 1024;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// Throwaway certificates, a backend, and four hostnames in front of it: nothing to set up
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// Port of 127.0.0.1 for the hostnames; another one is taken if it is not free
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Port of 127.0.0.1 for the admin page; another one is taken if it is not free
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
    /// Try every line of the walk with a client of its own, say which promises hold, and end
    #[arg(long)]
    self_test: bool,
}

pub(super) fn run(arguments: &DemoArguments) -> anyhow::Result<Ended> {
    let runtime = Builder::new_current_thread().enable_all().build().context("no signal handling")?;
    // Before the folder is made, so that it is removed however early the end comes.
    let ended = listen_for_the_end(&runtime)?;
    let ports = Ports { tls: arguments.port, admin: arguments.admin_port };
    match arguments.self_test {
        true => self_test(ports),
        false => show(ports, &runtime, ended),
    }
}

fn show(ports: Ports, runtime: &Runtime, ended: impl Future<Output = ()>) -> anyhow::Result<Ended> {
    let log = logging::init(&LogOptions { format: LogFormat::Human, filter: "info".into(), queue: LOG_QUEUE })?;
    let demo = Demo::start(ports, Options { line_drops: log.line_drops(), ..Options::default() })?;
    panics::count(Arc::clone(demo.server().metrics()));
    // Nobody reads along if this fails; the demonstration ends at once then.
    if Page::new().write_walk(&demo).is_ok() {
        runtime.block_on(ended);
    }
    demo.end();
    Ok(Ended::Done)
}

fn self_test(ports: Ports) -> anyhow::Result<Ended> {
    let demo = Demo::start(ports, Options::default())?;
    let tried = proof::try_all(&demo)?;
    demo.end();
    let page = Page::new();
    tried.iter().try_for_each(|tried| page.write_tried(tried))?;
    Ok(match tried.iter().all(|tried| tried.broken.is_none()) {
        true => Ended::Done,
        false => Ended::Failed,
    })
}

/// A closed terminal ends a demonstration, too: nobody is there to reload anything.
fn listen_for_the_end(runtime: &Runtime) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let _inside = runtime.enter();
    let listen = |kind| signal(kind).context("a signal cannot be listened for");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// What is printed, in colours where a terminal shows them.
struct Page {
    colours: bool,
}

impl Page {
    fn new() -> Self {
        Self { colours: output::colour_on_stdout() }
    }

    fn write_walk(&self, demo: &Demo) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", self.paint(BOLD, "originlock demo: one backend, four hostnames, throwaway certificates"))?;
        for note in demo.notes() {
            writeln!(out, "{}", self.paint(CYAN, &format!("note: {note}")))?;
        }
        writeln!(out, "\nIn a second terminal, go to the certificates and try these:\n")?;
        writeln!(out, "  cd {}", quoted(&demo.folder().display().to_string()))?;
        let extra = extra_options(demo.address().port());
        for (host, about) in [
            (OFF, "no client certificate is asked for"),
            (OBSERVE, "certificates are judged and recorded, everyone is let in"),
            (ENFORCE, "only clients that verify are let in"),
        ] {
            writeln!(out, "\n{} {}", self.paint(BOLD, host), self.paint(DIM, &format!("- {about}")))?;
            for step in STEPS.iter().filter(|step| step.host == host) {
                writeln!(out, "  {}", curl(step, demo.address().port(), &extra))?;
                writeln!(out, "      {}", self.paint(DIM, step.sentence))?;
            }
        }
        let about = "- watched, found ready, and enforced";
        writeln!(out, "\n{} {}", self.paint(BOLD, WALK), self.paint(DIM, about))?;
        let program = program();
        for step in &TURNS {
            writeln!(out, "  {}", line(&step.turn, &program, demo.address().port(), &extra))?;
            writeln!(out, "      {}", self.paint(DIM, step.sentence))?;
        }
        writeln!(out)?;
        if let Some(url) = demo.admin_page() {
            writeln!(out, "Admin page     {}", self.paint(CYAN, &url))?;
        }
        writeln!(out, "Configuration  {}", demo.config().display())?;
        writeln!(out, "End            Ctrl-C; certificates and configuration are removed")?;
        writeln!(out, "\n{}", self.paint(BOLD, "The handshake log, as it happens:"))?;
        out.flush()
    }

    fn write_tried(&self, tried: &proof::Tried) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let proof::Tried { host, sentence, broken } = tried;
        match broken {
            None => writeln!(out, "{} {host:<17}  {sentence}", self.paint(GREEN, "✓")),
            Some(seen) => writeln!(out, "{} {host:<17}  {sentence}\n    {seen}", self.paint(RED, "✗")),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.colours {
            true => format!("{colour}{text}{RESET}"),
            false => text.to_owned(),
        }
    }
}

fn curl(step: &Step, port: u16, extra: &str) -> String {
    let mut line = format!("curl{extra} --cacert {SITE_CA}");
    if let Some((certificate, key)) = step.identity.files() {
        line += &format!(" --cert {certificate} --key {key}");
    }
    if let Some((name, value)) = step.header {
        line += &format!(" -H '{name}: {value}'");
    }
    line + &format!(" https://{}:{port}/", step.host)
}

/// A turn of the walk as a line for a shell.
fn line(turn: &Turn, program: &str, port: u16, extra: &str) -> String {
    let verb = |verb: &str| format!("{program} {verb} {WALK} -c {CONFIG}");
    match turn {
        Turn::Ask(step) => curl(step, port, extra),
        Turn::Visits => {
            let times: Vec<_> = (1..=ENOUGH_VISITS).map(|visit| visit.to_string()).collect();
            let edge = curl(&Step { host: WALK, header: None, ..STEPS[1] }, port, &format!(" -so /dev/null{extra}"));
            format!("for visit in {}; do {edge}; done", times.join(" "))
        }
        Turn::Ready(_) => verb("ready"),
        Turn::Mode(Mode::Enforce) => verb("enforce"),
        Turn::Mode(Mode::Observe | Mode::Off) => verb("observe"),
    }
}

/// How a shell calls this program: by its name where that leads here, else by its path.
fn program() -> String {
    let name = "originlock";
    let Ok(here) = std::env::current_exe().and_then(std::fs::canonicalize) else { return name.to_owned() };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file());
    match found.and_then(|found| std::fs::canonicalize(found).ok()) == Some(here.clone()) {
        true => name.to_owned(),
        false => quoted(&here.display().to_string()),
    }
}

/// What `curl` needs here to find the way: a name server may not know `*.localhost` (RFC 6761, section 6.3), and a
/// proxy from the environment would be asked for it.
fn extra_options(port: u16) -> String {
    let proxied = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let mut options = String::new();
    if !names_resolve(port) {
        options += " --connect-to ::127.0.0.1:";
    }
    if proxied {
        options += " --noproxy '*'";
    }
    options
}

fn names_resolve(port: u16) -> bool {
    let (resolved, when_resolved) = mpsc::channel();
    // The thread ends with the resolver's patience; nobody waits for it.
    std::thread::spawn(move || {
        let loopback = |host: &str| match (host, port).to_socket_addrs() {
            Ok(mut addresses) => addresses.any(|address| address.ip().is_loopback()),
            Err(_) => false,
        };
        _ = resolved.send([OFF, OBSERVE, ENFORCE, WALK].into_iter().all(loopback));
    });
    when_resolved.recv_timeout(RESOLVE_LIMIT).unwrap_or(false)
}

/// For a shell, where the path needs it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_a_line_that_a_shell_takes() {
        let lines: Vec<_> = STEPS.iter().map(|step| curl(step, 8443, "")).collect();
        assert_eq!(lines[0], "curl --cacert site-ca.pem https://off.localhost:8443/");
        assert_eq!(
            lines[1],
            "curl --cacert site-ca.pem --cert edge.pem --key edge.key https://observe.localhost:8443/"
        );
        assert_eq!(lines[4], "curl --cacert site-ca.pem -H 'X-Client-Verify: SUCCESS' https://observe.localhost:8443/");
        assert!(lines.iter().all(|line| line.len() <= 98), "two blanks stand before it");
        let turns: Vec<_> = TURNS.iter().map(|step| line(&step.turn, "originlock", 8443, "")).collect();
        assert_eq!(turns[0], "originlock ready walk.localhost -c originlock.toml");
        assert_eq!(
            turns[1],
            "for visit in 1 2 3 4 5; do curl -so /dev/null --cacert site-ca.pem --cert edge.pem --key edge.key \
             https://walk.localhost:8443/; done"
        );
        assert_eq!(turns[5], "originlock observe walk.localhost -c originlock.toml");
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_read_it_otherwise() {
        for (path, expected) in [("/tmp/a-1", "/tmp/a-1"), ("/tmp/a b", "'/tmp/a b'"), ("/t'p", r"'/t'\''p'")] {
            assert_eq!(quoted(path), expected);
        }
    }
}
