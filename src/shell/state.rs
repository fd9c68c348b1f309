//! The variables in a saved state: what bash's `declare -p` writes.

use crate::script::interpolate::Variables;

/// The array of the positional parameters, and the variable of `$0`, as the prelude saves them.
const ARGUMENTS: &str = "__footlights_arguments";
const ZERO: &str = "__footlights_zero";

/// The scalars of a state, and the positional parameters by their numbers.
pub fn variables(state: &str) -> Variables {
    let mut variables = Variables::new();
    // Options stand before the variables.
    let start = state.find("declare -").unwrap_or(state.len());
    let mut rest = &state[start..];
    while let Some(declaration) = rest.strip_prefix("declare -") {
        let mut cursor = Cursor(declaration);
        let flags = cursor.until([' ']);
        let name = cursor.until(['=', '\n']);
        let values = cursor.values();
        rest = cursor.0;
        let is_array = flags.contains(['a', 'A']);
        match (name, is_array) {
            (ARGUMENTS, _) => {
                let numbered = values.into_iter().enumerate();
                variables.extend(numbered.map(|(number, value)| ((number + 1).to_string(), value)));
            }
            (ZERO, _) => variables.extend(values.into_iter().map(|value| ("0".to_owned(), value))),
            (name, false) if !name.starts_with("__footlights_") => {
                variables.extend(values.into_iter().map(|value| (name.to_owned(), value)));
            }
            _ => {}
        }
    }
    variables
}

/// What is left to be read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// Takes what stands before one of some characters, and that character if it is a blank.
    fn until<const N: usize>(&mut self, ends: [char; N]) -> &'a str {
        let length = self.0.find(ends).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest.strip_prefix(' ').unwrap_or(rest);
        taken
    }

    /// Takes the rest of a declaration: its quoted values, up to a newline outside quotes.
    fn values(&mut self) -> Vec<String> {
        let mut values = Vec::new();
        while let Some(c) = self.next() {
            match c {
                '\n' => break,
                // The key of an associative array may be quoted too.
                '[' => self.key(),
                '"' => values.push(self.double_quoted()),
                '$' if self.0.starts_with('\'') => {
                    self.next();
                    values.push(self.ansi_c());
                }
                _ => {}
            }
        }
        values
    }

    fn next(&mut self) -> Option<char> {
        let c = self.0.chars().next()?;
        self.0 = &self.0[c.len_utf8()..];
        Some(c)
    }

    fn key(&mut self) {
        while let Some(c) = self.next() {
            match c {
                ']' => return,
                '"' => drop(self.double_quoted()),
                '$' if self.0.starts_with('\'') => {
                    self.next();
                    drop(self.ansi_c());
                }
                _ => {}
            }
        }
    }

    fn double_quoted(&mut self) -> String {
        let mut value = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => break,
                '\\' => value.extend(self.next()),
                c => value.push(c),
            }
        }
        value
    }

    /// The inside of `$'…'`.
    fn ansi_c(&mut self) -> String {
        let mut value = Vec::new();
        while let Some(c) = self.next() {
            match c {
                '\'' => break,
                '\\' => match self.next() {
                    Some('n') => value.push(b'\n'),
                    Some('t') => value.push(b'\t'),
                    Some('r') => value.push(b'\r'),
                    Some('a') => value.push(7),
                    Some('b') => value.push(8),
                    Some('v') => value.push(11),
                    Some('f') => value.push(12),
                    Some('E' | 'e') => value.push(27),
                    Some(digit @ '0'..='7') => value.push(self.octal(digit)),
                    Some(c) => value.extend(c.to_string().into_bytes()),
                    None => {}
                },
                c => value.extend(c.to_string().into_bytes()),
            }
        }
        String::from_utf8_lossy(&value).into_owned()
    }

    fn octal(&mut self, first: char) -> u8 {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.0.chars().next().and_then(|c| c.to_digit(8)) else {
                break;
            };
            self.next();
            code = code * 8 + digit;
        }
        // Three octal digits are at most 0o777; bash writes bytes.
        (code & 0xff) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_and_positional_parameters_are_read() {
        let state = "shopt -s extglob\ndeclare -- A=\"a \\\"b\\\" \\$c \\\\\"\ndeclare -x B=\"two\nlines\"\ndeclare -i N=\"3\"\n\
                     declare -x UNSET\ndeclare -a L=([0]=\"x\" [1]=$'y\\nz')\n\
                     declare -A M=([\"k]\"]=\"v\" )\ndeclare -- E=$'\\E[1m\\303\\274\\''\n\
                     declare -a __footlights_arguments=([0]=\"one\" [1]=\"it's\")\n\
                     declare -- __footlights_zero=\"/x.md\"\ndeclare -- __footlights_dir=\"/tmp\"\n\
                     declare -- Z=\"last\"\nf () \n{ \n    declare -x INNER=\"no\"\n}\n";
        let expected = [
            ("0", "/x.md"),
            ("1", "one"),
            ("2", "it's"),
            ("A", "a \"b\" $c \\"),
            ("B", "two\nlines"),
            ("E", "\u{1b}[1mü'"),
            ("N", "3"),
            ("Z", "last"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(variables(state), expected.into());
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        for state in [
            "",
            "declare -",
            "declare -x",
            "declare -- A=\"",
            "declare -- A=$'\\",
        ] {
            variables(state);
        }
    }
}
