//! Certificates in a text that somebody wrote: PEM (RFC 7468) with whatever stands around it.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// How the first line of every private key ends.
const KEY_MARK: &[u8] = b"PRIVATE KEY-----";

/// Why a text holds no certificates to work with.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error("there is no certificate in it; PEM is expected, with `-----BEGIN CERTIFICATE-----`")]
    Empty,
    /// It has no business here, and may have to be replaced now.
    #[error("there is a private key in it")]
    PrivateKey,
    #[error("the PEM is broken")]
    Broken(#[source] pem::Error),
}

/// All certificates of `text`, in its order; at least one.
///
/// # Errors
/// There is none, one that is broken off, or a private key.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    // Encrypted ones, too, which are no section that is known here.
    if text.windows(KEY_MARK.len()).any(|window| window == KEY_MARK) {
        return Err(PemError::PrivateKey);
    }
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(PemError::Broken)?;
    match certificates.is_empty() {
        true => Err(PemError::Empty),
        false => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificates_come_in_the_order_of_the_text_and_nothing_else_does() {
        let other = BLOCK.replace("MAMCAQc=", "MAMCAQg=");
        let text = format!("# the old one\r\n{BLOCK}subject=CN=new\n{other}");
        let read = certificates(text.as_bytes()).expect("two certificates");
        assert_eq!(read.iter().map(|der| der[4]).collect::<Vec<_>>(), [7, 8]);
    }

    #[test]
    fn what_holds_no_certificates_is_told_apart() {
        let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMCAQc=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, expected) in [
            (String::new(), "Err(Empty)"),
            ("MAMCAQc=".to_owned(), "Err(Empty)"),
            (format!("{BLOCK}{key}"), "Err(PrivateKey)"),
            (BLOCK.replace("-----END CERTIFICATE-----", ""), "Err(Broken("),
            (BLOCK.replace("MAMC", "!!!!"), "Err(Broken("),
        ] {
            let read = format!("{:?}", certificates(text.as_bytes()));
            assert!(read.starts_with(expected), "{text:?}: {read}");
        }
    }
}
