//! What a command's text says about itself: the first word, assignments, functions, nested scripts.

use super::interpolate::Variables;

/// The first word as a shell would split it; none if it cannot be split.
pub fn first_word(text: &str) -> Option<String> {
    let line = text.trim_start().lines().next()?;
    shlex::Shlex::new(line).next()
}

/// True for demosh's pattern of an assignment: `[export ]NAME=…`.
pub fn is_assignment(text: &str) -> bool {
    let text = without_export(text);
    name_length(text).is_some_and(|length| text[length..].starts_with('='))
}

fn without_export(text: &str) -> &str {
    let text = text.trim_start();
    match text.strip_prefix("export") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => text,
    }
}

/// The variable and its value, if an assignment says it literally: no expansion, no second word.
pub fn literal_assignment(text: &str) -> Option<(String, String)> {
    if !is_assignment(text) {
        return None;
    }
    let (name, value) = without_export(text).trim_end().split_once('=')?;
    if value.contains([
        '$', '`', '~', '*', '?', '[', '(', ';', '&', '|', '<', '>', '\n',
    ]) {
        return None;
    }
    let words = shlex::split(value)?;
    match &words[..] {
        [] => Some((name.to_owned(), String::new())),
        [value] => Some((name.to_owned(), value.clone())),
        _ => None,
    }
}

/// Takes out the variables that a command may change in a way that only bash can tell.
pub fn forget_changed(text: &str, variables: &mut Variables) {
    const SOURCES: [&str; 4] = [".", "source", "eval", "set"];
    const SETTERS: [&str; 11] = [
        "read",
        "for",
        "select",
        "unset",
        "declare",
        "typeset",
        "local",
        "mapfile",
        "readarray",
        "getopts",
        "printf",
    ];
    let is_separator = |c: char| c.is_whitespace() || ";|&()".contains(c);
    let words: Vec<&str> = text.split(is_separator).filter(|w| !w.is_empty()).collect();
    if words.iter().any(|word| SOURCES.contains(word)) {
        return variables.clear();
    }
    let sets = words.iter().any(|word| SETTERS.contains(word));
    for word in words {
        let length = name_length(word).unwrap_or(0);
        let (name, rest) = word.split_at(length);
        if rest.starts_with('=') || rest.starts_with("+=") || (sets && rest.is_empty()) {
            variables.remove(name);
        }
    }
}

/// The function that a command defines, if it is a definition.
pub fn function_name(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let keyword = text
        .strip_prefix("function")
        .filter(|t| t.starts_with(char::is_whitespace));
    let head = keyword.unwrap_or(text).trim_start();
    let length = head
        .find(|c: char| !(c.is_alphanumeric() || "_-.:".contains(c)))
        .unwrap_or(head.len());
    let rest = head[length..].trim_start();
    let defines = rest
        .strip_prefix('(')
        .is_some_and(|rest| rest.trim_start().starts_with(')'));
    (length > 0 && (defines || keyword.is_some())).then(|| &head[..length])
}

/// What stands behind the shell's name in a simple command that plays another script:
/// `$SHELL x.md …`, `footlights x.md …` or `demosh x.md …`.
pub fn nested_script(text: &str) -> Option<&str> {
    const SHELLS: [&str; 6] = [
        "$SHELL",
        "${SHELL}",
        "\"$SHELL\"",
        "\"${SHELL}\"",
        "footlights",
        "demosh",
    ];
    let text = text.trim();
    let (word, rest) = text.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    let simple = !has_operator(rest) && !rest.contains("$(");
    let next = rest.split_whitespace().next()?;
    let is_mode = word == "footlights" && MODES.contains(&next);
    (SHELLS.contains(&word) && simple && !is_mode && !next.starts_with('-')).then_some(rest)
}

/// Words that are modes of the command line and no scripts.
pub const MODES: [&str; 7] = [
    "present",
    "rehearse",
    "record",
    "plan",
    "cluster",
    "screenshot",
    "help",
];

/// True if an operator of the shell stands outside quotes.
fn has_operator(text: &str) -> bool {
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(chars.next()),
            (Some(_), '`') | (None, '`' | ';' | '|' | '&' | '<' | '>' | '(' | ')' | '\n') => {
                return true;
            }
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, _) => {}
        }
    }
    false
}

/// The length of a name as demosh knows it, which may begin with a digit.
fn name_length(text: &str) -> Option<usize> {
    let length = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_demoshs() {
        for (text, is, literal) in [
            ("A=b", true, Some(("A", "b"))),
            ("export A=b", true, Some(("A", "b"))),
            ("export\tA='b c'", true, Some(("A", "b c"))),
            ("  A=", true, Some(("A", ""))),
            ("A=$(date)", true, None),
            ("A=1 cmd", true, None),
            ("missing= ;\\\nfor x in a; do :; done", true, None),
            ("export A", false, None),
            ("exportA=b", true, Some(("exportA", "b"))),
            ("a[0]=b", false, None),
            ("echo A=b", false, None),
        ] {
            assert_eq!(is_assignment(text), is, "{text}");
            let literal = literal.map(|(n, v)| (n.to_owned(), v.to_owned()));
            assert_eq!(literal_assignment(text), literal, "{text}");
        }
    }

    #[test]
    fn functions_are_known_by_their_heads() {
        for (text, name) in [
            ("f() {", Some("f")),
            ("f () { echo; }", Some("f")),
            ("function f {", Some("f")),
            ("function f-g() {", Some("f-g")),
            ("f (a)", None),
            ("functional", None),
            ("echo f()", None),
        ] {
            assert_eq!(function_name(text), name, "{text}");
        }
    }

    #[test]
    fn nested_scripts_are_simple_commands() {
        for (text, rest) in [
            ("$SHELL x.md a b", Some("x.md a b")),
            (
                "\"$SHELL\" \"${DEMO_MESH}/x.md\"",
                Some("\"${DEMO_MESH}/x.md\""),
            ),
            ("footlights x.md", Some("x.md")),
            ("footlights plan x.md", None),
            ("demosh 'a;b.md'", Some("'a;b.md'")),
            ("$SHELL x.md || true", None),
            ("$SHELL x.md > log", None),
            ("$SHELL -c 'a'", None),
            ("$SHELL", None),
            ("if $SHELL x.md; then", None),
            ("$SHELL $(cat x)", None),
        ] {
            assert_eq!(nested_script(text), rest, "{text}");
        }
    }
}
