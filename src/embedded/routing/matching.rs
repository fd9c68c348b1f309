//! Which requests a match fits, and how matches rank among each other (GATEWAY.md 4 and 5).

use std::cmp::Reverse;

use regex::Regex;

use super::decision::RequestHead;
use crate::embedded::percent::decode_query;

/// A text to match.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The whole text.
    Exact(String),
    /// A regular expression for the whole text.
    Regex(Regex),
}

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(wanted) => wanted == text,
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles a regular expression of a route, for the whole text. One that does not compile fits
/// nothing.
pub fn whole(expression: &str) -> Option<Regex> {
    regex::RegexBuilder::new(&format!("^(?:{expression})$"))
        .size_limit(1 << 20)
        .build()
        .ok()
}

/// A path match.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// By elements; held without its trailing slash.
    Prefix(String),
    /// A regular expression for the whole path.
    Regex(Regex),
    /// Every path: a GRPCRoute's match without a method.
    Any,
    /// No path: an expression that does not compile.
    Nothing,
}

/// The conditions of one `matches[]` entry; all must hold.
#[derive(Clone, Debug)]
pub struct Match {
    /// The path.
    pub path: PathMatch,
    /// The method, upper case.
    pub method: Option<String>,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, Pattern)>,
    /// Query parameters and values.
    pub query: Vec<(String, Pattern)>,
}

/// Precedence of a match, greatest first: exact path, then prefix, then expression; the longer
/// path; a method; more headers; more query parameters.
pub type Rank = (u8, usize, bool, usize, usize);

impl Match {
    /// The match of a rule that has none: every request.
    pub fn everything() -> Self {
        Match {
            path: PathMatch::Any,
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    /// True if the request fits.
    pub fn fits(&self, head: &RequestHead) -> bool {
        self.path.fits(head.path) && self.fits_but_for_path(head)
    }

    /// True if all conditions hold besides the path's.
    pub fn fits_but_for_path(&self, head: &RequestHead) -> bool {
        self.method.as_ref().is_none_or(|m| head.method == m)
            && self.headers.iter().all(|(name, pattern)| {
                let value = head.headers.get(name).and_then(|v| v.to_str().ok());
                value.is_some_and(|v| pattern.fits(v))
            })
            && self.query.iter().all(|(name, pattern)| {
                query_value(head.query, name).is_some_and(|v| pattern.fits(&v))
            })
    }

    /// Where this match stands among others; sort by it.
    pub fn rank(&self) -> Reverse<Rank> {
        let (class, length) = match &self.path {
            PathMatch::Exact(path) => (3, path.len()),
            PathMatch::Prefix(prefix) => (2, prefix.len().max(1)),
            PathMatch::Regex(regex) => (1, regex.as_str().len()),
            PathMatch::Any | PathMatch::Nothing => (0, 0),
        };
        Reverse((
            class,
            length,
            self.method.is_some(),
            self.headers.len(),
            self.query.len(),
        ))
    }
}

impl PathMatch {
    fn fits(&self, path: &str) -> bool {
        match self {
            PathMatch::Exact(wanted) => path == wanted,
            PathMatch::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            PathMatch::Regex(regex) => regex.is_match(path),
            PathMatch::Any => true,
            PathMatch::Nothing => false,
        }
    }
}

/// The first value of a query parameter, percent-decoded.
fn query_value(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| decode_query(key) == name)
        .map(|(_, value)| decode_query(value))
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

    fn head<'a>(path: &'a str, query: &'a str, headers: &'a HeaderMap) -> RequestHead<'a> {
        RequestHead {
            method: "GET",
            host: "h",
            port: None,
            path,
            query,
            headers,
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
            let head = head(path, "", &headers);
            assert_eq!(prefix(pattern).fits(&head), fits, "{pattern} {path}");
        }
        let regex = Match {
            path: PathMatch::Regex(whole("/a[0-9]+").unwrap()),
            ..Match::everything()
        };
        assert!(regex.fits(&head("/a12", "", &headers)));
        assert!(!regex.fits(&head("/a12/b", "", &headers)));
        assert!(whole("(").is_none());
    }

    #[test]
    fn headers_methods_and_query_all_must_hold() {
        let mut headers = HeaderMap::new();
        headers.insert("x-faces-user", "heart".parse().unwrap());
        let head = head("/", "a=1%20x&a=2&b", &headers);
        let with = |name: &str, pattern: Pattern| Match {
            headers: vec![(name.into(), pattern)],
            ..Match::everything()
        };
        let exact = |value: &str| Pattern::Exact(value.into());
        assert!(with("x-faces-user", exact("heart")).fits(&head));
        assert!(!with("x-faces-user", exact("Heart")).fits(&head));
        assert!(!with("other", exact("")).fits(&head));
        let regex = |text: &str| Pattern::Regex(whole(text).unwrap());
        assert!(with("x-faces-user", regex("he.*")).fits(&head));
        assert!(!with("x-faces-user", regex("he")).fits(&head));
        let query = |name: &str, value: &str| Match {
            query: vec![(name.into(), exact(value))],
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
        let pattern = || Pattern::Exact("b".into());
        let headers = Match {
            headers: vec![("a".into(), pattern()), ("c".into(), pattern())],
            ..prefix("/abc")
        };
        let mut all = [
            ("short", &short),
            ("headers", &headers),
            ("method", &method),
            ("long", &long),
            ("exact", &exact),
        ];
        all.sort_by_key(|(_, m)| m.rank());
        let names = all.map(|(name, _)| name);
        assert_eq!(names, ["exact", "long", "method", "headers", "short"]);
    }
}
