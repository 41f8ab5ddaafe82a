//! What the operator says about evidence: how much of it is enough, and which certificates have a name.

use std::time::Duration;

use crate::config::model::{KnownCertificate, Placed};
use crate::config::parse::assign;
use crate::config::reader::{Table, Value};
use crate::evidence::readiness::Gate;
use crate::evidence::tally::MAX_EDGES;
use crate::x509::Fingerprint;

/// Evidence is kept for a week.
const MAX_WINDOW_HOURS: usize = 168;
const SECONDS_PER_HOUR: usize = 3600;
const SECONDS_PER_DAY: usize = 24 * SECONDS_PER_HOUR;

/// Reads `[readiness]`, or a host's own `readiness`; what is not written stays as in `gate`.
pub(super) fn read_gate(mut table: Table<'_>, mut gate: Gate) -> Gate {
    let window = table.take("window_hours").and_then(|value| value.integer(1..=MAX_WINDOW_HOURS));
    assign(&mut gate.window, window.map(|hours| seconds(hours * SECONDS_PER_HOUR)));
    let handshakes = table.take("handshakes").and_then(|value| value.integer(1..=1_000_000_000));
    assign(&mut gate.handshakes, handshakes.map(|number| number as u64));
    let edge_addresses = table.take("edge_addresses").and_then(|value| value.integer(1..=MAX_EDGES));
    assign(&mut gate.edge_addresses, edge_addresses.map(|number| number as u64));
    let percent = table.take("failing_percent").and_then(|value| value.number("a percentage", 0.0..=100.0));
    assign(&mut gate.failing_share, percent.map(|percent| percent / 100.0));
    let validity = table.take("validity_days").and_then(|value| value.integer(0..=3650));
    assign(&mut gate.validity, validity.map(|days| seconds(days * SECONDS_PER_DAY)));
    table.finish();
    gate
}

fn seconds(seconds: usize) -> Duration {
    Duration::from_secs(seconds as u64)
}

/// Reads `[known_certificates]`, whose keys are the operator's.
pub(super) fn read_known_certificates(table: &Table<'_>) -> Vec<(String, Placed<KnownCertificate>)> {
    let mut known = Vec::new();
    for (name, value) in table.named_entries() {
        let written = value.one_or_many();
        known.extend(written.iter().filter_map(read_known).map(|certificate| (name.to_owned(), certificate)));
    }
    known
}

fn read_known(value: &Value<'_>) -> Option<Placed<KnownCertificate>> {
    let Some(digits) = value.string()?.strip_prefix("sha256:") else {
        let path = value.path()?;
        return Some(Placed { value: KnownCertificate::File(path.value), place: path.place });
    };
    let fingerprint = Fingerprint::parse(digits);
    if fingerprint.is_none() {
        value.error("needs 64 hexadecimal digits after the colon", "`originlock pki inspect FILE` prints them");
    }
    fingerprint.map(|fingerprint| value.placed(KnownCertificate::Fingerprint(fingerprint)))
}

#[cfg(test)]
mod tests {
    use crate::config::file;

    use super::*;

    const HOST: &str = "names = [\"a.example\"]
certificate = { chain = \"a.pem\", key = \"a.key\" }
client_auth = { mode = \"off\" }
upstream = \"http://127.0.0.1:8080\"
";

    #[test]
    fn a_host_asks_for_what_it_says_and_else_for_what_all_hosts_ask_for() {
        let text = format!(
            "[readiness]\nwindow_hours = 168\nfailing_percent = 0.5\nvalidity_days = 0\n[known_certificates]\n\
             \"zone-level certificate\" = [\"aop/zone.pem\", \"sha256:{}\"]\n[[host]]\n{HOST}[[host]]\n{}readiness = \
             {{ handshakes = 7, edge_addresses = 1 }}\n",
            "ab".repeat(32),
            HOST.replace("a.example", "b.example"),
        );
        let config = file::parse("dir/o.toml", text).expect("a configuration").config;
        let [all, own] = [0, 1].map(|at: usize| config.hosts[at].value.gate);
        let week = Duration::from_hours(168);
        let expected = Gate { window: week, failing_share: 0.005, validity: Duration::ZERO, ..Gate::default() };
        assert_eq!(all, expected);
        assert_eq!(own, Gate { handshakes: 7, edge_addresses: 1, ..expected });
        let known: Vec<_> = config.known_certificates.iter().map(|(name, known)| (&**name, &known.value)).collect();
        let file = KnownCertificate::File("dir/aop/zone.pem".into());
        let fingerprint = KnownCertificate::Fingerprint(Fingerprint([0xab; 32]));
        assert_eq!(known, [("zone-level certificate", &file), ("zone-level certificate", &fingerprint)]);
    }

    #[test]
    fn mistakes_are_named_with_their_remedy() {
        for (table, said) in [
            ("[readiness]\nwindow_hours = 169", "`readiness.window_hours` cannot be 169; write a number from 1 to 168"),
            (
                "[readiness]\nfailing_percent = 101",
                "`readiness.failing_percent` cannot be 101; write a percentage from 0 to 100",
            ),
            ("[readiness]\nhandshake = 1", "unknown key `readiness.handshake`, did you mean `handshakes`?"),
            (
                "[known_certificates]\nx = \"sha256:12\"",
                "`known_certificates.x` needs 64 hexadecimal digits after the colon; `originlock pki inspect FILE` prints \
                 them",
            ),
        ] {
            let problems = file::parse("o.toml", format!("{table}\n[[host]]\n{HOST}")).expect_err("a mistake");
            assert_eq!(problems.to_string().trim_end(), format!("o.toml:2: {said}"));
        }
    }
}
