//! The closed set of findings, and how one is put.

use crate::cloudflare::Zone;
use crate::evidence::report::{FindingReport, FindingWeight};
use crate::hostname::Hostname;

/// What kind of thing does not fit. The word stands in reports, in metrics, and in the documentation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FindingKind {
    /// Cloudflare presents no certificate that this origin could verify for an enforced hostname.
    AssociationOff,
    /// The association or its certificate is still being deployed.
    AssociationPending,
    /// Cloudflare gave up on deploying the association or its certificate.
    DeploymentTimedOut,
    /// Edges present another certificate than the API says.
    OldCertificate,
    /// Handshakes come, and none of them with the certificate that the API says.
    CertificateUnseen,
    /// The certificate at Cloudflare expires soon, or has.
    CertificateExpiring,
    /// A certificate lies at Cloudflare for nothing.
    CertificateUnused,
    /// The origin refuses the certificate that Cloudflare is to present.
    Judged,
    /// The zone's SSL mode, or a configuration rule, keeps edges from showing any certificate.
    SslMode,
    /// A DNS record leads visitors around Cloudflare.
    DnsOnly,
    /// The hostname goes through a tunnel, where no certificate is presented.
    Tunnel,
    /// The zone is paused or not active: Cloudflare proxies nothing.
    ZonePaused,
    /// All is there at Cloudflare, and the origin admits everyone all the same.
    NotEnforced,
    /// The token for the API expires soon.
    TokenExpiring,
    /// The token has no right to look at something.
    NotChecked,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::AssociationOff,
        Self::AssociationPending,
        Self::DeploymentTimedOut,
        Self::OldCertificate,
        Self::CertificateUnseen,
        Self::CertificateExpiring,
        Self::CertificateUnused,
        Self::Judged,
        Self::SslMode,
        Self::DnsOnly,
        Self::Tunnel,
        Self::ZonePaused,
        Self::NotEnforced,
        Self::TokenExpiring,
        Self::NotChecked,
    ];

    /// The word in reports.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AssociationOff => "association_off",
            Self::AssociationPending => "association_pending",
            Self::DeploymentTimedOut => "deployment_timed_out",
            Self::OldCertificate => "old_certificate",
            Self::CertificateUnseen => "certificate_unseen",
            Self::CertificateExpiring => "certificate_expiring",
            Self::CertificateUnused => "certificate_unused",
            Self::Judged => "judged",
            Self::SslMode => "ssl_mode",
            Self::DnsOnly => "dns_only",
            Self::Tunnel => "tunnel",
            Self::ZonePaused => "zone_paused",
            Self::NotEnforced => "not_enforced",
            Self::TokenExpiring => "token_expiring",
            Self::NotChecked => "not_checked",
        }
    }

    /// Whether it means that something is not as it should be. The others are stations on the way, or limits of the look.
    pub const fn is_drift(self) -> bool {
        match self {
            Self::AssociationPending | Self::NotEnforced | Self::NotChecked => false,
            Self::AssociationOff
            | Self::DeploymentTimedOut
            | Self::OldCertificate
            | Self::CertificateUnseen
            | Self::CertificateExpiring
            | Self::CertificateUnused
            | Self::Judged
            | Self::SslMode
            | Self::DnsOnly
            | Self::Tunnel
            | Self::ZonePaused
            | Self::TokenExpiring => true,
        }
    }

    /// Of a word.
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }

    /// A finding of this kind: what is, and what to do.
    pub(super) fn of(
        self,
        weight: FindingWeight,
        host: Option<&Hostname>,
        zone: &Zone,
        sentence: String,
        next_step: String,
    ) -> FindingReport {
        FindingReport {
            kind: self.label().to_owned(),
            weight,
            host: host.map(Hostname::to_string),
            zone: zone.name.clone(),
            sentence,
            next_step,
        }
    }
}

/// What is an alarm only where the origin refuses whoever does not verify.
pub(super) const fn alarm_if(enforced: bool) -> FindingWeight {
    if enforced { FindingWeight::Alarm } else { FindingWeight::Warning }
}
