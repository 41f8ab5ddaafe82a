//! Which proxy and which zone a verb is about to change: said before anything else.

use std::fmt;

use super::CloudflareArguments;
use super::origin::RunningProxy;
use crate::cloudflare::Zone;

/// Both sides of what is about to be changed.
#[derive(Clone, Debug)]
pub(super) struct Whom {
    proxy: String,
    /// Why it is this one.
    why: String,
    /// `None`: Cloudflare is not asked, or the zone is not known.
    zone: Option<String>,
}

impl Whom {
    pub(super) fn new(proxy: &RunningProxy, arguments: &CloudflareArguments, zone: Option<&Zone>) -> Self {
        let (proxy, why) = proxy.place();
        let zone = zone.map(|zone| {
            let account = zone.account.as_ref().map(|account| format!(" of account {}", account.id));
            format!("{} ({}){} at {}", zone.name, zone.id, account.unwrap_or_default(), arguments.api.shown())
        });
        Self { proxy, why, zone }
    }

    /// What somebody is asked who has seen the plan.
    pub(super) fn question(&self) -> String {
        match &self.zone {
            Some(zone) => format!("Apply this to proxy {} and zone {zone}? yes/no ", self.proxy),
            None => format!("Apply this to proxy {}? yes/no ", self.proxy),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {} ({})", self.proxy, self.why)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, " · zone {zone}"))
    }
}
