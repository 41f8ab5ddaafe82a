//! The command line.

mod admin;
mod again;
mod aop;
mod check;
mod demo;
mod duration;
mod explain;
mod fleet;
mod judged;
mod next_step;
mod output;
mod paper;
pub mod pki;
mod probe;
mod progress;
mod ready;
mod run;
mod status;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use self::again::Again;

use crate::clock::Clock;
use crate::telemetry::escape::harmless;

/// Where packages put the configuration.
const DEFAULT_CONFIG: &str = "/etc/originlock/originlock.toml";

/// An origin-side mTLS reverse proxy for Cloudflare's Authenticated Origin Pulls, per hostname.
///
/// Walk a hostname from `off` over `observe` to `enforce`: in `observe` everyone is let in, and the log says who
/// `enforce` would refuse and why.
#[derive(Debug, Parser)]
#[command(name = "originlock", version, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve a configuration. SIGHUP reloads it, SIGTERM drains, a second SIGTERM ends at once.
    Run(ConfigArguments),
    /// Load a configuration and everything it names, and print what each hostname will do.
    Check(CheckArguments),
    Status(status::StatusArguments),
    Ready(ready::ReadyArguments),
    Explain(explain::ExplainArguments),
    Enforce(walk::EnforceArguments),
    Observe(walk::ObserveArguments),
    Confirm(walk::ConfirmArguments),
    Reload(walk::ReloadArguments),
    Probe(probe::ProbeArguments),
    /// Four hostnames with throwaway certificates, to try with curl: nothing to set up.
    Demo(demo::DemoArguments),
    /// Make and look at certificates: a private CA, a client leaf for Cloudflare's upload.
    Pki(pki::PkiArgs),
    Aop(aop::AopArguments),
}

/// Which configuration.
#[derive(Debug, clap::Args)]
struct ConfigArguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct CheckArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// How a verb prints.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How a command ended, as its exit code (`docs/reference/exit-codes.md`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    Done,
    Failed,
    NotReady,
    /// What is at Cloudflare or in a file is not what should be there.
    Drift,
    /// Cloudflare said no.
    Refused,
    BadConfiguration,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(match ended {
            Ended::Done => 0,
            Ended::Failed => 1,
            Ended::NotReady => 3,
            Ended::Drift => 4,
            Ended::Refused => 5,
            // EX_CONFIG of sysexits.h.
            Ended::BadConfiguration => 78,
        })
    }
}

/// Runs the command that this process was called with.
pub fn main() -> ExitCode {
    // `-t` is what people who come from nginx type.
    let words = std::env::args_os().enumerate().map(|(at, word)| match at == 1 && word == "-t" {
        true => "check".into(),
        false => word,
    });
    let arguments = Arguments::parse_from(words);
    remember(&arguments.verb);
    let ended = match arguments.verb {
        Verb::Run(arguments) => run::run(arguments.config),
        Verb::Check(arguments) => check::run(&arguments.config.config, arguments.output),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Ready(arguments) => ready::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Enforce(arguments) => walk::enforce(&arguments),
        Verb::Observe(arguments) => walk::observe(&arguments),
        Verb::Confirm(arguments) => walk::confirm(&arguments),
        Verb::Reload(arguments) => walk::reload(&arguments),
        Verb::Probe(arguments) => probe::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Aop(arguments) => aop::run(&arguments),
        Verb::Pki(arguments) => {
            pki::run(&arguments, &Clock::System, &mut std::io::stdout().lock()).map(|()| Ended::Done)
        }
    };
    ended
        .unwrap_or_else(|error| {
            if output::is_closed_pipe(&error) {
                return Ended::Done;
            }
            let ended = aop::ended(&error);
            // What another server says is part of it.
            let advice = aop::advice(&error);
            let text = again::completed(&format!("{:#}{advice}", next_step::told(error)));
            let text = text.lines().map(harmless).collect::<Vec<_>>().join("\n");
            eprintln!("originlock: {text}");
            ended
        })
        .into()
}

/// What is printed by any verb repeats what this one was told.
fn remember(verb: &Verb) {
    let admin = match verb {
        Verb::Status(arguments) => &arguments.admin,
        Verb::Ready(arguments) => &arguments.admin,
        Verb::Explain(arguments) => &arguments.admin,
        Verb::Enforce(arguments) => &arguments.host.admin,
        Verb::Observe(arguments) => &arguments.host.admin,
        Verb::Confirm(arguments) => &arguments.host.admin,
        Verb::Reload(arguments) => &arguments.admin,
        Verb::Aop(arguments) => return again::remember(arguments.again()),
        Verb::Run(_) | Verb::Check(_) | Verb::Probe(_) | Verb::Demo(_) | Verb::Pki(_) => return,
    };
    again::remember(Again { admin: admin.again(), ..Again::default() });
}
