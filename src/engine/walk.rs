//! Walking through a script: what each element does, by DEMOSH.md 4 and 5.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Exit, Id};
use super::{
    Block, Check, CommandBlock, Current, Effect, Engine, OnFailure, Outcome, Phase, StepResult,
    Typing, Wait,
};
use crate::audience::claim::Judge;
use crate::diff::Change;
use crate::script::expect::Claim;
use crate::script::{Directive, Element, Expectation, Location, Placed, Script, heading};
use crate::terminal::Frame;

/// Lines of output kept for the report of a failure.
const TAIL: usize = 8;

/// Where a walk stands: what is shown, what the next command is told, what the last one did.
#[derive(Clone, Debug)]
pub struct Walk {
    showing: bool,
    skipping: bool,
    overrides: Overrides,
    /// `set -e` is on.
    errexit: bool,
    /// The last command's number and status.
    pub(super) last_command: Option<Id>,
    last_status: i32,
    /// The page is turned when the walk goes on.
    turns_page: bool,
    /// Expectations of a command that was left out are left out too.
    pub(super) skip_expectations: bool,
    /// Changes seen while the command still runs.
    pub(super) pending_changes: Vec<Change>,
}

/// What directives say of the next command only.
#[derive(Clone, Copy, Debug, Default)]
struct Overrides {
    hide: bool,
    no_wait_before: bool,
    wait_after: bool,
    no_typing: bool,
}

impl Walk {
    /// At the beginning of a script.
    pub fn new(showing: bool) -> Self {
        Walk {
            showing,
            skipping: false,
            overrides: Overrides::default(),
            errexit: false,
            last_command: None,
            last_status: 0,
            turns_page: false,
            skip_expectations: false,
            pending_changes: Vec::new(),
        }
    }

    /// Takes a directive that only changes what follows; true if it was one.
    fn take(&mut self, directive: &Directive) -> bool {
        match directive {
            Directive::Show => self.showing = true,
            Directive::Hide => self.showing = false,
            Directive::Skip => self.skipping = true,
            Directive::Immed => {
                self.overrides = Overrides {
                    hide: true,
                    no_wait_before: true,
                    ..Overrides::default()
                };
            }
            Directive::NoWaitBefore => self.overrides.no_wait_before = true,
            Directive::WaitAfter => self.overrides.wait_after = true,
            Directive::NoShow => self.overrides.hide = true,
            Directive::NoTypeOut => self.overrides.no_typing = true,
            _ => return false,
        }
        true
    }

    /// False while skipping; `@SHOW` ends that.
    fn reaches(&mut self, element: &Element) -> bool {
        if matches!(element, Element::Directive(Directive::Show)) {
            self.skipping = false;
        }
        !self.skipping
    }
}

/// The number of commands that an audience will see.
pub fn count_steps(script: &Script) -> usize {
    let mut walk = Walk::new(script.article);
    let mut steps = 0;
    for placed in &script.elements {
        if !walk.reaches(&placed.element) {
            continue;
        }
        match &placed.element {
            Element::Directive(directive) => {
                let keeps = matches!(directive, Directive::Expect(_) | Directive::Page);
                if !walk.take(directive) && !keeps {
                    walk.overrides = Overrides::default();
                }
            }
            Element::Command(_) => {
                let overrides = std::mem::take(&mut walk.overrides);
                steps += usize::from(walk.showing && !overrides.hide);
            }
            Element::Prose(_) | Element::Comment(_) | Element::Blank => {}
        }
    }
    steps
}

impl Engine {
    /// Walks on until something has to be waited for.
    pub(super) fn go_on(&mut self) {
        if std::mem::take(&mut self.walk.turns_page) {
            self.turn_page();
        }
        self.wait(Wait::Stop);
        while let Some(placed) = self.script.elements.get(self.at).cloned() {
            self.at += 1;
            if self.walk.reaches(&placed.element) && self.step(placed) {
                return;
            }
        }
        self.at_the_end();
    }

    fn at_the_end(&mut self) {
        // An audience reads the last page before it goes.
        self.wait(Wait::End);
    }

    /// Does one element; true if the walk has to wait.
    fn step(&mut self, placed: Placed) -> bool {
        let showing = self.walk.showing;
        match placed.element {
            Element::Prose(text) => {
                if showing {
                    if let Some((_, title)) = heading(&text) {
                        self.section(title);
                    }
                    self.state.page.push(Block::Prose(text));
                }
                false
            }
            Element::Comment(text) => {
                let hidden = text.starts_with("##") || text.starts_with("#!");
                if showing && !hidden {
                    self.state.page.push(Block::Comment(text));
                }
                false
            }
            Element::Blank => false,
            Element::Command(text) => {
                self.begin_command(text, placed.location);
                true
            }
            Element::Directive(directive) => self.directive(directive, placed.location),
        }
    }

    fn directive(&mut self, directive: Directive, location: Location) -> bool {
        if self.walk.take(&directive) {
            return false;
        }
        if !matches!(directive, Directive::Expect(_) | Directive::Page) {
            self.walk.overrides = Overrides::default();
        }
        match directive {
            Directive::Wait => return true,
            Directive::WaitClear => {
                self.walk.turns_page = true;
                return true;
            }
            Directive::Clear => self.turn_page(),
            Directive::Page if self.state.page.is_empty() => {}
            Directive::Page => {
                self.walk.turns_page = true;
                return true;
            }
            Directive::Print(text) => self.state.page.push(Block::Print(text)),
            Directive::Section(name) => self.section(name),
            Directive::Note(text) => self.state.note = Some(text),
            Directive::Expect(expectation) => return self.expect(expectation, location),
            Directive::Run(text) => {
                self.walk.overrides = Overrides {
                    hide: true,
                    no_wait_before: true,
                    ..Overrides::default()
                };
                self.begin_command(text, location);
                return true;
            }
            Directive::Show
            | Directive::Hide
            | Directive::Skip
            | Directive::Immed
            | Directive::NoWaitBefore
            | Directive::WaitAfter
            | Directive::NoShow
            | Directive::NoTypeOut => {}
        }
        false
    }

    fn section(&mut self, name: String) {
        if self.state.section.as_ref() != Some(&name) {
            self.effects.push(Effect::Mark(name.clone()));
            self.state.section = Some(name);
        }
    }

    fn turn_page(&mut self) {
        if !self.state.page.is_empty() {
            let page = std::mem::take(&mut self.state.page);
            self.state.history.push(page);
        }
    }

    fn begin_command(&mut self, text: String, location: Location) {
        let overrides = std::mem::take(&mut self.walk.overrides);
        let shown = self.walk.showing && !overrides.hide;
        let id = self.new_id();
        self.walk.skip_expectations = false;
        self.current = Some(Current {
            id,
            text: text.clone(),
            location,
            shown,
            wait_after: self.walk.showing && overrides.wait_after,
            deadline: None,
            times_late: 0,
            full_screen: false,
        });
        if !shown {
            return self.run();
        }
        self.state.step += 1;
        self.effects
            .push(Effect::Mark(marker(self.state.step, &text)));
        self.effects.push(Effect::Predict {
            id,
            command: text.clone(),
        });
        let instant = overrides.no_typing || self.settings.typing == Typing::Instant;
        self.state.page.push(Block::Command(Box::new(CommandBlock {
            id,
            typed: (!instant).then_some(0),
            text,
            predicted: Vec::new(),
            output: Arc::new(Frame::default()),
            ended: None,
            changes: Vec::new(),
            checks: Vec::new(),
            skipped: false,
        })));
        self.walk.overrides.no_wait_before = overrides.no_wait_before;
        if instant {
            self.typed();
        } else {
            self.type_on();
        }
    }

    /// Types one more character, and sets the timer of the next.
    pub(super) fn type_on(&mut self) {
        let timer = self.new_id();
        let id = self.current.as_ref().map_or(0, |c| c.id);
        let Some(command) = self.state.command(id) else {
            return;
        };
        let typed = command.typed.unwrap_or(0) + 1;
        if typed > command.text.chars().count() {
            return self.typed();
        }
        command.typed = Some(typed);
        self.state.phase = Phase::Typing { timer };
        let length = Duration::from_millis(self.random.u64(12..60));
        self.effects.push(Effect::Pause { id: timer, length });
    }

    /// Shows all of the command, and waits or runs it.
    pub(super) fn typed(&mut self) {
        let id = self.current.as_ref().map_or(0, |c| c.id);
        if let Some(command) = self.state.command(id) {
            command.typed = None;
        }
        let at_once = std::mem::take(&mut self.walk.overrides.no_wait_before);
        if at_once {
            self.run();
        } else {
            self.wait(Wait::BeforeCommand);
        }
    }

    pub(super) fn run(&mut self) {
        let deadline = self
            .settings
            .step_timeout
            .map(|length| (self.new_id(), length));
        let Some(current) = &mut self.current else {
            return;
        };
        self.state.phase = Phase::Running {
            id: current.id,
            since: self.state.now,
            focus: false,
        };
        self.effects.push(Effect::Run {
            id: current.id,
            command: current.text.clone(),
        });
        if let Some((timer, length)) = deadline {
            current.deadline = Some(timer);
            self.effects.push(Effect::Deadline { id: timer, length });
        }
    }

    pub(super) fn exited(&mut self, id: Id, exit: Exit) {
        let Phase::Running { id: run, since, .. } = self.state.phase else {
            return;
        };
        if run != id {
            return;
        }
        let Some(current) = self.current.take() else {
            return;
        };
        let took = self.state.now.saturating_sub(since);
        let mut tail = Vec::new();
        if let Some(command) = self.state.command(id) {
            command.ended = Some((exit.status, took));
            let lines = &command.output.lines;
            let last = &lines[lines.len().saturating_sub(TAIL)..];
            tail = last.iter().map(ToString::to_string).collect();
        }
        self.last_end = Some(self.state.now);
        self.walk.last_command = Some(id);
        self.walk.last_status = exit.status;
        self.walk.errexit = match exit.errexit {
            false if turns_errexit_off(&current.text) => false,
            on => self.walk.errexit || on,
        };
        let failed = self.failure(&current, &exit);
        let stops = exit.guarded.is_some() || (self.walk.errexit && exit.status != 0);
        let location = current.location.clone();
        self.state.results.push(StepResult {
            location: current.location,
            section: self.state.section.clone(),
            text: current.text,
            status: exit.status,
            took,
            failed: failed.clone(),
            changes: std::mem::take(&mut self.walk.pending_changes),
            checks: Vec::new(),
            tail,
        });
        match failed {
            Some(reason) if stops || self.settings.on_failure == OnFailure::Stop => {
                self.stop(location, reason);
            }
            _ if current.wait_after => self.wait(Wait::Stop),
            _ => self.go_on(),
        }
    }

    /// Why a command that has ended counts as failed, if it does.
    fn failure(&self, current: &Current, exit: &Exit) -> Option<String> {
        if let Some(guarded) = &exit.guarded {
            return Some(guarded.clone());
        }
        if current.times_late > 0 {
            let seconds = self.settings.step_timeout.unwrap_or_default().as_secs();
            return Some(format!("it ran longer than {seconds} s (--step-timeout)"));
        }
        let hidden_hook = !current.shown && exit.status == 127;
        if exit.status == 0 || self.expected_exit() == Some(exit.status) || hidden_hook {
            return None;
        }
        Some(format!("exit status {}", exit.status))
    }

    /// The exit status that an `@expect exit` after the last command claims.
    fn expected_exit(&self) -> Option<i32> {
        let following = self.script.elements[self.at.min(self.script.elements.len())..].iter();
        following
            .take_while(|p| {
                matches!(
                    p.element,
                    Element::Blank | Element::Directive(Directive::Expect(_))
                )
            })
            .find_map(|p| match &p.element {
                Element::Directive(Directive::Expect(Expectation {
                    claim: Claim::Exit(status),
                    ..
                })) => Some(*status),
                _ => None,
            })
    }

    fn expect(&mut self, expectation: Expectation, location: Location) -> bool {
        if self.walk.skip_expectations {
            return false;
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
            let seen = self.walk.last_status;
            let check = Check {
                holds: Some(status == seen),
                observed: format!("exit status {seen}"),
                ..check
            };
            self.check_is_done(check);
            return true;
        }
        let Some(judge) = Judge::new(&expectation.claim, self.state.now) else {
            return false;
        };
        let (Claim::Share { scope, .. } | Claim::All { scope, .. }) = expectation.claim else {
            return false;
        };
        let (id, timer) = (self.new_id(), self.new_id());
        self.put_check(check.clone());
        self.judge = Some((judge, check));
        self.state.phase = Phase::Judging { id };
        let length = scope.within;
        self.effects.push(Effect::Probe { id, scope });
        self.effects.push(Effect::Deadline { id: timer, length });
        true
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
        if let Some(command) = self.walk.last_command.and_then(|id| self.state.command(id)) {
            put(&mut command.checks);
        }
        if let Some(result) = self.state.results.last_mut() {
            put(&mut result.checks);
        }
    }

    pub(super) fn check_is_done(&mut self, check: Check) {
        let failed = check.holds == Some(false);
        let location = check.location.clone();
        let reason = format!("expected {}: {}", check.text, check.observed);
        self.put_check(check);
        match self.settings.on_failure {
            OnFailure::Stop if failed => self.stop(location, reason),
            _ => self.go_on(),
        }
    }

    /// Something failed that ends the show: at once if unattended, after a word to the presenter.
    fn stop(&mut self, location: Location, reason: String) {
        if self.settings.on_failure == OnFailure::Stop {
            return self.end(Outcome::Failed { location, reason });
        }
        self.state
            .page
            .push(Block::Notice(format!("{reason} · Enter goes on")));
        self.wait(Wait::Failure);
    }
}

/// `set +e`: of a script's own `set`, only the first argument counts, as with demosh. The shell itself
/// never has `-e` between steps, so it cannot tell.
fn turns_errexit_off(command: &str) -> bool {
    let mut words = command.split_whitespace();
    words.next() == Some("set")
        && words
            .next()
            .is_some_and(|w| w.starts_with('+') && w.contains('e'))
}

/// A marker's label: the step's number and the first line of its command.
fn marker(step: usize, text: &str) -> String {
    let first = text.lines().next().unwrap_or("");
    let short: String = first.chars().take(60).collect();
    format!("{step} · {short}")
}
