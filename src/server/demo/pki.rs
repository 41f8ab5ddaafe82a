//! Throwaway certificates: one CA for the site, one for the client that is let in, one for a stranger.

use std::path::Path;

use crate::clock::Timestamp;
use crate::pki::files::{FileError, write_pair};
use crate::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, PkiError, Validity};

/// Long enough that no warning about an end stands in the way of the story.
const CA_DAYS: u32 = 365;
const LEAF_DAYS: u32 = 90;

/// What a visitor of the demonstration trusts.
pub const SITE_CA: &str = "site-ca.pem";

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the demonstration's certificates cannot be made")]
    Make(#[from] PkiError),
    #[error("the demonstration's certificates cannot be stored")]
    Store(#[from] FileError),
}

/// Makes them and writes them into `folder`.
pub fn make(folder: &Path, hosts: &[&str], now: Timestamp) -> Result<(), CredentialsError> {
    let validity = Validity::days(now, LEAF_DAYS);
    let store = |name: &str, issued: &Issued| {
        write_pair(&folder.join(format!("{name}.pem")), &folder.join(format!("{name}.key")), issued)
    };
    let ca = |common_name: &str| {
        let validity = Validity::days(now, CA_DAYS);
        Ca::create(&CaOptions { common_name: common_name.to_owned(), key_type: KeyType::default(), validity })
    };
    let (site_ca, issued) = ca("demo site CA")?;
    store("site-ca", &issued)?;
    store("site", &site_ca.issue(&LeafOptions::server(hosts, validity))?)?;
    let (origin_pull_ca, issued) = ca("demo origin-pull CA")?;
    store("origin-pull-ca", &issued)?;
    store("edge", &origin_pull_ca.issue(&LeafOptions::client("edge", validity))?)?;
    let (strangers_ca, _) = ca("somebody else's CA")?;
    store("stranger", &strangers_ca.issue(&LeafOptions::client("stranger", validity))?)?;
    Ok(())
}
