//! Sequential tests: they look after each answer, and end as soon as the answers suffice.
//!
//! Two of Wald's sequential probability ratio tests (1945), one a side, judge a share: good is a share
//! at the tolerance's border, bad is one that is one and a half tolerances outside of that. The share holds
//! when both sides are good. If it is within the tolerance, it is judged wrong with a probability of at
//! most 1 in 10,000 over both sides; a bad one is as rarely taken for good. Between the two, either may
//! be said: a share 50 % ±5 holds up to 55 %, fails from 62.5 % on, and is reported with an interval of
//! about ±5 points.

/// Chance of a wrong verdict, each side: half of 1 in 10,000.
const ERROR: f64 = 0.5e-4;

/// How far outside of its border a share is bad, in tolerances. Less would take more answers: their
/// number goes with its square.
const BEYOND: f64 = 1.5;

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

/// Answers that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that are looked for.
    pub hits: u64,
    /// All of them.
    pub n: u64,
}

/// A test of counts.
#[derive(Clone, Debug)]
pub enum Test {
    /// Their share is within borders, as far as there are any.
    Share {
        /// Not above this.
        high: Option<Ratio>,
        /// Not below this.
        low: Option<Ratio>,
    },
    /// All are hits.
    All,
}

impl Test {
    /// A share and its tolerance, 0 to 1. A side whose border is beyond 0 or 1 cannot be wrong.
    pub fn around(share: f64, tolerance: f64) -> Self {
        let low = share - tolerance;
        let beyond = BEYOND * tolerance;
        Test::Share {
            high: Ratio::above(share + tolerance, beyond),
            low: (low > 0.0).then(|| Ratio::new(low, (low - beyond).max(low / 10.0))),
        }
    }

    /// A share, 0 to 1, that is not reached; bad is twice of it.
    pub fn below(share: f64) -> Self {
        Test::Share {
            high: Ratio::above(share, share),
            low: None,
        }
    }

    /// How it stands after these answers. `window` is its number, from 1, among those in which it was
    /// tried: what is tried again and again must be harder to come by.
    pub fn standing(&self, Counts { hits, n }: Counts, window: u32) -> Standing {
        match self {
            Test::All if hits < n => Standing::Fails,
            Test::All if n >= clean(window) => Standing::Holds,
            Test::All => Standing::Open,
            Test::Share { high, low } => {
                let standing = |side: &Option<Ratio>| {
                    side.as_ref()
                        .map_or(Standing::Holds, |side| side.standing(hits, n))
                };
                match (standing(high), standing(low)) {
                    (Standing::Fails, _) | (_, Standing::Fails) => Standing::Fails,
                    (Standing::Holds, Standing::Holds) => Standing::Holds,
                    _ => Standing::Open,
                }
            }
        }
    }
}

/// Clean answers in a row that `all` needs: 60, and more the more often it was tried. A share of
/// 85 % is clean n times in a row with a chance of 0.85ⁿ; with 13·ln(window) answers more that chance
/// falls as the square of the window's number, so all windows together have one of 1 in 10,000.
fn clean(window: u32) -> u64 {
    60 + (13.0 * f64::from(window.max(1)).ln()).ceil() as u64
}

/// A one-sided ratio test between two shares.
#[derive(Clone, Debug)]
pub struct Ratio {
    hit: f64,
    miss: f64,
}

impl Ratio {
    fn new(good: f64, bad: f64) -> Self {
        Ratio {
            hit: (bad / good).ln(),
            miss: ((1.0 - bad) / (1.0 - good)).ln(),
        }
    }

    /// Good is a share at the border, bad one that is so much above it; none if nothing is above.
    fn above(border: f64, margin: f64) -> Option<Self> {
        let bad = (border + margin).min(1.0 - (1.0 - border) / 10.0);
        (border < 1.0).then(|| Ratio::new(border, bad))
    }

    fn standing(&self, hits: u64, n: u64) -> Standing {
        let sum = hits as f64 * self.hit + (n - hits) as f64 * self.miss;
        let limit = (1.0 / ERROR).ln();
        if sum >= limit {
            Standing::Fails
        } else if sum <= -limit {
            Standing::Holds
        } else {
            Standing::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a test of answers with a share holds, and how many answers that took.
    fn tried(test: &Test, share: f64, random: &mut fastrand::Rng) -> (bool, u64) {
        let mut counts = Counts::default();
        loop {
            counts.n += 1;
            counts.hits += u64::from(random.f64() < share);
            match test.standing(counts, 1) {
                Standing::Open => {}
                standing => return (standing == Standing::Holds, counts.n),
            }
        }
    }

    /// Of 10,000 true claims one at the most is judged false in the mean, and so of false ones, a
    /// tolerance away from their border; what is seen here may be a little more.
    #[test]
    fn wrong_verdicts_are_at_most_one_in_ten_thousand() {
        const TRIALS: usize = 10_000;
        for (name, test, good, bad) in [
            (
                "10% ±5",
                Test::around(0.1, 0.05),
                vec![0.1, 0.15, 0.05],
                vec![0.25],
            ),
            (
                "50% ±5",
                Test::around(0.5, 0.05),
                vec![0.5, 0.55],
                vec![0.35, 0.65],
            ),
            (
                "56% ±5",
                Test::around(0.56, 0.05),
                vec![0.556],
                vec![0.41, 0.71],
            ),
            ("90% ±5", Test::around(0.9, 0.05), vec![0.9], vec![0.75]),
            ("0% ±5", Test::around(0.0, 0.05), vec![0.0], vec![0.15]),
            ("< 1%", Test::below(0.01), vec![0.0, 0.01], vec![0.02, 0.15]),
            ("< 5%", Test::below(0.05), vec![0.0, 0.04], vec![0.1, 0.2]),
        ] {
            let mut random = fastrand::Rng::with_seed(42);
            let mut wrong = |share: f64, is_true: bool, trials: usize| {
                (0..trials)
                    .filter(|_| tried(&test, share, &mut random).0 != is_true)
                    .count()
            };
            for share in good {
                assert!(
                    wrong(share, true, TRIALS) <= 3,
                    "{name} judged false at {share}"
                );
            }
            for share in bad {
                let wrong = wrong(share, false, TRIALS / 4);
                assert!(wrong <= 2, "{name}: {wrong} judged true at {share}");
            }
        }
    }

    #[test]
    fn a_claim_that_is_far_from_its_border_takes_few_answers() {
        let mut random = fastrand::Rng::with_seed(1);
        for (test, share, most) in [
            (Test::around(0.1, 0.05), 0.1, 700),
            (Test::around(0.5, 0.05), 0.5, 1_200),
            (Test::below(0.01), 0.0, 1_000),
            (Test::below(0.05), 0.0, 200),
        ] {
            let taken: u64 = (0..500).map(|_| tried(&test, share, &mut random).1).sum();
            assert!(taken / 500 < most, "{test:?}: {}", taken / 500);
        }
    }

    /// Windows begin anew at each answer that is not as claimed, for half a minute at 300 a second.
    #[test]
    fn all_is_not_claimed_of_85_percent_however_long_it_is_tried() {
        let mut random = fastrand::Rng::with_seed(3);
        let holds = |random: &mut fastrand::Rng| {
            let (mut window, mut n) = (1, 0);
            (0..9_000).any(|_| {
                n += 1;
                if random.f64() >= 0.85 {
                    (window, n) = (window + 1, 0);
                }
                let counts = Counts { hits: n, n };
                n > 0 && Test::All.standing(counts, window) == Standing::Holds
            })
        };
        let wrong = (0..10_000).filter(|_| holds(&mut random)).count();
        assert!(wrong <= 5, "{wrong} of 10,000");
    }
}
