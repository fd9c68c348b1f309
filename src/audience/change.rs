//! The first answer that shows a change: one that looks like none of those before.
//!
//! Only what a single answer can say is told. From 10 % to 50 % nothing looks new, and expectations
//! judge the share; with the first canary, or at the first error, something does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::tally::WINDOW;
use super::{Place, Reply, Sample};

/// Where an answer was asked for, and how it looked.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    user: Option<Arc<str>>,
    place: Place,
    /// `HeartEyes`, `504` …
    face: String,
    /// The colour, as sent.
    color: Option<String>,
}

impl Look {
    fn of(sample: &Sample) -> Self {
        let (face, color) = match (&sample.reply, sample.reply.face()) {
            (_, Some(super::face::Body::Face { smiley, color, .. })) => {
                let name = smiley.as_ref().map(super::Glyph::name);
                (name.unwrap_or_default(), color.clone())
            }
            (Reply::Answer { status, .. }, _) => (format!("status {status}"), None),
            (Reply::Unreachable, _) => ("no answer".to_owned(), None),
        };
        Look {
            user: sample.user.clone(),
            place: sample.place,
            face,
            color,
        }
    }

    /// In few words, as what differs from those before.
    fn told(&self, known: &[Look]) -> String {
        let there = known
            .iter()
            .filter(|k| (&k.user, k.place) == (&self.user, self.place));
        let is_known_face = there.clone().any(|k| k.face == self.face);
        let is_known_color = there.clone().any(|k| k.color == self.color);
        let Some(color) = self.color.as_ref().filter(|_| is_known_face) else {
            return self.face.clone();
        };
        let color = super::Rgb::parse(color).map_or_else(|| color.clone(), super::Rgb::name);
        match is_known_color {
            true => format!("{} on {color}", self.face),
            false => color,
        }
    }
}

/// A change's first answer.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstAnswer {
    /// From the change to the answer.
    pub after: Duration,
    /// What is new: `HeartEyes`, `green`, `status 504`.
    pub shows: String,
}

/// Looks out for what is new.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    recent: VecDeque<(Duration, Look)>,
    waiting: Option<Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    since: Duration,
    known: Vec<Look>,
}

impl Changes {
    /// Something was changed: from now on new looks are its.
    pub fn begin(&mut self, now: Duration) {
        let mut known: Vec<Look> = match self.waiting.take() {
            // Of several changes one after the other the last counts.
            Some(waiting) => waiting.known,
            None => Vec::new(),
        };
        for (_, look) in &self.recent {
            if !known.contains(look) {
                known.push(look.clone());
            }
        }
        self.waiting = (!known.is_empty()).then_some(Waiting { since: now, known });
    }

    /// Takes an answer; returns the first that is new after a change.
    pub fn take(&mut self, sample: &Sample) -> Option<FirstAnswer> {
        let look = Look::of(sample);
        let now = sample.ended;
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW)
        {
            self.recent.pop_front();
        }
        self.recent.push_back((now, look.clone()));
        let waiting = self.waiting.as_ref()?;
        let is_asked_there = |k: &&Look| (&k.user, k.place) == (&look.user, look.place);
        let mut there = waiting.known.iter().filter(is_asked_there).peekable();
        // Where nothing was seen before, nothing is new.
        there.peek()?;
        if sample.started < waiting.since || there.any(|known| *known == look) {
            return None;
        }
        let first = FirstAnswer {
            after: now.saturating_sub(waiting.since),
            shows: look.told(&waiting.known),
        };
        self.waiting = None;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Shape;
    use crate::audience::face::Body;

    fn answer(started: u64, row: usize, body: &str) -> Sample {
        Sample {
            number: 0,
            user: None,
            started: Duration::from_millis(started),
            ended: Duration::from_millis(started + 10),
            row,
            column: 1,
            place: Shape::default().place(row, 1),
            pod: None,
            reply: Reply::Answer {
                status: 200,
                body: Body::parse(body.as_bytes()),
            },
        }
    }

    #[test]
    fn the_first_new_look_after_a_change_is_told_once() {
        let blue = r##"{"smiley":"😃","color":"#66CCEE"}"##;
        let green = r##"{"smiley":"😃","color":"#228833"}"##;
        let heart = r##"{"smiley":"😍","color":"#66CCEE"}"##;
        let at = Duration::from_millis;
        let mut changes = Changes::default();
        changes.begin(at(0));
        assert_eq!(changes.take(&answer(1, 0, blue)), None, "nothing was known");
        assert_eq!(changes.take(&answer(2, 1, blue)), None);
        changes.begin(at(100));
        assert_eq!(changes.take(&answer(99, 0, green)), None, "asked before");
        changes.begin(at(200));
        assert_eq!(changes.take(&answer(210, 0, green)), None, "known by then");
        let first = changes.take(&answer(300, 0, heart)).unwrap();
        assert_eq!((first.after, &*first.shows), (at(110), "HeartEyes"));
        assert_eq!(changes.take(&answer(400, 1, heart)), None, "told already");
        changes.begin(at(500));
        let first = changes.take(&answer(510, 1, green)).unwrap();
        assert_eq!(first.shows, "green");
        // Both were seen there, but not together.
        let both = r##"{"smiley":"😍","color":"#228833"}"##;
        changes.begin(at(600));
        let first = changes.take(&answer(610, 0, both)).unwrap();
        assert_eq!(first.shows, "HeartEyes on green");
    }
}
