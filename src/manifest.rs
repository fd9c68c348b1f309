//! Kubernetes manifests: YAML read as kubectl reads it, and written so that kubectl reads it back.
//!
//! Pure. `serde-saphyr` with three options agrees with kubectl on YAML 1.1 scalars (`yes`, `0644`).

use serde_json::Value;

/// One document of a manifest file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The line of the file that it starts on, from 1.
    pub line: usize,
    /// What it says.
    pub object: Value,
}

/// A document that is not YAML.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ManifestError {
    /// The line of the file, from 1.
    pub line: usize,
    /// What the YAML parser says.
    pub message: String,
}

/// Reads all documents of a file; empty ones are skipped.
pub fn parse(text: &str) -> Result<Vec<Document>, ManifestError> {
    let mut documents = Vec::new();
    for (first_line, piece) in split(text) {
        let object: Value =
            serde_saphyr::from_str_with_options(&piece, options()).map_err(|error| {
                let inside = error.location().map_or(1, |l| l.line() as usize);
                ManifestError {
                    line: first_line + inside - 1,
                    message: first_sentence(&error.to_string()),
                }
            })?;
        if !object.is_null() {
            documents.push(Document {
                line: first_line,
                object: whole_numbers(object),
            });
        }
    }
    Ok(documents)
}

/// Writes an object as YAML, keys in `kubectl get -o yaml`'s order (sorted).
pub fn to_yaml(object: &Value) -> String {
    serde_saphyr::to_string(object).unwrap_or_else(|error| format!("# {error}\n"))
}

/// Cuts a file at its `---` lines, as kubectl does, keeping each piece's first line number.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut pieces = vec![(1, String::new())];
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("---") {
            pieces.push((index + 2, String::new()));
        } else if let Some((_, piece)) = pieces.last_mut() {
            piece.push_str(line);
            piece.push('\n');
        }
    }
    let has_content = |piece: &str| {
        piece.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        })
    };
    pieces.retain(|(_, piece)| has_content(piece));
    pieces
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    }
}

/// `1.0` and `1e3` are the integers 1 and 1000 to kubectl.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(n) => match n.as_f64() {
            Some(f) if !n.is_i64() && !n.is_u64() && f.fract() == 0.0 && f.abs() < 1e15 => {
                Value::from(f as i64)
            }
            _ => Value::Number(n),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(k, v)| (k, whole_numbers(v)))
            .collect(),
        other => other,
    }
}

/// The parser's message without its drawing of the source, which our own messages show.
fn first_sentence(message: &str) -> String {
    message.lines().next().unwrap_or("not YAML").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        for (yaml, value) in [
            ("yes", json!(true)),
            ("'yes'", json!("yes")),
            ("0644", json!(420)),
            ("1.0", json!(1)),
            ("1:30", json!("1:30")),
            ("100m", json!("100m")),
            ("", json!(null)),
        ] {
            let read = parse(&format!("a: {yaml}\n")).unwrap();
            assert_eq!(read[0].object["a"], value, "{yaml}");
        }
    }

    #[test]
    fn documents_keep_their_line_and_comments_alone_are_none() {
        let documents = parse("# only this\n---\na: 1\n---\n---\nb: 2\n").unwrap();
        let lines: Vec<_> = documents.iter().map(|d| d.line).collect();
        assert_eq!(lines, [3, 6]);
    }

    #[test]
    fn an_error_names_the_line_of_the_file() {
        let error = parse("a: 1\n---\nb: [1,\nc: }\n").unwrap_err();
        assert!((3..=5).contains(&error.line), "{error}");
    }

    #[test]
    fn words_that_yaml_1_1_takes_for_booleans_are_quoted() {
        let yaml = to_yaml(&json!({"a": "on", "b": "1:30"}));
        assert_eq!(
            parse(&yaml).unwrap()[0].object,
            json!({"a": "on", "b": "1:30"})
        );
    }
}
