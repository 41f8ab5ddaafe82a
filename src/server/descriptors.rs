//! How many connections the operating system lets the process have.

use crate::config::model::Limits;

/// For listeners, logs, files that are being read, the admin side.
const RESERVED: u64 = 256;
/// A proxied connection may need one towards the client and one towards the backend.
const PER_CONNECTION: u64 = 2;
/// Where the system names no limit.
const UNLIMITED: u64 = 1 << 20;

/// The bound on open connections: as configured, or as many as there are file descriptors for.
///
/// Raises the process's soft limit to its hard limit: the soft one is there for programs that use `select`.
pub fn connections(limits: &Limits) -> usize {
    let descriptors = rlimit::increase_nofile_limit(UNLIMITED).unwrap_or(1024);
    let possible = descriptors.saturating_sub(RESERVED).max(PER_CONNECTION) / PER_CONNECTION;
    let possible = usize::try_from(possible).unwrap_or(usize::MAX);
    match limits.connections {
        0 => possible,
        configured => configured,
    }
}
