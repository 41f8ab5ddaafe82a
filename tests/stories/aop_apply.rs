//! One command takes hostnames from nothing to enforced, and the same command again changes nothing.

use originlock::policy::client_auth::Mode;
use originlock::rollout::step::{Step, StepName, StepState};

use crate::support::Aop;
use crate::support::aop::{SHOP, WWW};

fn states(steps: &[Step]) -> Vec<(StepName, &str, StepState)> {
    steps.iter().map(|step| (step.name, step.subject.as_str(), step.state)).collect()
}

#[test]
fn hostnames_go_from_nothing_to_enforced_and_a_second_run_writes_nothing() {
    let aop = Aop::new().visited();
    let outcome = aop.apply(&aop.desired()).expect("it begins");
    assert!(outcome.errors.is_empty(), "{outcome:#?}");
    assert!(outcome.steps.iter().all(|step| step.state == StepState::Done), "{:#?}", states(&outcome.steps));
    assert_eq!((aop.mode(SHOP), aop.mode(WWW)), (Mode::Enforce, Mode::Enforce));
    let writes = aop.fake.writes();
    assert_eq!(writes.len(), 4, "a certificate, the setting, two associations: {writes:#?}");
    let again = aop.apply(&aop.desired()).expect("it begins");
    assert!(again.errors.is_empty(), "{again:#?}");
    assert_eq!(aop.fake.writes(), writes);
}
