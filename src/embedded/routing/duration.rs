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

/// Parses a duration of Linkerd's annotations: one number with `ms`, `s`, `m`, `h` or `d`.
pub fn of_linkerd(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let total = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
    // No longer than a year: a deadline is added to a clock.
    Some(Duration::from_millis(total.min(365 * 86_400_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkerds_durations() {
        for (text, milliseconds) in [
            ("300ms", Some(300)),
            ("2d", Some(172_800_000)),
            ("1h2m", None),
            ("5", None),
            ("99999999999999999999d", None),
            ("", None),
        ] {
            let read = of_linkerd(text).map(|d| d.as_millis() as u64);
            assert_eq!(read, milliseconds, "{text}");
        }
    }

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
