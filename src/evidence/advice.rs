//! From a kind of failure to its cause and the next step.

use super::known::Known;
use super::network::Network;
use super::readiness::Weight;
use super::tally::FailedCertificate;
use super::wording::day;
use crate::clock::Timestamp;
use crate::policy::client_auth::Mode;
use crate::policy::verdict::Reason;

/// One kind of failure and what is known about it.
pub(super) struct Circumstances<'a> {
    /// The first of the host's names.
    pub(super) host: &'a str,
    pub(super) mode: Mode,
    pub(super) network: Network,
    pub(super) reason: Reason,
    /// The name that was asked for.
    pub(super) server_name: Option<&'a str>,
    /// When the last of them came.
    pub(super) at: Timestamp,
    /// What the last of them presented, and what that is known as.
    pub(super) certificate: Option<&'a FailedCertificate>,
    pub(super) known: Option<Known>,
}

/// The cause, and what to do about it.
pub(super) fn on(circumstances: &Circumstances<'_>) -> (String, String) {
    let cause = circumstances.cause();
    match circumstances.network {
        Network::Cloudflare => (cause, circumstances.next_step()),
        Network::Elsewhere => (format!("not Cloudflare: {cause}"), circumstances.next_step_elsewhere()),
    }
}

/// What a failure would mean of a certificate that Cloudflare does not present yet, and what to do about it.
pub(super) fn ahead(circumstances: &Circumstances<'_>) -> String {
    let meaning = circumstances.reason.explanation();
    let issuer = match (circumstances.reason, circumstances.certificate) {
        (Reason::UnknownIssuer, Some(leaf)) => format!("; its issuer is {}", leaf.issuer),
        _ => String::new(),
    };
    format!("{meaning}{issuer}. Next: {}", circumstances.next_step())
}

impl Circumstances<'_> {
    /// The name that was asked for.
    fn name(&self) -> &str {
        self.server_name.unwrap_or(self.host)
    }

    fn cause(&self) -> String {
        let name = self.name();
        let edge = self.network == Network::Cloudflare;
        match self.reason {
            Reason::NoCertificate if edge => {
                format!("presented no certificate: Authenticated Origin Pulls is not on, or not yet active, for {name}")
            }
            Reason::NoCertificate => "a client presented no certificate".to_owned(),
            Reason::UnknownIssuer | Reason::PinMismatch if self.is_shared() => format!(
                "presented the certificate shared by all Cloudflare customers: the association for {name} is missing or \
                 not yet active"
            ),
            Reason::UnknownIssuer => self.unknown_issuer(),
            Reason::BadSignature => "presented a certificate of a CA with the right name and another key: the CA was \
                                     re-issued under the same name, most often"
                .to_owned(),
            Reason::Expired => self.expired(),
            Reason::NotYetValid => "presented a certificate that is not valid yet: a clock is wrong".to_owned(),
            Reason::Revoked => format!("presented {} that a revocation list names as revoked", self.certificate()),
            Reason::CrlExpired => {
                "the revocation list of the certificate's CA is past its nextUpdate, so nobody could \
                                   tell whether it is revoked"
                    .to_owned()
            }
            Reason::WrongPurpose => "presented a certificate that its CA issued for another purpose than client \
                                     authentication (extended key usage)"
                .to_owned(),
            Reason::CaAsLeaf => {
                "presented the certificate of a CA (CA:TRUE) as its own, as a plain `openssl req -x509` \
                                 makes it"
                    .to_owned()
            }
            Reason::UnsupportedVersion => "presented an X.509 v1 certificate, as a plain `openssl x509 -req` without \
                                           extensions makes it"
                .to_owned(),
            Reason::UnsupportedAlgorithm => {
                "presented a certificate signed with an algorithm that is no longer safe (SHA-1, MD5, …)".to_owned()
            }
            Reason::WeakKey => "presented a certificate whose RSA key is shorter than 2048 bits".to_owned(),
            Reason::ChainTooLong => "presented more certificates than are looked at, or than a CA allows".to_owned(),
            Reason::TooLarge => "presented a certificate larger than is looked at".to_owned(),
            Reason::BadEncoding => "presented a certificate that cannot be understood: broken, or with a critical \
                                    extension that nobody here knows"
                .to_owned(),
            Reason::NameConstraint => {
                "presented a certificate for a name that its CA is not allowed to vouch for".to_owned()
            }
            Reason::PinMismatch => format!("presented {}, which is not one of the pinned ones", self.certificate()),
            Reason::ProofFailed => "presented a certificate and did not prove that it holds its private key: the key \
                                    does not belong to the certificate, or the certificate is a copy"
                .to_owned(),
            Reason::SniMissing => "named no server in its handshake".to_owned(),
            Reason::SniUnknown => "named a server that is not configured".to_owned(),
            Reason::HandshakeTimeout => "did not finish the handshake in time".to_owned(),
            Reason::ClientAlert => {
                "ended the handshake with an alert: most often it does not accept this host's own certificate"
                    .to_owned()
            }
            Reason::ClientEof => "closed the connection during the handshake".to_owned(),
            Reason::NotTls => "did not speak TLS: plain HTTP to a TLS port, most often".to_owned(),
            Reason::ProtocolError => "broke the rules of TLS, or offers nothing that this server speaks".to_owned(),
            Reason::HostMismatch => "asked on a connection for one host for another one".to_owned(),
            Reason::TrustChanged => "the trust changed under an open connection".to_owned(),
            Reason::Verified => "nothing failed".to_owned(),
        }
    }

    /// Whether it is what Cloudflare shows without a certificate of one's own.
    fn is_shared(&self) -> bool {
        matches!(self.known, Some(Known::SharedCaLeaf | Known::SharedCa(_)))
    }

    fn unknown_issuer(&self) -> String {
        match &self.known {
            Some(Known::Named(known)) => {
                format!("presented the certificate known here as `{known}`, which no CA of this host issued")
            }
            Some(Known::Of(other)) => {
                format!("presented the client certificate of {other}, which no CA of this host issued")
            }
            Some(Known::Own | Known::SharedCaLeaf | Known::SharedCa(_)) | None => match self.certificate {
                Some(leaf) => {
                    format!("presented a certificate that no CA of this host issued; its issuer is {}", leaf.issuer)
                }
                None => "presented a certificate that no CA of this host issued".to_owned(),
            },
        }
    }

    fn expired(&self) -> String {
        match self.certificate {
            Some(leaf) if leaf.not_after <= self.at => {
                format!("presented {}, which ended on {}", self.certificate(), day(leaf.not_after))
            }
            _ => "presented a certificate whose CA, or another certificate of its chain, has ended".to_owned(),
        }
    }

    /// The presented certificate as the subject of a sentence.
    fn certificate(&self) -> String {
        match (&self.known, self.certificate) {
            (Some(Known::Named(known)), _) => format!("the certificate known here as `{known}`"),
            (Some(known), _) => known.label(),
            (None, Some(leaf)) => format!("a certificate of {}", leaf.subject),
            (None, None) => "a certificate".to_owned(),
        }
    }

    fn next_step(&self) -> String {
        let name = self.name();
        match self.reason {
            Reason::NoCertificate => format!(
                "upload a client certificate, associate it with {name}, and wait until the association is active; the \
                 zone's SSL mode has to be Full or stricter. If only a few handshakes lack it, somebody else's zone or \
                 Worker points at this address"
            ),
            Reason::UnknownIssuer | Reason::PinMismatch if self.is_shared() => format!(
                "upload a certificate of your own CA and associate it with {name}; if it is uploaded, wait until the \
                 association is active"
            ),
            Reason::UnknownIssuer => match &self.known {
                Some(Known::Named(_) | Known::Of(_)) => format!(
                    "associate this host's certificate with {name}, or add the CA of the presented one to this host's ca"
                ),
                Some(Known::Own | Known::SharedCaLeaf | Known::SharedCa(_)) | None => format!(
                    "compare the issuer with this host's ca: add the CA if the certificate is yours; if it is not, look \
                     which certificate is associated with {name}"
                ),
            },
            Reason::BadSignature => {
                "put the CA that really signed the certificate into the bundle; while rotating, keep both there"
                    .to_owned()
            }
            Reason::Expired => format!(
                "upload a new certificate and associate it with {name}; if the CA ended, issue a new CA first and let the \
                 bundle hold both"
            ),
            Reason::NotYetValid => {
                "look at the clocks of this machine and of the one that issued the certificate".to_owned()
            }
            Reason::Revoked => format!(
                "upload a new certificate and associate it with {name}; if the revocation is a mistake, publish a list \
                 without it and reload"
            ),
            Reason::CrlExpired => {
                "fetch the CA's current list, reload, and have it fetched in time from now on".to_owned()
            }
            Reason::WrongPurpose | Reason::UnsupportedAlgorithm | Reason::WeakKey | Reason::NameConstraint => format!(
                "issue another certificate (`originlock pki leaf` makes one that fits), upload it and associate it with \
                 {name}"
            ),
            Reason::CaAsLeaf | Reason::UnsupportedVersion => format!(
                "issue a leaf of your CA (`originlock pki leaf`), upload it and associate it with {name}; or pin the \
                 certificate: pins = [\"FILE\"]"
            ),
            Reason::ChainTooLong => "raise limits.chain_length, or upload a shorter chain".to_owned(),
            Reason::TooLarge => "raise limits.certificate_bytes, or upload a smaller certificate".to_owned(),
            Reason::BadEncoding => {
                "look at the certificate with `originlock pki inspect FILE`, and issue another one".to_owned()
            }
            Reason::PinMismatch => {
                "pin the new certificate beside the old one, or the public key if renewals keep it".to_owned()
            }
            Reason::ProofFailed => format!("upload the certificate again with its key, and associate it with {name}"),
            Reason::ClientAlert => format!(
                "look at this host's certificate: under Full (strict) it has to name {name} and come from a public CA or \
                 Cloudflare's Origin CA"
            ),
            Reason::HandshakeTimeout
            | Reason::ClientEof
            | Reason::NotTls
            | Reason::ProtocolError
            | Reason::SniMissing
            | Reason::SniUnknown
            | Reason::HostMismatch
            | Reason::TrustChanged
            | Reason::Verified => "nothing, as long as they are few: enforcing does not change it".to_owned(),
        }
    }

    fn next_step_elsewhere(&self) -> String {
        let fate = match self.mode {
            Mode::Enforce => "it is refused",
            Mode::Off | Mode::Observe => "enforcing will cut it off",
        };
        match Weight::of(self.reason) {
            Weight::Verified | Weight::BrokenOff => {
                "nothing: scanners do this, and enforcing does not change it".to_owned()
            }
            Weight::Failing => format!(
                "{fate}. If it is yours (monitoring, an office), give it a certificate of this host's ca or send it \
                 through Cloudflare; if it is not, it has found the origin's address"
            ),
        }
    }
}
