//! Gateway API durations (GEP-2257): one to four of `1h2m3s4ms`, summed.

use std::time::Duration;

/// Parses a duration; `None` if it is not one.
pub fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        if !(1..=5).contains(&digits) {
            return None;
        }
        let amount: u64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let (milliseconds, length) = if unit.starts_with("ms") {
            (1, 2)
        } else {
            match unit.as_bytes().first()? {
                b'h' => (3_600_000, 1),
                b'm' => (60_000, 1),
                b's' => (1_000, 1),
                _ => return None,
            }
        };
        total += Duration::from_millis(amount * milliseconds);
        rest = &unit[length..];
        parts += 1;
    }
    (1..=4).contains(&parts).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("200ms", Some(200)),
            ("1h2m3s4ms", Some(3_723_004)),
            ("0s", Some(0)),
            ("1s1s", Some(2_000)),
            ("0", None),
            ("", None),
            ("1.5s", None),
            ("-1s", None),
            ("100000s", None),
            ("1s1s1s1s1s", None),
            ("1d", None),
        ] {
            assert_eq!(
                parse(text).map(|d| d.as_millis() as u64),
                milliseconds,
                "{text}"
            );
        }
    }
}
