//! Cloudflare's API, as far as Authenticated Origin Pulls need it: typed, lenient in what it takes, strict in what it sends.
//!
//! Every call blocks, for as long as it takes to get an answer at the pace that Cloudflare allows. What answers mean is
//! keyed by the endpoint: the API's codes are not unique across services.

mod account;
mod api;
mod dns;
mod envelope;
mod error;
mod lenient;
mod list;
mod meaning;
mod meter;
mod pace;
mod persistence;
mod pulls;
mod transport;
mod types;
mod zones;

pub use api::{Cloudflare, DEFAULT_API};
pub use dns::{Dns, Routing};
pub use envelope::Message;
pub use error::{CloudflareError, Kind, Refusal};
pub use pace::{Pace, Wait, WaitReason};
pub use persistence::Effort;
pub use types::{
    AccountId, AddressRanges, AlertPolicy, Association, AssociationChange, CertificateId, Collection, ConfigRule,
    DnsRecord, Mechanisms, NewAlertPolicy, PostQuantum, Setting, SslMode, Status, TokenState, UploadedCertificate,
    Zone, ZoneId,
};

#[cfg(test)]
mod tests;
