//! How the stand-in prints objects: tables, YAML, JSON, names, JSONPath.

use anyhow::{Context, Result, bail};
use kube::discovery::ApiResource;
use serde_json::Value;

use super::slashed;
use crate::manifest;

/// A table as text, in columns that are three blanks apart.
pub(super) fn printed(table: &Value, wide: bool, namespaces: bool) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let columns = list(&table["columnDefinitions"]);
    let shown: Vec<usize> = (0..columns.len())
        .filter(|i| wide || columns[*i]["priority"].as_i64().unwrap_or(0) == 0)
        .collect();
    let mut rows: Vec<Vec<String>> = vec![
        shown
            .iter()
            .map(|i| columns[*i]["name"].as_str().unwrap_or("").to_uppercase())
            .collect(),
    ];
    for row in list(&table["rows"]) {
        rows.push(shown.iter().map(|i| cell(&row["cells"][*i])).collect());
    }
    if namespaces {
        rows[0].insert(0, "NAMESPACE".to_owned());
        for (row, source) in rows[1..].iter_mut().zip(list(&table["rows"])) {
            row.insert(0, cell(&source["object"]["metadata"]["namespace"]));
        }
    }
    if rows.len() == 1 {
        return "No resources found.\n".to_owned();
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|i| {
            rows.iter()
                .map(|row| row[i].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("   ").trim_end();
        text.push('\n');
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn formatted(value: &Value, output: &str, resource: &ApiResource) -> Result<String> {
    if let Some(path) = output.strip_prefix("jsonpath=") {
        return jsonpath(value, path);
    }
    match output {
        "yaml" => Ok(manifest::to_yaml(value)),
        "json" => Ok(format!("{}\n", serde_json::to_string_pretty(value)?)),
        "name" => {
            let one = vec![value.clone()];
            let items = value["items"].as_array().unwrap_or(&one);
            Ok(items
                .iter()
                .map(|item| {
                    let name = item["metadata"]["name"].as_str().unwrap_or("");
                    slashed(&resource.group, &resource.kind, name) + "\n"
                })
                .collect())
        }
        other => bail!("the stand-in has no output format \"{other}\""),
    }
}

/// The plain part of kubectl's JSONPath: `{.a.b[0].c}` and `{.items[*].x}`.
fn jsonpath(value: &Value, template: &str) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        text += &rest[..start];
        let end = rest[start..]
            .find('}')
            .context("the jsonpath template has no closing brace")?;
        let path = rest[start + 1..start + end].trim();
        rest = &rest[start + end + 1..];
        if !path.starts_with('.') || path.contains(['?', '@']) {
            bail!("the stand-in knows jsonpath such as {{.a.b[0].c}} only, not {{{path}}}");
        }
        let mut values = vec![value];
        for part in path
            .split(['.', '['])
            .map(|p| p.trim_end_matches(']'))
            .filter(|p| !p.is_empty())
        {
            values = values
                .into_iter()
                .flat_map(|v| match part {
                    "*" => v.as_array().map(|a| a.iter().collect()).unwrap_or_default(),
                    _ => {
                        let found = match part.parse::<usize>() {
                            Ok(index) => v.get(index),
                            Err(_) => v.get(part),
                        };
                        found.into_iter().collect::<Vec<_>>()
                    }
                })
                .collect();
        }
        let cells: Vec<String> = values.into_iter().map(cell).collect();
        text += &cells.join(" ");
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jsonpath_of_the_workshop() {
        let gateway = json!({"status": {"addresses": [{"value": "127.0.0.1"}]}, "items": [{"a": 1}, {"a": 2}]});
        for (template, text) in [
            ("{.status.addresses[0].value}", "127.0.0.1"),
            ("{ .status.addresses[0].value }", "127.0.0.1"),
            ("{.items[*].a}!", "1 2!"),
            ("{.nope}", ""),
        ] {
            assert_eq!(jsonpath(&gateway, template).unwrap(), text, "{template}");
        }
        assert!(jsonpath(&gateway, "{range .items[*]}").is_err());
        assert!(jsonpath(&gateway, "{.a").is_err());
    }

    #[test]
    fn tables_are_printed_in_columns() {
        let table = json!({"columnDefinitions": [{"name": "Name"}, {"name": "Ready"}, {"name": "IP", "priority": 1}],
                           "rows": [{"cells": ["smiley", 1, "x"]}, {"cells": ["a", null, "y"]}]});
        assert_eq!(
            printed(&table, false, false),
            "NAME     READY\nsmiley   1\na\n"
        );
        assert!(printed(&table, true, false).contains("IP"));
    }
}
