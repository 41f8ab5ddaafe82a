//! TLS alerts: the ones that errors mean, and the ones that are sent before a session exists.

use rustls::{AlertDescription, Error};

/// The alert that rustls sends with an error once it encrypts what it sends.
pub(super) fn of_error(error: &Error) -> Option<AlertDescription> {
    match error {
        Error::InvalidCertificate(error) => Some(error.clone().into()),
        Error::NoCertificatesPresented => Some(AlertDescription::CertificateRequired),
        Error::NoApplicationProtocol => Some(AlertDescription::NoApplicationProtocol),
        _ => None,
    }
}

/// A fatal alert as it stands on the wire before any key is agreed (RFC 8446, sections 5.1 and 6).
pub(super) fn plain_record(alert: AlertDescription) -> [u8; 7] {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, alert.into()]
}

/// The alert in `record`, if it is one in the clear.
pub(super) fn in_plain_record(record: &[u8]) -> Option<AlertDescription> {
    match record {
        [21, 3, _, 0, 2, _, alert] => Some(AlertDescription::from(*alert)),
        _ => None,
    }
}
