//! An article is shown from its start, a page a heading.

use std::sync::Arc;

use super::markdown::OtherFence;
use super::{Directive, Element, Location, Placed, heading};

/// Shows an article, cuts its prose at its headings, and turns the page at each but the first.
pub(super) fn into_pages(file: &Arc<str>, elements: Vec<Placed>) -> Vec<Placed> {
    let begin = Location {
        file: file.clone(),
        line: 1,
    };
    let mut pages = vec![Placed {
        location: begin,
        element: Element::Directive(Directive::Show),
    }];
    let mut has_page = false;
    for placed in elements {
        let Element::Prose(text) = &placed.element else {
            pages.push(placed);
            continue;
        };
        for (offset, part) in split_at_headings(text) {
            let location = Location {
                file: placed.location.file.clone(),
                line: placed.location.line + offset,
            };
            if has_page && heading(&part).is_some_and(|(level, _)| level <= 2) {
                pages.push(Placed {
                    location: location.clone(),
                    element: Element::Directive(Directive::Page),
                });
            }
            has_page = true;
            pages.push(Placed {
                location,
                element: Element::Prose(part),
            });
        }
    }
    pages
}

/// The parts of a chunk, each with the number of lines before it. Fences hide what looks like headings.
fn split_at_headings(text: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut fence = OtherFence::default();
    let mut only_blanks = true;
    let mut before = "";
    let mut lines = text.split_inclusive('\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        fence.take(line);
        let next = lines.peek().map_or("", |(_, next)| next);
        // An underlined heading stands by itself: a paragraph before a rule is none.
        let may_start = line.starts_with('#') || before.trim().is_empty();
        let starts = may_start && !fence.is_open() && heading(&format!("{line}{next}")).is_some();
        match parts.last_mut() {
            Some((_, part)) if !starts || only_blanks => part.push_str(line),
            _ => {
                parts.push((index, line.to_owned()));
                only_blanks = true;
            }
        }
        only_blanks &= line.trim().is_empty();
        before = line;
    }
    parts
}
