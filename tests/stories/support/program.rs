//! The built program, as a person runs it.

use std::process::{Child, Command, Stdio};

use super::World;

/// What a run of it came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program with these words and nothing of the tests' environment.
pub fn originlock(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_originlock"));
    command.args(words).env_remove("ORIGINLOCK_ADMIN").env_remove("ORIGINLOCK_TOKEN_FILE");
    command.env_remove("CLOUDFLARE_API_TOKEN").env_remove("CREDENTIALS_DIRECTORY").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn run(words: &[&str]) -> Ran {
    finish(originlock(words).spawn().expect("the program starts"))
}

/// Runs it to its end, against the admin side of `world`.
pub fn ask(world: &World, words: &[&str]) -> Ran {
    let url = world.server().admin_url().expect("an admin side");
    run(&[words, &["--admin", url]].concat())
}

/// Waits for its end.
pub fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("it was not killed");
    Ran { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ran {
    /// The standard output of a run that ended with `code`.
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        self.stdout
    }
}
