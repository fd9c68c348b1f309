//! Judging a claim about traffic, answer by answer: sequential tests with bounded errors.
//!
//! For `share N% ±M` two sequential probability ratio tests (Wald 1945) run at once, one a side:
//! good is a share at the tolerance's border, bad is one as far again outside. The claim holds when
//! both sides are good. If the true share is within the tolerance, a window is judged wrong with a
//! probability of at most 1 in 10,000 over both sides; a share twice the tolerance off is as rarely
//! taken for good. A window that fails is followed by another, since the change may still be on its
//! way; two failing windows that agree with each other say that nothing is moving any more.
//!
//! Answers count in the order in which their requests were *sent*: an early answer waits for those
//! of earlier requests. Otherwise quick answers would be counted first, and a version that answers
//! quickly would seem to have a greater share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::color::Rgb;
use super::face::Body;
use super::interval::wilson;
use super::{Glyph, Reply, Sample};
use crate::script::expect::{Claim, Look};

/// Chance of a wrong verdict, each side: half of 1 in 10,000.
const ERROR: f64 = 0.5e-4;
/// Clean answers in a row that `all` needs.
const CLEAN: u64 = 60;
/// Time that a change is given before failing windows count.
const SETTLING: Duration = Duration::from_secs(5);
/// So long may the last window go on after a claim's time is up.
const OVERTIME: Duration = Duration::from_secs(30);
/// Windows agree when their shares differ by less than this many standard errors.
const AGREEMENT: f64 = 3.0;

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// More answers are needed.
    Open,
    /// It holds.
    Holds,
    /// It does not.
    Fails,
}

/// What was seen: for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Answers that look as claimed, in the window that decided.
    pub hits: u64,
    /// All answers of that window.
    pub n: u64,
}

impl Seen {
    /// The share, in percent.
    pub fn percent(&self) -> f64 {
        if self.n == 0 {
            0.0
        } else {
            100.0 * self.hits as f64 / self.n as f64
        }
    }

    /// Its 95 % interval, in percent.
    pub fn interval(&self) -> (f64, f64) {
        let (low, high) = wilson(self.hits, self.n, 1.96);
        (100.0 * low, 100.0 * high)
    }
}

/// A claim being judged.
#[derive(Clone, Debug)]
pub struct Judge {
    look: Look,
    kind: Kind,
    within: Duration,
    /// When judging began; answers to requests from before do not count.
    since: Duration,
    seen: Seen,
    before: Option<Seen>,
    standing: Standing,
    /// Its time is up: the open window is the last.
    is_late: bool,
    /// The number of the request whose answer counts next, and answers that came too early.
    next: u64,
    early: BTreeMap<u64, Sample>,
}

#[derive(Clone, Debug)]
enum Kind {
    Share {
        high: Option<Ratio>,
        low: Option<Ratio>,
    },
    All,
}

/// A one-sided ratio test between two shares.
#[derive(Clone, Debug)]
struct Ratio {
    hit: f64,
    miss: f64,
    sum: f64,
}

impl Ratio {
    fn new(good: f64, bad: f64) -> Self {
        Ratio {
            hit: (bad / good).ln(),
            miss: ((1.0 - bad) / (1.0 - good)).ln(),
            sum: 0.0,
        }
    }

    fn standing(&self) -> Standing {
        let limit = (1.0 / ERROR).ln();
        if self.sum >= limit {
            Standing::Fails
        } else if self.sum <= -limit {
            Standing::Holds
        } else {
            Standing::Open
        }
    }
}

impl Judge {
    /// Begins to judge a claim about traffic at a time; `None` for other claims.
    pub fn new(claim: &Claim, since: Duration) -> Option<Self> {
        let (look, kind, scope) = match claim {
            Claim::Exit(_) => return None,
            Claim::All { look, scope } => (look, Kind::All, scope),
            Claim::Share {
                look,
                percent,
                tolerance,
                scope,
            } => {
                let (share, tolerance) = (percent / 100.0, tolerance / 100.0);
                // A side whose border is beyond 0 or 1 cannot be wrong.
                let high = share + tolerance;
                let high = (high < 1.0)
                    .then(|| Ratio::new(high, (high + tolerance).min(1.0 - (1.0 - high) / 10.0)));
                let low = share - tolerance;
                let low = (low > 0.0).then(|| Ratio::new(low, (low - tolerance).max(low / 10.0)));
                (look, Kind::Share { high, low }, scope)
            }
        };
        Some(Judge {
            look: look.clone(),
            kind,
            within: scope.within,
            since,
            seen: Seen::default(),
            before: None,
            standing: Standing::Open,
            is_late: false,
            next: 0,
            early: BTreeMap::new(),
        })
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// True once its time is up.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// What was seen in the window that counts.
    pub fn seen(&self) -> Seen {
        match (self.seen.n, self.before) {
            // Time ran out in an empty window: the one before is what there is to tell.
            (0, Some(before)) => before,
            _ => self.seen,
        }
    }

    /// How long it has been judged at a time.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// Takes an answer, and counts it as soon as those of all earlier requests are there.
    pub fn take(&mut self, sample: Sample) {
        let now = sample.ended;
        self.early.insert(sample.number, sample);
        while let Some(sample) = self.early.remove(&self.next) {
            self.next += 1;
            self.count(&sample);
        }
        self.expire(now);
    }

    fn count(&mut self, sample: &Sample) {
        if self.standing != Standing::Open || sample.started < self.since {
            return;
        }
        let hit = looks_like(&self.look, &sample.reply);
        self.seen.n += 1;
        self.seen.hits += u64::from(hit);
        match self.window() {
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
        if self.seen.n == 0 || self.age(now) >= self.within + OVERTIME {
            self.standing = Standing::Fails;
        }
    }

    fn window(&mut self) -> Standing {
        let Seen { hits, n } = self.seen;
        match &mut self.kind {
            Kind::All if hits < n => Standing::Fails,
            Kind::All if n >= CLEAN => Standing::Holds,
            Kind::All => Standing::Open,
            Kind::Share { high, low } => {
                let mut standings = [Standing::Holds; 2];
                for (side, standing) in [high, low].into_iter().zip(&mut standings) {
                    if let Some(ratio) = side {
                        let misses = (n - hits) as f64;
                        ratio.sum = hits as f64 * ratio.hit + misses * ratio.miss;
                        *standing = ratio.standing();
                    }
                }
                match standings {
                    [Standing::Fails, _] | [_, Standing::Fails] => Standing::Fails,
                    [Standing::Holds, Standing::Holds] => Standing::Holds,
                    _ => Standing::Open,
                }
            }
        }
    }

    fn next_window(&mut self, now: Duration) {
        let settled = matches!(self.kind, Kind::Share { .. })
            && self.age(now) >= SETTLING
            && self.before.is_some_and(|before| agree(before, self.seen));
        if settled || self.is_late {
            self.standing = Standing::Fails;
            return;
        }
        self.before = Some(self.seen);
        self.seen = Seen::default();
    }
}

/// True if two windows may well have come from one share.
fn agree(a: Seen, b: Seen) -> bool {
    let (na, nb) = (a.n as f64, b.n as f64);
    let pooled = (a.hits + b.hits) as f64 / (na + nb);
    let error = (pooled * (1.0 - pooled) * (1.0 / na + 1.0 / nb)).sqrt();
    (a.percent() - b.percent()).abs() / 100.0 <= AGREEMENT * error + 1e-9
}

/// True if an answer looks as claimed: a clean 200 with this face on this colour.
fn looks_like(look: &Look, reply: &Reply) -> bool {
    let Reply::Answer {
        status: 200,
        body: Body::Face { smiley, color, .. },
    } = reply
    else {
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
    smiley_fits && color_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Smiley;
    use crate::script::expect;

    fn sample(number: u64, hit: bool, at: Duration) -> Sample {
        let smiley = if hit {
            Smiley::HeartEyes
        } else {
            Smiley::Grinning
        };
        Sample {
            number,
            started: at,
            ended: at,
            row: 0,
            column: 0,
            reply: Reply::Answer {
                status: 200,
                body: Body::Face {
                    smiley: Some(Glyph::Face(smiley)),
                    color: Some("#66CCEE".into()),
                    soft_errors: false,
                },
            },
        }
    }

    /// Judges a claim on answers with a share that may depend on the answer's number, 300 a second.
    fn judge(claim: &str, share: impl Fn(u64) -> f64, random: &mut fastrand::Rng) -> Judge {
        let claim = expect::parse(claim).unwrap().unwrap().claim;
        let mut judge = Judge::new(&claim, Duration::ZERO).unwrap();
        for i in 0.. {
            let at = Duration::from_micros(i * 3_333);
            judge.take(sample(i, random.f64() < share(i), at));
            if judge.standing() != Standing::Open {
                break;
            }
        }
        judge
    }

    #[test]
    fn false_failures_are_rare_and_a_share_15_points_off_is_seen() {
        let mut random = fastrand::Rng::with_seed(42);
        for percent in [10, 50, 90] {
            let claim = format!("share smiley=HeartEyes {percent}% ±5");
            let truth = f64::from(percent) / 100.0;
            let mut samples = 0;
            for _ in 0..2_000 {
                let judged = judge(&claim, |_| truth, &mut random);
                assert_eq!(
                    judged.standing(),
                    Standing::Holds,
                    "{percent}: {:?}",
                    judged.seen()
                );
                samples += judged.seen().n;
            }
            assert!(
                samples / 2_000 < 1_000,
                "{percent} %: {} samples",
                samples / 2_000
            );
            for off in [-0.15, 0.15] {
                let moved = truth + off;
                if !(0.0..=1.0).contains(&moved) {
                    continue;
                }
                for _ in 0..200 {
                    let judged = judge(&claim, |_| moved, &mut random);
                    assert_eq!(
                        judged.standing(),
                        Standing::Fails,
                        "{percent} moved to {moved}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_border_of_the_tolerance_still_holds() {
        let mut random = fastrand::Rng::with_seed(1);
        for truth in [0.05, 0.15] {
            let held = (0..300)
                .filter(|_| {
                    judge("share smiley=HeartEyes 10% ±5", |_| truth, &mut random).standing()
                        == Standing::Holds
                })
                .count();
            assert_eq!(held, 300, "at {truth}");
        }
    }

    #[test]
    fn a_change_that_is_still_on_its_way_is_waited_for() {
        let mut random = fastrand::Rng::with_seed(2);
        let late = |i: u64| if i < 1_000 { 0.0 } else { 0.5 };
        let judged = judge("share smiley=HeartEyes 50% ±5", late, &mut random);
        assert_eq!(judged.standing(), Standing::Holds);
        let judged = judge(
            "all smiley=HeartEyes within 10s",
            |i| if i < 500 { 0.3 } else { 1.0 },
            &mut random,
        );
        assert_eq!(
            (judged.standing(), judged.seen().n),
            (Standing::Holds, CLEAN)
        );
    }

    #[test]
    fn all_fails_when_its_time_is_up() {
        let mut random = fastrand::Rng::with_seed(3);
        let judged = judge("all smiley=HeartEyes within 10s", |_| 0.85, &mut random);
        assert_eq!(judged.standing(), Standing::Fails);
        let seen = judged.seen();
        assert!(seen.hits < seen.n, "{seen:?}");
    }

    #[test]
    fn quick_answers_do_not_count_before_slow_ones() {
        let claim = expect::parse("all smiley=HeartEyes")
            .unwrap()
            .unwrap()
            .claim;
        let mut judge = Judge::new(&claim, Duration::ZERO).unwrap();
        for number in 1..=200 {
            judge.take(sample(number, true, Duration::ZERO));
        }
        assert_eq!(judge.seen().n, 0);
        judge.take(sample(0, false, Duration::from_millis(1500)));
        assert_eq!((judge.standing(), judge.seen().n), (Standing::Holds, CLEAN));
    }

    #[test]
    fn errors_and_other_looks_are_misses() {
        let look = |text: &str| match expect::parse(&format!("all {text}"))
            .unwrap()
            .unwrap()
            .claim
        {
            Claim::All { look, .. } => look,
            other => panic!("{other:?}"),
        };
        let reply = sample(0, true, Duration::ZERO).reply;
        assert!(looks_like(&look("smiley=HeartEyes,color=blue"), &reply));
        assert!(!looks_like(&look("smiley=HeartEyes,color=green"), &reply));
        assert!(!looks_like(&look("color=blue"), &Reply::Unreachable));
    }
}
