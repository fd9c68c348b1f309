//! Whether bash would want more lines: quotes, heredocs, compound commands, trailing operators.
//!
//! Not a shell parser: it only follows what can be open at the end of a line. Where it cannot tell,
//! it says complete, and bash reports the mistake. Lines are fed one by one, so that the time is
//! linear in the length of the command.

use std::collections::VecDeque;

/// What the lines of a command so far have left open.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    stack: Vec<Open>,
    /// Heredocs announced on this logical line.
    announced: Vec<Heredoc>,
    /// Heredocs whose bodies are being read.
    bodies: VecDeque<Heredoc>,
    /// The line ended in an operator that needs a right side, or in a function's head.
    wants_more: bool,
    /// The line ended in a backslash.
    continued: bool,
    /// The next word is where a command begins, so that `done` closes and `for` opens.
    command_position: bool,
    /// The next word is a function's name.
    names_function: bool,
    /// A function's name has come, its body not yet.
    has_function_name: bool,
    /// The next word may be a coprocess's name.
    names_coprocess: bool,
    /// The body of a `for` or `select` has not begun: it may be one in braces.
    wants_body: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// A compound command, by the word that closes it.
    Compound(&'static str),
    /// `(`: after it reserved words count again.
    Subshell,
    /// `$(` or `<(`.
    Substitution,
    /// `NAME=(`: words, and no commands.
    Array,
    /// The patterns of a `case`, up to their `)`.
    Pattern,
    /// `${`.
    Parameter,
    /// A bracket within `((`.
    Arithmetic,
    /// The outer bracket of a command `((`.
    ArithmeticCommand,
    Double,
    Single,
    /// `$'`.
    AnsiC,
    Backquote,
}

#[derive(Clone, Debug)]
struct Heredoc {
    delimiter: String,
    strips_tabs: bool,
    /// A quoted delimiter: a backslash joins no lines.
    is_literal: bool,
    /// The line before ended in a backslash, so that this one cannot be the delimiter.
    is_joined: bool,
}

/// True if the text is a complete command as far as bash would know.
#[cfg(test)]
pub fn is_complete(text: &str) -> bool {
    let mut scan = Scan::default();
    for line in text.split('\n') {
        scan.feed(line);
    }
    !scan.is_open()
}

impl Scan {
    /// True if bash would want another line.
    pub fn is_open(&self) -> bool {
        self.continued || self.wants_more || self.missing().is_some()
    }

    /// True inside a heredoc's body.
    pub fn in_heredoc(&self) -> bool {
        !self.bodies.is_empty()
    }

    /// What has to come to close what is open, but for a backslash or an operator.
    pub fn missing(&self) -> Option<String> {
        if let Some(heredoc) = self.bodies.front().or(self.announced.first()) {
            return Some(heredoc.delimiter.clone());
        }
        self.stack.last().map(|open| {
            match open {
                Open::Compound(word) => word,
                Open::Subshell
                | Open::Substitution
                | Open::Array
                | Open::Arithmetic
                | Open::ArithmeticCommand => ")",
                Open::Pattern => "esac",
                Open::Parameter => "}",
                Open::Double => "\"",
                Open::Single | Open::AnsiC => "'",
                Open::Backquote => "`",
            }
            .to_owned()
        })
    }

    /// Takes the next line, without its newline.
    pub fn feed(&mut self, line: &str) {
        if let Some(heredoc) = self.bodies.front_mut() {
            let text = match heredoc.strips_tabs {
                true => line.trim_start_matches('\t'),
                false => line,
            };
            let backslashes = line.bytes().rev().take_while(|b| *b == b'\\').count();
            let joins = !heredoc.is_literal && backslashes % 2 == 1;
            let was_joined = std::mem::replace(&mut heredoc.is_joined, joins);
            if text == heredoc.delimiter && !was_joined {
                self.bodies.pop_front();
            }
            return;
        }
        let in_commands = matches!(
            self.stack.last(),
            None | Some(Open::Compound(_) | Open::Subshell | Open::Substitution)
        );
        if !std::mem::take(&mut self.continued) && in_commands {
            self.command_position = true;
        }
        self.scan(line);
        if !self.continued {
            self.bodies.extend(self.announced.drain(..));
        }
    }

    fn scan(&mut self, line: &str) {
        let bytes = line.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            at = match self.stack.last() {
                Some(Open::Single) => self.until(bytes, at, b'\''),
                Some(Open::AnsiC) => self.until_unescaped(bytes, at, b'\''),
                Some(Open::Backquote) => self.until_unescaped(bytes, at, b'`'),
                Some(Open::Double) => self.expansion(bytes, at, b'"'),
                Some(Open::Parameter) => self.expansion(bytes, at, b'}'),
                Some(Open::Arithmetic | Open::ArithmeticCommand) => self.arithmetic(bytes, at),
                Some(Open::Pattern) => self.pattern(line, at),
                Some(_) | None => self.command(line, at),
            };
        }
    }

    fn until(&mut self, bytes: &[u8], at: usize, close: u8) -> usize {
        match bytes[at..].iter().position(|b| *b == close) {
            Some(length) => {
                self.stack.pop();
                at + length + 1
            }
            None => bytes.len(),
        }
    }

    fn until_unescaped(&mut self, bytes: &[u8], mut at: usize, close: u8) -> usize {
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 1,
                b if b == close => {
                    self.stack.pop();
                    return at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        bytes.len()
    }

    /// Inside double quotes or `${}`: what nests.
    fn expansion(&mut self, bytes: &[u8], at: usize, close: u8) -> usize {
        let next = bytes.get(at + 1).copied();
        match bytes[at] {
            b'\\' => return at + 2,
            b if b == close => {
                self.stack.pop();
            }
            b'`' => self.stack.push(Open::Backquote),
            b'"' => self.stack.push(Open::Double),
            b'\'' if close == b'}' && !self.stack.contains(&Open::Double) => {
                self.stack.push(Open::Single);
            }
            b'$' if matches!(next, Some(b'(' | b'{')) => return self.dollar(bytes, at),
            _ => {}
        }
        at + 1
    }

    /// At `$(`, `$((` or `${`.
    fn dollar(&mut self, bytes: &[u8], at: usize) -> usize {
        if bytes[at + 1] == b'{' {
            self.stack.push(Open::Parameter);
        } else if bytes.get(at + 2) == Some(&b'(') {
            self.stack.extend([Open::Arithmetic; 2]);
            return at + 3;
        } else {
            self.stack.push(Open::Substitution);
            self.command_position = true;
        }
        at + 2
    }

    fn arithmetic(&mut self, bytes: &[u8], at: usize) -> usize {
        match bytes[at] {
            b'\\' => return at + 2,
            b'(' => self.stack.push(Open::Arithmetic),
            b')' => {
                let closed = self.stack.pop();
                self.command_position = closed == Some(Open::ArithmeticCommand);
            }
            b'"' => self.stack.push(Open::Double),
            b'$' if matches!(bytes.get(at + 1), Some(b'(' | b'{')) => {
                return self.dollar(bytes, at);
            }
            _ => {}
        }
        at + 1
    }

    /// Where commands stand: one token, blank or opening.
    fn command(&mut self, line: &str, at: usize) -> usize {
        let bytes = line.as_bytes();
        let next = bytes.get(at + 1).copied();
        let starts_word = at == 0 || b" \t;&|()<>".contains(&bytes[at - 1]);
        match bytes[at] {
            b' ' | b'\t' => return at + 1,
            b'#' if starts_word => return bytes.len(),
            b'\\' if next.is_none() => {
                self.continued = true;
                return at + 1;
            }
            b'<' if next == Some(b'<') && in_index(&bytes[..at]) => return at + 2,
            b'<' if next == Some(b'<') && bytes.get(at + 2) != Some(&b'<') => {
                self.wants_more = false;
                return self.heredoc(line, at + 2);
            }
            b'<' if next == Some(b'<') => return at + 3,
            b'(' if next == Some(b'(') && self.command_position => {
                self.stack
                    .extend([Open::ArithmeticCommand, Open::Arithmetic]);
                self.wants_more = false;
                return at + 2;
            }
            b'(' if at > 0 && bytes[at - 1] == b'=' => {
                self.stack.push(Open::Array);
                self.command_position = false;
            }
            b'(' if at > 0 && b"<>".contains(&bytes[at - 1]) => {
                self.stack.push(Open::Substitution);
                self.command_position = true;
            }
            b'(' if self.begins_function_head(&line[at + 1..], starts_word) => {
                let close = line[at..].find(')').unwrap_or(0);
                // Its body may come on the next line.
                self.wants_more = true;
                self.command_position = true;
                return at + close + 1;
            }
            b'(' => {
                self.stack.push(Open::Subshell);
                self.command_position = true;
            }
            b')' => {
                let closed = match self.stack.last() {
                    Some(Open::Subshell | Open::Substitution | Open::Array) => self.stack.pop(),
                    _ => None,
                };
                self.command_position = closed == Some(Open::Subshell);
            }
            b';' if next == Some(b';') || next == Some(b'&') => {
                if self.stack.last() == Some(&Open::Compound("esac")) {
                    self.stack.push(Open::Pattern);
                }
                self.wants_more = false;
                let more = bytes[at + 1..].iter().take_while(|b| b";&".contains(b));
                return at + 1 + more.count();
            }
            b';' => self.command_position = true,
            c @ (b'&' | b'|') => {
                // `>&`, `<&` and `&>` redirect.
                let redirects = at > 0 && b"<>".contains(&bytes[at - 1]) || next == Some(b'>');
                self.command_position = !redirects;
                if !redirects {
                    self.wants_more = c == b'|' || next == Some(b'&');
                    return at
                        + 1
                        + usize::from(next == Some(c) || (c == b'|' && next == Some(b'&')));
                }
            }
            b'<' | b'>' => {}
            _ => return self.word(line, at),
        }
        if !matches!(bytes[at], b'&' | b'|') {
            self.wants_more = false;
        }
        at + 1
    }

    /// At what follows a `(`: true if it closes the head of a function.
    fn begins_function_head(&mut self, rest: &str, starts_word: bool) -> bool {
        let named = std::mem::take(&mut self.has_function_name);
        let closes = rest.trim_start().starts_with(')');
        closes && (named || !starts_word || !self.command_position)
    }

    /// A pattern of a `case`: up to its `)`, or to the word that ends it all.
    fn pattern(&mut self, line: &str, at: usize) -> usize {
        let bytes = line.as_bytes();
        let word = line[at..].split([' ', '\t', ';', ')', '&', '|']).next();
        match bytes[at] {
            b')' => {
                self.stack.pop();
                self.command_position = true;
            }
            b'#' if at == 0 || b" \t".contains(&bytes[at - 1]) => return bytes.len(),
            b'\\' if at + 1 == bytes.len() => self.continued = true,
            b'\\' => return at + 2,
            b'\'' => self.stack.push(Open::Single),
            b'"' => self.stack.push(Open::Double),
            b'`' => self.stack.push(Open::Backquote),
            b'$' if matches!(bytes.get(at + 1), Some(b'(' | b'{')) => {
                return self.dollar(bytes, at);
            }
            b'e' if word == Some("esac") && (at == 0 || b" \t;".contains(&bytes[at - 1])) => {
                self.stack.pop();
                self.stack.pop();
                self.command_position = true;
                return at + 4;
            }
            _ => {}
        }
        at + 1
    }

    /// A word: as far as it is plain; quotes and expansions are opened and end the step.
    fn word(&mut self, line: &str, at: usize) -> usize {
        let bytes = line.as_bytes();
        self.wants_more = false;
        let mut end = at;
        while end < bytes.len() && !b" \t;&|()<>'\"`$\\".contains(&bytes[end]) {
            end += 1;
        }
        let is_whole = end == bytes.len() || b" \t;&|()<>".contains(&bytes[end]);
        let before = at.checked_sub(1).map(|i| bytes[i]);
        let begins = before.is_none_or(|b| b" \t;&|()<>".contains(&b));
        if end > at && is_whole && begins {
            self.whole_word(&line[at..end]);
            return end;
        }
        self.command_position = false;
        match bytes.get(end) {
            Some(b'\\') if end + 1 == bytes.len() => {
                self.continued = true;
                bytes.len()
            }
            Some(b'\\') => end + 2,
            Some(b'\'') => self.push(Open::Single, end + 1),
            Some(b'"') => self.push(Open::Double, end + 1),
            Some(b'`') => self.push(Open::Backquote, end + 1),
            Some(b'$') => match bytes.get(end + 1) {
                Some(b'\'') => self.push(Open::AnsiC, end + 2),
                Some(b'(' | b'{') => self.dollar(bytes, end),
                _ => end + 1,
            },
            _ => end,
        }
    }

    fn push(&mut self, open: Open, next: usize) -> usize {
        self.stack.push(open);
        next
    }

    /// Reserved words count where a command begins.
    fn whole_word(&mut self, word: &str) {
        let was_command = std::mem::take(&mut self.command_position);
        self.has_function_name = std::mem::take(&mut self.names_function);
        if self.has_function_name {
            self.wants_more = true;
            self.command_position = true;
            return;
        }
        let top = self.stack.last().copied();
        if word == "in" && top == Some(Open::Compound("esac")) {
            self.stack.push(Open::Pattern);
            return;
        }
        // `[[` is a compound command: reserved words count after it.
        self.command_position = word == "]]";
        if !was_command {
            return;
        }
        let after_coprocess = std::mem::replace(&mut self.names_coprocess, word == "coproc");
        let braces_for = word == "{" && std::mem::take(&mut self.wants_body);
        if braces_for && top == Some(Open::Compound("done")) {
            self.stack.pop();
        }
        match word {
            "for" | "select" => self.wants_body = true,
            "do" => self.wants_body = false,
            _ => {}
        }
        let opens = match word {
            "if" => Some("fi"),
            "for" | "while" | "until" | "select" => Some("done"),
            "case" => Some("esac"),
            "{" => Some("}"),
            _ => None,
        };
        if let Some(close) = opens {
            self.stack.push(Open::Compound(close));
        }
        let closes = top == self.stack.last().copied()
            && matches!(top, Some(Open::Compound(close)) if close == word);
        if closes {
            self.stack.pop();
        }
        self.names_function = word == "function";
        self.command_position |= closes
            || after_coprocess
            || self.names_coprocess
            || matches!(
                word,
                "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "{" | "!" | "time"
            );
    }

    fn heredoc(&mut self, line: &str, mut at: usize) -> usize {
        let bytes = line.as_bytes();
        let strips_tabs = bytes.get(at) == Some(&b'-');
        at += usize::from(strips_tabs);
        at += line[at..].len() - line[at..].trim_start_matches([' ', '\t']).len();
        let mut delimiter = String::new();
        let (mut quote, mut is_literal) = (None, false);
        let mut chars = line[at..].chars().peekable();
        while let Some(c) = chars.next() {
            match quote {
                None if b" \t;|&<>()".iter().any(|b| char::from(*b) == c) => break,
                None if c == '\'' || c == '"' => (quote, is_literal) = (Some(c), true),
                None if c == '$' && matches!(chars.peek(), Some('\'' | '"')) => {}
                None if c == '\\' => {
                    is_literal = true;
                    if let Some(next) = chars.next() {
                        delimiter.push(next);
                        at += next.len_utf8();
                    }
                }
                Some(open) if open == c => quote = None,
                _ => delimiter.push(c),
            }
            at += c.len_utf8();
        }
        if !delimiter.is_empty() || is_literal {
            self.announced.push(Heredoc {
                delimiter,
                strips_tabs,
                is_literal,
                is_joined: false,
            });
        }
        at
    }
}

/// True where an index is open, as in `a[1<<2]`: there `<<` shifts.
fn in_index(before: &[u8]) -> bool {
    let word = before
        .rsplit(|b| b" \t;&|()".contains(b))
        .next()
        .unwrap_or_default();
    let last = |mark| word.iter().rposition(|b| *b == mark);
    last(b'[') > last(b']')
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
            ("x=$(case $x in\na) echo 1 ;;\nesac)", true),
            ("f() {", false),
            ("f() {\n echo ${1}\n}", true),
            ("f() { echo a; }", true),
            ("f()", false),
            ("f ()\n{\n echo\n}", true),
            ("function f {\n echo\n}", true),
            ("function f\n{\n echo\n}", true),
            ("f() { local x=${1}", false),
            ("echo 'a", false),
            ("echo 'a\nb'", true),
            ("echo \"it's\"", true),
            ("echo don\\'t", true),
            ("echo $'it\\'s'", true),
            ("echo \"$(cat \"a b\")\"", true),
            ("echo \"$(cat <<EOF\nit's\nEOF\n)\"", true),
            ("cat <<EOF", false),
            ("cat <<EOF\na\nEOF", true),
            ("cat <<EOF |\na\nEOF\nwc", true),
            ("cat <<A <<B\na\nA\nb", false),
            ("cat <<A <<B\na\nA\nb\nB", true),
            ("cat <<'EOF' | wc\na", false),
            ("cat <<-EOF\n\ta\n\tEOF", true),
            ("cat <<< word", true),
            ("echo $((1 << 3))", true),
            ("((i << 1))", true),
            ("((i=0; i<<1", false),
            ("for ((i=0; i<3; i++)); do\necho\ndone", true),
            ("a |", false),
            ("a &&", false),
            ("a ||\nb", true),
            ("a ||\n\n# c\nb", true),
            ("a &", true),
            ("a &> /dev/null", true),
            ("a 2>&1", true),
            ("a |& b", true),
            ("(cd x", false),
            ("(cd x; ls)", true),
            ("x=$(kubectl get", false),
            ("x=$(kubectl get pods)", true),
            ("x=(a b", false),
            ("x=(a b)", true),
            ("echo ${a:-b}", true),
            ("echo ${a:-'}'}", true),
            ("echo \"${a:-it's}\"", true),
            ("echo ${#a}", true),
            ("echo a#b 'c", false),
            ("echo done", true),
            ("echo for", true),
            ("# it's a comment", true),
            ("echo a # don't", true),
            ("{ echo a; echo b; }", true),
            ("[[ a == b ]] && echo x", true),
            ("[[ $x =~ ^(a|b)$ ]]", true),
            ("echo `date", false),
            ("echo `date`", true),
            ("diff -u99 --color() {", false),
            ("arr=()", true),
            ("x+=()", true),
            ("words=(\nif\nfor\n)", true),
            ("function f () {", false),
            ("function f () {\n echo\n}", true),
            ("f() { (true) }", true),
            ("if a; then if b; then c; fi fi", true),
            ("while a; do { b; } done", true),
            ("echo What we do if this fails", true),
            ("echo \"a\nb\" if you like", true),
            ("case $x in\nif) echo;;\nesac", true),
            ("case $x in a|b) echo;; esac", true),
            ("coproc X {", false),
            ("coproc X {\ncat\n}", true),
            ("coproc while read x; do", false),
            ("for x in a b; {", false),
            ("for ((;;)) {\necho\n}", true),
            ("a[1<<2]=3", true),
            ("cat <<$'EOF'\nEOF", true),
            ("cat <<E\\ F\nE F", true),
            ("cat <<''\nx\n", true),
            ("cat <<EOF\na\\\nEOF", false),
            ("cat <<'EOF'\na\\\nEOF", true),
            ("case $x in (a) echo;; *) ;; esac && b", true),
            ("cat <<\"E F\"\nE\nE F", true),
            ("if ((x)) then a; fi", true),
            ("if [[ a ]] then a; fi", true),
            ("for x in a; do case $x in a) b;; esac; done", true),
            ("diff <(a) <(b)", true),
            ("missing= ;\\\nfor c in a b; do \\\n  echo; \\\ndone", true),
            (
                "kubectl get pods -o jsonpath='{.items[*].metadata.name}'",
                true,
            ),
        ] {
            assert_eq!(is_complete(text), complete, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, missing) in [
            ("for i in 1; do", "done"),
            ("cat <<EOF", "EOF"),
            ("echo 'a", "'"),
            ("echo \"a", "\""),
            ("(a", ")"),
            ("if a; then", "fi"),
        ] {
            let mut scan = Scan::default();
            scan.feed(text);
            assert_eq!(scan.missing().as_deref(), Some(missing), "{text}");
        }
    }
}
