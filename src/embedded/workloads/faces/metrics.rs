//! Prometheus' text of a role's requests (FACES.md 1.5).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;

/// Prometheus' default buckets, in seconds.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The counters of one process.
#[derive(Debug)]
pub struct Metrics {
    provider: String,
    hostname: String,
    /// The name of the label that says what was asked for.
    label: &'static str,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(String, u16), u64>,
    durations: BTreeMap<String, Durations>,
    errors: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Durations {
    buckets: [u64; BUCKETS.len()],
    sum: f64,
    count: u64,
}

impl Metrics {
    /// Of a server.
    pub fn new(provider: &str, hostname: &str) -> Self {
        Metrics {
            provider: provider.to_owned(),
            hostname: hostname.to_owned(),
            label: "key",
            counts: Mutex::default(),
        }
    }

    /// Of the load generator, which counts by target.
    pub fn of_load(hostname: &str) -> Self {
        Metrics {
            label: "target",
            ..Metrics::new("load", hostname)
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer.
    pub fn count(&self, key: &str, status: u16, took: Duration) {
        let mut counts = self.counts();
        *counts.requests.entry((key.to_owned(), status)).or_default() += 1;
        let durations = counts.durations.entry(key.to_owned()).or_default();
        let seconds = took.as_secs_f64();
        durations.sum += seconds;
        durations.count += 1;
        for (limit, bucket) in BUCKETS.iter().zip(&mut durations.buckets) {
            *bucket += u64::from(seconds <= *limit);
        }
    }

    /// Counts a request that got no answer.
    pub fn count_error(&self, key: &str) {
        *self.counts().errors.entry(key.to_owned()).or_default() += 1;
    }

    /// Answers every path with the text.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(move || {
            let kind = ("content-type", "text/plain; version=0.0.4; charset=utf-8");
            let text = self.text();
            async move { ([kind], text) }
        })
    }

    fn text(&self) -> String {
        let counts = self.counts();
        let labels = |key: &str| {
            let (provider, hostname) = (escaped(&self.provider), escaped(&self.hostname));
            let (label, key) = (self.label, escaped(key));
            format!("provider=\"{provider}\",hostname=\"{hostname}\",{label}=\"{key}\"")
        };
        let mut out = String::from("# TYPE requests_total counter\n");
        // Writing into a String never fails.
        for ((key, status), count) in &counts.requests {
            let labels = labels(key);
            let _ = writeln!(
                out,
                "requests_total{{{labels},status=\"{status:03}\"}} {count}"
            );
        }
        if !counts.errors.is_empty() {
            out.push_str("# TYPE request_errors_total counter\n");
        }
        for (key, count) in &counts.errors {
            let _ = writeln!(out, "request_errors_total{{{}}} {count}", labels(key));
        }
        out.push_str("# TYPE request_duration_seconds histogram\n");
        for (key, durations) in &counts.durations {
            let labels = labels(key);
            let name = "request_duration_seconds";
            for (limit, bucket) in BUCKETS.iter().zip(&durations.buckets) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{limit}\"}} {bucket}");
            }
            let (count, sum) = (durations.count, durations.sum);
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}");
            let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
        }
        out
    }
}

/// The inside of a label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_key_status_and_duration() {
        let metrics = Metrics::new("Smiley", "pod-1");
        for (status, milliseconds) in [(200, 3), (200, 30), (500, 3_000)] {
            metrics.count("HeartEyes", status, Duration::from_millis(milliseconds));
        }
        let text = metrics.text();
        let labels = "provider=\"Smiley\",hostname=\"pod-1\",key=\"HeartEyes\"";
        for line in [
            format!("requests_total{{{labels},status=\"200\"}} 2"),
            format!("requests_total{{{labels},status=\"500\"}} 1"),
            format!("request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("request_duration_seconds_bucket{{{labels},le=\"2.5\"}} 2"),
            format!("request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("request_duration_seconds_sum{{{labels}}} 3.033"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\nin\n{text}");
        }
    }
}
