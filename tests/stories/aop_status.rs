//! What Cloudflare says, what its edges present and what the origin demands, side by side; where they part, it is said.

use std::process::Command;

use originlock::clock::Clock;
use originlock::hostname::Hostname;
use originlock::pki::{LeafOptions, Validity};
use originlock::rollout::drift;
use originlock::x509::Fingerprint;
use serde_json::Value;

use crate::cloudflare::{Fault, Permission, Token, Zone};
use crate::support::aop::{Aop, SHOP, WWW, ZONE, cloudflare, origin, zone};
use crate::support::certificates::good;
use crate::support::program::{Ran, finish, originlock};
use crate::support::{HostSetup, pki};

fn command(aop: &Aop, words: &[&str]) -> Command {
    let mut command = originlock(&["aop", "status"]);
    command.args(words).args(["--zone", ZONE, "--api", &aop.fake.base_url(), "--api-second", "0.02"]);
    command.arg("--api-token-file").arg(aop.path("token"));
    command
}

fn status(aop: &Aop, words: &[&str]) -> Ran {
    let mut command = command(aop, words);
    let url = aop.world.server().admin_url().expect("an admin side");
    command.args(["--admin", url, "--token-file"]).arg(aop.world.path("admin.token"));
    finish(command.spawn().expect("the program starts"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn kinds(status: &Value) -> Vec<&str> {
    let findings = status["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["kind"].as_str().expect("a word")).collect()
}

fn with(zone: Zone, token: Token) -> Aop {
    let origin = origin().host(HostSetup::new(SHOP).observe("ours")).host(HostSetup::new(WWW).observe("ours"));
    Aop::with(origin.start(), cloudflare().zone(zone).token(token).start())
}

#[test]
fn three_levels_stand_beside_what_the_origin_saw_and_a_lost_association_is_an_alarm() {
    let aop = Aop::new().visited();
    let applied = aop.apply(&aop.desired()).expect("it begins");
    assert!(applied.errors.is_empty(), "{applied:#?}");
    let writes = aop.fake.writes();
    let well = json(&status(&aop, &["-o", "json"]).expect(0));
    assert_eq!((kinds(&well), &well["zone_level"], &well["global_level"]), (vec![], &false.into(), &true.into()));
    let hosts = well["hosts"].as_array().expect("hosts");
    assert_eq!(hosts.len(), 2, "{well:#}");
    for host in hosts {
        let sha256 = Fingerprint::of(&aop.leaf.certificate_der).to_string();
        assert_eq!((&host["presents"], &host["mode"]), (&"hostname".into(), &"enforce".into()), "{well:#}");
        assert_eq!((&host["sha256"], &host["seen"][0]["sha256"]), (&sha256.clone().into(), &sha256.into()), "{well:#}");
    }
    let said = status(&aop, &[SHOP]).expect(0);
    assert!(said.contains("enabled, active") && said.contains("hostname level") && !said.contains(WWW), "{said}");
    aop.fake.set(|state| {
        let now = state.now();
        state.zone(ZONE).associations.set(SHOP, None, now);
    });
    let said = status(&aop, &[]).expect(4);
    assert!(said.contains("association_off") && said.contains("originlock observe shop.example.com"), "{said}");
    assert_eq!(aop.fake.writes(), writes, "looking changes nothing");
}

#[test]
fn rights_to_read_are_enough_and_what_is_missing_is_said() {
    let read_only = Token::read_only("cfat_read").without(Permission::DnsRead).without(Permission::ConfigRead);
    let aop = with(zone(), read_only);
    let status = json(&status(&aop, &["-o", "json", SHOP]).expect(0));
    assert_eq!(kinds(&status), ["not_checked"]);
    let finding = &status["findings"][0];
    let sentence = finding["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("configuration rules") && sentence.contains("DNS records"), "{finding:#}");
    assert!(finding["next_step"].as_str().is_some_and(|next| next.contains("DNS Read")), "{finding:#}");
    let blind = with(zone(), Token::read_only("cfat_blind").without(Permission::SslRead));
    assert_eq!(self::status(&blind, &[SHOP]).code, 5);
}

#[test]
fn one_side_is_shown_while_the_other_is_down() {
    let mine = pki().ours.issue(&LeafOptions::client("origin pull", good())).expect("a leaf");
    let aop = with(zone().certificate(&mine).associated(SHOP, 0, true), Token::default());
    let mut without_origin = command(&aop, &[SHOP, "-o", "json", "--admin", "http://127.0.0.1:9"]);
    let half = finish(without_origin.spawn().expect("the program starts"));
    let half = json(&half.expect(1));
    assert!(half["origin_error"].is_string() && half["hosts"][0]["association"] == "enabled, active", "{half:#}");
    aop.fake.fault(Fault::anywhere().always().close());
    let half = json(&status(&aop, &[SHOP, "-o", "json"]).expect(1));
    assert!(half["cloudflare_error"].is_string() && half["hosts"][0]["mode"] == "observe", "{half:#}");
}

#[test]
fn a_certificate_at_cloudflare_is_told_to_end_before_it_does() {
    for (days, word) in [(60, None), (20, Some("warning")), (2, Some("alarm"))] {
        let validity = Validity::days(Clock::System.now(), days);
        let mine = pki().ours.issue(&LeafOptions::client("origin pull", validity)).expect("a leaf");
        let aop = with(zone().certificate(&mine).associated(SHOP, 0, true), Token::default());
        let hosts = [Hostname::parse(SHOP).expect("a hostname")];
        let found = drift::look(&aop.api(), &aop.admin(), ZONE, &hosts, Clock::System.now()).expect("a look");
        let ends = found.iter().find(|finding| finding.kind == "certificate_expiring");
        let weight = ends.map(|finding| serde_json::to_value(finding.weight).expect("a word"));
        assert_eq!(weight, word.map(Value::from), "{days}: {found:#?}");
    }
}
