//! The YAML fence behind `@apply`.

use serde_json::Value;

use super::Manifest;
use super::directive::Problem;
use crate::manifest;

/// A chunk of prose that begins with a YAML fence.
#[derive(Debug, PartialEq)]
pub(super) struct Split {
    /// The fence, as an audience sees it.
    pub(super) fence: String,
    /// What it says.
    pub(super) manifest: Manifest,
    /// What follows it, and the lines before that.
    pub(super) rest: (String, usize),
}

/// Splits prose, which begins on a line, behind the YAML fence at its top.
pub(super) fn split(text: &str, line: usize) -> Result<Split, Problem> {
    let missing = || Problem {
        message: "`@apply` needs a file, or a ```yaml fence right behind it".to_owned(),
        help: "write `<!-- @apply FILE -->`, or put the fence on the next line".to_owned(),
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let start = lines.iter().position(|l| !l.trim().is_empty());
    let start = start.ok_or_else(missing)?;
    let info = lines[start].strip_prefix("```").ok_or_else(missing)?;
    if !["yaml", "yml"].contains(&info.trim()) {
        return Err(missing());
    }
    let length = lines[start + 1..]
        .iter()
        .position(|l| l.trim_end() == "```");
    let length = length.ok_or_else(|| Problem {
        message: "the ```yaml fence behind `@apply` is never closed".to_owned(),
        help: "end it with a line of three backquotes".to_owned(),
    })?;
    let end = start + 1 + length;
    let yaml: String = lines[start + 1..end].concat();
    let first = line + start + 1;
    let title = title(&yaml, first)?;
    Ok(Split {
        fence: lines[start..=end].concat(),
        manifest: Manifest::Fence {
            yaml,
            line: first,
            title,
        },
        rest: (lines[end + 1..].concat(), end + 1),
    })
}

/// What stands in a manifest, in few words. What cannot be applied to any cluster is a mistake.
fn title(yaml: &str, first: usize) -> Result<String, Problem> {
    let documents = manifest::parse(yaml).map_err(|error| Problem {
        message: format!("line {}: {}", first + error.line - 1, error.message),
        help: "what stands behind `@apply` is YAML, as kubectl reads it".to_owned(),
    })?;
    let mut names = Vec::new();
    for document in &documents {
        let text = |pointer: &str| document.object.pointer(pointer).and_then(Value::as_str);
        let is_list = text("/kind") == Some("List");
        let name = text("/metadata/name").or(is_list.then_some(""));
        let (Some(_), Some(kind), Some(name)) = (text("/apiVersion"), text("/kind"), name) else {
            return Err(Problem {
                message: format!(
                    "line {}: an object needs apiVersion, kind and metadata.name",
                    first + document.line - 1
                ),
                help: "several objects are parted by `---`".to_owned(),
            });
        };
        names.push(match text("/metadata/namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        });
    }
    match names.len() {
        0 => Err(Problem {
            message: "the fence behind `@apply` has no object".to_owned(),
            help: "put a manifest into it".to_owned(),
        }),
        1..=3 => Ok(names.join(", ")),
        more => Ok(format!("{more} objects")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n";

    #[test]
    fn the_fence_and_what_follows_are_told_apart() {
        let text = format!("\n```yaml\n{OBJECT}```\nprose\n");
        let split = split(&text, 10).unwrap();
        assert_eq!(split.fence, format!("```yaml\n{OBJECT}```\n"));
        assert_eq!(split.rest, ("prose\n".to_owned(), 6));
        let Manifest::Fence { yaml, line, title } = split.manifest else {
            panic!();
        };
        assert_eq!(
            (yaml.as_str(), line, title.as_str()),
            (OBJECT, 12, "ConfigMap ns/a")
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("", "needs a file"),
            ("prose\n", "needs a file"),
            ("```json\n{}\n```\n", "needs a file"),
            ("```yaml\na: b\n", "never closed"),
            ("```yaml\n```\n", "has no object"),
            ("```yaml\na: [\n```\n", "line 2"),
            ("```yaml\nkind: X\n```\n", "line 2: an object needs"),
        ] {
            let message = split(text, 1).unwrap_err().message;
            assert!(message.contains(named), "{text}: {message}");
        }
        let many = format!("```yaml\n{OBJECT}---\n{OBJECT}---\n{OBJECT}---\n{OBJECT}```\n");
        let Manifest::Fence { title, .. } = split(&many, 1).unwrap().manifest else {
            panic!();
        };
        assert_eq!(title, "4 objects");
    }
}
