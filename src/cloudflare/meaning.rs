//! What a failure means, and what to do about it, in plain words.

use super::error::{CloudflareError, Kind, Refusal};

/// What a token needs, by the endpoint and whether something is changed there.
const PERMISSIONS: [(&str, Permission); 8] = [
    ("/origin_tls_client_auth", Permission::zone("SSL and Certificates")),
    ("/settings/", Permission::zone("Zone Settings")),
    ("/cache/origin_post_quantum_encryption", Permission::zone("Zone Settings")),
    ("/dns_records", Permission::zone("DNS")),
    ("/rulesets/", Permission::zone("Config Rules")),
    ("/alerting/", Permission { scope: "Account", name: "Notifications" }),
    ("/tokens/verify", Permission { scope: "", name: "" }),
    ("/zones", Permission::zone("Zone")),
];
const TOKENS_PAGE: &str = "https://dash.cloudflare.com/profile/api-tokens";

/// A permission as the dashboard calls it.
#[derive(Clone, Copy)]
struct Permission {
    /// `Zone` or `Account`. Empty: none is needed.
    scope: &'static str,
    name: &'static str,
}

impl Permission {
    const fn zone(name: &'static str) -> Self {
        Self { scope: "Zone", name }
    }
}

impl CloudflareError {
    /// What it means; `None`: it says so itself.
    pub fn meaning(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.meaning()),
            Self::NoZone { .. } => Some(
                "the zone is not in the accounts and zones that the token was made for, or the token lacks the \
                 permission Zone > Zone > Read, or the name is not that of a zone (a zone is example.com, not \
                 shop.example.com); Cloudflare answers all three alike"
                    .to_owned(),
            ),
            Self::Unreadable { .. } | Self::Endless { .. } => {
                Some("what answered is not Cloudflare's API, or something on the way changed its answer".to_owned())
            }
            Self::Fetch { .. } | Self::SeveralZones { .. } | Self::InTheClear { .. } | Self::Start(_) => None,
        }
    }

    /// What to do next.
    pub fn next_step(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.next_step(),
            Self::Fetch { .. } => {
                "`curl https://api.cloudflare.com/client/v4/ips` shows whether this machine reaches Cloudflare's API; the \
                 same command goes on from here. What originlock serves does not depend on it"
                    .to_owned()
            }
            Self::Unreadable { .. } | Self::Endless { .. } => {
                "look at --api, if it was given; and run the same command again, which looks first at what is there"
                    .to_owned()
            }
            Self::NoZone { .. } => {
                format!("see what the token was made for at {TOKENS_PAGE}, or give the zone's own name with --zone")
            }
            Self::SeveralZones { .. } => "give the id of the right one with --zone".to_owned(),
            Self::InTheClear { .. } => {
                "write https:// with --api; http:// is taken for 127.0.0.1, ::1 and localhost alone".to_owned()
            }
            Self::Start(_) => "look at the limits of this machine for threads and open files".to_owned(),
        }
    }
}

impl Refusal {
    /// The permission that this call needs: `Zone > SSL and Certificates > Edit`, as the dashboard calls it. `None`: it
    /// needs none.
    pub fn permission(&self) -> Option<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        let (_, permission) = PERMISSIONS.iter().find(|(part, _)| path.contains(part))?;
        let right = if self.method == "GET" { "Read" } else { "Edit" };
        (!permission.scope.is_empty()).then(|| format!("{} > {} > {right}", permission.scope, permission.name))
    }

    /// What it means.
    pub fn meaning(&self) -> String {
        let text = match self.kind {
            Kind::AlreadyExists => "the zone has this very certificate already, or is still deleting it",
            Kind::Unparsable => "Cloudflare cannot read the certificate: it takes one leaf as PEM text",
            Kind::NotALeaf => "the certificate is one of a CA (CA:TRUE), and Cloudflare takes leaves alone",
            Kind::Expired => "the certificate has expired, by Cloudflare's clock",
            Kind::ZoneBusy => {
                "another change of this zone's client certificates is under way, and Cloudflare makes one at a time"
            }
            Kind::CertificateIdRequired => "the change names no certificate; Cloudflare wants one even to void",
            Kind::UnknownCertificate => return self.unknown_certificate().to_owned(),
            Kind::InUse => "an association refers to the certificate still, or was voided only a moment ago",
            Kind::PendingDeployment => {
                "Cloudflare is still bringing the certificate to its edges, and deletes it only then"
            }
            Kind::PendingDeletion => "Cloudflare is deleting the certificate already",
            Kind::NotFound => return self.not_found().to_owned(),
            Kind::MalformedToken => {
                "what was shown is no API token: something else stands beside it (a space, quotation marks, `Bearer`), or \
                 it is a Global API Key"
            }
            Kind::InvalidToken => {
                "Cloudflare does not know this token: it was deleted or replaced, or part of it is missing"
            }
            Kind::NotPermitted => return self.not_permitted(),
            Kind::Foreign => "the token was made for other accounts or zones than this one",
            Kind::FreshToken => "the token was made a moment ago, and not all of Cloudflare's places know it",
            Kind::NoRoute => {
                "there is no such zone or path: the zone's id is wrong, or --api is not the API's base URL"
            }
            Kind::Redirected => {
                "whoever answered sends us elsewhere; the token is not shown to anyone but the address asked"
            }
            Kind::RateLimited => {
                "too many requests: Cloudflare takes 1,200 in five minutes, counted over the dashboard, keys and all \
                 tokens of one user"
            }
            Kind::ServerError => "this is Cloudflare's own trouble",
            Kind::Other if self.is_setting() => {
                "this setting may not be open to change for this zone's plan or account"
            }
            Kind::Other => "the message above is all that Cloudflare says",
        };
        text.to_owned()
    }

    /// What to do next.
    pub fn next_step(&self) -> String {
        let text = match self.kind {
            Kind::AlreadyExists => {
                "run the same command again: a certificate that is there is taken as it is, and one that is being deleted \
                 is gone in about ten seconds"
            }
            Kind::Unparsable => "`originlock pki inspect FILE` says what the file holds",
            Kind::NotALeaf => "`originlock pki leaf` makes a leaf of your CA",
            Kind::Expired => {
                "`originlock pki leaf` makes a new one; if this one should be good, look at this machine's clock"
            }
            Kind::ZoneBusy => {
                "see whether someone else, or a tool such as Terraform, is changing the zone; run the same command again \
                 afterwards"
            }
            Kind::CertificateIdRequired | Kind::UnknownCertificate => {
                "`originlock aop status HOST` shows the certificates of the zone; `originlock aop apply HOST` uploads one \
                 where there is none"
            }
            Kind::InUse => {
                "`originlock aop status HOST` shows who uses it; `originlock aop rollback HOST` voids the association first"
            }
            Kind::PendingDeployment => "run the same command again in a few minutes",
            Kind::PendingDeletion => "nothing is to be done",
            Kind::NotFound => "`originlock aop status HOST` shows what is there",
            Kind::MalformedToken => {
                "put the token alone into a file of its own and name that with --api-token-file, or set \
                 CLOUDFLARE_API_TOKEN to nothing but the token"
            }
            Kind::InvalidToken => return format!("make a token at {TOKENS_PAGE}, or copy the whole of it once more"),
            Kind::NotPermitted => return self.permit(),
            Kind::Foreign => {
                return format!("look at --zone, and at the zones and accounts the token is for: {TOKENS_PAGE}");
            }
            Kind::FreshToken => "run the same command again in a minute",
            Kind::NoRoute => "look at --zone, and at --api, whose default is https://api.cloudflare.com/client/v4",
            Kind::Redirected => "give the API's own address with --api, if you trust it with the token",
            Kind::RateLimited => "wait five minutes and run the same command again: it goes on from here",
            Kind::ServerError => {
                "look at https://www.cloudflarestatus.com, and run the same command again: it goes on from here"
            }
            Kind::Other => "run the same command again; if it stays so, give Cloudflare's support the request's id",
        };
        text.to_owned()
    }

    fn is_setting(&self) -> bool {
        self.method != "GET" && (self.path.contains("/settings/") || self.path.contains("/cache/"))
    }

    fn unknown_certificate(&self) -> &'static str {
        match self.method {
            "PUT" => {
                "the zone has no such certificate for hostnames: it was deleted, or the id is that of a zone-level \
                 certificate, which are a collection of their own"
            }
            _ => "this is no id of a certificate in this collection",
        }
    }

    fn not_found(&self) -> &'static str {
        match self.path.contains("/origin_tls_client_auth") {
            true if self.path.contains("/hostnames/certificates/") => {
                "there is no such certificate for hostnames; an id of a zone-level certificate is unknown here"
            }
            true if self.path.contains("/hostnames/") => "Cloudflare has no association for this hostname",
            true => "there is no such zone-level certificate; an id of a certificate for hostnames is unknown here",
            false => "Cloudflare has nothing there",
        }
    }

    fn not_permitted(&self) -> String {
        let or = "or it was switched off, has expired, or is bound to other addresses than this machine's";
        match self.permission() {
            Some(permission) => format!("the token lacks the permission `{permission}` for it, {or}"),
            None => format!("the token is not one that may do this, {or}"),
        }
    }

    fn permit(&self) -> String {
        match self.permission() {
            Some(permission) => format!("add `{permission}` to the token at {TOKENS_PAGE}"),
            None => format!("look at the token at {TOKENS_PAGE}"),
        }
    }
}
