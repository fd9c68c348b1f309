//! What a script would show and run, in order, with nothing run. Pure.

use serde_json::{Value, json};

use crate::script::{Directive, Element, Placed, Script};

/// One thing that a show would do.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedEvent {
    /// `comment`, `command`, `print`, `wait`, `section`, `note`, `expect`.
    pub kind: &'static str,
    /// The source.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
    /// In Markdown rather than in a fence.
    pub markdown: bool,
    /// An audience sees it.
    pub shown: bool,
}

/// The plan of a script.
pub fn plan(script: &Script) -> Vec<PlannedEvent> {
    let mut showing = script.article;
    let mut skipping = false;
    let mut hide_next = false;
    let mut events = Vec::new();
    for Placed { location, element } in &script.elements {
        if matches!(element, Element::Directive(Directive::Show)) {
            skipping = false;
        }
        if skipping {
            continue;
        }
        let mut add = |kind, text: &str, markdown, shown| {
            events.push(PlannedEvent {
                kind,
                text: text.to_owned(),
                line: location.line,
                markdown,
                shown,
            });
        };
        match element {
            Element::Blank => {}
            Element::Prose(text) => add("comment", text, true, showing),
            Element::Comment(text) => {
                add("comment", text, false, showing && !text.starts_with("##"))
            }
            Element::Command(text) => {
                let hidden = std::mem::take(&mut hide_next);
                add("command", text, false, showing && !hidden);
            }
            Element::Directive(directive) => match directive {
                Directive::Show => showing = true,
                Directive::Hide => showing = false,
                Directive::Skip => skipping = true,
                Directive::Immed | Directive::NoShow => hide_next = true,
                Directive::Wait => add("wait", "wait", true, true),
                Directive::WaitClear => {
                    add("wait", "wait", true, true);
                    add("command", "clear", true, false);
                }
                Directive::Clear => add("command", "clear", true, false),
                Directive::Print(text) => add("print", text, true, true),
                Directive::Section(name) => add("section", name, true, false),
                Directive::Note(text) => add("note", text, true, false),
                Directive::Expect(expectation) => add("expect", &expectation.text, true, false),
                Directive::Run(text) => add("command", text, true, false),
                Directive::Page
                | Directive::NoTypeOut
                | Directive::NoWaitBefore
                | Directive::WaitAfter => {}
            },
        }
    }
    events
}

/// The plan as JSON.
pub fn to_json(events: &[PlannedEvent], file: &str) -> Value {
    events
        .iter()
        .map(|e| {
            json!({"kind": e.kind, "text": e.text, "file": file, "line": e.line,
                   "markdown": e.markdown, "shown": e.shown})
        })
        .collect()
}

/// The plan for people: a line an event.
pub fn to_text(events: &[PlannedEvent], file: &str) -> String {
    let mut text = String::new();
    for event in events {
        let mut lines = event.text.lines().filter(|l| !l.trim().is_empty());
        let first = lines.next().unwrap_or("");
        let more = if lines.next().is_some() { " …" } else { "" };
        let hidden = if event.kind == "command" && !event.shown {
            " (hidden)"
        } else {
            ""
        };
        text += &format!(
            "{file}:{:<4} {:<8}{hidden} {first}{more}\n",
            event.line, event.kind
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_show_hide_and_skip() {
        let script = crate::script::parse(
            "x.md",
            "<!-- @immed -->\n```bash\nz\n```\n<!-- @SHOW -->\nshown\n<!-- @immed -->\n```bash\na\nb\n```\n<!-- @wait_clear -->\n\
             <!-- @SKIP -->\n```bash\nc\n```\n",
        );
        let seen: Vec<(String, bool)> = plan(&script)
            .into_iter()
            .map(|e| (e.text.trim().to_owned(), e.shown))
            .collect();
        let expected = [
            ("z", false),
            ("shown", true),
            ("a", false),
            ("b", true),
            ("wait", true),
            ("clear", false),
        ];
        assert_eq!(seen, expected.map(|(t, s)| (t.to_owned(), s)));
    }
}
