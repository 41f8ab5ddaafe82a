//! See the library: this is its command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    originlock::cli::main()
}
