//! Expectations: from their directive to their verdict.

use std::time::Duration;

use super::play::Flow;
use super::{Check, Effect, Engine, Id, OnFailure, Phase};
use crate::audience::Sample;
use crate::audience::claim::{Judge, Standing};
use crate::script::expect::Claim;
use crate::script::{Expectation, Location};

impl Engine {
    pub(super) fn expect(&mut self, expectation: Expectation, location: Location) -> Flow {
        if self.last.skip_expectations {
            return Flow::GoesOn;
        }
        let check = Check {
            text: expectation.text,
            location,
            holds: None,
            seen: None,
            took: Duration::ZERO,
            observed: String::new(),
        };
        if let Claim::Exit(status) = expectation.claim {
            let seen = self.last.status;
            let check = Check {
                holds: Some(status == seen),
                observed: format!("exit status {seen}"),
                ..check
            };
            return self.check_is_done(check);
        }
        let Some(judge) = Judge::new(&expectation.claim, self.state.now) else {
            return Flow::GoesOn;
        };
        let (Claim::Share { scope, .. } | Claim::All { scope, .. }) = expectation.claim else {
            return Flow::GoesOn;
        };
        let (id, timer) = (self.new_id(), self.new_id());
        self.put_check(check.clone());
        self.judge = Some((judge, check));
        self.state.phase = Phase::Judging { id };
        let length = scope.within;
        self.effects.push(Effect::Probe { id, scope });
        self.effects.push(Effect::Deadline { id: timer, length });
        Flow::Waits
    }

    /// Puts a check on the stage and into the report, in place of its earlier self.
    pub(super) fn put_check(&mut self, check: Check) {
        let put = |checks: &mut Vec<Check>| match checks
            .iter_mut()
            .find(|c| c.location == check.location && c.text == check.text)
        {
            Some(old) => *old = check.clone(),
            None => checks.push(check.clone()),
        };
        if let Some(command) = self.last.command.and_then(|id| self.state.command(id)) {
            put(&mut command.checks);
        }
        if let Some(result) = self.state.results.last_mut() {
            put(&mut result.checks);
        }
    }

    pub(super) fn check_is_done(&mut self, check: Check) -> Flow {
        let failed = check.holds == Some(false);
        let location = check.location.clone();
        let reason = format!("expected {}: {}", check.text, check.observed);
        self.put_check(check);
        match self.settings.on_failure {
            OnFailure::Stop if failed => self.stop(location, reason),
            _ => Flow::GoesOn,
        }
    }

    pub(super) fn probed(&mut self, id: Id, sample: Sample) {
        let judging = matches!(self.state.phase, Phase::Judging { id: probe } if probe == id);
        if judging && let Some((judge, _)) = &mut self.judge {
            judge.take(sample);
            self.judged();
        }
    }

    pub(super) fn judged(&mut self) {
        let standing = self.judge.as_ref().map(|(judge, _)| judge.standing());
        let Some(standing @ (Standing::Holds | Standing::Fails)) = standing else {
            return;
        };
        let Some((judge, mut check)) = self.judge.take() else {
            return;
        };
        if let Phase::Judging { id } = self.state.phase {
            self.effects.push(Effect::StopProbe(id));
        }
        let seen = judge.seen();
        let (low, high) = seen.interval();
        check.holds = Some(standing == Standing::Holds);
        check.seen = Some(seen);
        check.took = judge.age(self.state.now);
        let has_gateway = self.state.gateway.is_some();
        check.observed = match (seen.n, has_gateway) {
            (0, false) => "there is no Gateway to ask".to_owned(),
            (0, true) => "no answer came".to_owned(),
            _ => format!(
                "{:.1} % seen, 95 % interval {low:.1} to {high:.1} %, n={}",
                seen.percent(),
                seen.n
            ),
        };
        let flow = self.check_is_done(check);
        self.follow(flow);
    }

    pub(super) fn leave_judging(&mut self) {
        if let Phase::Judging { id } = self.state.phase {
            self.effects.push(Effect::StopProbe(id));
        }
        if let Some((_, mut check)) = self.judge.take() {
            check.holds = None;
            check.observed = "not waited for".to_owned();
            self.put_check(check);
        }
        self.go_on();
    }
}
