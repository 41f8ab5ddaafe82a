//! See the library: this is its command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

// Connections come and go in many sizes: the C library's allocator keeps more of what they leave behind.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    originlock::cli::main()
}
