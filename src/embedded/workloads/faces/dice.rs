//! Delays, errors, latching and the rate limiter of a Faces backend (FACES.md 6).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::Container;
use super::role::Edition;

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It is answered.
    Good,
    /// It fails: status 500, 599 (latched) or 429 (too many), and why.
    Bad(u16, String),
}

/// A workload's configured misbehaviour and its memory.
#[derive(Debug)]
pub struct Dice {
    role: &'static str,
    delays: Vec<Duration>,
    error_percent: u8,
    latch_percent: u8,
    max_rate: f64,
    /// Silence that unlatches.
    unlatch: Duration,
    state: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    latched: bool,
    last_end: Option<Instant>,
    /// Requests in each of the last ten seconds, by whole seconds since `origin`.
    buckets: [u32; 10],
    origin: Option<Instant>,
    newest: u64,
}

/// Silence that unlatches. (The candidates count it from a request's start, which is less by its
/// delay.)
const UNLATCH: Duration = Duration::from_secs(30);

impl Dice {
    /// From the environment; what does not parse is as if unset, silently, as upstream has it.
    pub fn new(role: &'static str, container: &Container, edition: Edition) -> Self {
        let percent = |name: &str| {
            let value = container.var(name).and_then(|v| v.parse::<i64>().ok());
            value.unwrap_or(0).clamp(0, 100) as u8
        };
        let rate = container
            .var("MAX_RATE")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0.0);
        Dice {
            role,
            delays: delays(container.var("DELAY_BUCKETS").unwrap_or("")),
            error_percent: percent("ERROR_FRACTION"),
            latch_percent: percent("LATCH_FRACTION"),
            max_rate: if rate >= 0.1 { rate } else { 0.0 },
            // The candidates' color never notes when it was asked last.
            unlatch: match (role, edition) {
                ("Color", Edition::Candidate) => Duration::ZERO,
                _ => UNLATCH,
            },
            state: Mutex::new(Memory {
                latched: false,
                last_end: None,
                buckets: [0; 10],
                origin: None,
                newest: 0,
            }),
        }
    }

    /// For the log.
    pub fn describe(&self) -> String {
        let delays: Vec<String> = self
            .delays
            .iter()
            .map(|d| d.as_millis().to_string())
            .collect();
        format!(
            "delays [{}], error {} %, latch {} %, max rate {:.6}",
            delays.join(" "),
            self.error_percent,
            self.latch_percent,
            self.max_rate
        )
    }

    /// The rate of requests if there is a limit to it.
    pub fn rate(&self) -> Option<f64> {
        (self.max_rate > 0.0).then(|| self.memory().rate())
    }

    /// Throws for one request, then sleeps its delay: errors and refusals are delayed too.
    pub async fn throw(&self) -> Fate {
        let fate = self.fate(Instant::now());
        if !self.delays.is_empty() {
            let delay = self.delays[fastrand::usize(..self.delays.len())];
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
        self.memory().last_end = Some(Instant::now());
        fate
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, now: Instant) -> Fate {
        let mut memory = self.memory();
        if memory
            .last_end
            .is_some_and(|end| now.duration_since(end) > self.unlatch)
        {
            memory.latched = false;
        }
        let rate = memory.count(now);
        if self.max_rate > 0.0 && rate >= self.max_rate {
            let role = self.role;
            let text = format!(
                "{role} is rate limited: {rate:.1} RPS, at most {:.1} RPS",
                self.max_rate
            );
            return Fate::Bad(429, text);
        }
        if memory.latched {
            return Fate::Bad(599, format!("{} is latched into failure", self.role));
        }
        if !hit(self.error_percent) {
            return Fate::Good;
        }
        if hit(self.latch_percent) {
            memory.latched = true;
            return Fate::Bad(599, format!("{} latches into failure", self.role));
        }
        Fate::Bad(
            500,
            format!("{} fails {} % of requests", self.role, self.error_percent),
        )
    }
}

impl Memory {
    /// Counts a request; returns the rate, always over ten seconds.
    fn count(&mut self, now: Instant) -> f64 {
        let origin = *self.origin.get_or_insert(now);
        let second = now.duration_since(origin).as_secs();
        let passed = second.saturating_sub(self.newest).min(10);
        for step in 1..=passed {
            self.buckets[((self.newest + step) % 10) as usize] = 0;
        }
        if passed == 10 {
            self.buckets = [0; 10];
        }
        self.newest = second;
        self.buckets[(second % 10) as usize] += 1;
        self.rate()
    }

    fn rate(&self) -> f64 {
        f64::from(self.buckets.iter().sum::<u32>()) / 10.0
    }
}

/// Upstream's dice are off by one: a setting of N hits with N+1 percent, 0 never.
fn hit(percent: u8) -> bool {
    percent > 0 && fastrand::u8(..100) <= percent
}

/// Comma-separated milliseconds, without trimming; what is no integer is dropped.
fn delays(list: &str) -> Vec<Duration> {
    list.split(',')
        .filter_map(|item| item.parse::<i64>().ok())
        .map(|ms| Duration::from_millis(ms.max(0) as u64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(error: u8, latch: u8, max_rate: f64) -> Dice {
        Dice {
            role: "Smiley",
            delays: Vec::new(),
            error_percent: error,
            latch_percent: latch,
            max_rate,
            unlatch: UNLATCH,
            state: Mutex::new(Memory {
                latched: false,
                last_end: None,
                buckets: [0; 10],
                origin: None,
                newest: 0,
            }),
        }
    }

    fn status(fate: Fate) -> u16 {
        match fate {
            Fate::Good => 200,
            Fate::Bad(status, _) => status,
        }
    }

    #[test]
    fn delay_lists_drop_what_is_no_integer() {
        for (list, milliseconds) in [
            ("30,,x,30", vec![30, 30]),
            (" 30", vec![]),
            ("30.5", vec![]),
            ("-5,10", vec![0, 10]),
            ("0, 5", vec![0]),
        ] {
            let seen: Vec<u64> = delays(list).iter().map(|d| d.as_millis() as u64).collect();
            assert_eq!(seen, milliseconds, "{list}");
        }
    }

    #[test]
    fn errors_latch_and_silence_unlatches() {
        let now = Instant::now();
        assert_eq!(status(dice(0, 100, 0.0).fate(now)), 200);
        assert_eq!(status(dice(100, 0, 0.0).fate(now)), 500);
        let latching = dice(100, 100, 0.0);
        assert_eq!(status(latching.fate(now)), 599);
        assert!(latching.memory().latched);
        latching.memory().last_end = Some(now);
        assert_eq!(status(latching.fate(now + Duration::from_secs(20))), 599);
        let mut calm = dice(0, 0, 0.0);
        calm.state.get_mut().unwrap().latched = true;
        calm.state.get_mut().unwrap().last_end = Some(now);
        assert_eq!(status(calm.fate(now + Duration::from_secs(31))), 200);
    }

    #[test]
    fn the_limiter_lets_four_of_half_a_request_a_second_pass() {
        let now = Instant::now();
        let limited = dice(0, 0, 0.5);
        let seen: Vec<u16> = (0..6).map(|_| status(limited.fate(now))).collect();
        assert_eq!(seen, [200, 200, 200, 200, 429, 429]);
        assert_eq!(status(limited.fate(now + Duration::from_secs(11))), 200);
        assert_eq!(status(dice(0, 0, 0.1).fate(now)), 429);
    }

    #[test]
    fn fractions_are_off_by_one() {
        let fifty = dice(50, 0, 0.0);
        let now = Instant::now();
        let bad = (0..20_000)
            .filter(|_| fifty.fate(now) != Fate::Good)
            .count();
        assert!(
            (9_700..10_700).contains(&bad),
            "{bad} of 20000, 51 % expected"
        );
    }
}
