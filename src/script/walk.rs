//! Walking through a script: what is shown and run, in order, by DEMOSH.md 4 to 7.
//!
//! The engine and the plan walk alike, so that a plan says what a show then does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::directive::{GridChange, Target};
use super::expect::Claim;
use super::{Command, Directive, Element, Expectation, Location, Placed, Role, Script, heading};

/// Lists stand in one another this deep: a macro that calls itself is an error, and ends here.
const DEEPEST: usize = 64;

/// Nobody presents more; macros that call macros can make a short script endless.
pub const MOST: usize = 1_000_000;

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Where it stands.
    pub location: Location,
    /// What it is.
    pub kind: ActKind,
}

/// Something to show, to run, or to wait for.
#[derive(Clone, Debug, PartialEq)]
pub enum ActKind {
    /// Markdown.
    Prose {
        /// With its newlines.
        text: String,
        /// An audience sees it.
        shown: bool,
    },
    /// A comment of shell.
    Comment {
        /// With its `#`.
        text: String,
        /// An audience sees it.
        shown: bool,
    },
    /// Something that is executed.
    Step(Step),
    /// The end of a macro that was called with `@waitafter`.
    Pause,
    /// A stop for index, markers and report.
    Section(String),
    /// A speaker note.
    Note(String),
    /// An assertion on the last step.
    Expect(Expectation),
    /// What the grid shows changes.
    Grid(GridChange),
    /// A region for this kind of cluster begins.
    Only(Target),
    /// A new page of an article.
    Page,
}

/// Something that is executed, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// As written.
    pub text: String,
    /// Who executes it.
    pub role: Role,
    /// From a directive.
    pub meta: bool,
    /// An audience sees it.
    pub shown: bool,
    /// It is typed character by character.
    pub typeout: bool,
    /// The presenter is waited for before it runs.
    pub wait_before: bool,
    /// The presenter is waited for when it has run.
    pub wait_after: bool,
    /// A deadline of its own.
    pub limit: Option<Duration>,
    /// Any exit status is fine.
    pub may_fail: bool,
    /// Only Enter runs it.
    pub danger: bool,
}

/// What directives say of the next step only.
#[derive(Clone, Copy, Debug, Default)]
struct Overrides {
    hide: bool,
    no_wait_before: bool,
    wait_after: bool,
    no_typing: bool,
    limit: Option<Duration>,
    may_fail: bool,
    danger: bool,
}

/// Where a walk stands. Cheap to copy: going back is putting an earlier one in its place.
#[derive(Clone, Debug)]
pub struct Walk {
    script: Arc<Script>,
    target: Target,
    lists: Vec<List>,
    /// Macros that have shown themselves: they stay so.
    shown_macros: BTreeMap<String, bool>,
}

/// A list of elements with a state of its own: the script, or a body of a macro or ifhook.
#[derive(Clone, Debug)]
struct List {
    elements: Arc<Vec<Placed>>,
    at: usize,
    showing: bool,
    skipping: bool,
    overrides: Overrides,
    /// Regions of `@only` that are open: whether each is for this kind of cluster.
    only: Vec<bool>,
    called: Option<Call>,
}

/// A macro's call.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    location: Location,
    wait_after: bool,
}

impl List {
    fn new(elements: Arc<Vec<Placed>>) -> Self {
        List {
            elements,
            at: 0,
            showing: false,
            skipping: false,
            overrides: Overrides::default(),
            only: Vec::new(),
            called: None,
        }
    }

    /// False while skipping; `@SHOW` ends that. Regions for another kind of cluster are not entered.
    fn reaches(&mut self, element: &Element, target: Target) -> bool {
        let Element::Directive(directive) = element else {
            return !self.skipping && self.only.iter().all(|open| *open);
        };
        match directive {
            Directive::Only(wanted) => self.only.push(*wanted == target),
            Directive::End => drop(self.only.pop()),
            _ => {}
        }
        let inside = self.only.iter().all(|open| *open);
        if inside && *directive == Directive::Show {
            self.skipping = false;
        }
        inside && !self.skipping
    }

    /// Takes a directive that only changes what follows; true if it was one.
    fn take(&mut self, directive: &Directive) -> bool {
        match directive {
            Directive::Show => self.showing = true,
            Directive::Hide => self.showing = false,
            Directive::Skip => self.skipping = true,
            Directive::Immed => {
                self.overrides.hide = true;
                self.overrides.no_wait_before = true;
                self.overrides.wait_after = false;
            }
            Directive::NoWaitBefore => self.overrides.no_wait_before = true,
            Directive::WaitAfter => self.overrides.wait_after = true,
            Directive::NoShow => self.overrides.hide = true,
            Directive::NoTypeOut => self.overrides.no_typing = true,
            Directive::Timeout(limit) => self.overrides.limit = Some(*limit),
            Directive::MayFail => self.overrides.may_fail = true,
            Directive::Danger => self.overrides.danger = true,
            Directive::End => {}
            _ => return false,
        }
        true
    }

    fn step(&mut self, command: &Command) -> Step {
        let overrides = std::mem::take(&mut self.overrides);
        let typed = command.role == Role::Typed;
        // A step of danger is always shown and waited for.
        let runs = matches!(command.role, Role::Bash | Role::Nested(_) | Role::Apply(_));
        let wanted = self.showing && !overrides.hide && !command.meta;
        let shown = typed || wanted || overrides.danger && runs;
        let no_wait = overrides.no_wait_before && !overrides.danger;
        Step {
            text: command.text.clone(),
            role: command.role.clone(),
            meta: command.meta,
            shown,
            typeout: !overrides.no_typing,
            wait_before: shown && !typed && !no_wait,
            wait_after: match &command.role {
                Role::Wait => true,
                Role::Print(words)
                    if command.meta && words.is_empty() && command.text == "print" =>
                {
                    self.showing
                }
                _ => self.showing && overrides.wait_after,
            },
            limit: overrides.limit,
            may_fail: overrides.may_fail,
            danger: overrides.danger,
        }
    }
}

impl Walk {
    /// At the beginning of a script.
    pub fn new(script: Arc<Script>, target: Target) -> Self {
        let list = List::new(script.elements.clone());
        Walk {
            script,
            target,
            lists: vec![list],
            shown_macros: BTreeMap::new(),
        }
    }

    /// The script.
    pub fn script(&self) -> &Script {
        &self.script
    }

    fn enter(&mut self, element: Element, location: &Location) -> Option<ActKind> {
        let list = self.lists.last_mut()?;
        let showing = list.showing;
        Some(match element {
            Element::Prose(text) => ActKind::Prose {
                text,
                shown: showing,
            },
            Element::Comment(text) => ActKind::Comment {
                shown: showing && !text.starts_with("##") && !text.starts_with("#!"),
                text,
            },
            Element::Command(command) => {
                let step = list.step(&command);
                if let Role::Macro(name) = &command.role {
                    self.call(name, location, &step);
                }
                ActKind::Step(step)
            }
            Element::IfHook { name, body } => {
                if self.script.hooks.get(&name).is_some_and(Option::is_some) {
                    self.lists.push(List::new(body));
                }
                return None;
            }
            Element::Directive(directive) => {
                if list.take(&directive) {
                    return None;
                }
                match directive {
                    Directive::Section(name) => ActKind::Section(name),
                    Directive::Note(text) => ActKind::Note(text),
                    Directive::Expect(expectation) => ActKind::Expect(*expectation),
                    Directive::Grid(change) => ActKind::Grid(change),
                    Directive::Page => ActKind::Page,
                    Directive::Only(target) => ActKind::Only(target),
                    _ => return None,
                }
            }
        })
    }

    fn call(&mut self, name: &str, location: &Location, step: &Step) {
        let Some(body) = self
            .script
            .macros
            .get(name)
            .filter(|_| self.lists.len() < DEEPEST)
        else {
            return;
        };
        let mut list = List::new(body.clone());
        list.showing = self.shown_macros.get(name).copied().unwrap_or(false);
        list.called = Some(Call {
            name: name.to_owned(),
            location: location.clone(),
            wait_after: step.wait_after,
        });
        self.lists.push(list);
    }

    /// Leaves the innermost list: at its end, or because a step in it failed under `set -e`.
    fn leave_list(&mut self) -> Option<Act> {
        let list = self.lists.pop()?;
        let call = list.called?;
        self.shown_macros.insert(call.name, list.showing);
        call.wait_after.then_some(Act {
            location: call.location,
            kind: ActKind::Pause,
        })
    }

    /// A step failed under `set -e`: a macro's or ifhook's list ends and its caller goes on, without
    /// the wait after it. False for the script's own list, which is left as it is.
    pub fn fails_to_caller(&mut self) -> bool {
        let inner = self.lists.len() > 1;
        if inner {
            drop(self.leave_list());
        }
        inner
    }

    /// The script ends here.
    pub fn end(&mut self) {
        self.lists.clear();
    }

    /// The macro whose call came last is not entered.
    pub fn skip_call(&mut self) {
        self.lists.pop();
    }

    /// The exit status that an `@expect exit` right behind the last step claims.
    pub fn expected_exit(&self) -> Option<i32> {
        let list = self.lists.last()?;
        list.elements[list.at.min(list.elements.len())..]
            .iter()
            .map_while(|p| match &p.element {
                Element::Directive(Directive::Expect(expectation)) => Some(expectation),
                _ => None,
            })
            .find_map(|expectation| match expectation.claim {
                Claim::Exit(status) => Some(status),
                _ => None,
            })
    }

    /// The first heading that an audience will see.
    pub fn first_heading(&self) -> Option<String> {
        self.clone().take(MOST).find_map(|act| match act.kind {
            ActKind::Prose { text, shown: true } => heading(&text).map(|(_, title)| title),
            _ => None,
        })
    }

    /// The number of steps from here on that an audience will see.
    pub fn count_steps(&self) -> usize {
        let acts = self.clone().take(MOST);
        acts.filter(|act| matches!(&act.kind, ActKind::Step(step) if step.is_numbered()))
            .count()
    }
}

impl Iterator for Walk {
    type Item = Act;

    /// What comes next; none at the end. A macro's body follows its call.
    fn next(&mut self) -> Option<Act> {
        loop {
            let list = self.lists.last_mut()?;
            let Some(placed) = list.elements.get(list.at).cloned() else {
                match self.leave_list() {
                    Some(act) => return Some(act),
                    None if self.lists.is_empty() => return None,
                    None => continue,
                }
            };
            list.at += 1;
            if !list.reaches(&placed.element, self.target) {
                continue;
            }
            let Placed { location, element } = placed;
            if let Some(kind) = self.enter(element, &location) {
                return Some(Act { location, kind });
            }
        }
    }
}

impl Step {
    /// True if an audience counts it.
    pub fn is_numbered(&self) -> bool {
        self.shown && !matches!(self.role, Role::Typed)
    }
}
