//! Judging a claim about traffic, answer by answer, with the tests of [`sequential`](super::sequential).
//!
//! A window of answers that fails is followed by another, since the change may still be on its way;
//! two failing windows that agree with each other say that nothing is moving any more.
//!
//! Answers count in the order in which their requests were *sent*: an early answer waits for those
//! of earlier requests. Otherwise quick answers would be counted first, and a version that answers
//! quickly would seem to have a greater share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::color::Rgb;
use super::face::Body;
use super::interval::wilson;
use super::sequential::{Counts, Standing, Test};
use super::{Glyph, Reply, Sample};
use crate::script::expect::{Asked, Look, Scope, Traffic};

/// Time that a change is given before failing windows count.
const SETTLING: Duration = Duration::from_secs(5);
/// So long may the last window go on after a claim's time is up.
const OVERTIME: Duration = Duration::from_secs(30);
/// Windows agree when their shares differ by less than this many standard errors.
const AGREEMENT: f64 = 3.0;
/// Standard errors of a 95 % interval.
const Z: f64 = 1.96;

/// What was seen: for reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The share or quantile.
    pub value: f64,
    /// Its 95 % interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The number of answers in the window that decided.
    pub n: u64,
    /// Of all but `n`.
    pub unit: Unit,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share, in percent.
    Percent,
    /// A time.
    Milliseconds,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seen {
            value,
            low,
            high,
            n,
            unit,
        } = self;
        match unit {
            Unit::Percent => write!(
                f,
                "{value:.1} % seen, 95 % interval {low:.1} to {high:.1} %, n={n}"
            ),
            Unit::Milliseconds => write!(
                f,
                "{value:.0} ms seen, 95 % interval {low:.0} to {high:.0} ms, n={n}"
            ),
        }
    }
}

/// A claim being judged.
#[derive(Clone, Debug)]
pub struct Judge {
    claim: Traffic,
    asked: Asked,
    test: Test,
    within: Duration,
    /// When judging began; answers to requests from before do not count.
    since: Duration,
    window: Window,
    before: Option<Window>,
    /// The number of the open window, from 1.
    number: u32,
    standing: Standing,
    /// Its time is up: the open window is the last.
    is_late: bool,
    /// The number of the request whose answer counts next, and answers that came too early.
    next: u64,
    early: BTreeMap<u64, Sample>,
}

/// Answers that are judged together.
#[derive(Clone, Debug, Default)]
struct Window {
    counts: Counts,
    /// Their times, for claims about those.
    times: Vec<Duration>,
}

impl Judge {
    /// Begins to judge a claim about traffic at a time.
    pub fn new(claim: &Traffic, scope: &Scope, since: Duration) -> Self {
        let test = match claim {
            Traffic::All(_) | Traffic::None(_) => Test::All,
            Traffic::Errors { below } => Test::below(below / 100.0),
            // The quantile is below a time if so few answers take longer.
            Traffic::Latency { quantile, .. } => Test::below(1.0 - quantile),
            Traffic::Share {
                percent, tolerance, ..
            }
            | Traffic::Status {
                percent, tolerance, ..
            } => Test::around(percent / 100.0, tolerance / 100.0),
        };
        Judge {
            claim: claim.clone(),
            asked: scope.asked.clone(),
            test,
            within: scope.within,
            since,
            window: Window::default(),
            before: None,
            number: 1,
            standing: Standing::Open,
            is_late: false,
            next: 0,
            early: BTreeMap::new(),
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// True once its time is up.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// What was seen in the window that counts; none if no answer was.
    pub fn seen(&self) -> Option<Seen> {
        let window = match (self.window.counts.n, &self.before) {
            // Time ran out in an empty window: the one before is what there is to tell.
            (0, Some(before)) => before,
            _ => &self.window,
        };
        let Counts { hits, n } = window.counts;
        if n == 0 {
            return None;
        }
        if let Traffic::Latency { quantile, .. } = self.claim {
            return Some(times_seen(&window.times, quantile));
        }
        let hits = match self.claim {
            Traffic::None(_) => n - hits,
            _ => hits,
        };
        let (low, high) = wilson(hits, n, Z);
        Some(Seen {
            value: 100.0 * hits as f64 / n as f64,
            low: 100.0 * low,
            high: 100.0 * high,
            n,
            unit: Unit::Percent,
        })
    }

    /// How long it has been judged at a time.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// Takes an answer, and counts it as soon as those of all earlier requests are there.
    pub fn take(&mut self, sample: &Sample) {
        let now = sample.ended;
        self.early.insert(sample.number, sample.clone());
        while let Some(sample) = self.early.remove(&self.next) {
            self.next += 1;
            self.count(&sample);
        }
        self.expire(now);
    }

    fn count(&mut self, sample: &Sample) {
        let is_asked = sample.user == self.asked.user && self.asked.cells.contain(sample.place);
        if self.standing != Standing::Open || !is_asked || sample.started < self.since {
            return;
        }
        let Some(hit) = is_hit(&self.claim, sample) else {
            return;
        };
        // Errors show no face: alone, they are no proof that a face's share is small.
        if self.window.counts.n == 0 && self.may_be_nothing() && !tells(&self.claim, sample) {
            return;
        }
        self.window.counts.n += 1;
        self.window.counts.hits += u64::from(hit);
        if matches!(self.claim, Traffic::Latency { .. }) {
            self.window.times.push(sample.took());
        }
        match self.test.standing(self.window.counts, self.number) {
            Standing::Holds => self.standing = Standing::Holds,
            Standing::Fails => self.next_window(sample.ended),
            Standing::Open => {}
        }
    }

    /// Looks at the time. Once it is up no new window begins; the one that is open may end, since a
    /// slow machine must not make a true claim fail.
    pub fn expire(&mut self, now: Duration) {
        if self.standing != Standing::Open || self.age(now) < self.within {
            return;
        }
        self.is_late = true;
        // An answer that waits for an earlier one will be counted.
        let is_silent = self.window.counts.n == 0 && self.early.is_empty();
        if is_silent || self.age(now) >= self.within + OVERTIME {
            self.standing = Standing::Fails;
        }
    }

    fn may_be_nothing(&self) -> bool {
        matches!(self.claim, Traffic::Share { .. } | Traffic::Status { .. })
            && matches!(self.test, Test::Share { low: None, .. })
    }

    fn next_window(&mut self, now: Duration) {
        let agrees = |before: &Window| agree(before.counts, self.window.counts);
        let settled = matches!(self.test, Test::Share { .. })
            && self.age(now) >= SETTLING
            && self.before.as_ref().is_some_and(agrees);
        if settled || self.is_late {
            self.standing = Standing::Fails;
            return;
        }
        self.number += 1;
        self.before = Some(std::mem::take(&mut self.window));
    }
}

/// True if two windows may well have come from one share.
fn agree(a: Counts, b: Counts) -> bool {
    let share = |counts: Counts| counts.hits as f64 / counts.n as f64;
    let (na, nb) = (a.n as f64, b.n as f64);
    let pooled = (a.hits + b.hits) as f64 / (na + nb);
    let error = (pooled * (1.0 - pooled) * (1.0 / na + 1.0 / nb)).sqrt();
    (share(a) - share(b)).abs() <= AGREEMENT * error + 1e-9
}

/// A quantile of times, and the interval between the ranks that it has in 95 of 100 samples.
fn times_seen(times: &[Duration], quantile: f64) -> Seen {
    let mut times: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    let n = times.len() as f64;
    let spread = Z * (n * quantile * (1.0 - quantile)).sqrt();
    let at = |rank: f64| times[(rank.max(1.0) as usize).min(times.len()) - 1];
    Seen {
        value: at((n * quantile).ceil()),
        low: at((n * quantile - spread).floor()),
        high: at((n * quantile + spread).ceil() + 1.0),
        n: times.len() as u64,
        unit: Unit::Milliseconds,
    }
}

/// Whether an answer is one that the claim looks for; none if it says nothing about the claim.
fn is_hit(claim: &Traffic, sample: &Sample) -> Option<bool> {
    Some(match claim {
        Traffic::Share { look, .. } | Traffic::All(look) => looks_like(look, sample),
        // Errors show no face, so they are no proof that a face is gone.
        Traffic::None(look) => {
            if !tells(claim, sample) {
                return None;
            }
            !looks_like(look, sample)
        }
        Traffic::Errors { .. } => sample.reply.is_error(),
        Traffic::Status { status, .. } => sample.reply.status() == Some(*status),
        Traffic::Latency { below, .. } => {
            sample.reply == Reply::Unreachable || sample.took() >= *below
        }
    })
}

/// True if an answer could show what the claim is about.
fn tells(claim: &Traffic, sample: &Sample) -> bool {
    match claim {
        Traffic::Share { look, .. } | Traffic::All(look) | Traffic::None(look) => {
            let Some(Body::Face { smiley, color, .. }) = sample.reply.face() else {
                return false;
            };
            (look.smiley.is_none() || smiley.is_some())
                && (look.color.is_none() || color.is_some())
                && (look.pod.is_none() || sample.pod.is_some())
        }
        Traffic::Status { .. } => sample.reply.status().is_some(),
        Traffic::Errors { .. } | Traffic::Latency { .. } => true,
    }
}

/// True if an answer looks as claimed: a clean 200 with this face on this colour, from this pod.
fn looks_like(look: &Look, sample: &Sample) -> bool {
    let Some(Body::Face { smiley, color, .. }) = sample.reply.face() else {
        return false;
    };
    let smiley_fits = look.smiley.as_ref().is_none_or(|wanted| {
        smiley
            .as_ref()
            .is_some_and(|glyph| matches!(glyph, Glyph::Face(s) if s.name() == wanted))
    });
    let color_fits = look.color.as_ref().is_none_or(|wanted| {
        let seen = color.as_deref().and_then(Rgb::parse);
        seen.is_some() && seen == Rgb::parse(wanted)
    });
    let pod_fits = look.pod.as_ref().is_none_or(|wanted| {
        let rest = sample
            .pod
            .as_deref()
            .and_then(|p| p.strip_prefix(&**wanted));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    smiley_fits && color_fits && pod_fits
}

#[cfg(test)]
mod tests;
