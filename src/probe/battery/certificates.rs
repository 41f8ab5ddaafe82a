//! Attempts by the certificate that is shown: the right one by all means, and the wrong ones.

use super::Finding;
use super::caller::{Caller, Protocol, Speech, Versions};
use super::conversation::{Outcome, Refusal};
use super::judge::{self, Shown};
use super::run::{Scene, skipped};
use super::wardrobe;
use crate::probe::{Identity, ProbeError};

/// A part of the subject of Cloudflare's shared CA, in every version of it.
const CLOUDFLARE: &[u8] = b"origin-pull.cloudflare.net";
const NO_CA: &str = "--ca-cert and --ca-key are not given";

impl Scene<'_> {
    pub(super) async fn right_over(&self, versions: Versions, protocol: Protocol) -> Result<Shown, ProbeError> {
        let Some(identity) = &self.target.right else { return Ok(skipped("--cert and --key are not given")) };
        let speech = Speech { versions, protocol, ..Speech::default() };
        let caller = Caller::new(Some(identity), &speech)?;
        let (outcome, agreed) = self.visit(&caller, &self.target.name, self.target.name.as_str()).await;
        if let Some(missing) = not_spoken(&outcome, &caller, versions) {
            return Ok(skipped(missing));
        }
        let version = agreed.map_or("1.2", |agreed| agreed.version);
        let means = match protocol {
            Protocol::Http1 => format!("TLS {version}"),
            Protocol::Http2 => format!("TLS {version} and HTTP/2"),
        };
        Ok(judge::right(&outcome, &means, self.reference.as_ref()))
    }

    pub(super) async fn no_certificate_over(
        &self,
        versions: Versions,
        protocol: Protocol,
    ) -> Result<Shown, ProbeError> {
        let caller = Caller::new(None, &Speech { versions, protocol, ..Speech::default() })?;
        let (outcome, _) = self.visit(&caller, &self.target.name, self.target.name.as_str()).await;
        Ok(match not_spoken(&outcome, &caller, versions) {
            Some(missing) => skipped(missing),
            None => judge::stranger(&outcome, self.reference.as_ref()),
        })
    }

    pub(super) async fn self_signed(&self) -> Result<Shown, ProbeError> {
        self.showing(&wardrobe::self_signed_leaf(self.now)?).await
    }

    pub(super) async fn other_ca(&self) -> Result<Shown, ProbeError> {
        self.showing(&wardrobe::other_ca(self.now)?).await
    }

    pub(super) async fn same_name_ca(&self) -> Result<Shown, ProbeError> {
        let told = || self.asked_for.as_ref().and_then(|names| names.first().cloned());
        let of_the_right_one = || self.target.right.as_ref().and_then(Identity::issuer);
        let Some(issuer) = self.target.issuer.clone().or_else(of_the_right_one).or_else(told) else {
            return Ok(skipped("nobody says what the CA is called: --cert or --issuer \"CN=…\" does"));
        };
        self.showing(&wardrobe::same_name_ca(&issuer, self.now)?).await
    }

    pub(super) async fn expired(&self) -> Result<Shown, ProbeError> {
        let ca = self.target.ca.as_ref();
        let (finding, detail) = self.showing(&wardrobe::expired(ca, self.now)?).await?;
        Ok(match ca {
            Some(_) => (finding, detail),
            None => (finding, format!("{detail}; of a CA that nobody trusts, as {NO_CA}")),
        })
    }

    pub(super) async fn wrong_purpose(&self) -> Result<Shown, ProbeError> {
        match &self.target.ca {
            Some(ca) => self.showing(&wardrobe::wrong_purpose(ca, self.now)?).await,
            None => Ok(skipped(NO_CA)),
        }
    }

    pub(super) async fn other_host_certificate(&self) -> Result<Shown, ProbeError> {
        match &self.target.other_identity {
            Some(identity) => self.showing(identity).await,
            None => Ok(skipped("--other-cert and --other-key are not given")),
        }
    }

    /// Nobody but Cloudflare has its key.
    pub(super) fn cloudflare_shared_ca(&self) -> Shown {
        let names = self.asked_for.iter().flatten();
        let told = names.into_iter().any(|name| name.windows(CLOUDFLARE.len()).any(|window| window == CLOUDFLARE));
        match (told, self.target.shared_ca_is_meant) {
            (true, false) => (
                Finding::Hole,
                "the server says that it trusts Cloudflare's shared CA: every customer of Cloudflare's gets through"
                    .to_owned(),
            ),
            (true, true) => skipped("trusted, as --shared-ca says: every customer of Cloudflare's gets through"),
            (false, _) => skipped(
                "cannot be tried without Cloudflare's key; look whether the server trusts Cloudflare's shared CA",
            ),
        }
    }

    async fn showing(&self, who: &Identity) -> Result<Shown, ProbeError> {
        let caller = Caller::new(Some(who), &Speech::default())?;
        let (outcome, _) = self.visit(&caller, &self.target.name, self.target.name.as_str()).await;
        let (finding, detail) = judge::stranger(&outcome, self.reference.as_ref());
        Ok(match (finding, caller.asked_for()) {
            (Finding::Hole, None) => (finding, format!("{detail}; the server asks for no certificate")),
            _ => (finding, detail),
        })
    }
}

/// Why an attempt over particular versions or HTTP/2 cannot be made with this server.
pub(super) fn not_spoken(outcome: &Outcome, caller: &Caller, versions: Versions) -> Option<String> {
    match outcome {
        Outcome::Refused(Refusal::NoHttp2 | Refusal::Alert("no_application_protocol")) => {
            Some("the server does not speak HTTP/2".to_owned())
        }
        // It did show a certificate when it could choose the version.
        Outcome::Refused(_) if versions != Versions::All && caller.shown().is_none() => {
            Some(format!("the server does not speak {}", versions.spoken()))
        }
        Outcome::Refused(_) | Outcome::Answered(_) | Outcome::Lost(_) => None,
    }
}
