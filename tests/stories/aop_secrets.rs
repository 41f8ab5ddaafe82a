//! Neither the token nor a private key is ever written anywhere but where it belongs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cloudflare::Fault;
use crate::support::aop::{Aop, SHOP, ZONE};
use crate::support::program::{Ran, finish, originlock};

const NAME: &str = "CLOUDFLARE_API_TOKEN";

/// The program with all that it needs but the token, at its most talkative.
fn program(aop: &Aop, words: &[&str]) -> Command {
    let mut command = originlock(&[words, &[SHOP, "--zone", ZONE, "--api", &aop.fake.base_url()]].concat());
    let url = aop.world.server().admin_url().expect("an admin side");
    command.args(["--admin", url, "--token-file"]).arg(aop.world.path("admin.token"));
    command.arg("--certificate").arg(aop.path("leaf.pem")).arg("--key").arg(aop.path("leaf.key"));
    command.arg("--state").arg(aop.path("state"));
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    command
}

/// The same with the token in a file.
fn walk(aop: &Aop, words: &[&str]) -> Ran {
    let mut command = program(aop, words);
    command.arg("--api-token-file").arg(aop.path("token"));
    run(command)
}

fn run(mut command: Command) -> Ran {
    finish(command.spawn().expect("the program starts"))
}

/// What must not be seen: the token, and a line of the key.
fn secrets(aop: &Aop) -> [String; 2] {
    let key = String::from_utf8_lossy(aop.leaf.key_pem.expose()).into_owned();
    [aop.fake.token(), key.lines().nth(1).expect("a line of the key").to_owned()]
}

#[track_caller]
fn says_none(case: &str, aop: &Aop, ran: &Ran) {
    for secret in secrets(aop) {
        assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret), "{case}: {ran:#?}");
    }
    keeps_none(case, aop, &aop.path("state"));
}

fn keeps_none(case: &str, aop: &Aop, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let text = String::from_utf8_lossy(&fs::read(entry.path()).expect("a file")).into_owned();
        for secret in secrets(aop) {
            assert!(!text.contains(&secret), "{case}: {}", entry.path().display());
        }
    }
}

#[test]
fn a_walk_that_works_says_and_keeps_none() {
    let aop = Aop::new().visited();
    for words in [
        &["aop", "plan", "-o", "json"][..],
        &["aop", "plan"],
        &["aop", "apply", "--yes", "--poll", "20ms", "-o", "json"],
        &["aop", "apply", "--yes", "--poll", "20ms"],
    ] {
        let ran = walk(&aop, words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:#?}");
        says_none(&words.join(" "), &aop, &ran);
    }
    assert!(aop.path("state").read_dir().is_ok_and(|mut folder| folder.next().is_some()), "a journal was looked at");
}

#[test]
fn a_walk_that_fails_says_and_keeps_none() {
    let at = || Fault::on("POST", "/**").always();
    // What the service says again of what it was told is a stranger's word, and the only one that could hold the key.
    for fault in [
        at().close(),
        at().answer(500, "text/html", "<html>"),
        at().refuse(400, 1408, "Unable to parse certificate"),
        Fault::anywhere().always().refuse(403, 10000, "Authentication error"),
        Fault::anywhere().always().refuse(401, 1000, "Invalid API Token"),
    ] {
        let case = format!("{fault:?}");
        let aop = Aop::new();
        aop.fake.fault(fault);
        let ran = walk(&aop, &["aop", "apply", "--yes", "--wait", "1s", "--poll", "20ms"]);
        assert_ne!(ran.code, 0, "{case}: {ran:#?}");
        says_none(&case, &aop, &ran);
    }
}

#[test]
fn a_token_of_the_environment_serves_as_well_and_shows_as_little() {
    let aop = Aop::new();
    let mut command = program(&aop, &["aop", "plan"]);
    command.env(NAME, aop.fake.token());
    let ran = run(command);
    assert_eq!(ran.code, 0, "{ran:#?}");
    says_none("of the environment", &aop, &ran);
}
