//! Expectations: from their directive to their verdict.

use std::time::Duration;

use serde_json::Value;

use super::play::Flow;
use super::{Check, Effect, Engine, Id, LAST_WINDOW, OnFailure, Phase};
use crate::audience::Sample;
use crate::audience::claim::Judge;
use crate::audience::sequential::Standing;
use crate::condition;
use crate::script::expect::{Asked, Cells, Claim, Condition, Scope, Traffic};
use crate::script::walk::{Act, ActKind};
use crate::script::{Expectation, Location};

/// Requests in flight of an expectation …
const MANY: usize = 128;
/// … and of one about times.
const FEW: usize = 24;

/// What is waited for: expectations that take time.
pub(super) enum Judging {
    /// Claims about the same traffic, judged by the same answers.
    Traffic(Vec<(Check, Judge)>),
    /// A claim about an object.
    Condition(Box<Awaited>),
}

/// A condition that is waited for.
pub(super) struct Awaited {
    check: Check,
    wanted: Condition,
    since: Duration,
}

impl Engine {
    pub(super) fn expect(&mut self, expectation: Expectation, location: Location) -> Flow {
        if self.last.skip_expectations {
            return Flow::GoesOn;
        }
        let check = unjudged(&expectation, location);
        match expectation.claim {
            Claim::Exit(status) => {
                let seen = self.last.status;
                self.check_is_done(told(check, status == seen, format!("exit status {seen}")))
            }
            Claim::Output(regex) => {
                let text = self.last.output.text();
                let found = regex.find(&text).map(|found| found.as_str().to_owned());
                let observed = match &found {
                    Some(found) => format!("`{}` is there", first_line(found)),
                    None if text.trim().is_empty() => "it wrote nothing".to_owned(),
                    None => format!("it wrote `{}`", first_line(text.trim())),
                };
                self.check_is_done(told(check, found.is_some(), observed))
            }
            Claim::Condition(wanted) => {
                let (id, length) = (self.new_id(), wanted.within);
                let condition = wanted.clone();
                self.effects.push(Effect::WatchObject { id, condition });
                self.put_check(check.clone());
                self.deadline(length);
                let since = self.state.now;
                self.judging = Some(Judging::Condition(Box::new(Awaited {
                    check,
                    wanted,
                    since,
                })));
                self.state.phase = Phase::Judging { id };
                Flow::Waits
            }
            Claim::Traffic(traffic, scope) => self.expect_traffic(check, traffic, scope),
        }
    }

    /// Judges a claim about traffic, and with it those that follow it and can be judged at once:
    /// sampling takes most of a rehearsal's time.
    fn expect_traffic(&mut self, check: Check, traffic: Traffic, scope: Scope) -> Flow {
        let now = self.state.now;
        // Under the load of many requests at once, times and timeouts would be the load's. What needs few
        // answers is judged by theirs, too.
        let is_of_times =
            |traffic: &Traffic| matches!(traffic, Traffic::Latency { .. } | Traffic::Status { .. });
        let of_times = is_of_times(&traffic);
        let mut claims = Vec::new();
        let mut asked = Vec::new();
        let mut next = Some((check, traffic, scope));
        while let Some((check, traffic, scope)) = next.take() {
            self.put_check(check.clone());
            self.deadline(scope.within);
            claims.push((check, Judge::new(&traffic, &scope, now)));
            asked.push((scope.asked, weight(&traffic)));
            let mut ahead = self.frame().walk.clone();
            if let Some(Act {
                location,
                kind: ActKind::Expect(expectation),
            }) = ahead.next()
                && let Claim::Traffic(traffic, scope) = &expectation.claim
                && (is_of_times(traffic) == of_times || of_times && weight(traffic) == 1)
            {
                let check = unjudged(&expectation, location);
                next = Some((check, traffic.clone(), scope.clone()));
                self.frame().walk = ahead;
            }
        }
        let id = self.new_id();
        let asked = in_turn(asked);
        let at_once = if of_times { FEW } else { MANY };
        self.effects.push(Effect::Probe { id, asked, at_once });
        self.judging = Some(Judging::Traffic(claims));
        self.state.phase = Phase::Judging { id };
        Flow::Waits
    }

    fn deadline(&mut self, length: Duration) {
        let id = self.new_id();
        self.effects.push(Effect::Deadline { id, length });
    }

    /// Puts a check on the stage and into the report, in place of its earlier self.
    fn put_check(&mut self, check: Check) {
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

    fn check_is_done(&mut self, check: Check) -> Flow {
        let failed = check.holds == Some(false);
        let location = check.location.clone();
        let reason = format!("expected {}: {}", check.text, check.observed);
        self.put_check(check);
        match self.settings.on_failure {
            OnFailure::Stop if failed => self.stop(location, reason),
            _ => Flow::GoesOn,
        }
    }

    /// A probe of the traffic has an answer.
    pub(super) fn probed(&mut self, id: Id, sample: Sample) {
        if !matches!(self.state.phase, Phase::Judging { id: probe } if probe == id) {
            return;
        }
        self.look_for_change(&sample);
        if let Some(Judging::Traffic(claims)) = &mut self.judging {
            for (_, judge) in claims {
                judge.take(&sample);
            }
            self.traffic_is_judged();
        }
    }

    /// The object whose condition is waited for looks like this, or cannot be seen.
    pub(super) fn object_seen(&mut self, id: Id, object: Result<Option<Value>, String>) {
        let judging = matches!(self.state.phase, Phase::Judging { id: watch } if watch == id);
        let Some(Judging::Condition(claim)) = self.judging.as_mut().filter(|_| judging) else {
            return;
        };
        let (holds, observed) = match object {
            Ok(object) => condition::judge(&claim.wanted, object.as_ref()),
            Err(why) => (false, why),
        };
        claim.check.observed = observed;
        claim.check.took = self.state.now.saturating_sub(claim.since);
        if holds {
            self.condition_is_judged(true);
        }
    }

    /// Takes the claims whose verdict is there; the first that is wrong ends the rest.
    fn traffic_is_judged(&mut self) {
        let has_gateway = self.state.gateway.is_some();
        loop {
            let Some(Judging::Traffic(claims)) = &mut self.judging else {
                return;
            };
            let is_done = |(_, judge): &(Check, Judge)| judge.standing() != Standing::Open;
            let Some(index) = claims.iter().position(is_done) else {
                return;
            };
            let (mut check, judge) = claims.remove(index);
            let is_last = claims.is_empty();
            check.holds = Some(judge.standing() == Standing::Holds);
            check.seen = judge.seen();
            check.took = judge.age(self.state.now);
            check.observed = match (check.seen, has_gateway) {
                (Some(seen), _) => seen.to_string(),
                (None, false) => "there is no Gateway to ask".to_owned(),
                (None, true) => "no answer came that says anything about it".to_owned(),
            };
            let stops = check.holds == Some(false) && self.settings.on_failure == OnFailure::Stop;
            if !is_last && !stops {
                self.put_check(check);
                continue;
            }
            self.stop_judging();
            let flow = self.check_is_done(check);
            return self.follow(flow);
        }
    }

    fn condition_is_judged(&mut self, holds: bool) {
        if let Some(Judging::Condition(claim)) = self.judging.take() {
            self.stop_judging();
            let check = Check {
                holds: Some(holds),
                ..claim.check
            };
            let flow = self.check_is_done(check);
            self.follow(flow);
        }
    }

    /// Ends the probe; claims that are still open were not waited for.
    fn stop_judging(&mut self) {
        if let Phase::Judging { id } = self.state.phase {
            self.effects.push(Effect::StopProbe(id));
        }
        let open = match self.judging.take() {
            Some(Judging::Traffic(claims)) => claims.into_iter().map(|(check, _)| check).collect(),
            Some(Judging::Condition(claim)) => vec![claim.check],
            None => Vec::new(),
        };
        for mut check in open {
            check.observed = "not waited for".to_owned();
            self.put_check(check);
        }
    }

    /// The time of something that is judged may be up.
    pub(super) fn judging_is_late(&mut self) {
        let now = self.state.now;
        match &mut self.judging {
            Some(Judging::Traffic(claims)) => {
                for (_, judge) in claims.iter_mut() {
                    judge.expire(now);
                }
                let goes_on = |(_, judge): &(Check, Judge)| {
                    judge.standing() == Standing::Open && judge.is_late()
                };
                let goes_on = claims.iter().any(goes_on);
                self.traffic_is_judged();
                if goes_on && self.judging.is_some() {
                    self.deadline(LAST_WINDOW);
                }
            }
            Some(Judging::Condition(claim)) => {
                let took = now.saturating_sub(claim.since);
                if took < claim.wanted.within {
                    return;
                }
                claim.check.took = took;
                if claim.check.observed.is_empty() {
                    claim.check.observed = "the cluster did not answer".to_owned();
                }
                self.condition_is_judged(false);
            }
            None => {}
        }
    }

    /// The presenter does not wait for it.
    pub(super) fn leave_judging(&mut self) {
        self.stop_judging();
        self.go_on();
    }
}

/// How many answers a claim needs, roughly, beside others.
fn weight(traffic: &Traffic) -> usize {
    match traffic {
        Traffic::All(_) | Traffic::None(_) => 1,
        Traffic::Share { .. }
        | Traffic::Errors { .. }
        | Traffic::Status { .. }
        | Traffic::Latency { .. } => 3,
    }
}

/// Whose requests for which cells are sent in turn, so that each claim has its answers soonest. A claim
/// about all cells of a user must see them as the grid does, so there all are asked alike.
fn in_turn(asked: Vec<(Asked, usize)>) -> Vec<Asked> {
    let mut turns: Vec<(Asked, usize)> = Vec::new();
    for (mut one, weight) in asked.clone() {
        let is_all =
            |(other, _): &(Asked, usize)| other.user == one.user && other.cells == Cells::All;
        if asked.iter().any(is_all) {
            one.cells = Cells::All;
        }
        match turns.iter_mut().find(|(other, _)| *other == one) {
            Some((_, most)) => *most = weight.max(*most),
            None => turns.push((one, weight)),
        }
    }
    turns
        .into_iter()
        .flat_map(|(asked, weight)| std::iter::repeat_n(asked, weight))
        .collect()
}

fn unjudged(expectation: &Expectation, location: Location) -> Check {
    Check {
        text: expectation.text.clone(),
        location,
        holds: None,
        seen: None,
        took: Duration::ZERO,
        observed: String::new(),
    }
}

fn told(check: Check, holds: bool, observed: String) -> Check {
    Check {
        holds: Some(holds),
        observed,
        ..check
    }
}

/// Enough of a text for a report's line.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let short: String = line.chars().take(60).collect();
    if short.len() < text.len() {
        format!("{short} …")
    } else {
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_asked_in_turn() {
        let asked = |cells, user: Option<&str>| Asked {
            cells,
            user: user.map(Into::into),
        };
        let (edge, center) = (asked(Cells::Edge, None), asked(Cells::Center, None));
        let (all, heart) = (asked(Cells::All, None), asked(Cells::All, Some("heart")));
        for (given, turns) in [
            (vec![(&all, 3)], vec![&all, &all, &all]),
            (
                vec![(&edge, 1), (&center, 3)],
                vec![&edge, &center, &center, &center],
            ),
            (vec![(&edge, 1), (&all, 1)], vec![&all]),
            (vec![(&heart, 1), (&all, 1)], vec![&heart, &all]),
            (vec![(&heart, 1), (&edge, 1)], vec![&heart, &edge]),
        ] {
            let given = given.into_iter().map(|(a, w)| (a.clone(), w)).collect();
            let turns: Vec<Asked> = turns.into_iter().cloned().collect();
            assert_eq!(in_turn(given), turns);
        }
    }
}
