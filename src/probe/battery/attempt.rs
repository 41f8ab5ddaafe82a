//! The attempts by their names. A closed set: `docs/reference/probe.md` has them all.

/// Something that an attacker would try, or that has to work all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Attempt {
    RightCertificate,
    RightCertificateHttp2,
    RightCertificateTls12,
    RightCertificateTls12Http2,
    NoCertificate,
    NoCertificateHttp2,
    NoCertificateTls12,
    SelfSigned,
    OtherCa,
    SameNameCa,
    Expired,
    WrongPurpose,
    OtherHostCertificate,
    CloudflareSharedCa,
    NoSni,
    UnknownSni,
    IpSni,
    UnknownHost,
    HostMismatchHttp1,
    HostMismatchHttp2,
    ConnectionReuse,
    OtherHostSessionTls13,
    OtherHostSessionTls12,
    SessionWithoutCertificateTls13,
    SessionWithoutCertificateTls12,
    SpoofedIdentity,
    PlainHttp,
    Tls11,
    Tls10,
}

impl Attempt {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 29] = [
        Self::RightCertificate,
        Self::RightCertificateHttp2,
        Self::RightCertificateTls12,
        Self::RightCertificateTls12Http2,
        Self::NoCertificate,
        Self::NoCertificateHttp2,
        Self::NoCertificateTls12,
        Self::SelfSigned,
        Self::OtherCa,
        Self::SameNameCa,
        Self::Expired,
        Self::WrongPurpose,
        Self::OtherHostCertificate,
        Self::CloudflareSharedCa,
        Self::NoSni,
        Self::UnknownSni,
        Self::IpSni,
        Self::UnknownHost,
        Self::HostMismatchHttp1,
        Self::HostMismatchHttp2,
        Self::ConnectionReuse,
        Self::OtherHostSessionTls13,
        Self::OtherHostSessionTls12,
        Self::SessionWithoutCertificateTls13,
        Self::SessionWithoutCertificateTls12,
        Self::SpoofedIdentity,
        Self::PlainHttp,
        Self::Tls11,
        Self::Tls10,
    ];

    /// Whether it is made by whoever should be let in.
    pub(super) fn is_of_the_right_one(self) -> bool {
        matches!(
            self,
            Self::RightCertificate
                | Self::RightCertificateHttp2
                | Self::RightCertificateTls12
                | Self::RightCertificateTls12Http2
        )
    }

    /// Its word in tables and reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::RightCertificate => "right_certificate",
            Self::RightCertificateHttp2 => "right_certificate_http2",
            Self::RightCertificateTls12 => "right_certificate_tls12",
            Self::RightCertificateTls12Http2 => "right_certificate_tls12_http2",
            Self::NoCertificate => "no_certificate",
            Self::NoCertificateHttp2 => "no_certificate_http2",
            Self::NoCertificateTls12 => "no_certificate_tls12",
            Self::SelfSigned => "self_signed",
            Self::OtherCa => "other_ca",
            Self::SameNameCa => "same_name_ca",
            Self::Expired => "expired",
            Self::WrongPurpose => "wrong_purpose",
            Self::OtherHostCertificate => "other_host_certificate",
            Self::CloudflareSharedCa => "cloudflare_shared_ca",
            Self::NoSni => "no_sni",
            Self::UnknownSni => "unknown_sni",
            Self::IpSni => "ip_sni",
            Self::UnknownHost => "unknown_host",
            Self::HostMismatchHttp1 => "host_mismatch_http1",
            Self::HostMismatchHttp2 => "host_mismatch_http2",
            Self::ConnectionReuse => "connection_reuse",
            Self::OtherHostSessionTls13 => "other_host_session_tls13",
            Self::OtherHostSessionTls12 => "other_host_session_tls12",
            Self::SessionWithoutCertificateTls13 => "session_without_certificate_tls13",
            Self::SessionWithoutCertificateTls12 => "session_without_certificate_tls12",
            Self::SpoofedIdentity => "spoofed_identity",
            Self::PlainHttp => "plain_http",
            Self::Tls11 => "tls11",
            Self::Tls10 => "tls10",
        }
    }

    /// What is tried, in a few words.
    pub fn what(self) -> &'static str {
        match self {
            Self::RightCertificate => "the right certificate",
            Self::RightCertificateHttp2 => "the same over HTTP/2",
            Self::RightCertificateTls12 => "the same over TLS 1.2",
            Self::RightCertificateTls12Http2 => "the same over TLS 1.2 and HTTP/2",
            Self::NoCertificate => "no certificate",
            Self::NoCertificateHttp2 => "no certificate, over HTTP/2",
            Self::NoCertificateTls12 => "no certificate, over TLS 1.2",
            Self::SelfSigned => "a self-signed certificate",
            Self::OtherCa => "a certificate of a CA that nobody trusts",
            Self::SameNameCa => "of a CA with the right name and another key",
            Self::Expired => "an expired certificate",
            Self::WrongPurpose => "a certificate for servers only",
            Self::OtherHostCertificate => "another host's certificate",
            Self::CloudflareSharedCa => "the certificate that all Cloudflare customers share",
            Self::NoSni => "no SNI",
            Self::UnknownSni => "the SNI of no host",
            Self::IpSni => "an IP address as SNI",
            Self::UnknownHost => "SNI and Host of no host",
            Self::HostMismatchHttp1 => "another host's SNI with this Host",
            Self::HostMismatchHttp2 => "the same over HTTP/2",
            Self::ConnectionReuse => "another host's HTTP/2 connection, used again",
            Self::OtherHostSessionTls13 => "another host's session, resumed (TLS 1.3)",
            Self::OtherHostSessionTls12 => "another host's session, resumed (TLS 1.2)",
            Self::SessionWithoutCertificateTls13 => "a session without a certificate, resumed (TLS 1.3)",
            Self::SessionWithoutCertificateTls12 => "a session without a certificate, resumed (TLS 1.2)",
            Self::SpoofedIdentity => "headers that claim an identity",
            Self::PlainHttp => "HTTP without TLS",
            Self::Tls11 => "TLS 1.1",
            Self::Tls10 => "TLS 1.0",
        }
    }
}
