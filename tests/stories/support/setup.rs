//! A configuration as a story thinks of it, and the TOML file that says so.

use std::collections::BTreeMap;
use std::fmt;

/// Everything that stands in the configuration file.
#[derive(Clone, Default, Debug)]
pub struct Setup {
    /// Keys before the first table, such as `default_host = "…"`.
    pub top: String,
    /// By name: the PEM text of the bundle, and of revocation lists.
    pub cas: BTreeMap<String, CaSetup>,
    pub hosts: Vec<HostSetup>,
    /// What stands under `[admin]`; `None`: a port of its own on loopback.
    pub admin: Option<String>,
    /// Whole tables, such as `[limits]`.
    pub tables: String,
    /// Other files that the configuration names.
    pub files: BTreeMap<String, String>,
}

#[derive(Clone, Default, Debug)]
pub struct CaSetup {
    pub bundle: String,
    pub crl: Option<String>,
}

/// One `[[host]]`.
#[derive(Clone, Debug)]
pub struct HostSetup {
    pub names: Vec<String>,
    pub mode: String,
    pub ca: Option<String>,
    pub pins: Vec<String>,
    /// A TOML value; `None`: the world's own echo.
    pub upstream: Option<String>,
    pub identity_headers: Vec<String>,
}

impl Setup {
    /// The host that has `name` among its names.
    pub fn host(&mut self, name: &str) -> &mut HostSetup {
        self.hosts.iter_mut().find(|host| host.names.iter().any(|known| known == name)).expect("a host of the setup")
    }

    /// The CA called `name`.
    pub fn ca(&mut self, name: &str) -> &mut CaSetup {
        self.cas.entry(name.to_owned()).or_default()
    }
}

impl HostSetup {
    /// A host in mode `off`.
    pub fn new(name: &str) -> Self {
        Self {
            names: vec![name.to_owned()],
            mode: "off".to_owned(),
            ca: None,
            pins: Vec::new(),
            upstream: None,
            identity_headers: Vec::new(),
        }
    }

    pub fn mode(mut self, mode: &str) -> Self {
        self.mode = mode.to_owned();
        self
    }

    pub fn ca(mut self, ca: &str) -> Self {
        self.ca = Some(ca.to_owned());
        self
    }

    pub fn observe(self, ca: &str) -> Self {
        self.mode("observe").ca(ca)
    }

    pub fn enforce(self, ca: &str) -> Self {
        self.mode("enforce").ca(ca)
    }

    pub fn also(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    pub fn pin(mut self, pin: &str) -> Self {
        self.pins.push(pin.to_owned());
        self
    }

    /// A TOML value: `"http://127.0.0.1:8080"` with its quotes, or a table.
    pub fn upstream(mut self, upstream: &str) -> Self {
        self.upstream = Some(upstream.to_owned());
        self
    }

    /// Where the host's certificate lies, without `.pem` or `.key`.
    pub fn stem(&self) -> String {
        format!("tls/{}", self.names[0].replace('*', "_"))
    }
}

/// The configuration file.
impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workers = 2\n{}", self.top)?;
        let admin = self.admin.as_deref().unwrap_or("address = \"127.0.0.1:0\"");
        writeln!(f, "[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\n{admin}\n{}", self.tables)?;
        for (name, ca) in &self.cas {
            writeln!(f, "[ca.{name}]\nbundle = [\"ca/{name}.pem\"]")?;
            if ca.crl.is_some() {
                writeln!(f, "crl = [\"ca/{name}.crl\"]")?;
            }
        }
        for host in &self.hosts {
            let stem = host.stem();
            writeln!(f, "[[host]]\nnames = {:?}", host.names)?;
            writeln!(f, "certificate = {{ chain = \"{stem}.pem\", key = \"{stem}.key\" }}")?;
            let ca = host.ca.as_ref().map(|ca| format!(", ca = {ca:?}")).unwrap_or_default();
            writeln!(f, "client_auth = {{ mode = {:?}{ca}, pins = {:?} }}", host.mode, host.pins)?;
            writeln!(f, "upstream = {}", host.upstream.as_deref().unwrap_or_default())?;
            if !host.identity_headers.is_empty() {
                writeln!(f, "identity_headers = {:?}", host.identity_headers)?;
            }
        }
        Ok(())
    }
}
