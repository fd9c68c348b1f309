//! What a script would show and run, in order, with nothing run. Pure.
//!
//! An autopilot answers every wait, and commands are taken to succeed. Hooks and `@only` are decided
//! from the surroundings given; a nested script is followed where its path is known without running.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::script::directive::Target;
use crate::script::interpolate::Variables;
use crate::script::walk::{Act, ActKind, MOST, Step, Walk};
use crate::script::{Diagnostic, Location, Role, Script, Syntax, names};

/// Nested scripts are followed this deep.
const DEEPEST: usize = 8;

/// One thing that a show would do.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedEvent {
    /// `comment`, `command`, `typed_comment`, `print`, `wait`, `macro`, `section`, `note`, `expect`,
    /// `only`, `grid`, `apply`.
    pub kind: &'static str,
    /// The source; a directive's from its word on.
    pub text: String,
    /// Where it stands.
    pub location: Location,
    /// Prose of a Markdown file.
    pub markdown: bool,
    /// An audience sees it.
    pub shown: bool,
    /// It is typed character by character.
    pub typed: bool,
    /// Typing is not turned off for it.
    pub typeout: bool,
    /// The presenter is waited for before it.
    pub wait_before: bool,
    /// The presenter is waited for after it.
    pub wait_after: bool,
    /// What a nested script would do, if its path is known.
    pub nested: Option<Vec<PlannedEvent>>,
    /// What a presenter should know: `sudo`, `--context` …
    pub marks: Vec<&'static str>,
}

/// Reads the script of these words in a directory, with these variables.
pub type ReadNested<'a> = dyn Fn(&[String], &Path, &Variables) -> Option<Script> + 'a;

/// What a script is planned in.
pub struct Surroundings<'a> {
    /// The environment, and `0`, `1` …
    pub variables: Variables,
    /// The working directory; none once nobody can tell.
    pub directory: Option<PathBuf>,
    /// Reads a nested script; the first of its words is its path.
    pub read: &'a ReadNested<'a>,
    /// The kind of cluster.
    pub target: Target,
}

/// A script's plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What would be shown and run, in order.
    pub events: Vec<PlannedEvent>,
    /// What is wrong with the scripts that it plays, as far as their paths are known.
    pub diagnostics: Vec<Diagnostic>,
}

/// The plan of a script.
pub fn plan(script: Arc<Script>, surroundings: Surroundings<'_>) -> Plan {
    let mut planner = Planner {
        surroundings,
        depth: 0,
        left: MOST,
        diagnostics: Vec::new(),
    };
    Plan {
        events: planner.script(script),
        diagnostics: planner.diagnostics,
    }
}

impl Plan {
    /// True if a script that it plays must not be run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// What it shows to be wrong: expectations that nothing comes before.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut has_step = false;
        gather_faults(&self.events, &mut has_step, &mut faults);
        faults
    }
}

fn gather_faults(events: &[PlannedEvent], has_step: &mut bool, faults: &mut Vec<String>) {
    for event in events {
        let text = event.text.trim();
        if event.kind == "expect" && !*has_step {
            faults.push(format!(
                "{}: `@{text}` has no step before it",
                event.location
            ));
        }
        gather_faults(
            event.nested.as_deref().unwrap_or_default(),
            has_step,
            faults,
        );
        *has_step |= ["command", "apply"].contains(&event.kind);
    }
}

impl PlannedEvent {
    fn new(kind: &'static str, text: String, location: Location) -> Self {
        PlannedEvent {
            kind,
            text,
            location,
            markdown: false,
            shown: false,
            typed: false,
            typeout: true,
            wait_before: false,
            wait_after: false,
            nested: None,
            marks: Vec::new(),
        }
    }
}

struct Planner<'a> {
    surroundings: Surroundings<'a>,
    depth: usize,
    /// How many acts may still be planned.
    left: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Planner<'_> {
    fn script(&mut self, script: Arc<Script>) -> Vec<PlannedEvent> {
        let mut events = Vec::new();
        for act in Walk::new(script, self.surroundings.target) {
            let Some(left) = self.left.checked_sub(1) else {
                break;
            };
            self.left = left;
            events.extend(self.event(act));
        }
        events
    }

    fn event(&mut self, Act { location, kind }: Act) -> Option<PlannedEvent> {
        let markdown = Syntax::of(&location.file) == Syntax::Markdown;
        let new = |kind, text| PlannedEvent::new(kind, text, location.clone());
        Some(match kind {
            ActKind::Prose { text, shown } => PlannedEvent {
                markdown,
                shown,
                ..new("comment", text)
            },
            ActKind::Comment { text, shown } => PlannedEvent {
                shown,
                ..new("comment", text)
            },
            ActKind::Step(step) => return Some(self.step(step, location)),
            ActKind::Section(name) => new("section", format!("section {name}")),
            ActKind::Grid(change) => new("grid", format!("grid {}", change.text)),
            ActKind::Note(text) => new("note", format!("note {text}")),
            ActKind::Expect(expectation) => new("expect", format!("expect {}", expectation.text)),
            ActKind::Only(Target::Embedded) => new("only", "only embedded".to_owned()),
            ActKind::Only(Target::Context) => new("only", "only context".to_owned()),
            ActKind::Pause | ActKind::Page => return None,
        })
    }

    fn step(&mut self, step: Step, location: Location) -> PlannedEvent {
        let kind = match &step.role {
            Role::Bash | Role::Nested(_) | Role::Clear | Role::Nobody => "command",
            Role::Apply(_) => "apply",
            Role::Macro(_) => "macro",
            Role::Print(_) => "print",
            Role::Wait => "wait",
            Role::Typed => "typed_comment",
        };
        let nested = match &step.role {
            Role::Nested(words) => self.nested(words),
            Role::Bash => {
                self.follow(&step.text);
                None
            }
            _ => None,
        };
        let is_print = matches!(step.role, Role::Print(_));
        PlannedEvent {
            // What `@print` prints is seen even while hidden.
            shown: step.shown || is_print && step.meta,
            typed: step.shown && step.typeout,
            typeout: step.typeout,
            wait_before: step.wait_before,
            wait_after: step.wait_after,
            nested,
            marks: step
                .danger
                .then_some("danger")
                .into_iter()
                .chain(marks(&step.text))
                .collect(),
            ..PlannedEvent::new(kind, step.text, location)
        }
    }

    /// Follows what a command plainly does to variables and to the working directory. What it may
    /// have done otherwise is not known any more.
    fn follow(&mut self, text: &str) {
        let around = &mut self.surroundings;
        if let Some((name, value)) = names::literal_assignment(text) {
            around.variables.insert(name, value);
        } else {
            names::forget_changed(text, &mut around.variables);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        if !words.iter().any(|w| ["cd", "pushd", "popd"].contains(w)) {
            return;
        }
        let target = match words[..] {
            ["cd", to] => expand(to, &around.variables).and_then(|w| w.into_iter().next()),
            _ => None,
        };
        let to = around
            .directory
            .take()
            .zip(target)
            .map(|(from, to)| lexical(&from.join(to)));
        around.directory = to;
    }

    fn nested(&mut self, words: &str) -> Option<Vec<PlannedEvent>> {
        let around = &self.surroundings;
        let words = expand(words, &around.variables)?;
        let directory = around.directory.clone()?;
        if self.depth >= DEEPEST {
            return None;
        }
        let script = (around.read)(&words, &directory, &around.variables)?;
        let outer = self.surroundings.variables.clone();
        // Its arguments are its own.
        let is_number = |name: &String| name.bytes().all(|b| b.is_ascii_digit());
        self.surroundings
            .variables
            .retain(|name, _| !is_number(name));
        for (number, word) in words.iter().enumerate() {
            let variables = &mut self.surroundings.variables;
            variables.insert(number.to_string(), word.clone());
        }
        for diagnostic in &script.diagnostics {
            // A script that is played twice is wrong once.
            if !self.diagnostics.contains(diagnostic) {
                self.diagnostics.push(diagnostic.clone());
            }
        }
        self.depth += 1;
        let events = self.script(Arc::new(script));
        self.depth -= 1;
        // The child's surroundings are its own.
        self.surroundings.variables = outer;
        self.surroundings.directory = Some(directory);
        Some(events)
    }
}

/// Words with their variables replaced; none if that needs a shell.
fn expand(text: &str, variables: &Variables) -> Option<Vec<String>> {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        result.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let braced = rest.strip_prefix('{');
        let name = braced.unwrap_or(rest);
        let length = name
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        let value = variables.get(&name[..length])?;
        if value.contains([' ', '\t', '\n', '\'', '"', '\\', '*', '?', '[']) {
            return None;
        }
        result.push_str(value);
        rest = &name[length..];
        if braced.is_some() {
            rest = rest.strip_prefix('}')?;
        }
    }
    result.push_str(rest);
    let needs_shell = ['`', '*', '?', '[', '~', '{'];
    (!result.contains(needs_shell)).then(|| shlex::split(&result))?
}

/// A path without `.` and `..`.
fn lexical(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(result.pop()),
            component => result.push(component),
        }
    }
    result
}

/// Words by which a command leaves what Footlights vouches for.
fn marks(text: &str) -> Vec<&'static str> {
    const MARKS: [&str; 4] = ["--kubeconfig", "--context", "KUBECONFIG=", "sudo"];
    let has = |mark: &&str| {
        text.split(|c: char| c.is_whitespace() || ";|&()".contains(c))
            .any(|word| word == *mark || (*mark != "sudo" && word.starts_with(*mark)))
    };
    MARKS.into_iter().filter(has).collect()
}

/// The plan as JSON.
pub fn to_json(events: &[PlannedEvent]) -> Value {
    events
        .iter()
        .map(|e| {
            let mut event = json!({"kind": e.kind, "text": e.text, "file": &*e.location.file,
                "line": e.location.line, "markdown": e.markdown, "shown": e.shown, "typed": e.typed,
                "typeout": e.typeout, "wait_before": e.wait_before, "wait_after": e.wait_after});
            if let Some(nested) = &e.nested {
                event["nested"] = json!({"events": to_json(nested)});
            }
            if !e.marks.is_empty() {
                event["marks"] = json!(e.marks);
            }
            event
        })
        .collect()
}

/// The plan for people: a line an event.
pub fn to_text(events: &[PlannedEvent]) -> String {
    let mut text = String::new();
    write_text(events, 0, &mut text);
    text
}

fn write_text(events: &[PlannedEvent], depth: usize, text: &mut String) {
    let place = |e: &PlannedEvent| e.location.to_string();
    let width = events
        .iter()
        .map(|e| place(e).chars().count())
        .max()
        .unwrap_or(0);
    for event in events {
        let mut lines = event.text.lines().filter(|l| !l.trim().is_empty());
        let first = lines.next().unwrap_or("").trim();
        let more = if lines.next().is_some() { " …" } else { "" };
        let runs = ["command", "macro", "comment", "note"].contains(&event.kind);
        let hidden = if runs && !event.shown {
            " (hidden)"
        } else {
            ""
        };
        let marks = event
            .marks
            .iter()
            .map(|mark| format!("  ! {mark}"))
            .collect::<String>();
        let indent = "  ".repeat(depth);
        let place = place(event);
        *text += &format!(
            "{indent}{place:<width$}  {:<14}{first}{more}{hidden}{marks}\n",
            event.kind
        );
        if let Some(nested) = &event.nested {
            write_text(nested, depth + 1, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script;

    fn planned(file: &str, text: &str, variables: &[(&str, &str)]) -> Vec<PlannedEvent> {
        let read = |words: &[String], directory: &Path, _: &Variables| {
            (directory == Path::new("/d") && words[0] == "child.md")
                .then(|| script::parse("child.md", "```bash\nX=2\n```\n"))
        };
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let surroundings = Surroundings {
            variables: variables.collect(),
            directory: Some("/d".into()),
            read: &read,
            target: Target::Embedded,
        };
        plan(Arc::new(script::parse(file, text)), surroundings).events
    }

    #[test]
    fn a_plan_follows_show_hide_and_skip() {
        let text = "<!-- @immed -->\n```bash\nz\n```\n<!-- @SHOW -->\nshown\n<!-- @immed -->\n```bash\n\
                    a\nb\n```\n<!-- @wait_clear -->\n<!-- @SKIP -->\n```bash\nc\n```\n";
        let seen: Vec<(&str, String, bool)> = planned("x.md", text, &[])
            .into_iter()
            .map(|e| (e.kind, e.text.trim().to_owned(), e.shown))
            .collect();
        let expected = [
            ("command", "z", false),
            ("comment", "shown", true),
            ("command", "a", false),
            ("command", "b", true),
            ("macro", "wait_clear", false),
            ("wait", "wait", false),
            ("command", "clear", false),
        ];
        assert_eq!(seen, expected.map(|(k, t, s)| (k, t.to_owned(), s)));
    }

    #[test]
    fn nested_scripts_are_followed_where_the_path_is_known() {
        for (text, followed) in [
            ("$SHELL child.md a", true),
            ("X=child\n$SHELL $X.md", true),
            ("$SHELL ${FROM_OUTSIDE}.md", true),
            ("X=$(echo child)\n$SHELL $X.md", false),
            ("X=child\nfor X in b; do :; done\n$SHELL $X.md", false),
            ("X=child\nif true; then X=b; fi\n$SHELL $X.md", false),
            ("X=child\n. ./file\n$SHELL $X.md", false),
            ("X=child\necho $X\n$SHELL $X.md", true),
            ("cd ..\n$SHELL child.md", false),
            ("cd ../d\n$SHELL child.md", true),
            ("cd $(pwd)\n$SHELL child.md", false),
            ("$SHELL other.md", false),
            ("$SHELL child.md && true", false),
        ] {
            let events = planned("x.sh", text, &[("FROM_OUTSIDE", "child")]);
            let last = events.last().unwrap();
            assert_eq!(last.nested.is_some(), followed, "{text}");
        }
    }

    #[test]
    fn what_leaves_the_guarded_cluster_is_marked() {
        for (text, marks) in [
            ("kubectl --context=x get pods", vec!["--context"]),
            ("KUBECONFIG=/x sudo ls", vec!["KUBECONFIG=", "sudo"]),
            ("echo pseudosudo", vec![]),
        ] {
            assert_eq!(super::marks(text), marks, "{text}");
        }
    }
}
