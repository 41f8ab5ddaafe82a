//! `[admin]`: where the admin side answers, and what has to be proved there.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::host::read_certificate;
use crate::config::model::*;
use crate::config::parse::socket_address;
use crate::config::reader::{Context, Table, Value, quotable};
use crate::hostname::Hostname;

const ADDRESS_HELP: &str = "write \"127.0.0.1:9090\", \"unix:/run/originlock/admin.sock\" or \"off\"";
const SOCKET_HELP: &str = "write \"unix:/run/originlock/admin.sock\"";
const PROOF_HELP: &str = "write { token = \"FILE\" }, { ca = \"NAME\" } or both";

/// What is written under `[admin]`.
pub(super) enum Written {
    /// Nothing about the address: the default one is meant.
    NoAddress(Box<Unaddressed>),
    Off,
    At(Box<Admin>),
    /// Something wrong, which has been reported.
    Nothing,
}

/// All of `[admin]` but the address.
#[derive(Default)]
pub(super) struct Unaddressed {
    hostnames: Vec<Placed<Hostname>>,
    certificate: Option<CertificateFiles>,
    read: AdminProofs,
    change: AdminProofs,
}

impl Unaddressed {
    pub(super) fn at(self, address: Placed<AdminAddress>) -> Admin {
        let Self { hostnames, certificate, read, change } = self;
        Admin { address, hostnames, certificate, read, change }
    }
}

pub(super) fn read_admin(context: &Context<'_>, mut table: Table<'_>) -> Written {
    let address = table.take("address");
    let hostnames = table.take("hostnames").map(Value::one_or_many).unwrap_or_default();
    let certificate = table.take("certificate").and_then(|value| read_certificate(&value));
    let [read, change] = ["read", "change"].map(|right| table.take(right));
    let rest = Unaddressed {
        hostnames: hostnames.iter().filter_map(read_hostname).collect(),
        read: read.as_ref().map(read_proofs).unwrap_or_default(),
        change: change.as_ref().map(read_proofs).unwrap_or_default(),
        certificate,
    };
    table.finish();
    for ca in rest.read.ca.iter().chain(&rest.change.ca).filter(|_| rest.certificate.is_none()) {
        let message = "a client certificate can only be shown over TLS";
        context.error(&ca.place, message, "add certificate = { chain = \"FILE\", key = \"FILE\" } under [admin]");
    }
    let Some(address) = address else { return Written::NoAddress(Box::new(rest)) };
    if address.string() == Some("off") {
        return Written::Off;
    }
    let Some(read) = read_address(&address) else { return Written::Nothing };
    match &read.value {
        AdminAddress::Tcp(tcp) if !tcp.ip().is_loopback() => check_reachable(context, &address, &rest),
        AdminAddress::Tcp(_) => {}
        AdminAddress::Unix(_) => warn_of_unused(context, &rest),
    }
    Written::At(Box::new(rest.at(read)))
}

fn read_address(value: &Value<'_>) -> Option<Placed<AdminAddress>> {
    let text = value.string()?;
    let Some(path) = text.strip_prefix("unix:") else {
        let address: Placed<SocketAddr> = socket_address(value, ADDRESS_HELP)?;
        return Some(value.placed(AdminAddress::Tcp(address.value)));
    };
    if path.starts_with('/') {
        return Some(value.placed(AdminAddress::Unix(PathBuf::from(path))));
    }
    value.error("needs the absolute path of a socket", SOCKET_HELP);
    None
}

/// Other machines may come: nobody reads without a proof, and a token should not cross a network in the clear.
fn check_reachable(context: &Context<'_>, address: &Value<'_>, rest: &Unaddressed) {
    if rest.read.is_empty() {
        let help = "say who may read: read = { token = \"FILE\" } and certificate = { chain = \"FILE\", key = \"FILE\" } \
                    under [admin], or write \"127.0.0.1:9090\" or \"unix:/run/originlock/admin.sock\"";
        address.error("is reachable from other machines", help);
        return;
    }
    for token in rest.read.token.iter().chain(&rest.change.token).filter(|_| rest.certificate.is_none()) {
        let message = "this token crosses the network unencrypted: whoever sees it has the right too";
        let help = "add certificate = { chain = \"FILE\", key = \"FILE\" } under [admin]";
        context.problems.borrow_mut().warning(&token.place, message, help);
    }
}

fn warn_of_unused(context: &Context<'_>, rest: &Unaddressed) {
    let certificate = rest.certificate.as_ref().map(|files| &files.chain.place);
    let proofs = [&rest.read, &rest.change].into_iter().flat_map(AdminProofs::places);
    if let Some(place) = certificate.into_iter().chain(proofs).next() {
        let message = "a socket file asks for no proof: whoever may open it may read and change";
        context.problems.borrow_mut().warning(place, message, "remove this, or write an IP address and a port");
    }
}

fn read_hostname(value: &Value<'_>) -> Option<Placed<Hostname>> {
    let text = value.string()?;
    match Hostname::parse(text) {
        Ok(name) => Some(value.placed(name)),
        Err(error) => {
            let help = "write a name such as \"originlock.internal\", without a port";
            value.error(format!("cannot be \"{}\": it {error}", quotable(text)), help);
            None
        }
    }
}

fn read_proofs(value: &Value<'_>) -> AdminProofs {
    if !value.is_table() {
        value.error("is no table", PROOF_HELP);
        return AdminProofs::default();
    }
    let Some(mut table) = value.table() else { return AdminProofs::default() };
    let token = table.take("token");
    let ca = table.take("ca");
    if token.is_none() && ca.is_none() {
        value.error("names no proof", PROOF_HELP);
    }
    let proofs =
        AdminProofs { token: token.and_then(|value| value.path()), ca: ca.and_then(|value| value.placed_string()) };
    table.finish();
    proofs
}
