//! The engine: the only thing that changes the state of a show.
//!
//! Pure: no IO, no runtime, no clock. `handle` takes what happened, and when, and returns what is to
//! be done. `present`, `rehearse` and `record` drive the same engine; they differ in who presses
//! the keys, which clock runs and where the screen goes.

mod check;
mod effect;
mod event;
mod play;
mod state;

use std::sync::Arc;
use std::time::Duration;

pub use effect::Effect;
pub use event::{Event, Exit, Id, Intent, Nested};
pub use state::{
    Above, Block, By, Check, Cluster, CommandBlock, Ground, Outcome, Overlay, Phase, State,
    StepResult, Traffic, Visible, Wait,
};

use crate::audience::change::Changes;
use crate::audience::{Polling, Sample, UserTraffic};
use crate::script::directive::Target;
use crate::script::front::ProfileName;
use crate::script::interpolate::{Variables, interpolate};
use crate::script::walk::{Step, Walk};
use crate::script::{Location, Script};

/// How a show is run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What a failure does.
    pub on_failure: OnFailure,
    /// How commands are typed.
    pub typing: Typing,
    /// A command that runs longer has failed; none for live shows.
    pub step_timeout: Option<Duration>,
    /// An advance this soon after a command's end does not start the next one.
    pub grace: Duration,
}

/// What a failed step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is shown, and the show goes on.
    GoOn,
    /// Under `set -e` the show has reached its end; else it goes on.
    StopUnderErrexit,
    /// The show ends.
    Stop,
}

/// How commands are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// Character by character.
    Human,
    /// At once.
    Instant,
}

/// The grace of a live show: an advance so soon after a command's end was meant for the command that
/// has just ended.
pub const GRACE: Duration = Duration::from_millis(250);
/// An expectation whose time is up and whose last window is open is looked at this often.
const LAST_WINDOW: Duration = Duration::from_secs(1);
/// A command that does not end on Ctrl-C is killed after this.
const STUBBORN: Duration = Duration::from_secs(2);

/// A show.
pub struct Engine {
    settings: Settings,
    target: Target,
    state: State,
    /// The scripts that are being played, the outermost first: there is always one.
    frames: Vec<play::Frame>,
    last: play::Last,
    next_id: Id,
    random: fastrand::Rng,
    /// The command that is typed, waits or runs.
    current: Option<Current>,
    /// The expectation that is waited for.
    judging: Option<check::Judging>,
    /// Looks out for what a change makes new.
    changes: Changes,
    last_end: Option<Duration>,
    waits: usize,
    /// What is on the stage has not been drawn yet.
    is_fresh: bool,
    effects: Vec<Effect>,
}

/// A command from its typing to its end.
#[derive(Clone, Debug)]
struct Current {
    id: Id,
    step: Step,
    location: Location,
    /// The timer of its time-out.
    deadline: Option<Id>,
    /// How often its time has been up.
    times_late: u8,
    /// It has the alternate screen.
    full_screen: bool,
}

impl Engine {
    /// A show that has not begun; the first event begins it. `variables` is what `${NAME}` shows
    /// until the first command has ended.
    pub fn new(script: Script, ground: Ground, variables: Variables, settings: Settings) -> Self {
        let target = ground.target();
        let profile = script.front.cluster.profile;
        let grid = script.front.grid.clone();
        let (front, file) = (script.front.title.clone(), script.file.clone());
        let walk = Walk::new(Arc::new(script), target);
        let title = front.or_else(|| walk.first_heading()).unwrap_or_else(|| {
            let name = file.rsplit('/').next().unwrap_or(&file);
            name.to_owned()
        });
        let title = interpolate(&title, &variables);
        let state = State {
            title,
            ground,
            section: None,
            step: 0,
            steps: walk.count_steps(),
            page: Vec::new(),
            history: Vec::new(),
            looking_back: 0,
            above: Above::default(),
            fresh: 0,
            scrolled: 0,
            traffic: match profile {
                ProfileName::Workshop => Traffic::Expected,
                ProfileName::Bare | ProfileName::Gateway => Traffic::None,
            },
            phase: Phase::Beginning,
            overlay: Overlay::None,
            zoomed: false,
            blank: false,
            cluster: Cluster::Starting,
            gateway: None,
            users: vec![UserTraffic::default()],
            polling: Polling::default(),
            results: Vec::new(),
            outcome: None,
            now: Duration::ZERO,
            note: None,
        };
        let mut engine = Engine {
            frames: vec![play::Frame::new(walk, Arc::new(variables))],
            last: play::Last::default(),
            target,
            settings,
            state,
            next_id: 1,
            random: fastrand::Rng::with_seed(1),
            current: None,
            judging: None,
            changes: Changes::default(),
            last_end: None,
            waits: 0,
            is_fresh: false,
            effects: Vec::new(),
        };
        if let Some(change) = grid {
            engine.grid(&change);
        }
        engine
    }

    /// How often the show has begun to wait: two waits in a row look alike otherwise.
    pub fn waits(&self) -> usize {
        self.waits
    }

    /// What there is to show.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes what happened at a time since the show began; returns what is to be done.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        self.state.now = now;
        if self.state.phase == Phase::Beginning {
            self.go_on();
        }
        match event {
            Event::Intent(intent) => self.intent(intent),
            Event::Timer(id) => self.timer(id),
            Event::Output(id, frame) => {
                if let Some(command) = self.state.command(id) {
                    command.output = frame;
                }
                self.focus_full_screen_program(id);
            }
            Event::Exited(id, exit) => {
                let flow = self.exited(id, exit);
                self.follow(flow);
            }
            Event::Nested(id, nested) => {
                let flow = self.nested(id, nested);
                self.follow(flow);
            }
            Event::Predicted(id, changes) => {
                if let Some(command) = self.state.command(id) {
                    command.predicted = changes;
                }
            }
            Event::Changed(change) => self.changed(change),
            Event::Sampled(sample) => self.sampled(&sample),
            Event::Probed(id, sample) => self.probed(id, sample),
            Event::Object(id, object) => self.object_seen(id, object),
            Event::ClusterReady => self.state.cluster = Cluster::Ready,
            Event::Gateway(url) => {
                self.state.gateway = Some(url);
                if self.state.traffic == Traffic::None {
                    self.state.traffic = Traffic::Expected;
                }
            }
            Event::Shown(above) => self.shown(above),
            Event::ClusterFailed(why) => self.cluster_failed(why),
            Event::Tick => {}
        }
        std::mem::take(&mut self.effects)
    }

    /// The innermost script.
    fn frame(&mut self) -> &mut play::Frame {
        // The outermost frame is never taken off.
        self.frames.last_mut().expect("there is always a frame")
    }

    fn wait(&mut self, wait: Wait) {
        self.waits += 1;
        self.state.phase = Phase::Waiting(wait);
    }

    fn new_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    fn intent(&mut self, intent: Intent) {
        if intent == Intent::Leave {
            return self.quit();
        }
        match (self.state.overlay, &intent) {
            (Overlay::Quit, Intent::Yes | Intent::Quit) => return self.quit(),
            (Overlay::Quit, _) => {
                self.state.overlay = Overlay::None;
                return;
            }
            (Overlay::None, _) => {}
            // Any key closes help; it does nothing else.
            (Overlay::Help | Overlay::Notes, _) => {
                self.state.overlay = Overlay::None;
                return;
            }
        }
        match intent {
            Intent::Enter | Intent::Next if self.state.blank => self.state.blank = false,
            Intent::Enter | Intent::Next => self.advance(intent),
            Intent::LookBack => self.look_back(),
            Intent::Skip => self.skip(),
            Intent::Repeat => self.repeat(),
            Intent::Interrupt => self.interrupt(),
            Intent::Focus => {
                if let Phase::Running { focus, .. } = &mut self.state.phase {
                    *focus = !*focus;
                }
            }
            Intent::Type(bytes) => {
                if let Phase::Running { focus: true, .. } = self.state.phase {
                    self.effects.push(Effect::Type(bytes));
                }
            }
            Intent::Zoom => self.state.zoomed = !self.state.zoomed,
            Intent::Blank => self.state.blank = !self.state.blank,
            Intent::Help => self.state.overlay = Overlay::Help,
            Intent::Notes => self.state.overlay = Overlay::Notes,
            Intent::Quit => self.state.overlay = Overlay::Quit,
            Intent::Yes | Intent::Leave => {}
            Intent::Close => {
                self.state.blank = false;
                self.state.zoomed = false;
                self.state.looking_back = 0;
                self.state.scrolled = 0;
            }
        }
    }

    /// The page has been drawn. What is new on it is read from its top, if the screen cannot hold it.
    fn shown(&mut self, above: Above) {
        self.state.above = above;
        self.state.scrolled = self.state.scrolled.min(above.rows);
        if std::mem::take(&mut self.is_fresh) {
            self.state.scrolled = above.fresh.saturating_sub(above.height).min(above.rows);
        }
    }

    /// Up within the page, then to the page before.
    fn look_back(&mut self) {
        let Above { rows, height, .. } = self.state.above;
        if self.state.scrolled < rows {
            self.state.scrolled = rows.min(self.state.scrolled + height.saturating_sub(1).max(1));
        } else if self.state.looking_back < self.state.history.len() {
            self.state.looking_back += 1;
            self.state.scrolled = 0;
        }
    }

    fn advance(&mut self, intent: Intent) {
        if self.state.scrolled > 0 {
            let step = self.state.above.height.saturating_sub(1).max(1);
            self.state.scrolled = self.state.scrolled.saturating_sub(step);
            // Whoever presses the keys by itself presses again.
            self.waits += 1;
            return;
        }
        if self.state.looking_back > 0 {
            self.state.looking_back -= 1;
            return;
        }
        let means_much = matches!(
            self.state.phase,
            Phase::Typing { .. }
                | Phase::Waiting(Wait::BeforeCommand | Wait::BeforeDanger | Wait::End)
                | Phase::Judging { .. }
        );
        if means_much && self.is_too_soon() {
            return;
        }
        match self.state.phase {
            Phase::Typing { .. } => {
                let mut flow = self.typed();
                let waits = self.state.phase == Phase::Waiting(Wait::BeforeCommand);
                if intent == Intent::Enter && waits {
                    flow = self.run();
                }
                self.follow(flow);
            }
            Phase::Waiting(Wait::BeforeDanger) if intent != Intent::Enter => {}
            Phase::Waiting(Wait::BeforeCommand | Wait::BeforeDanger) => {
                let flow = self.run();
                self.follow(flow);
            }
            Phase::Waiting(Wait::Stop | Wait::Failure) => self.go_on(),
            // A clicker sends a page key too many.
            Phase::Waiting(Wait::End) if intent != Intent::Enter => {}
            Phase::Waiting(Wait::End) => self.end(Outcome::Finished),
            Phase::Judging { .. } => self.leave_judging(),
            // Advance keys are dropped while a command runs, never queued.
            Phase::Running { .. } | Phase::Beginning | Phase::Ended => {}
        }
    }

    /// True for an advance that was meant for the command before. Each renews the grace: terminals
    /// send a key that is held down as one press after another.
    fn is_too_soon(&mut self) -> bool {
        let now = self.state.now;
        let grace = self.settings.grace;
        let too_soon = self
            .last_end
            .is_some_and(|end| now.saturating_sub(end) < grace);
        if too_soon {
            self.last_end = Some(now);
        }
        too_soon
    }

    fn interrupt(&mut self) {
        match (&self.state.phase, &self.current) {
            (Phase::Running { id, .. }, _) => self.effects.push(Effect::Interrupt(*id)),
            (Phase::Judging { .. }, _) => self.leave_judging(),
            _ => self.state.overlay = Overlay::Quit,
        }
    }

    fn timer(&mut self, id: Id) {
        match self.state.phase {
            Phase::Typing { timer } if timer == id => {
                let flow = self.type_on();
                self.follow(flow);
            }
            Phase::Running { id: run, .. } => self.command_is_late(id, run),
            Phase::Judging { .. } => self.judging_is_late(),
            Phase::Typing { .. } | Phase::Waiting(_) | Phase::Beginning | Phase::Ended => {}
        }
    }

    fn command_is_late(&mut self, timer: Id, run: Id) {
        let next = self.new_id();
        let Some(current) = &mut self.current else {
            return;
        };
        if current.deadline != Some(timer) {
            return;
        }
        current.deadline = Some(next);
        current.times_late += 1;
        match current.times_late {
            1 => self.effects.push(Effect::Interrupt(run)),
            2 => self.effects.push(Effect::Kill(run)),
            // Not even the shell's end is told: the supervisor is gone, or what it tells with.
            _ => {
                let exit = Exit {
                    status: 137,
                    ..Exit::default()
                };
                let flow = self.exited(run, exit);
                return self.follow(flow);
            }
        }
        self.effects.push(Effect::Deadline {
            id: next,
            length: STUBBORN,
        });
    }

    /// A program that takes the alternate screen gets the keys by itself, and gives them back when
    /// it leaves; in between the presenter may take them.
    fn focus_full_screen_program(&mut self, id: Id) {
        let now = self
            .state
            .command(id)
            .is_some_and(|c| c.output.alternate_screen);
        if let (Phase::Running { id: run, focus, .. }, Some(current)) =
            (&mut self.state.phase, &mut self.current)
            && *run == id
            && current.full_screen != now
        {
            current.full_screen = now;
            *focus = now;
        }
    }

    fn sampled(&mut self, sample: &Sample) {
        let mut users = self.state.users.iter_mut();
        // A late answer to a user who is not shown any more is dropped.
        if let Some(traffic) = users.find(|traffic| traffic.user == sample.user) {
            traffic.grid.take(sample);
            traffic.tally.take(sample);
            self.look_for_change(sample);
        }
    }

    /// Tells the first answer that shows the last step's change.
    fn look_for_change(&mut self, sample: &Sample) {
        let Some(first) = self.changes.take(sample) else {
            return;
        };
        let running = match self.state.phase {
            Phase::Running { id, .. } => Some(id),
            _ => None,
        };
        let id = running.or(self.last.command);
        if let Some(command) = id.and_then(|id| self.state.command(id)) {
            command.first_answer = Some(first.clone());
        }
        match (running, self.state.results.last_mut()) {
            (None, Some(result)) => result.first_answer = Some(first),
            _ => self.last.first_answer = Some(first),
        }
    }

    /// A change seen on the cluster belongs to the command that runs, else to the one that ran last.
    fn changed(&mut self, change: crate::diff::Change) {
        let now = self.state.now;
        for traffic in &mut self.state.users {
            traffic.tally.begin(now);
        }
        self.changes.begin(now);
        let running = match self.state.phase {
            Phase::Running { id, .. } => Some(id),
            _ => None,
        };
        if let Some(command) = running
            .or(self.last.command)
            .and_then(|id| self.state.command(id))
        {
            command.changes.push(change.clone());
        }
        match (running, self.state.results.last_mut()) {
            (None, Some(result)) => result.changes.push(change),
            _ => self.last.pending_changes.push(change),
        }
    }

    fn cluster_failed(&mut self, why: String) {
        let location = Location {
            file: self.frames[0].walk.script().file.clone(),
            line: 1,
        };
        self.state.cluster = Cluster::Failed(why.clone());
        self.end(Outcome::Failed {
            location,
            reason: format!("the cluster could not be started: {why}"),
        });
    }

    /// The presenter leaves; one who does so over a failure has seen the show fail.
    fn quit(&mut self) {
        let failed = self.state.results.last().and_then(|result| {
            let reason = result.failed.clone()?;
            let location = result.location.clone();
            Some(Outcome::Failed { location, reason })
        });
        let at_failure = self.state.phase == Phase::Waiting(Wait::Failure);
        self.end(failed.filter(|_| at_failure).unwrap_or(Outcome::Quit));
    }

    fn end(&mut self, outcome: Outcome) {
        self.state.overlay = Overlay::None;
        self.state.phase = Phase::Ended;
        self.state.outcome.get_or_insert(outcome);
        self.effects.push(Effect::Finish);
    }
}

#[cfg(test)]
mod tests;
