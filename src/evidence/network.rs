//! Where a peer's address belongs: inside Cloudflare's published ranges, or elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::report::NetworksReport;

/// `GET /client/v4/ips` as Cloudflare answered it on [`SHIPPED_ON`].
pub(super) const SHIPPED: &str = include_str!("../../config/cloudflare-ips.json");
/// The day on which the shipped ranges were published.
const SHIPPED_ON: &str = "2026-04-16";
const SHIPPED_SOURCE: &str = "shipped";

/// Wider than any range of Cloudflare's: a slip such as `0.0.0.0/0` would take every scanner for the edge.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;
/// Cloudflare publishes 22.
const MAX_RANGES: usize = 10_000;
/// Longest piece of a file that a message repeats.
const LONGEST_QUOTE: usize = 80;

/// A peer's side of the line that evidence is split by.
///
/// Scanners would otherwise keep a host unready for ever: what they bring is told apart from what the edge brings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Inside Cloudflare's published ranges.
    Cloudflare,
    /// Anywhere else.
    Elsewhere,
}

impl Network {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Cloudflare, Self::Elsewhere];

    /// The word in log, metric and API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cloudflare => "cloudflare",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// The ranges that count as Cloudflare's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Networks {
    /// Without overlaps, in ascending order.
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
    source: String,
    dated: Option<&'static str>,
    /// As many as were written.
    ranges: usize,
}

/// Why a list of ranges cannot be used. Lines count from 1.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RangesError {
    #[error("it names no range")]
    Empty,
    #[error("line {line}: not the JSON that Cloudflare answers with: {reason}")]
    Json { line: usize, reason: String },
    #[error("line {line}: `{text}` is no range of addresses")]
    NotARange { line: usize, text: String },
    #[error("line {line}: `{range}` takes in far more than Cloudflare (IPv4 /8 and IPv6 /16 are the widest)")]
    TooWide { line: usize, range: IpNet },
    #[error("it names more than {MAX_RANGES} ranges")]
    TooMany,
}

/// The part of Cloudflare's answer that matters.
#[derive(Deserialize)]
struct Answer {
    result: Cidrs,
}

#[derive(Deserialize)]
struct Cidrs {
    #[serde(default)]
    ipv4_cidrs: Vec<String>,
    #[serde(default)]
    ipv6_cidrs: Vec<String>,
}

impl Networks {
    /// Reads the answer of `https://api.cloudflare.com/client/v4/ips`, or one range per line with `#` comments.
    /// `source` says in reports where they are from.
    ///
    /// # Errors
    /// The first line that is wrong, or that there is no range at all.
    pub fn parse(text: &str, source: impl Into<String>) -> Result<Self, RangesError> {
        let ranges = written_in(text)?;
        let v4 = ranges.iter().filter_map(|range| if let IpNet::V4(range) = range { Some(*range) } else { None });
        let v6 = ranges.iter().filter_map(|range| if let IpNet::V6(range) = range { Some(*range) } else { None });
        Ok(Self {
            v4: Ipv4Net::aggregate(&v4.collect()),
            v6: Ipv6Net::aggregate(&v6.collect()),
            source: source.into(),
            dated: None,
            ranges: ranges.len(),
        })
    }

    /// Where `address` belongs. An IPv4 address written as IPv6 is the IPv4 address.
    pub fn of(&self, address: IpAddr) -> Network {
        let inside = match address.to_canonical() {
            IpAddr::V4(address) => self.holds_v4(address),
            IpAddr::V6(address) => self.holds_v6(address),
        };
        if inside { Network::Cloudflare } else { Network::Elsewhere }
    }

    /// As the admin API tells it.
    pub fn report(&self) -> NetworksReport {
        NetworksReport { source: self.source.clone(), dated: self.dated.map(str::to_owned), ranges: self.ranges }
    }

    fn holds_v4(&self, address: Ipv4Addr) -> bool {
        let behind = self.v4.partition_point(|range| range.network() <= address);
        behind > 0 && self.v4[behind - 1].contains(&address)
    }

    fn holds_v6(&self, address: Ipv6Addr) -> bool {
        let behind = self.v6.partition_point(|range| range.network() <= address);
        behind > 0 && self.v6[behind - 1].contains(&address)
    }
}

/// The ranges that originlock is shipped with.
impl Default for Networks {
    fn default() -> Self {
        let shipped = Self::parse(SHIPPED, SHIPPED_SOURCE).expect("the shipped ranges are well formed");
        Self { dated: Some(SHIPPED_ON), ..shipped }
    }
}

/// The ranges that `text` names, in the order in which it does.
pub(super) fn written_in(text: &str) -> Result<Vec<IpNet>, RangesError> {
    let written = match text.trim_start().starts_with('{') {
        true => from_answer(text)?,
        false => from_lines(text),
    };
    let ranges = written.into_iter().map(|(line, text)| range(line, &text)).collect::<Result<Vec<_>, _>>()?;
    match ranges.len() {
        0 => Err(RangesError::Empty),
        1..=MAX_RANGES => Ok(ranges),
        _ => Err(RangesError::TooMany),
    }
}

/// Ranges as they were written, each with its line.
type Written = Vec<(usize, String)>;

fn from_answer(text: &str) -> Result<Written, RangesError> {
    let answer: Answer = serde_json::from_str(text)
        .map_err(|error| RangesError::Json { line: error.line(), reason: quotable(&error.to_string()) })?;
    let cidrs = answer.result.ipv4_cidrs.into_iter().chain(answer.result.ipv6_cidrs);
    Ok(cidrs.map(|cidr| (line_of(text, &cidr), cidr)).collect())
}

fn from_lines(text: &str) -> Written {
    let content = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, content(line)));
    lines.filter(|(_, content)| !content.is_empty()).collect()
}

fn line_of(text: &str, cidr: &str) -> usize {
    text.lines().position(|line| line.contains(cidr)).map_or(1, |at| at + 1)
}

/// A single address is a range of one.
fn range(line: usize, text: &str) -> Result<IpNet, RangesError> {
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let range = parsed.ok_or_else(|| RangesError::NotARange { line, text: quotable(text) })?;
    let range = canonical(range.trunc());
    let widest = if matches!(range, IpNet::V4(_)) { WIDEST_V4 } else { WIDEST_V6 };
    match range.prefix_len() < widest {
        true => Err(RangesError::TooWide { line, range }),
        false => Ok(range),
    }
}

/// IPv4 written as IPv6 is IPv4, in a range as in an address.
fn canonical(range: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpNet::V6(net) = range else { return range };
    let address = net.network().to_ipv4_mapped();
    let v4 = address.zip(net.prefix_len().checked_sub(MAPPED));
    v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(range, IpNet::V4)
}

fn quotable(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(networks: &Networks, address: &str) -> Network {
        networks.of(address.parse().expect("an address"))
    }

    #[test]
    fn the_shipped_ranges_know_cloudflare() {
        let shipped = Networks::default();
        for inside in ["173.245.48.0", "172.64.1.9", "104.27.255.255", "2606:4700::1", "::ffff:172.64.1.9"] {
            assert_eq!(of(&shipped, inside), Network::Cloudflare, "{inside}");
        }
        for outside in
            ["173.245.47.255", "172.72.0.0", "104.28.0.0", "127.0.0.1", "2001:db8::1", "::1", "::ffff:127.0.0.1"]
        {
            assert_eq!(of(&shipped, outside), Network::Elsewhere, "{outside}");
        }
        let report = shipped.report();
        assert_eq!(
            (report.source.as_str(), report.dated.as_deref(), report.ranges),
            ("shipped", Some("2026-04-16"), 22)
        );
    }

    #[test]
    fn a_plain_list_has_one_range_per_line() {
        let text = "# ours\n127.0.0.1/32  # the edge\n\n  2001:db8::/32\n::ffff:192.0.2.6/127\n127.0.0.0/30\n";
        let networks = Networks::parse(text, "ranges.txt").expect("a list");
        assert_eq!(of(&networks, "127.0.0.1"), Network::Cloudflare);
        assert_eq!(of(&networks, "127.0.0.3"), Network::Cloudflare, "ranges may overlap");
        assert_eq!(of(&networks, "127.0.0.4"), Network::Elsewhere);
        assert_eq!(of(&networks, "192.0.2.7"), Network::Cloudflare);
        assert_eq!(of(&networks, "2001:db8:ffff::"), Network::Cloudflare);
        assert_eq!(networks.report(), NetworksReport { source: "ranges.txt".into(), dated: None, ranges: 4 });
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused_with_its_line() {
        for (text, message) in [
            ("", "it names no range"),
            ("# nothing\n\n", "it names no range"),
            ("{\"result\":{}}", "it names no range"),
            ("10.0.0.0/8\n0.0.0.0/0\n", "line 2: `0.0.0.0/0` takes in far more than Cloudflare"),
            ("::/0", "line 1: `::/0` takes in far more"),
            ("2400::/15", "line 1: `2400::/15` takes in far more"),
            ("10.0.0.0/7", "takes in far more"),
            ("::ffff:0:0/96", "takes in far more"),
            ("10.0.0.0/33", "line 1: `10.0.0.0/33` is no range"),
            ("\n\n<html>\x1b[2J", "line 3: `<html>\u{fffd}[2J` is no range"),
            ("{\n\"success\": true", "line 2: not the JSON"),
            ("{\"success\": false, \"result\": null}", "line 1: not the JSON"),
            ("{\"result\":\n{\"ipv4_cidrs\":\n[\"1.2.3.0/2\"]}}", "line 3: `0.0.0.0/2` takes in far more"),
        ] {
            let error = Networks::parse(text, "x").expect_err(text).to_string();
            assert!(error.contains(message), "{text:?}: {error}");
        }
        let many = "192.0.2.1\n".repeat(MAX_RANGES + 1);
        assert_eq!(Networks::parse(&many, "x"), Err(RangesError::TooMany));
    }

    proptest! {
        #[test]
        fn looking_up_agrees_with_looking_at_every_range(
            ranges in prop::collection::vec((any::<u32>(), 8u8..=32), 1..20),
            addresses in prop::collection::vec(any::<u32>(), 20),
        ) {
            let nets: Vec<_> = ranges.iter().map(|(address, length)| {
                Ipv4Net::new(Ipv4Addr::from(*address), *length).expect("a range")
            }).collect();
            let text: String = nets.iter().map(|net| format!("{net}\n")).collect();
            let networks = Networks::parse(&text, "x").expect("a list");
            let edges = nets.iter().flat_map(|net| [net.network(), net.broadcast()]);
            for address in addresses.into_iter().map(Ipv4Addr::from).chain(edges) {
                let naive = nets.iter().any(|net| net.contains(&address));
                prop_assert_eq!(networks.of(address.into()) == Network::Cloudflare, naive, "{}", address);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\",:#./0-9a-f\\n ]{0,200}") {
            let _ = Networks::parse(&text, "x");
        }
    }
}
