//! The CA that Cloudflare shares between all its customers for global Authenticated Origin Pulls.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::x509::Fingerprint;

/// As Cloudflare publishes it, byte for byte.
const CURRENT_PEM: &[u8] = include_bytes!("../../certs/cloudflare-origin-pull-ca.pem");

/// SHA-256 of the certificate that ends on 2029-11-01.
const CURRENT: &str = "9a1ac2b4be15f9f27eee20a734cba4e9898f61001b3bd7c84b69b56a3e25a2b9";
/// SHA-256 of the certificate that ended on 2020-01-12: same name, same serial number, same key.
const EXPIRED: &str = "062465eea14401f48be7d9a873f2ee674f96806584225d50c04f761d4480b8ba";

/// Which of the shared CA's certificates a certificate is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SharedCa {
    Current,
    Expired,
}

impl SharedCa {
    /// Recognises the shared CA by its fingerprint; a name proves nothing.
    pub fn recognise(fingerprint: Fingerprint) -> Option<Self> {
        [(CURRENT, Self::Current), (EXPIRED, Self::Expired)]
            .into_iter()
            .find_map(|(known, which)| (Fingerprint::parse(known) == Some(fingerprint)).then_some(which))
    }

    /// The certificate that ends on 2029-11-01: to tell whose leaf somebody presented, never to let anybody in.
    pub fn current() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(CURRENT_PEM).expect("the shipped file is a certificate")
    }

    /// Its file, as Cloudflare publishes it.
    pub fn current_pem() -> &'static [u8] {
        CURRENT_PEM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_certificate_is_the_published_one() {
        let fingerprint = Fingerprint::of(&SharedCa::current());
        assert_eq!(fingerprint.to_string(), CURRENT);
        assert_eq!(SharedCa::recognise(fingerprint), Some(SharedCa::Current));
        assert_eq!(Fingerprint::parse(EXPIRED).and_then(SharedCa::recognise), Some(SharedCa::Expired));
        assert_eq!(SharedCa::recognise(Fingerprint([0; 32])), None);
    }
}
