//! Where a server is, as people write it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;

/// A server: `http://HOST:PORT/PREFIX`, `https://…`, or `unix:/run/originlock/admin.sock`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint(Arc<Whole>);

/// Shared by whoever has to name it.
#[derive(PartialEq, Eq, Debug)]
struct Whole {
    place: Place,
    /// What every path begins with; empty, or `/…` without a `/` at its end.
    base_path: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Tcp {
        host: String,
        port: u16,
    },
    /// Connected to `at` where it is given, and else to whatever the host's name leads to.
    Tls {
        host: String,
        port: u16,
        at: Option<SocketAddr>,
    },
    Unix(PathBuf),
}

/// Why a text is no endpoint. Never repeats the text: it may hold a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("write http://HOST:PORT, https://HOST:PORT or unix:/PATH")]
    Form,
    #[error("a unix socket needs its absolute path: unix:/run/originlock/admin.sock")]
    RelativePath,
    #[error("a user and password in the address are not taken; give a token in a file")]
    UserInfo,
    #[error("a query or fragment has no meaning here")]
    Query,
}

impl Endpoint {
    /// Reads what [`fmt::Display`] writes; the port may be left out.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return match path.is_absolute() {
                true => Ok(Self::unix(path)),
                false => Err(EndpointError::RelativePath),
            };
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::Form)?;
        let authority = uri.authority().ok_or(EndpointError::Form)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(EndpointError::Query);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let has_port = authority.as_str() != authority.host();
        if host.is_empty() || (has_port && authority.port_u16().is_none()) {
            return Err(EndpointError::Form);
        }
        let place = match uri.scheme_str() {
            Some("http") => Place::Tcp { host, port: authority.port_u16().unwrap_or(80) },
            Some("https") => Place::Tls { host, port: authority.port_u16().unwrap_or(443), at: None },
            _ => return Err(EndpointError::Form),
        };
        Ok(Self(Arc::new(Whole { place, base_path: uri.path().trim_end_matches('/').to_owned() })))
    }

    /// A unix socket.
    pub fn unix(path: PathBuf) -> Self {
        Self::at(Place::Unix(path))
    }

    /// Without TLS, at a socket's address.
    pub fn tcp(address: SocketAddr) -> Self {
        Self::at(Place::Tcp { host: address.ip().to_string(), port: address.port() })
    }

    /// With TLS, as `name`, at a socket's address.
    pub fn tls(name: String, address: SocketAddr) -> Self {
        Self::at(Place::Tls { host: name, port: address.port(), at: Some(address) })
    }

    fn at(place: Place) -> Self {
        Self(Arc::new(Whole { place, base_path: String::new() }))
    }

    pub(super) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(super) fn base_path(&self) -> &str {
        &self.0.base_path
    }

    /// Whether whoever listens there is protected by the file system alone.
    pub fn is_unix(&self) -> bool {
        matches!(self.0.place, Place::Unix(_))
    }

    /// Whether nobody on the way can read or change what is said: TLS, or a place on this very machine.
    pub fn is_private(&self) -> bool {
        match &self.0.place {
            Place::Tls { .. } => true,
            Place::Unix(_) | Place::Tcp { .. } => self.is_here(),
        }
    }

    /// Whether it is a place on this very machine.
    pub fn is_here(&self) -> bool {
        match &self.0.place {
            Place::Unix(_) => true,
            Place::Tcp { host, .. } | Place::Tls { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
            }
        }
    }

    /// What the `Host` header says.
    pub(super) fn host(&self) -> String {
        match &self.0.place {
            Place::Tcp { host, port } | Place::Tls { host, port, .. } => authority(host, *port),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Place::Tcp { host, port } => write!(f, "http://{}{}", authority(host, *port), self.0.base_path),
            Place::Tls { host, port, at } => {
                write!(f, "https://{}{}", authority(host, *port), self.0.base_path)?;
                match at {
                    Some(at) if at.ip().to_string() != *host => write!(f, " at {at}"),
                    Some(_) | None => Ok(()),
                }
            }
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
