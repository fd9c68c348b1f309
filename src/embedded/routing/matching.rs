//! Which requests a match fits, and how matches rank among each other (GATEWAY.md 4).

use std::cmp::Reverse;

use super::decide::RequestHead;

/// A path match.
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// By elements; held without its trailing slash.
    Prefix(String),
    /// A type that this data plane does not implement: fits nothing.
    Unsupported,
}

/// The conditions of one `matches[]` entry; all must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The path.
    pub path: PathMatch,
    /// The method, upper case.
    pub method: Option<String>,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// Query parameters and values.
    pub query: Vec<(String, String)>,
}

/// Precedence of a match, greatest first: exact path, longest prefix, method, headers, query.
pub type Rank = (bool, usize, bool, usize, usize);

impl Match {
    /// The match of a rule that has none: every request.
    pub fn everything() -> Self {
        Match {
            path: PathMatch::Prefix(String::new()),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    /// True if the request fits.
    pub fn fits(&self, head: &RequestHead) -> bool {
        let path = match &self.path {
            PathMatch::Exact(path) => head.path == path,
            PathMatch::Prefix(prefix) => head
                .path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            PathMatch::Unsupported => false,
        };
        path && self.method.as_ref().is_none_or(|m| head.method == m)
            && self.headers.iter().all(|(name, value)| {
                head.headers
                    .get(name)
                    .is_some_and(|v| v.as_bytes() == value.as_bytes())
            })
            && self
                .query
                .iter()
                .all(|(name, value)| query_value(head.query, name).is_some_and(|v| v == *value))
    }

    /// Where this match stands among others; sort by `Reverse(rank)`.
    pub fn rank(&self) -> Reverse<Rank> {
        let (exact, length) = match &self.path {
            PathMatch::Exact(path) => (true, path.len()),
            PathMatch::Prefix(prefix) => (false, prefix.len().max(1)),
            PathMatch::Unsupported => (false, 0),
        };
        Reverse((
            exact,
            length,
            self.method.is_some(),
            self.headers.len(),
            self.query.len(),
        ))
    }
}

/// The first value of a query parameter, percent-decoded.
fn query_value(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
}

/// Decodes `%XX` and `+` of a query string.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [a, b, ..]) => hex(*a).zip(hex(*b)).map(|(a, b)| a * 16 + b),
            _ => None,
        };
        match (escaped, first) {
            (Some(byte), _) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (None, b'+') => bytes.push(b' '),
            (None, other) => bytes.push(*other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn prefix(path: &str) -> Match {
        Match {
            path: PathMatch::Prefix(path.trim_end_matches('/').into()),
            ..Match::everything()
        }
    }

    #[test]
    fn prefixes_match_by_element() {
        let headers = HeaderMap::new();
        for (pattern, path, fits) in [
            ("/abc", "/abc", true),
            ("/abc/", "/abc", true),
            ("/abc", "/abc/", true),
            ("/abc", "/abc/def", true),
            ("/abc", "/abcd", false),
            ("/abc", "/ABC", false),
            ("/", "/x", true),
        ] {
            let head = RequestHead {
                method: "GET",
                host: "h",
                path,
                query: "",
                headers: &headers,
            };
            assert_eq!(prefix(pattern).fits(&head), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn headers_methods_and_query_all_must_hold() {
        let mut headers = HeaderMap::new();
        headers.insert("x-faces-user", "heart".parse().unwrap());
        let head = RequestHead {
            method: "GET",
            host: "h",
            path: "/",
            query: "a=1%20x&a=2&b",
            headers: &headers,
        };
        let with = |name: &str, value: &str| Match {
            headers: vec![(name.into(), value.into())],
            ..Match::everything()
        };
        assert!(with("x-faces-user", "heart").fits(&head));
        assert!(!with("x-faces-user", "Heart").fits(&head));
        assert!(!with("other", "").fits(&head));
        let query = |name: &str, value: &str| Match {
            query: vec![(name.into(), value.into())],
            ..Match::everything()
        };
        assert!(query("a", "1 x").fits(&head));
        assert!(!query("a", "2").fits(&head));
        assert!(query("b", "").fits(&head));
        let post = Match {
            method: Some("POST".into()),
            ..Match::everything()
        };
        assert!(!post.fits(&head));
    }

    #[test]
    fn exact_beats_long_beats_method_beats_headers() {
        let exact = Match {
            path: PathMatch::Exact("/a".into()),
            ..Match::everything()
        };
        let long = prefix("/abc/def");
        let short = prefix("/abc");
        let method = Match {
            method: Some("GET".into()),
            ..prefix("/abc")
        };
        let headers = Match {
            headers: vec![("a".into(), "b".into()), ("c".into(), "d".into())],
            ..prefix("/abc")
        };
        let mut all = [&short, &headers, &method, &long, &exact];
        all.sort_by_key(|m| m.rank());
        assert_eq!(all, [&exact, &long, &method, &headers, &short]);
    }
}
