//! What is tried, and with what.

use std::net::SocketAddr;

use crate::hostname::Hostname;
use crate::pki::Ca;
use crate::probe::Identity;

/// A server and a host on it. What is `None` leaves the attempts out that need it.
pub struct Target {
    pub address: SocketAddr,
    pub name: Hostname,
    /// What is asked for: begins with `/`.
    pub path: String,
    /// A certificate that the host lets in.
    pub right: Option<Identity>,
    /// Another host on the same server, under another policy.
    pub other: Option<Hostname>,
    /// The certificate that the other host lets in, and this one does not.
    pub other_identity: Option<Identity>,
    /// The name (DER) of the CA to imitate. `None`: the issuer of `right`, else the first that the server tells.
    pub issuer: Option<Vec<u8>>,
    /// The CA that the host trusts, with its key: what is wrong with a certificate of its own can only be tried so.
    pub ca: Option<Ca>,
    /// That all of Cloudflare's customers get in is what the operator wants: the global level.
    pub shared_ca_is_meant: bool,
}
