//! What can be used but will bite: warnings at the place that names the file.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::clock::Timestamp;
use crate::config::model::{CertificateFiles, Placed};
use crate::config::problem::Problems;
use crate::hostname::HostPattern;
use crate::policy::bundle::CaBundle;
use crate::policy::cloudflare_ca::SharedCa;
use crate::policy::crl::Crl;
use crate::x509::{self, CertificateFields, CertificateSummary};

/// A CA takes longer to replace than a leaf.
const CA_NOTICE: Duration = Duration::from_secs(180 * 86_400);
const LEAF_NOTICE: Duration = Duration::from_secs(14 * 86_400);

/// Looks at loaded files and warns.
pub(super) struct Caution<'a> {
    pub(super) problems: &'a mut Problems,
    pub(super) now: Timestamp,
}

impl Caution<'_> {
    /// Certificates that are to serve as CAs.
    pub(super) fn ca_file(&mut self, path: &Placed<PathBuf>, certificates: &[CertificateDer<'_>]) {
        for summary in certificates.iter().map(CertificateSummary::read) {
            let Some(fields) = &summary.fields else { continue };
            if SharedCa::recognise(summary.fingerprint) == Some(SharedCa::Expired) {
                let message =
                    format!("{}: Cloudflare's shared CA as of 2015, which ended on 2020-01-12", path.value.display());
                self.problems.error(&path.place, message, "fetch the current one: https://developers.cloudflare.com/ssl/static/authenticated_origin_pull_ca.pem");
                continue;
            }
            self.ca_dates(path, fields);
            if fields.version == 1 {
                let message = format!("{}: `{}` is X.509 v1", path.value.display(), fields.subject);
                let help = "as a CA it serves; a client that presents it, or a v1 leaf of it, is refused as `unsupported_version`";
                self.problems.warning(&path.place, message, help);
            }
            if !fields.is_ca && fields.version == 3 {
                let message = format!("{}: `{}` is a leaf, not a CA", path.value.display(), fields.subject);
                let help = format!("if this very certificate is meant, pin it: pins = [\"{}\"]", path.value.display());
                self.problems.warning(&path.place, message, help);
            }
        }
    }

    fn ca_dates(&mut self, path: &Placed<PathBuf>, fields: &CertificateFields) {
        let (shown, subject, end) = (path.value.display(), &fields.subject, fields.not_after);
        if self.now > end {
            let message =
                format!("{shown}: the CA `{subject}` ended on {end}: whatever it issued is refused as `expired`");
            self.problems.warning(&path.place, message, "add the CA's new certificate to the bundle");
        } else if self.now.after(CA_NOTICE) > end {
            let message = format!("{shown}: the CA `{subject}` ends on {end}");
            self.problems.warning(&path.place, message, "add its successor to the bundle in time");
        }
    }

    /// The CA that a host trusts.
    pub(super) fn trusted_ca(&mut self, name: &Placed<String>, bundle: &CaBundle, alone: bool) {
        let shared = |ca: &crate::policy::bundle::CaCertificate| SharedCa::recognise(ca.summary.fingerprint).is_some();
        if alone && bundle.certificates().iter().all(shared) {
            let message = format!("ca `{}` is Cloudflare's, shared by all its customers", name.value);
            let help = "it proves `through Cloudflare`, never `through my account`: anyone with a zone of their own can \
                        reach this host; upload a certificate of your own and trust its CA";
            self.problems.warning(&name.place, message, help);
        }
    }

    /// A revocation list.
    pub(super) fn crl(&mut self, path: &Placed<PathBuf>, crl: &Crl) {
        if self.now > crl.next_update() {
            let message =
                format!("{}: the revocation list was to be renewed by {}", path.value.display(), crl.next_update());
            self.problems.warning(
                &path.place,
                message,
                "fetch the current list: with this one, clients are refused as `crl_expired`",
            );
        }
    }

    /// Pinned certificates.
    pub(super) fn pinned(&mut self, path: &Placed<PathBuf>, certificates: &[CertificateDer<'_>]) {
        for fields in certificates.iter().filter_map(|der| CertificateSummary::read(der).fields) {
            if self.now > fields.not_after {
                let message = format!("{}: the pinned certificate ended on {}", path.value.display(), fields.not_after);
                self.problems.warning(&path.place, message, "pin its successor beside it");
            }
        }
    }

    /// A host's own certificate.
    pub(super) fn server_certificate(
        &mut self,
        paths: &CertificateFiles,
        chain: &[CertificateDer<'_>],
        names: &[Placed<HostPattern>],
    ) {
        let Some(leaf) = chain.first() else { return };
        let Some(fields) = CertificateSummary::read(leaf).fields else { return };
        let (place, shown) = (&paths.chain.place, paths.chain.value.display());
        if self.now > fields.not_after {
            let message = format!("{shown}: the server certificate ended on {}", fields.not_after);
            self.problems.warning(place, message, "renew it: Cloudflare's mode `Full (strict)` answers 526 meanwhile");
        } else if self.now.after(LEAF_NOTICE) > fields.not_after {
            self.problems.warning(
                place,
                format!("{shown}: the server certificate ends on {}", fields.not_after),
                "renew it",
            );
        }
        for name in names.iter().filter(|name| !x509::covers(leaf, &name.value)) {
            let message = format!("{shown}: the server certificate does not name `{}`", name.value);
            self.problems.warning(
                &name.place,
                message,
                "Cloudflare's mode `Full (strict)` answers 526 for it; issue one with this name",
            );
        }
    }
}
