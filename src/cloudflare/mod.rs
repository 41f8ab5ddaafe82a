//! Cloudflare's API, as far as Authenticated Origin Pulls need it: typed, lenient in what it takes, strict in what it sends.
//!
//! Every call blocks. What answers mean is keyed by the endpoint: the API's codes are not unique across services.

mod api;
mod envelope;
mod error;
mod types;

pub use api::{Cloudflare, DEFAULT_API};
pub use error::{CloudflareError, Kind, Refusal};
pub use types::{
    AccountId, AddressRanges, AlertPolicy, Association, AssociationChange, CertificateId, Collection, ConfigRule,
    DnsRecord, NewAlertPolicy, PostQuantum, Setting, SslMode, Status, TokenState, UploadedCertificate, Zone, ZoneId,
};
