//! A list of ranges that Cloudflare just published, beside the one in use: whether it can be meant, and what is new.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::network::{RangesError, SHIPPED, written_in};

/// Addresses that nobody reaches through the Internet. Cloudflare's edge has none of them.
const NOT_PUBLIC: [&str; 21] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/8",
    "64:ff9b::/96",
    "100::/64",
    "2001:db8::/32",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];
/// Cloudflare's widest are an IPv4 /13 and an IPv6 /29.
const WIDEST_V4: u8 = 11;
const WIDEST_V6: u8 = 24;
/// Cloudflare publishes 15 and 7.
const FEWEST_V4: usize = 4;
const FEWEST_V6: usize = 2;

/// Ranges of addresses as a list names them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeList(BTreeSet<IpNet>);

/// What one list has and another has not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub added: Vec<IpNet>,
    pub removed: Vec<IpNet>,
}

/// Why a list that was published must not take the place of another.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Unreadable(#[from] RangesError),
    #[error("it names {v4} IPv4 and {v6} IPv6 ranges; Cloudflare has at least {FEWEST_V4} and {FEWEST_V6}")]
    Tiny { v4: usize, v6: usize },
    #[error("`{range}` is no range of the Internet's: it takes in `{inside}`")]
    NotPublic { range: IpNet, inside: IpNet },
    #[error("`{range}` is wider than any of Cloudflare's (IPv4 /{WIDEST_V4} and IPv6 /{WIDEST_V6} are taken)")]
    TooWide { range: IpNet },
    #[error("it has less than half of the {family} addresses of the list in use")]
    Shrunk { family: &'static str },
}

impl RangeList {
    /// Reads what `[evidence] cloudflare_ranges` can name.
    ///
    /// # Errors
    /// The first line that is wrong, or that there is no range at all.
    pub fn parse(text: &str) -> Result<Self, RangesError> {
        Ok(Self(written_in(text)?.into_iter().collect()))
    }

    /// The ranges that originlock is shipped with.
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("the shipped ranges are well formed")
    }

    /// How many ranges there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether this list, just published, may take the place of `old`, and what would change.
    ///
    /// # Errors
    /// It cannot be meant.
    pub fn after(&self, old: &Self) -> Result<Difference, Unfit> {
        let v4 = self.0.iter().filter(|range| matches!(range, IpNet::V4(_))).count();
        let v6 = self.0.len() - v4;
        if v4 < FEWEST_V4 || v6 < FEWEST_V6 {
            return Err(Unfit::Tiny { v4, v6 });
        }
        self.0.iter().try_for_each(|range| fit(*range))?;
        let ([v4, v6], [old_v4, old_v6]) = (self.sizes(), old.sizes());
        for (family, new, old) in [("IPv4", v4, old_v4), ("IPv6", v6, old_v6)] {
            if new < old / 2 {
                return Err(Unfit::Shrunk { family });
            }
        }
        let without = |one: &Self, other: &Self| one.0.difference(&other.0).copied().collect();
        Ok(Difference { added: without(self, old), removed: without(old, self) })
    }

    /// How many IPv4 addresses, and how many IPv6 networks of 64 bits: no range that is taken is smaller than one by much.
    fn sizes(&self) -> [u128; 2] {
        let v4 = self.0.iter().filter_map(|range| if let IpNet::V4(range) = range { Some(*range) } else { None });
        let v6 = self.0.iter().filter_map(|range| if let IpNet::V6(range) = range { Some(*range) } else { None });
        [
            Ipv4Net::aggregate(&v4.collect()).iter().map(|range| 1 << (32 - range.prefix_len())).sum(),
            Ipv6Net::aggregate(&v6.collect()).iter().map(|range| 1 << (64 - range.prefix_len().min(64))).sum(),
        ]
    }
}

impl Difference {
    /// Whether both lists name the same ranges.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

fn fit(range: IpNet) -> Result<(), Unfit> {
    let widest = if matches!(range, IpNet::V4(_)) { WIDEST_V4 } else { WIDEST_V6 };
    if range.prefix_len() < widest {
        return Err(Unfit::TooWide { range });
    }
    let not_public = NOT_PUBLIC.iter().map(|range| range.parse::<IpNet>().expect("a range of ours is one"));
    let mut inside = not_public.filter(|other| other.contains(&range) || range.contains(other));
    inside.next().map_or(Ok(()), |inside| Err(Unfit::NotPublic { range, inside }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIVE: &str =
        "103.21.244.0/22\n104.16.0.0/13\n172.64.0.0/13\n162.158.0.0/15\n2606:4700::/32\n2400:cb00::/32\n";

    fn list(text: &str) -> RangeList {
        RangeList::parse(text).expect("a list")
    }

    #[test]
    fn the_shipped_list_may_take_its_own_place_and_changes_nothing() {
        let shipped = RangeList::shipped();
        assert!(shipped.after(&shipped).expect("it is fit").is_empty());
        assert_eq!(shipped.count(), 22);
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told() {
        let new = FIVE.replace("103.21.244.0/22", "103.22.200.0/22");
        let difference = list(&new).after(&list(FIVE)).expect("it is fit");
        let text = |ranges: Vec<IpNet>| ranges.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text(difference.added), ["103.22.200.0/22"]);
        assert_eq!(text(difference.removed), ["103.21.244.0/22"]);
    }

    #[test]
    fn a_list_that_cannot_be_meant_takes_nobody_s_place() {
        for (text, message) in [
            ("104.16.0.0/13\n2606:4700::/32\n".to_owned(), "it names 1 IPv4 and 1 IPv6 ranges"),
            (FIVE.lines().filter(|line| !line.contains(':')).collect::<Vec<_>>().join("\n"), "4 IPv4 and 0 IPv6"),
            (format!("{FIVE}10.1.0.0/16\n"), "`10.1.0.0/16` is no range of the Internet's: it takes in `10.0.0.0/8`"),
            (format!("{FIVE}192.160.0.0/11\n"), "it takes in `192.168.0.0/16`"),
            (format!("{FIVE}127.0.0.1/32\n"), "it takes in `127.0.0.0/8`"),
            (format!("{FIVE}fd00::/32\n"), "it takes in `fc00::/7`"),
            (format!("{FIVE}104.0.0.0/10\n"), "`104.0.0.0/10` is wider than any"),
            (format!("{FIVE}2600::/20\n"), "`2600::/20` is wider than any"),
            (
                FIVE.replace("104.16.0.0/13", "104.16.0.0/24").replace("172.64.0.0/13", "172.64.0.0/24"),
                "half of the IPv4",
            ),
            (
                FIVE.replace("2606:4700::/32", "2606:4700::/48").replace("2400:cb00::/32", "2400:cb00::/48"),
                "half of the IPv6",
            ),
        ] {
            let error = list(&text).after(&list(FIVE)).expect_err(&text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_two_lists_can_be_compared(
            one in prop::collection::vec((any::<u32>(), 8u8..=32, any::<u128>(), 16u8..=128), 1..40),
        ) {
            let lines = one.iter().map(|(v4, short, v6, long)| {
                format!("{}/{short}\n{}/{long}\n", std::net::Ipv4Addr::from(*v4), std::net::Ipv6Addr::from(*v6))
            });
            // An IPv6 range may be IPv4 in disguise, and too wide.
            if let Ok(list) = RangeList::parse(&lines.collect::<String>()) {
                let _ = list.after(&RangeList::shipped());
                let _ = RangeList::shipped().after(&list);
            }
        }
    }
}
