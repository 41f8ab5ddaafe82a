//! What the walk asks before it changes anything.

use std::net::IpAddr;
use std::sync::Arc;

use super::reload::InForce;
use super::walk::Confirmations;
use crate::admin::control::View;
use crate::evidence::network::Network;
use crate::evidence::readiness::{Case, Gate, TrustFacts};
use crate::evidence::report::{
    CertificatesReport, EvidenceReport, FailuresReport, HostDetail, HostReport, HostsReport, NetworksReport,
    StatusReport,
};
use crate::proxy::worker::Shared;

struct Interim {
    shared: Arc<Shared>,
    in_force: InForce,
    confirmations: Arc<Confirmations>,
}

pub fn view(shared: &Arc<Shared>, in_force: &InForce, confirmations: &Arc<Confirmations>) -> Arc<dyn View> {
    let (shared, in_force, confirmations) = (Arc::clone(shared), Arc::clone(in_force), Arc::clone(confirmations));
    Arc::new(Interim { shared, in_force, confirmations })
}

impl View for Interim {
    fn status(&self) -> StatusReport {
        StatusReport {
            at: self.shared.clock.now(),
            version: String::new(),
            started_at: self.shared.clock.now(),
            generation: self.shared.current.generation(),
            config: String::new(),
            listeners: Vec::new(),
            networks: NetworksReport { source: String::new(), dated: None, ranges: 0 },
            evidence_file: None,
            may_change: false,
        }
    }

    fn hosts(&self) -> HostsReport {
        HostsReport { at: self.shared.clock.now(), hosts: Vec::new() }
    }

    fn host(&self, name: &str) -> Option<HostDetail> {
        let config = self.in_force.load_full();
        let host = config.host(name)?;
        let first = host.names[0].value.to_string();
        let mode = host.client_auth.mode.value;
        let by_name = Default::default();
        let case = Case { mode, trust: TrustFacts::default(), by_name: &by_name, now: self.shared.clock.now() };
        Some(HostDetail {
            host: HostReport {
                confirm_by: self.confirmations.deadline(&first),
                name: first,
                names: host.names.iter().map(|name| name.value.to_string()).collect(),
                mode,
                trust: None,
                certificate_not_after: None,
                upstream: Vec::new(),
                source: None,
                readiness: Gate::default().judge(&case),
                evidence: EvidenceReport::default(),
            },
            last_hour: Vec::new(),
            last_week: Vec::new(),
            by_name: Default::default(),
            certificates: Vec::new(),
            failures: Vec::new(),
            outsiders: Vec::new(),
        })
    }

    fn certificates(&self) -> CertificatesReport {
        CertificatesReport { at: self.shared.clock.now(), certificates: Vec::new() }
    }

    fn failures(&self, _host: Option<&str>) -> FailuresReport {
        FailuresReport { at: self.shared.clock.now(), failures: Vec::new() }
    }

    fn first_name(&self, name: &str) -> Option<String> {
        self.in_force.load().host(name).map(|host| host.names[0].value.to_string())
    }

    fn network(&self, _address: IpAddr) -> Network {
        Network::Elsewhere
    }
}
