//! From what is written under `[admin]` to who may do what there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Builder, LoadedCa};
use crate::config::model::{Admin, AdminProofs, CertificateFiles};
use crate::policy::client_auth::ClientAuth;
use crate::policy::trust::Trust;
use crate::snapshot::admin::{AdminAccess, AdminTls, Proofs};
use crate::snapshot::caution::Caution;
use crate::snapshot::files;
use crate::tls::policy_digest::PolicyDigest;
use crate::tls::server_config;

impl Builder<'_> {
    /// What could not be loaded has been reported.
    pub(super) fn admin(&mut self, admin: &Admin, cas: &BTreeMap<String, LoadedCa>) -> AdminAccess {
        let (read, change) = (self.proofs(&admin.read, cas), self.proofs(&admin.change, cas));
        let asked = change.trust.as_ref().or(read.trust.as_ref());
        let client_auth = asked.map_or(ClientAuth::Off, |trust| ClientAuth::Observe(Arc::clone(trust)));
        AdminAccess {
            tls: admin.certificate.as_ref().and_then(|files| self.admin_tls(files, client_auth)),
            hostnames: admin.hostnames.iter().map(|name| name.value.clone()).collect(),
            read,
            change,
        }
    }

    fn proofs(&mut self, written: &AdminProofs, cas: &BTreeMap<String, LoadedCa>) -> Proofs {
        let token = written.token.as_ref().and_then(|path| files::token(path, &mut self.problems));
        // A CA that is named but did not load has been reported.
        let trust = written.ca.as_ref().and_then(|name| {
            let ca = cas.get(&name.value)?;
            let now = self.ground.tls.clock.now();
            Caution { problems: &mut self.problems, now }.trusted_ca(name, &ca.bundle, true);
            let trust = Trust::new(Some(Arc::clone(&ca.bundle)), ca.crls.clone(), Vec::new(), self.chain_bounds());
            Some(self.carried_over(trust.expect("there is a bundle")))
        });
        Proofs { token, trust }
    }

    fn admin_tls(&mut self, files: &CertificateFiles, client_auth: ClientAuth) -> Option<AdminTls> {
        // Without names: no host's session is one of these.
        let certificate = self.server_certificate(files, &[])?;
        let digest = PolicyDigest::of(&[], &client_auth);
        let mut config = server_config::build(&self.ground.tls, &certificate, &client_auth, digest);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(AdminTls { certificate, client_auth, config: Arc::new(config) })
    }
}
