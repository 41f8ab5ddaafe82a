//! Where requests go, as an operator writes it.

use std::fmt;
use std::path::PathBuf;

/// One backend: what is spoken there and where it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    pub protocol: Protocol,
    pub target: Target,
}

/// What is spoken to a backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// `http://` and `unix:`: HTTP/1.1 in the clear.
    Http,
    /// `https://`: HTTP/1.1 over verified TLS.
    Https,
    /// `h2c://`: HTTP/2 with prior knowledge (RFC 9113, section 3.3).
    H2c,
}

/// Where a backend listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A name or an IP literal (IPv6 without its brackets), and a port.
    Tcp { host: String, port: u16 },
    /// The path of a socket.
    Unix(PathBuf),
}

/// Why a text is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("starts with none of `http://`, `https://`, `h2c://`, `unix:`")]
    UnknownScheme,
    #[error("has no host")]
    NoHost,
    #[error("has the bad port `{0}`")]
    BadPort(String),
    #[error("goes on after host and port; a path, query or user name has no meaning here")]
    MoreThanAuthority,
    #[error("needs the absolute path of a socket")]
    RelativeSocket,
}

impl Address {
    /// Reads `http://host[:80]`, `https://host[:443]`, `h2c://host[:80]`, `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self { protocol: Protocol::Http, target: Target::Unix(path.into()) }),
                false => Err(AddressError::RelativeSocket),
            };
        }
        let (protocol, authority, default_port) =
            [(Protocol::Http, "http://", 80), (Protocol::Https, "https://", 443), (Protocol::H2c, "h2c://", 80)]
                .into_iter()
                .find_map(|(protocol, scheme, port)| Some((protocol, text.strip_prefix(scheme)?, port)))
                .ok_or(AddressError::UnknownScheme)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = split_authority(authority, default_port)?;
        Ok(Self { protocol, target: Target::Tcp { host: host.to_owned(), port } })
    }
}

fn split_authority(authority: &str, default_port: u16) -> Result<(&str, u16), AddressError> {
    if authority.contains(['/', '?', '#', '@', ' ']) {
        return Err(AddressError::MoreThanAuthority);
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    let port = match port {
        None => default_port,
        Some(text) => match text.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(AddressError::BadPort(text.to_owned())),
        },
    };
    Ok((host, port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::H2c => "h2c",
        };
        match &self.target {
            Target::Tcp { host, port } if host.contains(':') => write!(f, "{scheme}://[{host}]:{port}"),
            Target::Tcp { host, port } => write!(f, "{scheme}://{host}:{port}"),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_it_is_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://app", "http://app:80"),
            ("https://app.internal/", "https://app.internal:443"),
            ("h2c://[::1]:50051", "h2c://[::1]:50051"),
            ("http://[::1]", "http://[::1]:80"),
            ("unix:/run/shop.sock", "unix:/run/shop.sock"),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::parse(shown), Ok(address));
        }
    }

    #[test]
    fn what_is_no_upstream_says_why() {
        for (text, error) in [
            ("127.0.0.1:8080", AddressError::UnknownScheme),
            ("ftp://a", AddressError::UnknownScheme),
            ("http://", AddressError::NoHost),
            ("http://:80", AddressError::NoHost),
            ("http://a:0", AddressError::BadPort("0".into())),
            ("http://a:99999", AddressError::BadPort("99999".into())),
            ("http://a/path", AddressError::MoreThanAuthority),
            ("http://u@a", AddressError::MoreThanAuthority),
            ("unix:run/shop.sock", AddressError::RelativeSocket),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }
}
