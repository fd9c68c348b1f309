//! Hostnames of listeners and routes: wildcards, intersection, specificity (GATEWAY.md 4).

/// True if a request's host (no port) is covered by a pattern, which may start with `*.`.
pub fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => {
            host.len() > suffix.len()
                && host
                    .get(host.len() - suffix.len()..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        }
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// How specific a matching pattern is: exact before wildcard, then longer before shorter.
pub fn specificity(pattern: &str) -> (bool, usize) {
    (!pattern.starts_with('*'), pattern.len())
}

/// True if some host is covered by both.
pub fn intersect(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(x), Some(y)) => x.ends_with(y) || y.ends_with(x),
        (Some(_), None) => covers(a, b),
        _ => covers(b, a),
    }
}

/// The port of a `Host` header, if it names one.
pub fn port(authority: &str) -> Option<u16> {
    authority.rsplit_once(':')?.1.parse().ok()
}

/// The host of a `Host` header: lower case, without the port.
pub fn without_port(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_any_number_of_labels_but_not_none() {
        for (pattern, host, covered) in [
            ("*.x.com", "a.x.com", true),
            ("*.x.com", "a.b.x.com", true),
            ("*.x.com", "x.com", false),
            ("a.x.com", "A.x.com", true),
            ("a.x.com", "b.x.com", false),
        ] {
            assert_eq!(covers(pattern, host), covered, "{pattern} {host}");
        }
        assert!(intersect("*.x.com", "*.a.x.com"));
        assert!(intersect("a.x.com", "*.x.com"));
        assert!(!intersect("a.y.com", "*.x.com"));
        assert_eq!(without_port("Face.Example:8080"), "face.example");
        assert_eq!(without_port("127.0.0.1"), "127.0.0.1");
    }
}
