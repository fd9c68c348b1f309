//! Path modifiers of URLRewrite and RequestRedirect (`HTTPPathModifier`).

/// How a path is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum PathModifier {
    /// The whole path; the query stays.
    ReplaceFullPath(String),
    /// The prefix that matched, by whole elements.
    ReplacePrefixMatch {
        /// The rule's only match, a PathPrefix.
        prefix: String,
        /// What takes its place.
        replacement: String,
    },
}

impl PathModifier {
    /// The changed path.
    pub fn apply(&self, path: &str) -> String {
        match self {
            PathModifier::ReplaceFullPath(full) => rooted(full),
            PathModifier::ReplacePrefixMatch {
                prefix,
                replacement,
            } => {
                let prefix = prefix.trim_end_matches('/');
                let replacement = replacement.trim_end_matches('/');
                let rest = path.strip_prefix(prefix).unwrap_or(path);
                rooted(&format!("{replacement}{rest}"))
            }
        }
    }
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification() {
        for (path, prefix, replacement, result) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/face/center/", "/face", "/", "/center/"),
        ] {
            let modifier = PathModifier::ReplacePrefixMatch {
                prefix: prefix.into(),
                replacement: replacement.into(),
            };
            assert_eq!(
                modifier.apply(path),
                result,
                "{path} {prefix} {replacement}"
            );
        }
        assert_eq!(
            PathModifier::ReplaceFullPath("/".into()).apply("/gui/x"),
            "/"
        );
    }
}
