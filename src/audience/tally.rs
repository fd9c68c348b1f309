//! Shares of smileys and colours over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use super::color::Rgb;
use super::face::Body;
use super::{Glyph, Sample};

/// Samples older than this count no more.
pub const WINDOW: Duration = Duration::from_secs(10);

/// What one answer counts as.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    at: Duration,
    glyph: Option<Glyph>,
    color: Option<Rgb>,
    error: bool,
}

/// A moving window of answers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    entries: VecDeque<Entry>,
    since: Duration,
}

/// What the window shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// Faces and their shares, 0 to 1, greatest first.
    pub glyphs: Vec<(Glyph, f64)>,
    /// Colours and their shares, greatest first.
    pub colors: Vec<(Rgb, f64)>,
    /// Answers a second.
    pub rate: f64,
    /// The share of answers that are no face, or a face with errors.
    pub errors: f64,
    /// The number of answers.
    pub n: usize,
}

impl Tally {
    /// Counts an answer.
    pub fn take(&mut self, sample: &Sample) {
        if sample.started < self.since {
            return;
        }
        let (glyph, color) = match sample.reply.face() {
            Some(Body::Face { smiley, color, .. }) => {
                let color = color.as_deref().and_then(Rgb::parse);
                (smiley.clone(), color)
            }
            _ => (None, None),
        };
        self.entries.push_back(Entry {
            at: sample.ended,
            glyph,
            color,
            error: sample.reply.is_error(),
        });
        self.forget(sample.ended);
    }

    /// Begins anew: answers to requests from before a change say nothing about after it.
    pub fn begin(&mut self, now: Duration) {
        self.entries.clear();
        self.since = now;
    }

    fn forget(&mut self, now: Duration) {
        while self
            .entries
            .front()
            .is_some_and(|e| now.saturating_sub(e.at) > WINDOW)
        {
            self.entries.pop_front();
        }
    }

    /// The shares at a time.
    pub fn shares(&self, now: Duration) -> Shares {
        let recent = || {
            self.entries
                .iter()
                .filter(|e| now.saturating_sub(e.at) <= WINDOW)
        };
        let n = recent().count();
        if n == 0 {
            return Shares::default();
        }
        let first = recent().next().map_or(now, |e| e.at);
        let seconds = now
            .saturating_sub(first)
            .as_secs_f64()
            .clamp(1.0, WINDOW.as_secs_f64());
        Shares {
            glyphs: counted(recent().filter_map(|e| e.glyph.clone()), n),
            colors: counted(recent().filter_map(|e| e.color), n),
            rate: n as f64 / seconds,
            errors: recent().filter(|e| e.error).count() as f64 / n as f64,
            n,
        }
    }
}

fn counted<T: PartialEq + Ord + Clone>(items: impl Iterator<Item = T>, n: usize) -> Vec<(T, f64)> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for item in items {
        match counts.iter_mut().find(|(i, _)| *i == item) {
            Some((_, count)) => *count += 1,
            None => counts.push((item, 1)),
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
        .into_iter()
        .map(|(item, count)| (item, count as f64 / n as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Place;
    use crate::audience::{Reply, Smiley};

    #[test]
    fn shares_are_of_the_last_seconds() {
        let mut tally = Tally::default();
        let sample = |ms: u64, body: &str| Sample {
            number: 0,
            user: None,
            started: Duration::ZERO,
            ended: Duration::from_millis(ms),
            row: 0,
            column: 0,
            place: Place::Edge,
            pod: None,
            reply: Reply::Answer {
                status: 200,
                body: Body::parse(body.as_bytes()),
            },
        };
        tally.take(&sample(0, r##"{"smiley":"😴","color":"#EE6677"}"##));
        for i in 0..9 {
            tally.take(&sample(
                11_000 + i,
                r##"{"smiley":"😃","color":"#66CCEE"}"##,
            ));
        }
        tally.take(&sample(
            12_000,
            r##"{"smiley":"😍","color":"#66CCEE","errors":["x"]}"##,
        ));
        let shares = tally.shares(Duration::from_millis(12_000));
        assert_eq!(shares.n, 10);
        assert_eq!(shares.glyphs[0], (Glyph::Face(Smiley::Grinning), 0.9));
        assert_eq!(shares.colors.len(), 1);
        assert!((shares.errors - 0.1).abs() < 1e-9);
        assert!((shares.rate - 10.0).abs() < 0.1);
        assert_eq!(tally.shares(Duration::from_secs(60)).n, 0);
        tally.begin(Duration::from_secs(70));
        tally.take(&sample(71_000, "{}"));
        assert_eq!(
            tally.shares(Duration::from_secs(71)).n,
            0,
            "it was asked for before"
        );
    }
}
