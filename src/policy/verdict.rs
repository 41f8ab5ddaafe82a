//! What is made of a client's certificate, and what is done about it.

use std::borrow::Cow;

/// Why a certificate failed, or why there was no handshake or request to judge.
///
/// A closed set: log field, metric label and anchor in the docs are the same word. The client never sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reason {
    Verified,
    NoCertificate,
    UnknownIssuer,
    BadSignature,
    Expired,
    NotYetValid,
    Revoked,
    CrlExpired,
    WrongPurpose,
    CaAsLeaf,
    UnsupportedVersion,
    UnsupportedAlgorithm,
    WeakKey,
    ChainTooLong,
    TooLarge,
    BadEncoding,
    NameConstraint,
    PinMismatch,
    ProofFailed,
    SniMissing,
    SniUnknown,
    HandshakeTimeout,
    ClientAlert,
    ClientEof,
    NotTls,
    ProtocolError,
    HostMismatch,
    TrustChanged,
}

impl Reason {
    /// Every reason that a handshake can end with, in the order of the docs.
    pub const HANDSHAKE: [Self; 26] = [
        Self::Verified,
        Self::NoCertificate,
        Self::UnknownIssuer,
        Self::BadSignature,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::CrlExpired,
        Self::WrongPurpose,
        Self::CaAsLeaf,
        Self::UnsupportedVersion,
        Self::UnsupportedAlgorithm,
        Self::WeakKey,
        Self::ChainTooLong,
        Self::TooLarge,
        Self::BadEncoding,
        Self::NameConstraint,
        Self::PinMismatch,
        Self::ProofFailed,
        Self::SniMissing,
        Self::SniUnknown,
        Self::HandshakeTimeout,
        Self::ClientAlert,
        Self::ClientEof,
        Self::NotTls,
        Self::ProtocolError,
    ];

    /// Every reason that a request is refused with although its handshake was fine.
    pub const REQUEST: [Self; 2] = [Self::HostMismatch, Self::TrustChanged];

    /// The word in log, metric, header and docs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::NoCertificate => "no_certificate",
            Self::UnknownIssuer => "unknown_issuer",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::CrlExpired => "crl_expired",
            Self::WrongPurpose => "wrong_purpose",
            Self::CaAsLeaf => "ca_as_leaf",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::WeakKey => "weak_key",
            Self::ChainTooLong => "chain_too_long",
            Self::TooLarge => "too_large",
            Self::BadEncoding => "bad_encoding",
            Self::NameConstraint => "name_constraint",
            Self::PinMismatch => "pin_mismatch",
            Self::ProofFailed => "proof_failed",
            Self::SniMissing => "sni_missing",
            Self::SniUnknown => "sni_unknown",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::ClientAlert => "client_alert",
            Self::ClientEof => "client_eof",
            Self::NotTls => "not_tls",
            Self::ProtocolError => "protocol_error",
            Self::HostMismatch => "host_mismatch",
            Self::TrustChanged => "trust_changed",
        }
    }

    /// The reason with this label.
    pub fn parse(label: &str) -> Option<Self> {
        Self::HANDSHAKE.into_iter().chain(Self::REQUEST).find(|reason| reason.label() == label)
    }

    /// What it means, for someone who reads it in a log at night.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Verified => "the certificate is one that this host trusts",
            Self::NoCertificate => "the client presented no certificate",
            Self::UnknownIssuer => "no CA of this host's bundle issued the certificate",
            Self::BadSignature => {
                "a signature in the chain does not fit; usually the CA was re-issued under the same name with another key"
            }
            Self::Expired => "a certificate of the chain, or its CA, is past its notAfter",
            Self::NotYetValid => "a certificate of the chain is before its notBefore; look at the clocks",
            Self::Revoked => "a certificate revocation list names a certificate of the chain",
            Self::CrlExpired => "a certificate revocation list is past its nextUpdate; fetch a newer one",
            Self::WrongPurpose => "the certificate's key usage does not allow client authentication",
            Self::CaAsLeaf => "a CA certificate (CA:TRUE) was presented as client certificate; pin it, or issue a leaf",
            Self::UnsupportedVersion => {
                "the certificate is X.509 v1, which has no extensions; pin it, or issue a v3 leaf"
            }
            Self::UnsupportedAlgorithm => {
                "the certificate is signed with an algorithm that is not accepted (SHA-1, MD5, …)"
            }
            Self::WeakKey => "the certificate's key is too short (RSA below 2048 bits)",
            Self::ChainTooLong => "the chain has more certificates than are looked at, or than a CA allows",
            Self::TooLarge => "a certificate is larger than is accepted",
            Self::BadEncoding => "the certificate cannot be understood: broken DER or an unknown critical extension",
            Self::NameConstraint => "a CA of the chain is not allowed to issue for the certificate's name",
            Self::PinMismatch => "the certificate is not one of the pinned ones",
            Self::ProofFailed => "the client did not prove that it holds the certificate's private key",
            Self::SniMissing => "the client named no server (SNI) and there is no default host",
            Self::SniUnknown => "the client named a server (SNI) that is not configured",
            Self::HandshakeTimeout => "the client did not finish the handshake in time",
            Self::ClientAlert => "the client ended the handshake with an alert",
            Self::ClientEof => "the client closed the connection during the handshake",
            Self::NotTls => "what arrived is not TLS; plain HTTP to a TLS port, most often",
            Self::ProtocolError => "the client broke the rules of TLS or offers nothing that this server speaks",
            Self::HostMismatch => "the request names a host under another policy than the handshake did",
            Self::TrustChanged => "the host's trust changed, and would no longer let this connection in",
        }
    }
}

impl<'de> serde::Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = <Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&label).ok_or_else(|| serde::de::Error::custom(format!("`{label}` is no reason")))
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// What is made of the certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// The trust holds for it.
    Verified,
    /// It was presented and does not hold.
    Failed(Reason),
    /// None was presented.
    Absent,
}

impl Verdict {
    /// The verdict's word in the closed set of reasons.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Verified => Reason::Verified,
            Self::Failed(reason) => reason,
            Self::Absent => Reason::NoCertificate,
        }
    }

    /// `verified`, `failed` or `absent`: the log's coarse word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed(_) => "failed",
            Self::Absent => "absent",
        }
    }
}

/// What is done about a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    Admit,
    Refuse,
}

impl Decision {
    /// The log's word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Refuse => "refuse",
        }
    }
}
