//! Certificates to try with, made on the spot. All are wrong, each in its own way.

use crate::clock::Timestamp;
use crate::pki::namesake::namesake;
use crate::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, PkiError, Purpose, Validity, self_signed};
use crate::probe::{Identity, ProbeError};

/// They serve for some seconds.
const DAYS: u32 = 1;
/// How long ago the expired one ended, and how long it was good: in seconds.
const EXPIRED_FOR: i64 = 86_400;
const WAS_GOOD_FOR: i64 = 10 * 86_400;
/// What the leaves call themselves: whoever finds one in a log knows where it came from.
const COMMON_NAME: &str = "originlock probe";

/// Signed by its own key.
pub(super) fn self_signed_leaf(now: Timestamp) -> Result<Identity, ProbeError> {
    worn(self_signed(&leaf(now)))
}

/// Signed by a CA that was made for it.
pub(super) fn other_ca(now: Timestamp) -> Result<Identity, ProbeError> {
    worn(nobodys_ca(now).and_then(|ca| ca.issue(&leaf(now))))
}

/// Signed by a CA with the name `issuer` (DER) and a key of its own.
pub(super) fn same_name_ca(issuer: &[u8], now: Timestamp) -> Result<Identity, ProbeError> {
    worn(namesake(issuer, &leaf(now)))
}

/// Expired; signed by `ca`, or by one that was made for it.
pub(super) fn expired(ca: Option<&Ca>, now: Timestamp) -> Result<Identity, ProbeError> {
    let at = |ago: i64| Timestamp::from_seconds(now.seconds().saturating_sub(ago));
    let validity = Validity { not_before: at(EXPIRED_FOR + WAS_GOOD_FOR), not_after: at(EXPIRED_FOR) };
    let options = LeafOptions { validity, ..leaf(now) };
    worn(match ca {
        Some(ca) => ca.issue(&options),
        None => nobodys_ca(now).and_then(|ca| ca.issue(&options)),
    })
}

/// Good for servers only; signed by `ca`.
pub(super) fn wrong_purpose(ca: &Ca, now: Timestamp) -> Result<Identity, ProbeError> {
    worn(ca.issue(&LeafOptions { purpose: Purpose::Server, ..leaf(now) }))
}

fn worn(issued: Result<Issued, PkiError>) -> Result<Identity, ProbeError> {
    Identity::of(&issued?)
}

fn leaf(now: Timestamp) -> LeafOptions {
    LeafOptions::client(COMMON_NAME, Validity::days(now, DAYS))
}

fn nobodys_ca(now: Timestamp) -> Result<Ca, PkiError> {
    let common_name = "nobody's CA".to_owned();
    Ok(Ca::create(&CaOptions { common_name, key_type: KeyType::P256, validity: Validity::days(now, DAYS) })?.0)
}
