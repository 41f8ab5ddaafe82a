//! Who the client is, told to the backend by us alone.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;

use super::distinguished_name::rfc2253;
use super::strip::{is_spelling_of, remove_where, starts_like};
use crate::config::model::Dialect;
use crate::policy::verdict::Verdict;
use crate::x509::{CertificateFields, CertificateSummary};

/// Whatever begins like this is a claim of identity, ours to make.
const IDENTITY: [&str; 14] = [
    "client-cert",
    "ssl-client-",
    "x-amzn-mtls-",
    "x-arr-clientcert",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-originlock-",
    "x-ssl-cert",
    "x-ssl-client-",
    "x-ssl-issuer",
    "x-ssl-subject",
];

/// What Cloudflare says of the visitor; believed only on a connection that proved itself.
///
/// `CDN-Loop` (RFC 8586) stays: it ends request loops, and who forges one harms only the own request.
const EDGE: [&str; 7] =
    ["cf-", "true-client-ip", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-forwarded-", "forwarded"];

/// What is set or framed here under its proper name, and must not arrive a second time under another spelling:
/// a CGI or WSGI backend could not tell the two apart. Those that end in `-` stand for all names that begin so.
const OURS: [&str; 8] = [
    "x-forwarded-",
    "x-request-id",
    "forwarded",
    "content-length",
    "content-type",
    "transfer-encoding",
    "cf-",
    "true-client-ip",
];

/// Fields that frame, route or authenticate a message; in trailers they come too late to be honest (RFC 9110, section 6.5.1).
const NOT_IN_TRAILERS: [&str; 21] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// What a backend is told of one client: made once per connection, written on each of its requests.
#[derive(Clone, Debug)]
pub struct Identity {
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Identity {
    /// Prepares the fields for `verdict`. A certificate is shown only if it is verified.
    pub fn new(
        verdict: Verdict,
        chain: &[CertificateDer<'_>],
        summary: Option<&CertificateSummary>,
        dialects: &[Dialect],
    ) -> Self {
        let mut identity = Self { fields: Vec::new() };
        let verify = match verdict {
            Verdict::Verified => "SUCCESS".to_owned(),
            Verdict::Failed(reason) => format!("FAILED:{}", reason.label()),
            Verdict::Absent => "NONE".to_owned(),
        };
        identity.add("x-client-verify", verify.clone());
        if dialects.contains(&Dialect::Nginx) {
            identity.add("x-ssl-client-verify", verify);
        }
        if let (Verdict::Verified, Some((leaf, issuers))) = (verdict, chain.split_first()) {
            identity.add_rfc9440(leaf, issuers);
            for dialect in dialects {
                match dialect {
                    Dialect::Envoy => identity.add_xfcc(leaf, summary),
                    Dialect::Nginx => identity.add_nginx(leaf, summary),
                    Dialect::Traefik => identity.add_traefik(chain),
                    Dialect::Alb => identity.add_alb(leaf, summary),
                }
            }
        }
        identity
    }

    /// RFC 9440: the leaf, and the rest of the chain as presented, as byte sequences of RFC 8941.
    fn add_rfc9440(&mut self, leaf: &[u8], issuers: &[CertificateDer<'_>]) {
        let byte_sequence = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
        self.add("client-cert", byte_sequence(leaf));
        if !issuers.is_empty() {
            let list: Vec<String> = issuers.iter().map(|der| byte_sequence(der)).collect();
            self.add("client-cert-chain", list.join(", "));
        }
    }

    fn add_xfcc(&mut self, leaf: &[u8], summary: Option<&CertificateSummary>) {
        let mut element = format!("Hash={}", hex(digest::digest(&digest::SHA256, leaf).as_ref()));
        if let Some(subject) = fields(summary).and_then(|fields| rfc2253(&fields.subject_der)) {
            element.push_str(&format!(";Subject=\"{subject}\""));
        }
        self.add("x-forwarded-client-cert", element);
    }

    /// The values of `$ssl_client_*`; nginx's fingerprint is SHA-1, a name for the certificate and no proof of it.
    fn add_nginx(&mut self, leaf: &[u8], summary: Option<&CertificateSummary>) {
        if let Some(fields) = fields(summary) {
            self.add_name("x-ssl-client-s-dn", &fields.subject_der);
            self.add_name("x-ssl-client-i-dn", &fields.issuer_der);
            self.add("x-ssl-client-serial", serial(fields));
        }
        let fingerprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
        self.add("x-ssl-client-fingerprint", hex(fingerprint.as_ref()));
        self.add("x-ssl-client-cert", percent_encode(&pem(leaf), b"-._~"));
    }

    fn add_traefik(&mut self, chain: &[CertificateDer<'_>]) {
        let certificates: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        self.add("x-forwarded-tls-client-cert", certificates.join(","));
    }

    fn add_alb(&mut self, leaf: &[u8], summary: Option<&CertificateSummary>) {
        if let Some(fields) = fields(summary) {
            self.add("x-amzn-mtls-clientcert-serial-number", serial(fields));
            self.add_name("x-amzn-mtls-clientcert-issuer", &fields.issuer_der);
            self.add_name("x-amzn-mtls-clientcert-subject", &fields.subject_der);
            let validity = format!("NotBefore={};NotAfter={}", fields.not_before, fields.not_after);
            self.add("x-amzn-mtls-clientcert-validity", validity);
        }
        self.add("x-amzn-mtls-clientcert-leaf", percent_encode(&pem(leaf), b"-._~+=/"));
    }

    fn add_name(&mut self, name: &'static str, der: &[u8]) {
        if let Some(text) = rfc2253(der) {
            self.add(name, text);
        }
    }

    fn add(&mut self, name: &'static str, value: String) {
        let value = HeaderValue::from_maybe_shared(Bytes::from(value)).expect("our encodings are visible ASCII");
        self.fields.push((HeaderName::from_static(name), value));
    }
}

/// Removes every claim of identity from a request's headers, whatever its spelling: from a connection that is not
/// `verified` also what only Cloudflare may say of the visitor and of the way before us.
pub fn strip(headers: &mut HeaderMap, verified: bool) {
    remove_where(headers, |name| is_claim(name) || is_second_spelling(name) || (!verified && is_edge(name)));
}

/// Removes the same from a request's trailers, and all that this proxy sets or goes by itself.
pub fn strip_trailers(trailers: &mut HeaderMap) {
    let listed = |name: &str| NOT_IN_TRAILERS.iter().any(|field| is_spelling_of(name, field));
    remove_where(trailers, |name| is_claim(name) || is_edge(name) || listed(name));
}

/// Writes ours. Anything of that name that still was there is replaced.
pub fn write(headers: &mut HeaderMap, identity: &Identity) {
    for (name, value) in &identity.fields {
        headers.insert(name.clone(), value.clone());
    }
}

fn is_claim(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'c' | b's' | b'x')) && IDENTITY.iter().any(|field| starts_like(name, field))
}

fn is_edge(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'c' | b'f' | b't' | b'x')) && EDGE.iter().any(|field| is_under(name, field))
}

fn is_second_spelling(name: &str) -> bool {
    name.bytes().any(|byte| byte != b'-' && !byte.is_ascii_alphanumeric())
        && OURS.iter().any(|field| is_under(name, field))
}

fn is_under(name: &str, field: &str) -> bool {
    match field.ends_with('-') {
        true => starts_like(name, field),
        false => is_spelling_of(name, field),
    }
}

fn fields(summary: Option<&CertificateSummary>) -> Option<&CertificateFields> {
    summary.and_then(|summary| summary.fields.as_ref())
}

/// Whole bytes in upper case, as OpenSSL prints a serial number.
fn serial(fields: &CertificateFields) -> String {
    let digits = fields.serial.to_ascii_uppercase();
    match digits.len() % 2 {
        0 => digits,
        _ => format!("0{digits}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 7468 with its lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn percent_encode(text: &str, safe: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len() * 5 / 4);
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || safe.contains(&byte) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
#[path = "identity_headers_tests.rs"]
mod tests;
