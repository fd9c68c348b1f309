//! Playing a script: what each act does on the stage, by DEMOSH.md 4 and 5.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Exit, Id, Nested};
use super::{
    Block, By, CommandBlock, Current, Effect, Engine, OnFailure, Outcome, Phase, StepResult,
    Traffic, Typing, Visible, Wait,
};
use crate::audience::UserTraffic;
use crate::audience::change::FirstAnswer;
use crate::diff::Change;
use crate::script::directive::GridChange;
use crate::script::interpolate::{Variables, interpolate};
use crate::script::walk::{Act, ActKind, Step, Walk};
use crate::script::{Location, Manifest, Role, heading};
use crate::terminal::Frame as Picture;

/// Lines of output kept for the report of a failure.
const TAIL: usize = 8;
/// Scripts may play scripts this deep: one that plays itself would never end.
const DEEPEST: usize = 16;

/// Whether the show has to wait for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It does: for the presenter, a command, a timer.
    Waits,
    /// The next act comes at once.
    GoesOn,
}

/// A script that is being played: the outermost, or one that another plays.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) walk: Walk,
    /// What `${NAME}` shows.
    pub(super) variables: Arc<Variables>,
    /// `set -e` is on.
    errexit: bool,
    /// The step of the script outside that plays this one.
    caller: Option<Caller>,
    /// Steps that have been on the stage, to be repeated.
    earlier: Vec<Earlier>,
}

/// A step that plays a script, and what holds again when that is over.
#[derive(Clone, Debug)]
struct Caller {
    current: Current,
    since: Duration,
    section: Option<String>,
}

/// Where a step that was on the stage began.
#[derive(Clone, Debug)]
struct Earlier {
    walk: Walk,
    step: usize,
    steps: usize,
}

impl Frame {
    /// At a script's beginning.
    pub(super) fn new(walk: Walk, variables: Arc<Variables>) -> Self {
        Frame {
            walk,
            variables,
            errexit: false,
            caller: None,
            earlier: Vec::new(),
        }
    }
}

/// What the last step leaves for what follows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Last {
    /// Its number and status.
    pub(super) command: Option<Id>,
    pub(super) status: i32,
    /// The page is turned when the show goes on.
    turns_page: bool,
    /// Expectations of a step that was left out are left out too.
    pub(super) skip_expectations: bool,
    /// What it wrote.
    pub(super) output: Arc<Picture>,
    /// Changes seen while the step still runs, and the first answer that showed them.
    pub(super) pending_changes: Vec<Change>,
    pub(super) first_answer: Option<FirstAnswer>,
    /// The next step stood there before: it is not typed again, and waits.
    repeats: bool,
}

impl Engine {
    /// Goes on until something has to be waited for.
    pub(super) fn go_on(&mut self) {
        self.wait(Wait::Stop);
        self.is_fresh = true;
        self.state.fresh = self.state.page.len();
        self.state.scrolled = 0;
        loop {
            if std::mem::take(&mut self.last.turns_page) {
                self.turn_page();
            }
            let frame = self.frame();
            let before = frame.walk.clone();
            let flow = match frame.walk.next() {
                Some(act) => self.act(act, before),
                None if self.frames.len() > 1 => self.leave_nested(),
                // An audience reads the last page before it goes.
                None => return self.wait(Wait::End),
            };
            if flow == Flow::Waits {
                return;
            }
        }
    }

    /// Goes on if nothing has to be waited for.
    pub(super) fn follow(&mut self, flow: Flow) {
        if flow == Flow::GoesOn {
            self.go_on();
        }
    }

    /// Waits for the presenter, unless somebody else is waited for already.
    fn stop_here(&mut self) -> Flow {
        self.wait(Wait::Stop);
        Flow::Waits
    }

    fn act(&mut self, Act { location, kind }: Act, before: Walk) -> Flow {
        match kind {
            ActKind::Prose { text, shown: true } => {
                let text = self.interpolated(&text);
                if let Some((_, title)) = heading(&text) {
                    self.section(title);
                }
                self.state.page.push(Block::Prose(text));
            }
            ActKind::Comment { text, shown: true } => {
                let text = self.interpolated(&text);
                self.state.page.push(Block::Comment(text));
            }
            ActKind::Prose { .. } | ActKind::Comment { .. } | ActKind::Only(_) => {}
            ActKind::Step(step) => return self.begin(step, location, before),
            ActKind::Pause => return self.stop_here(),
            ActKind::Section(name) => self.section(name),
            ActKind::Grid(change) => self.grid(&change),
            ActKind::Note(text) => self.state.note = Some(text),
            ActKind::Expect(expectation) => return self.expect(expectation, location),
            ActKind::Page if self.state.page.iter().all(Block::is_empty) => {}
            ActKind::Page => {
                self.last.turns_page = true;
                return self.stop_here();
            }
        }
        Flow::GoesOn
    }

    fn interpolated(&mut self, text: &str) -> String {
        interpolate(text, &self.frame().variables)
    }

    fn section(&mut self, name: String) {
        if self.state.section.as_ref() != Some(&name) {
            self.effects.push(Effect::Mark(name.clone()));
            self.state.section = Some(name);
        }
    }

    pub(super) fn grid(&mut self, change: &GridChange) {
        let is_there = self.state.gateway.is_some() || self.state.traffic == Traffic::Expected;
        self.state.traffic = match change.visible {
            Some(false) => Traffic::Hidden,
            Some(true) if is_there => Traffic::Expected,
            Some(true) => Traffic::None,
            None => self.state.traffic,
        };
        let polling = change.applied_to(&self.state.polling);
        if polling != self.state.polling {
            let of = |user: &Option<Arc<str>>| UserTraffic::of(user.clone(), polling.shape);
            self.state.users = polling.users.iter().map(of).collect();
            self.state.polling = polling.clone();
            self.effects.push(Effect::Grid(polling));
        }
    }

    fn turn_page(&mut self) {
        let page = std::mem::take(&mut self.state.page);
        self.state.fresh = 0;
        if !page.iter().all(Block::is_empty) {
            self.state.history.push(page);
        }
    }

    /// Begins a step: types it if it is shown, and runs it if nobody has to be waited for.
    fn begin(&mut self, mut step: Step, location: Location, before: Walk) -> Flow {
        let repeats = std::mem::take(&mut self.last.repeats);
        if !step.shown && !matches!(step.role, Role::Bash | Role::Nested(_) | Role::Apply(_)) {
            return self.done_by_footlights(&step);
        }
        if repeats {
            (step.typeout, step.wait_before) = (false, true);
        }
        self.last.skip_expectations = false;
        let id = self.new_id();
        let text = match &step.role {
            Role::Typed => typed_comment(&step.text),
            Role::Apply(Manifest::Fence { title, .. }) => format!("apply {title}"),
            _ => self.interpolated(&step.text),
        };
        if step.is_numbered() {
            self.number(&text, before);
        }
        if let Role::Apply(Manifest::File(file)) = &mut step.role {
            *file = self.interpolated(file);
        }
        match &step.role {
            Role::Bash if step.shown => {
                let command = step.text.clone();
                self.effects.push(Effect::Predict { id, command });
            }
            Role::Apply(manifest) if step.shown => {
                let manifest = manifest.clone();
                self.effects.push(Effect::PredictApply { id, manifest });
            }
            _ => {}
        }
        let shown = step.shown;
        let instant = !step.typeout || self.settings.typing == Typing::Instant;
        // A nested script fills the stage itself.
        if shown || matches!(step.role, Role::Bash | Role::Apply(_)) {
            let typed = (shown && !instant).then_some(0);
            self.state.page.push(block(id, text, typed, &step));
        }
        self.current = Some(Current {
            id,
            step,
            location,
            deadline: None,
            times_late: 0,
            full_screen: false,
        });
        match shown {
            false => self.run(),
            true if instant => self.typed(),
            true => self.type_on(),
        }
    }

    /// Counts a step that the audience sees, and remembers the way back to it.
    fn number(&mut self, text: &str, before: Walk) {
        let step = self.state.step;
        let earlier = Earlier {
            walk: before,
            step,
            steps: self.state.steps,
        };
        self.frame().earlier.push(earlier);
        self.state.step = step + 1;
        self.effects.push(Effect::Mark(marker(step + 1, text)));
    }

    /// Types one more character, and sets the timer of the next.
    pub(super) fn type_on(&mut self) -> Flow {
        let timer = self.new_id();
        let id = self.current.as_ref().map_or(0, |c| c.id);
        let Some(command) = self.state.command(id) else {
            return Flow::Waits;
        };
        let typed = command.typed.unwrap_or(0) + 1;
        if typed > command.text.chars().count() {
            return self.typed();
        }
        command.typed = Some(typed);
        self.state.phase = Phase::Typing { timer };
        let length = Duration::from_millis(self.random.u64(12..60));
        self.effects.push(Effect::Pause { id: timer, length });
        Flow::Waits
    }

    /// Shows all of the command, and waits or runs it.
    pub(super) fn typed(&mut self) -> Flow {
        let Some(current) = &self.current else {
            return Flow::Waits;
        };
        let (id, waits, danger) = (current.id, current.step.wait_before, current.step.danger);
        if let Some(command) = self.state.command(id) {
            command.typed = None;
        }
        if !waits {
            return self.run();
        }
        self.wait(if danger {
            Wait::BeforeDanger
        } else {
            Wait::BeforeCommand
        });
        Flow::Waits
    }

    /// Runs the step that stands there.
    pub(super) fn run(&mut self) -> Flow {
        let Some(current) = &self.current else {
            return Flow::Waits;
        };
        let command = match &current.step.role {
            Role::Bash => current.step.text.clone(),
            Role::Nested(words) => words.clone(),
            Role::Apply(_) => String::new(),
            _ => {
                let step = self.current.take().map(|c| c.step);
                return step.map_or(Flow::Waits, |step| self.done_by_footlights(&step));
            }
        };
        let limit = current.step.limit.or(self.settings.step_timeout);
        let id = current.id;
        let deadline = limit.map(|length| (self.new_id(), length));
        let Some(current) = &mut self.current else {
            return Flow::Waits;
        };
        self.state.phase = Phase::Running {
            id,
            since: self.state.now,
            focus: false,
        };
        self.effects.push(match &current.step.role {
            Role::Nested(_) => Effect::Expand { id, words: command },
            Role::Apply(manifest) => Effect::Apply {
                id,
                manifest: manifest.clone(),
            },
            _ if current.step.meta => Effect::RunIfKnown { id, command },
            _ => Effect::Run { id, command },
        });
        if let Some((timer, length)) = deadline {
            current.deadline = Some(timer);
            self.effects.push(Effect::Deadline { id: timer, length });
        }
        Flow::Waits
    }

    /// What no shell is needed for.
    fn done_by_footlights(&mut self, step: &Step) -> Flow {
        match &step.role {
            Role::Print(words) => {
                let words = self.interpolated(words);
                self.state.page.push(Block::Print(words));
            }
            Role::Clear => self.turn_page(),
            // A macro's body follows by itself, and so does the pause after it.
            Role::Macro(_) => return Flow::GoesOn,
            _ => {}
        }
        if step.wait_after {
            return self.stop_here();
        }
        Flow::GoesOn
    }

    pub(super) fn exited(&mut self, id: Id, exit: Exit) -> Flow {
        let Phase::Running { id: run, since, .. } = self.state.phase else {
            return Flow::Waits;
        };
        if run != id {
            return Flow::Waits;
        }
        let nests = |c: &Current| matches!(c.step.role, Role::Nested(_));
        let may_nest = exit.status == 0 && exit.guarded.is_none();
        if may_nest && self.current.as_ref().is_some_and(nests) {
            if self.frames.len() >= DEEPEST {
                let why = "scripts play scripts too deeply: does one play itself?";
                return self.nested(id, Err(why.to_owned()));
            }
            self.effects.push(Effect::Nest { id });
            return Flow::Waits;
        }
        let Some(current) = self.current.take() else {
            return Flow::Waits;
        };
        let took = self.state.now.saturating_sub(since);
        self.ended(current, exit, took)
    }

    /// The script that a step plays has been read, or cannot be.
    pub(super) fn nested(&mut self, id: Id, nested: Result<Nested, String>) -> Flow {
        let (run, since) = match self.state.phase {
            Phase::Running { id, since, .. } => (Some(id), since),
            _ => (None, Duration::ZERO),
        };
        let Some(current) = self.current.take_if(|_| run == Some(id)) else {
            // Too late: nobody waits for it, so its shell gets no steps.
            if nested.is_ok() {
                self.effects.push(Effect::LeaveNested);
            }
            return Flow::Waits;
        };
        let Nested { script, variables } = match nested {
            Ok(nested) => nested,
            Err(why) => {
                self.state.page.push(Block::Notice(why));
                let exit = Exit {
                    status: 2,
                    ..Exit::default()
                };
                return self.ended(current, exit, Duration::ZERO);
            }
        };
        let mut frame = Frame::new(Walk::new(script, self.target), variables);
        frame.caller = Some(Caller {
            current,
            since,
            section: self.state.section.clone(),
        });
        self.state.steps += frame.walk.count_steps();
        self.frames.push(frame);
        Flow::GoesOn
    }

    /// The innermost script is over: the step that played it has ended, with 0 as demosh's does.
    fn leave_nested(&mut self) -> Flow {
        let Some(caller) = self.frames.pop().and_then(|frame| frame.caller) else {
            return Flow::GoesOn;
        };
        self.effects.push(Effect::LeaveNested);
        self.state.section = caller.section;
        let took = self.state.now.saturating_sub(caller.since);
        self.ended(caller.current, Exit::default(), took)
    }

    /// A step has ended: what it leaves, whether it failed, and what follows.
    fn ended(&mut self, current: Current, exit: Exit, took: Duration) -> Flow {
        let id = current.id;
        let mut tail = Vec::new();
        let mut output = Arc::default();
        if let Some(command) = self.state.command(id) {
            command.ended = Some((exit.status, took));
            output = command.output.clone();
            let text = output.text();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(TAIL)..];
            tail = last.iter().map(ToString::to_string).collect();
        }
        self.last_end = Some(self.state.now);
        self.last.command = Some(id);
        self.last.status = exit.status;
        self.last.output = output;
        let frame = self.frame();
        if let Some(variables) = exit.variables.clone() {
            frame.variables = variables;
        }
        let off = !exit.errexit && turns_errexit_off(&current.step.text);
        frame.errexit = exit.errexit || frame.errexit && !off;
        let errexit = frame.errexit;
        let mut failed = self.failure(&current, &exit);
        if let (Some(reason), true) = (&mut failed, exit.asked) {
            let asks = tail.last().map(|line| line.trim_end().to_owned());
            *reason = format!("it waits for input: {}", asks.unwrap_or_default());
        }
        let stops = failed.is_some() && (errexit || exit.guarded.is_some());
        // `set -e` ends the innermost list only, and that is how scripts say "nothing to do".
        let by_itself =
            exit.guarded.is_none() && (current.times_late == 0 || current.step.limit.is_some());
        let ends_list = stops && by_itself && self.ends_inner_list(exit.status);
        if ends_list {
            failed = None;
        }
        let location = current.location.clone();
        self.state.results.push(StepResult {
            location: current.location,
            section: self.state.section.clone(),
            text: current.step.text,
            title: match current.step.role {
                Role::Apply(Manifest::Fence { title, .. }) => Some(format!("apply {title}")),
                _ => None,
            },
            status: exit.status,
            took,
            failed: failed.clone(),
            changes: std::mem::take(&mut self.last.pending_changes),
            first_answer: self.last.first_answer.take(),
            checks: Vec::new(),
            tail,
        });
        let ends_well = self.settings.on_failure == OnFailure::StopUnderErrexit && by_itself;
        match failed {
            Some(_) if stops && ends_well => {
                self.end(Outcome::Finished);
                Flow::Waits
            }
            Some(reason) if stops || self.settings.on_failure == OnFailure::Stop => {
                self.stop(location, reason)
            }
            _ if ends_list => Flow::GoesOn,
            Some(reason) if current.times_late > 0 => {
                self.state.page.push(Block::Notice(reason));
                Flow::GoesOn
            }
            _ if current.step.wait_after => self.stop_here(),
            _ => Flow::GoesOn,
        }
    }

    /// Ends a macro's, an ifhook's or a nested script's list; false if only the outermost is left.
    fn ends_inner_list(&mut self, status: i32) -> bool {
        let nested = self.frames.len() > 1;
        let frame = self.frame();
        if frame.walk.fails_to_caller() {
            return true;
        }
        if !nested {
            return false;
        }
        let quiet = frame.variables.get("DEMOSH_QUIET_FAILURE");
        if !quiet.is_some_and(|value| is_true(value)) {
            let notice = format!("this script ends here: exit status {status} under `set -e`");
            self.state.page.push(Block::Notice(notice));
        }
        self.frame().walk.end();
        true
    }

    /// Why a step that has ended counts as failed, if it does.
    fn failure(&mut self, current: &Current, exit: &Exit) -> Option<String> {
        let step = &current.step;
        if let Some(guarded) = &exit.guarded {
            return Some(guarded.clone());
        }
        if step.may_fail {
            return None;
        }
        if current.times_late > 0 {
            let (limit, whose) = match step.limit {
                Some(limit) => (limit, "@timeout"),
                None => (
                    self.settings.step_timeout.unwrap_or_default(),
                    "--step-timeout",
                ),
            };
            return Some(format!(
                "it ran longer than {} s ({whose})",
                limit.as_secs_f64()
            ));
        }
        // A hook that nobody defined is no failure: only its author has it.
        let unknown_hook = step.meta && exit.status == 127;
        if unknown_hook {
            self.effects.push(Effect::Log(format!(
                "{}: `@{}` is no command here",
                current.location, step.text
            )));
        }
        let expected = self.frame().walk.expected_exit() == Some(exit.status);
        (exit.status != 0 && !expected && !unknown_hook)
            .then(|| format!("exit status {}", exit.status))
    }

    /// Something failed that ends the show: at once if unattended, after a word to the presenter.
    pub(super) fn stop(&mut self, location: Location, reason: String) -> Flow {
        if self.settings.on_failure != OnFailure::GoOn {
            self.end(Outcome::Failed { location, reason });
            return Flow::Waits;
        }
        // The command's own line says its exit status; the footer says what the keys do.
        let notice = match reason.starts_with("exit status") {
            true => "the script ends here, by `set -e`, unless you go on".to_owned(),
            false => reason,
        };
        self.state.page.push(Block::Notice(notice));
        self.wait(Wait::Failure);
        Flow::Waits
    }

    /// Leaves out the step that stands there.
    pub(super) fn skip(&mut self) {
        let waiting = matches!(
            self.state.phase,
            Phase::Typing { .. } | Phase::Waiting(Wait::BeforeCommand | Wait::BeforeDanger)
        );
        let Some(current) = self.current.take_if(|_| waiting) else {
            return;
        };
        if let Some(command) = self.state.command(current.id) {
            command.typed = None;
            command.skipped = true;
        }
        if matches!(current.step.role, Role::Macro(_)) {
            self.frame().walk.skip_call();
        }
        self.last.skip_expectations = true;
        self.go_on();
    }

    /// Goes back to the step before: it stands there again, typed out, and waits.
    pub(super) fn repeat(&mut self) {
        if !matches!(self.state.phase, Phase::Typing { .. } | Phase::Waiting(_)) {
            return;
        }
        let standing = self.current.as_ref().is_some_and(|c| c.step.is_numbered());
        let frame = self.frame();
        let own = if standing { frame.earlier.pop() } else { None };
        let Some(Earlier { walk, step, steps }) = frame.earlier.pop() else {
            // There is nothing earlier.
            frame.earlier.extend(own);
            return;
        };
        frame.walk = walk;
        if let Some(current) = self.current.take() {
            let is_this = |b: &Block| matches!(b, Block::Command(c) if c.id == current.id);
            self.state.page.retain(|block| !is_this(block));
        }
        (self.state.step, self.state.steps) = (step, steps);
        self.last.repeats = true;
        self.last.turns_page = false;
        self.go_on();
    }
}

/// A step on the stage before it runs.
fn block(id: Id, text: String, typed: Option<usize>, step: &Step) -> Block {
    Block::Command(Box::new(CommandBlock {
        id,
        typed,
        seen: if step.shown {
            Visible::Whole
        } else {
            Visible::Output
        },
        text,
        by: match step.role {
            Role::Apply(_) => By::Footlights,
            _ => By::Shell,
        },
        predicted: Vec::new(),
        output: Arc::new(Picture::default()),
        ended: None,
        changes: Vec::new(),
        first_answer: None,
        checks: Vec::new(),
        skipped: false,
        may_fail: step.may_fail,
    }))
}

/// The text that a `#$` comment types: without its marks, and without those of its further lines.
fn typed_comment(text: &str) -> String {
    text.trim_start_matches("#$").trim().replace("\n#", "\n")
}

/// demosh's truth of a variable.
fn is_true(value: &str) -> bool {
    ["yes", "true", "t", "y", "1"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
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
