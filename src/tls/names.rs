//! What was negotiated, by its IANA names.

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

/// The parameters of a finished handshake.
#[derive(Clone, Copy, Default, Debug)]
pub struct Negotiated {
    /// `1.2` or `1.3`.
    pub version: Option<&'static str>,
    /// The cipher suite.
    pub cipher: Option<&'static str>,
    /// The key exchange group.
    pub group: Option<&'static str>,
    /// The application protocol (RFC 7301).
    pub alpn: Option<&'static str>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

impl Negotiated {
    pub(super) fn read(tls: &ServerConnection) -> Self {
        Self {
            version: tls.protocol_version().and_then(version),
            cipher: tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).map(iana_cipher),
            group: tls.negotiated_key_exchange_group().and_then(|group| group.name().as_str()),
            alpn: tls.alpn_protocol().and_then(alpn),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

fn version(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("1.2"),
        ProtocolVersion::TLSv1_3 => Some("1.3"),
        _ => None,
    }
}

fn alpn(protocol: &[u8]) -> Option<&'static str> {
    match protocol {
        b"h2" => Some("h2"),
        b"http/1.1" => Some("http/1.1"),
        _ => None,
    }
}

/// rustls writes `TLS13_` where IANA writes `TLS_`.
fn iana_cipher(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        name => name,
    }
}
