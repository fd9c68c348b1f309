//! asciicast v2: the header, then an event a line. Pure.
//!
//! Format: docs.asciinema.org/manual/asciicast/v2. Times are seconds since the start.

use std::time::Duration;

use serde_json::{Value, json};

/// What a cast is.
#[derive(Clone, Debug)]
pub struct Header {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// The title.
    pub title: String,
}

/// The first line.
pub fn header(header: &Header) -> String {
    let line = json!({
        "version": 2, "width": header.columns, "height": header.rows,
        "timestamp": header.timestamp, "title": header.title,
        "env": {"TERM": "xterm-256color"},
    });
    format!("{line}\n")
}

/// Output. Bytes that are not UTF-8 do not occur: the screen is drawn by us.
pub fn output(at: Duration, bytes: &[u8]) -> String {
    event(at, "o", &String::from_utf8_lossy(bytes))
}

/// A marker, at which players stop or jump.
pub fn marker(at: Duration, label: &str) -> String {
    event(at, "m", label)
}

fn event(at: Duration, code: &str, data: &str) -> String {
    let seconds = (at.as_secs_f64() * 1e6).round() / 1e6;
    format!("{}\n", json!([seconds, code, data]))
}

/// An event of a cast that is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds since the start.
    pub at: f64,
    /// `o`, `m` …
    pub code: String,
    /// Its data.
    pub data: String,
}

/// Why a cast cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {0} of the cast is not understood")]
pub struct CastError(usize);

/// Reads a cast.
pub fn read(text: &str) -> Result<(Value, Vec<Event>), CastError> {
    let mut lines = text.lines().enumerate();
    let header = lines
        .next()
        .and_then(|(_, line)| serde_json::from_str::<Value>(line).ok());
    let header = header.filter(|h| h["version"] == 2).ok_or(CastError(1))?;
    let mut events = Vec::new();
    for (index, line) in lines {
        let (at, code, data) = serde_json::from_str(line).map_err(|_| CastError(index + 1))?;
        events.push(Event { at, code, data });
    }
    Ok((header, events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = header(&Header {
            columns: 80,
            rows: 24,
            timestamp: 1,
            title: "T".into(),
        }) + &output(Duration::from_micros(1_500_001), "é\x1b[1m\"".as_bytes())
            + &marker(Duration::from_secs(2), "1 · x");
        let (header, events) = read(&text).unwrap();
        assert_eq!(
            (header["width"].clone(), header["height"].clone()),
            (json!(80), json!(24))
        );
        assert_eq!(events[0].at, 1.500001);
        assert_eq!(events[0].data, "é\x1b[1m\"");
        assert_eq!(
            (events[1].code.as_str(), events[1].data.as_str()),
            ("m", "1 · x")
        );
        assert_eq!(
            read("{}").unwrap_err().to_string(),
            "line 1 of the cast is not understood"
        );
        assert!(read("{\"version\":2}\n[1]").is_err());
    }
}
