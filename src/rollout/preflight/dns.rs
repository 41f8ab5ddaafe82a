//! Where DNS leads visitors: through Cloudflare, and from there to this origin.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::token::Readings;
use super::zone::is_within;
use super::{Asking, Finding};
use crate::cloudflare::{Dns, Routing, Zone};
use crate::hostname::Hostname;
use crate::rollout::step::Check;

pub(super) fn look(asking: &Asking<'_>, zone: &Zone, readings: &Readings) -> Vec<Check> {
    let own = own_addresses(asking);
    let mut checks = Vec::new();
    for (hostname, dns) in &readings.dns {
        match dns {
            Ok(dns) => {
                checks.push(routing(dns, hostname, zone).of("dns", hostname.as_str()));
                checks.extend(address(dns, &own).map(|finding| finding.of("dns_address", hostname.as_str())));
            }
            Err(error) => checks.push(Finding::unread(error).of("dns", hostname.as_str())),
        }
    }
    checks
}

fn routing(dns: &Dns, hostname: &Hostname, zone: &Zone) -> Finding {
    let name = &dns.name;
    match dns.routing {
        Routing::Proxied if name == hostname.as_str() => Finding::holds("proxied"),
        Routing::Proxied => Finding::holds(format!("proxied, by the record of {name}")),
        Routing::DnsOnly => Finding::fails(
            format!("{name} is DNS only: visitors come straight to the origin, and one that enforces refuses them"),
            "switch the record to proxied (orange cloud) in DNS > Records",
        ),
        Routing::Mixed => Finding::fails(
            format!("some records of {name} are DNS only: part of its visitors come straight to the origin"),
            "switch all A, AAAA and CNAME records of the name to proxied in DNS > Records",
        ),
        Routing::Tunnel => Finding::fails(
            format!("{name} leads into a Cloudflare Tunnel, which shows no client certificate"),
            "a tunnel proves itself; take the hostname out of the tunnel, or leave it without origin pulls",
        ),
        Routing::None if !is_within(hostname.as_str(), &zone.name) => Finding::fails(
            format!("{name} is outside of zone {}, which has no DNS record for it", zone.name),
            "see what is said of the zone; where its visitors are led by another zone's DNS, look there",
        ),
        Routing::None => Finding::fails(
            format!("there is no DNS record for {name}, and no wildcard above it"),
            "add a proxied record in DNS > Records",
        ),
    }
}

/// What is known of where the origin is reached.
enum Own {
    /// At these addresses.
    At(Vec<IpAddr>),
    /// At all addresses of this machine.
    ThisMachine,
}

fn own_addresses(asking: &Asking<'_>) -> Own {
    if let Some(address) = asking.desired.origin_address {
        return Own::At(vec![address.ip()]);
    }
    let listeners = asking.origin.status().map(|status| status.listeners).unwrap_or_default();
    let listeners =
        listeners.iter().filter_map(|address| address.parse::<SocketAddr>().ok()).map(|address| address.ip());
    let listeners: Vec<_> = listeners.collect();
    match listeners.is_empty() || listeners.iter().any(IpAddr::is_unspecified) {
        true => Own::ThisMachine,
        false => Own::At(listeners),
    }
}

/// `None`: the records name no address to compare.
fn address(dns: &Dns, own: &Own) -> Option<Finding> {
    let addresses: Vec<_> = dns.addresses.iter().map(ToString::to_string).collect();
    let (is_own, whose) = match own {
        Own::At(own) => (dns.addresses.iter().any(|address| own.contains(address)), "the origin listens elsewhere"),
        Own::ThisMachine => (dns.addresses.iter().copied().any(is_here), "no address of this machine"),
    };
    let told = addresses.join(", ");
    (!addresses.is_empty()).then(|| match is_own {
        true => Finding::holds(format!("leads to this origin, at {told}")),
        false => Finding::warns(
            format!("leads to {told}: {whose}"),
            "that is well behind NAT or a load balancer; --origin-address names what Cloudflare should connect to",
        ),
    })
}

/// Whether this machine has the address: nothing is sent.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
