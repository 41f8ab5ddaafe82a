//! The state after one, with some hosts in *observe* and no file read: for when the files cannot be used.

use std::sync::Arc;

use super::Snapshot;
use super::build::{Ground, export_certificate};
use super::host::Host;
use crate::policy::client_auth::ClientAuth;
use crate::policy::hosts::HostTable;
use crate::tls::policy_digest::PolicyDigest;
use crate::tls::server_config;

impl Snapshot {
    /// The state after this one, in which those of the enforced hosts that `opens` picks let everyone in.
    #[must_use]
    pub fn opened(&self, ground: &Ground, opens: impl Fn(&Host) -> bool) -> Self {
        let all: Vec<_> = self.all.iter().map(|host| of(host, ground, &opens)).collect();
        ground.metrics.commit_hosts();
        all.iter().for_each(|host| export_certificate(host));
        let mut hosts = HostTable::default();
        let default = self.hosts.select(None).ok();
        for host in &all {
            host.names.iter().for_each(|name| hosts.insert(name, Arc::clone(host)));
            if default.is_some_and(|default| default.name == host.name) {
                hosts.set_default(Arc::clone(host));
            }
        }
        Self {
            generation: self.generation + 1,
            hosts,
            all,
            limits: self.limits.clone(),
            networks: Arc::clone(&self.networks),
            cas: self.cas.clone(),
            admin: Arc::clone(&self.admin),
            known: Arc::clone(&self.known),
            trusts: self.trusts.clone(),
            upstreams: self.upstreams.clone(),
        }
    }
}

fn of(host: &Arc<Host>, ground: &Ground, opens: impl Fn(&Host) -> bool) -> Arc<Host> {
    let client_auth = match &host.client_auth {
        ClientAuth::Enforce(trust) if opens(host) => ClientAuth::Observe(Arc::clone(trust)),
        same => same.clone(),
    };
    // The metrics forget whom they are not asked for.
    let metrics = ground.metrics.host(&host.name, client_auth.mode());
    if client_auth.mode() == host.client_auth.mode() {
        return Arc::clone(host);
    }
    let digest = PolicyDigest::of(&host.names, &client_auth);
    let tls = Arc::new(server_config::build(&ground.tls, &host.certificate, &client_auth, digest));
    Arc::new(Host { client_auth, digest, tls, metrics, ..Host::clone(host) })
}
