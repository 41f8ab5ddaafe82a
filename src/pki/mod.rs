//! Certificates that we make and read for operators: a private CA, client leaves as Cloudflare's upload wants them.
//! The home of `rcgen`. The data plane does not need it.

pub mod ca;
pub mod files;
pub mod inspect;
pub mod key;
pub mod leaf;
pub mod namesake;

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;

use crate::clock::Timestamp;
use crate::secret::Secret;

pub use ca::{Ca, CaOptions};
pub use leaf::{LeafOptions, Purpose, self_signed, server_certificate};

/// Certificates are valid from a little before they are made: peers' clocks run late.
const BACKDATED: Duration = Duration::from_secs(5 * 60);
const SECONDS_PER_DAY: u64 = 86_400;
/// RFC 5280, section 4.1.2.5: the last moment that a certificate can name.
const LAST_MOMENT: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// A certificate and its private key, fresh.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate_pem: String,
    pub certificate_der: Vec<u8>,
    /// PKCS#8, PEM.
    pub key_pem: Secret,
    pub not_after: Timestamp,
    serial: Vec<u8>,
}

/// What kind of key to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyType {
    /// ECDSA on P-256: small, fast, and known to everyone.
    #[default]
    P256,
    P384,
    Ed25519,
    Rsa2048,
    Rsa4096,
}

/// From when until when a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Validity {
    /// `days` from `now`, begun five minutes ago.
    pub fn days(now: Timestamp, days: u32) -> Self {
        // Whole seconds are all that a certificate can say.
        let now = Timestamp::from_seconds(now.seconds());
        let backdated = i64::try_from(BACKDATED.as_secs()).unwrap_or(0);
        Self {
            not_before: Timestamp::from_seconds(now.seconds().saturating_sub(backdated)),
            not_after: now.after(Duration::from_secs(u64::from(days) * SECONDS_PER_DAY)),
        }
    }
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("the certificate cannot be made")]
    Make(#[from] rcgen::Error),
    #[error("the system's randomness cannot be read")]
    Random,
    #[error("`{name}` cannot stand in a certificate as a name of the server or client")]
    BadName { name: String, source: rcgen::Error },
    #[error("the key cannot be read; an unencrypted key in PEM is needed")]
    LeafKeyUnreadable(#[source] rcgen::Error),
    #[error("the CA certificate cannot be read; give the PEM file that `originlock pki ca` wrote")]
    CaUnreadable,
    #[error("`{subject}` is no CA certificate (CA:TRUE is missing); give the issuer's, not a leaf")]
    NotACa { subject: String },
    #[error("the CA key cannot be read; an unencrypted PKCS#8 key in PEM is needed")]
    KeyUnreadable(#[source] rcgen::Error),
    #[error("the CA key does not belong to the CA certificate `{subject}`; give the two that were made together")]
    KeyMismatch { subject: String },
    #[error("the CA's name `{subject}` cannot be repeated byte for byte as issuer; make a CA with `originlock pki ca`")]
    NameNotRepeatable { subject: String },
    #[error("the issuer's name is no distinguished name in DER")]
    IssuerUnreadable,
    #[error("`{text}` is no name of a CA that can be copied; write it as `CN=NAME, O=NAME, C=XX`")]
    NameText { text: String },
}

/// Seconds are all that a certificate can say; what lies beyond its calendar is cut off.
fn moment(timestamp: Timestamp) -> OffsetDateTime {
    let seconds = timestamp.seconds().clamp(0, LAST_MOMENT.unix_timestamp());
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(LAST_MOMENT)
}

#[cfg(test)]
mod tests;
