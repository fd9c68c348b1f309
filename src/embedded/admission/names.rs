//! Names, labels and finalizers: rules that hold for every kind.

use serde_json::{Value, json};

use crate::embedded::resource::Resource;
use crate::embedded::status::FieldError;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
    or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
    '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
    'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, \
    '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
    'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \
    regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// What is wrong with an object's name, labels and annotations.
pub fn validate(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut causes = Vec::new();
    let metadata = &object["metadata"];
    match metadata["name"].as_str() {
        None | Some("") => causes.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        )),
        Some(name) => {
            if let Some(why) = wrong_name(&resource.id, name) {
                causes.push(FieldError::invalid("metadata.name", &json!(name), &why));
            }
        }
    }
    check_labels(&metadata["labels"], "metadata.labels", &mut causes);
    for (key, _) in metadata["annotations"].as_object().into_iter().flatten() {
        // Annotations' keys are compared in lower case.
        if let Some(why) = wrong_key(&key.to_lowercase()) {
            causes.push(FieldError::invalid(
                "metadata.annotations",
                &json!(key),
                &why,
            ));
        }
    }
    causes
}

/// What is wrong with labels.
pub fn check_labels(labels: &Value, at: &str, causes: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(why) = wrong_key(key) {
            causes.push(FieldError::invalid(at, &json!(key), &why));
        }
        let text = value.as_str().unwrap_or("");
        if text.len() > 63 {
            let why = "must be no more than 63 bytes";
            causes.push(FieldError::invalid(at, value, why));
        } else if !text.is_empty() && !is_name_part(text) {
            causes.push(FieldError::invalid(at, value, VALUE));
        }
    }
}

fn wrong_name(resource: &str, name: &str) -> Option<String> {
    let no_longer = |most: usize| format!("must be no more than {most} bytes");
    match resource {
        "namespaces" if name.len() > 63 => Some(no_longer(63)),
        "namespaces" => (!is_label(name)).then(|| LABEL.to_owned()),
        "services" if name.len() > 63 => Some(no_longer(63)),
        "services" => {
            let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
            (!starts || !is_label(name)).then(|| LABEL_1035.to_owned())
        }
        // RBAC names are path segments.
        rbac if rbac.ends_with("rbac.authorization.k8s.io") => {
            let bad = name == "." || name == ".." || name.contains(['/', '%']);
            bad.then(|| "may not contain '/' or '%'".to_owned())
        }
        _ if name.len() > 253 => Some(no_longer(253)),
        _ => (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned()),
    }
}

fn wrong_key(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|p| p.is_empty() || !p.split('.').all(is_label)) {
        return Some(format!("prefix part {SUBDOMAIN}"));
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".to_owned());
    }
    (!is_name_part(name)).then(|| KEY.to_owned())
}

fn is_label(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.starts_with(fine)
        && text.ends_with(fine)
        && text.chars().all(|c| fine(c) || c == '-')
}

fn is_name_part(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || "-_.".contains(c))
}
