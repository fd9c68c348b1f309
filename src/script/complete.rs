//! Whether bash would want more lines: quotes, heredocs, compound commands, trailing operators.
//!
//! Not a shell parser: it only follows what can be open at the end of a line. Where it cannot tell,
//! it says complete, and bash reports the mistake.

/// True if the text is a complete command as far as bash would know.
pub fn is_complete(text: &str) -> bool {
    let mut scan = Scan::default();
    scan.run(text);
    !scan.is_open()
}

#[derive(Default)]
struct Scan {
    /// Compound commands that are open, by the word that closes them.
    open: Vec<&'static str>,
    /// Heredocs announced on this line: delimiter, and whether leading tabs are stripped.
    heredocs: Vec<(String, bool)>,
    in_heredoc: bool,
    in_quotes: bool,
    trailing_operator: bool,
    continued: bool,
    /// The next word is where a command begins, so that `done` closes and `for` opens.
    command_position: bool,
}

impl Scan {
    fn is_open(&self) -> bool {
        self.in_quotes
            || self.in_heredoc
            || self.continued
            || self.trailing_operator
            || !self.open.is_empty()
            || !self.heredocs.is_empty()
    }

    fn run(&mut self, text: &str) {
        self.command_position = true;
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let mut word = String::new();
        while at < chars.len() {
            let c = chars[at];
            match c {
                '\\' => {
                    self.continued = chars.get(at + 1).is_none_or(|c| *c == '\n');
                    if chars.get(at + 1) != Some(&'\n') {
                        word.push('\\');
                    }
                    at += 2;
                    if at < chars.len() {
                        self.continued = false;
                    }
                    continue;
                }
                '\'' | '"' | '`' => {
                    at = self.quoted(&chars, at);
                    word.push('q');
                    continue;
                }
                '#' if word.is_empty() => {
                    while at < chars.len() && chars[at] != '\n' {
                        at += 1;
                    }
                    continue;
                }
                '$' if chars.get(at + 1) == Some(&'\'') => {
                    at = self.quoted(&chars, at + 1);
                    word.push('q');
                    continue;
                }
                '$' if matches!(chars.get(at + 1), Some('(' | '{')) => {
                    self.open
                        .push(if chars[at + 1] == '(' { ")" } else { "${}" });
                    word.clear();
                    self.command_position = chars[at + 1] == '(';
                    at += 2;
                    continue;
                }
                '}' if self.open.last() == Some(&"${}") => {
                    self.open.pop();
                    word.push('q');
                }
                '<' if chars.get(at + 1) == Some(&'<') && chars.get(at + 2) != Some(&'<') => {
                    self.word(&mut word);
                    at = self.heredoc_start(&chars, at + 2);
                    continue;
                }
                '<' if chars.get(at + 1) == Some(&'<') => at += 2,
                '(' => {
                    self.word(&mut word);
                    self.open.push(")");
                    self.command_position = true;
                }
                ')' => {
                    self.word(&mut word);
                    match self.open.last() {
                        Some(&")") => drop(self.open.pop()),
                        // The end of a `case` pattern.
                        _ => self.command_position = true,
                    }
                }
                ';' | '&' | '|' => {
                    self.word(&mut word);
                    self.trailing_operator =
                        c == '|' || (c == '&' && chars.get(at + 1) == Some(&'&'));
                    if chars.get(at + 1) == Some(&c) {
                        at += 1;
                    }
                    self.command_position = true;
                }
                '\n' => {
                    self.word(&mut word);
                    self.command_position = true;
                    if !self.heredocs.is_empty() {
                        at = self.heredoc_bodies(&chars, at + 1);
                        continue;
                    }
                }
                c if c.is_whitespace() => self.word(&mut word),
                c => {
                    self.trailing_operator = false;
                    word.push(c);
                }
            }
            at += 1;
        }
        self.word(&mut word);
    }

    /// Ends a word; reserved words count where a command begins.
    fn word(&mut self, word: &mut String) {
        if word.is_empty() {
            return;
        }
        let was_command = self.command_position;
        self.command_position = false;
        if was_command {
            let opens = match word.as_str() {
                "if" => Some("fi"),
                "for" | "while" | "until" | "select" => Some("done"),
                "case" => Some("esac"),
                "{" => Some("}"),
                _ => None,
            };
            if let Some(close) = opens {
                self.open.push(close);
            }
            if self.open.last() == Some(&word.as_str()) {
                self.open.pop();
            }
            self.command_position = matches!(
                word.as_str(),
                "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "{" | "!" | "time"
            );
        }
        if matches!(word.as_str(), "do" | "then") {
            self.command_position = true;
        }
        word.clear();
    }

    fn quoted(&mut self, chars: &[char], start: usize) -> usize {
        let quote = chars[start];
        self.trailing_operator = false;
        let mut at = start + 1;
        while at < chars.len() {
            match chars[at] {
                '\\' if quote != '\'' => at += 1,
                c if c == quote => return at + 1,
                _ => {}
            }
            at += 1;
        }
        self.in_quotes = true;
        chars.len()
    }

    fn heredoc_start(&mut self, chars: &[char], mut at: usize) -> usize {
        let strip = chars.get(at) == Some(&'-');
        if strip {
            at += 1;
        }
        while matches!(chars.get(at), Some(' ' | '\t')) {
            at += 1;
        }
        let mut delimiter = String::new();
        while let Some(&c) = chars.get(at) {
            match c {
                '\'' | '"' | '\\' => {}
                c if c.is_whitespace() || ";|&<>()".contains(c) => break,
                c => delimiter.push(c),
            }
            at += 1;
        }
        if !delimiter.is_empty() {
            self.heredocs.push((delimiter, strip));
        }
        at
    }

    fn heredoc_bodies(&mut self, chars: &[char], mut at: usize) -> usize {
        for (delimiter, strip) in std::mem::take(&mut self.heredocs) {
            let mut ended = false;
            while at < chars.len() && !ended {
                let end = chars[at..]
                    .iter()
                    .position(|c| *c == '\n')
                    .map_or(chars.len(), |n| at + n);
                let line: String = chars[at..end].iter().collect();
                let line = if strip {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                ended = line == delimiter;
                at = (end + 1).min(chars.len());
            }
            self.in_heredoc |= !ended;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bash_would_wait_for() {
        for (text, complete) in [
            ("echo a", true),
            ("echo a \\", false),
            ("echo a \\\n  b", true),
            ("for i in 1 2; do", false),
            ("for i in 1 2; do\necho $i\ndone", true),
            ("if true; then echo a; fi", true),
            ("if true", false),
            ("while read -r l; do echo \"$l\"; done < f", true),
            ("case $x in\na) echo 1 ;;", false),
            ("case $x in\na) echo 1 ;;\n(b) echo 2;;\nesac", true),
            ("f() {", false),
            ("f() {\n echo ${1}\n}", true),
            ("f() { echo a; }", true),
            ("function f {\n echo\n}", true),
            ("echo 'a", false),
            ("echo 'a\nb'", true),
            ("echo \"it's\"", true),
            ("echo don\\'t", true),
            ("cat <<EOF", false),
            ("cat <<EOF\na\nEOF", true),
            ("cat <<'EOF' | wc\na", false),
            ("cat <<-EOF\n\ta\n\tEOF", true),
            ("cat <<< word", true),
            ("a |", false),
            ("a &&", false),
            ("a ||\nb", true),
            ("a &", true),
            ("(cd x", false),
            ("(cd x; ls)", true),
            ("x=$(kubectl get", false),
            ("x=$(kubectl get pods)", true),
            ("echo ${a:-b}", true),
            ("echo done", true),
            ("echo for", true),
            ("# it's a comment", true),
            ("{ echo a; echo b; }", true),
            ("[[ a == b ]] && echo x", true),
            (
                "kubectl get pods -o jsonpath='{.items[*].metadata.name}'",
                true,
            ),
        ] {
            assert_eq!(is_complete(text), complete, "{text}");
        }
    }
}
