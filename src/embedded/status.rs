//! `Status` objects: how the API says no, in the words that a real server uses.

use serde_json::{Value, json};

/// An error answer of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// `NotFound`, `Invalid` …
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `details` of the Status: name, kind, causes.
    pub details: Option<Value>,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 404 for an object.
    pub fn not_found(resource_id: &str, name: &str) -> Self {
        let mut error = Self::new(
            404,
            "NotFound",
            format!("{resource_id} \"{name}\" not found"),
        );
        let (kind, group) = resource_id.split_once('.').unwrap_or((resource_id, ""));
        error.details = Some(json!({"name": name, "group": group, "kind": kind}));
        error
    }

    /// 404 for a resource that the server does not have.
    pub fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 409 for an object that is there already.
    pub fn already_exists(resource_id: &str, name: &str) -> Self {
        let mut error = Self::new(
            409,
            "AlreadyExists",
            format!("{resource_id} \"{name}\" already exists"),
        );
        error.details = Some(json!({"name": name, "kind": resource_id}));
        error
    }

    /// 409 for a write that is based on an older revision.
    pub fn conflict(resource_id: &str, name: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {resource_id} \"{name}\": the object has been \
                 modified; please apply your changes to the latest version and try again"
            ),
        )
    }

    /// 409 for a delete or write whose precondition does not hold.
    pub fn precondition(
        resource_id: &str,
        name: &str,
        what: &str,
        wanted: &Option<String>,
        found: &Value,
    ) -> Self {
        let wanted = wanted.as_deref().unwrap_or("");
        let found = found.as_str().unwrap_or("");
        Self::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {resource_id} \"{name}\": Precondition failed: \
                 {what} in precondition: {wanted}, {what} in object meta: {found}"
            ),
        )
    }

    /// 409 for a write on another object of the same name.
    pub fn conflict_of_uid(resource_id: &str, name: &str, wanted: &Value, found: &Value) -> Self {
        let wanted = wanted.as_str().map(str::to_owned);
        Self::precondition(resource_id, name, "UID", &wanted, found)
    }

    /// 403 for a create in a namespace that is on its way out.
    pub fn namespace_terminating(resource_id: &str, name: &str, namespace: &str) -> Self {
        let mut error = Self::new(
            403,
            "Forbidden",
            format!(
                "{resource_id} \"{name}\" is forbidden: unable to create new content in namespace \
                 {namespace} because it is being terminated"
            ),
        );
        error.details = Some(json!({"name": name, "kind": resource_id, "causes": [{
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": format!("namespace {namespace} is being terminated")}]}));
        error
    }

    /// 403 past the number of objects that one cluster holds.
    pub fn too_many_objects(most: usize) -> Self {
        let text = format!("the embedded cluster holds {most} objects at the most");
        Self::new(403, "Forbidden", text)
    }

    /// 413.
    pub fn too_large(most: usize) -> Self {
        let text = format!("Request entity too large: limit is {most}");
        Self::new(413, "RequestEntityTooLarge", text)
    }

    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// 403 for a `Host` that is not this machine's.
    pub fn foreign_host(host: &str) -> Self {
        let text = format!("the Host \"{host}\" is not this machine's: only loopback is answered");
        Self::new(403, "Forbidden", text)
    }

    /// 429 past the number of watches.
    pub fn too_many_watches(most: usize) -> Self {
        let text = format!("the embedded cluster serves {most} watches at the most");
        Self::new(429, "TooManyRequests", text)
    }

    /// 501.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    /// 422 for a bad query parameter.
    pub fn invalid_options(kind: &str, field: &'static str, message: &str) -> Self {
        let mut error = Self::new(
            422,
            "Invalid",
            format!("{kind}.meta.k8s.io \"\" is invalid: {field}: {message}"),
        );
        error.details = Some(json!({"kind": kind, "group": "meta.k8s.io", "causes": [
            {"reason": "FieldValueInvalid", "field": field, "message": message}]}));
        error
    }

    /// 400 for what cannot be decoded becomes 422 when a patch made it, as a real server has it.
    pub fn in_patch(self, patched: &str) -> Self {
        if self.code != 400 {
            return self;
        }
        let why = match self.message.find("strict decoding error") {
            Some(at) => &self.message[at..],
            None => &self.message,
        };
        let message = format!("Invalid value: {}: {why}", Value::from(patched));
        let mut error = Self::new(
            422,
            "Invalid",
            format!(" \"\" is invalid: patch: {message}"),
        );
        error.details = Some(json!({"causes": [
            {"reason": "FieldValueInvalid", "field": "patch", "message": message}]}));
        error
    }

    /// 409 for a server-side apply: who else owns a field, and which.
    pub fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(with, field)| {
                json!({"reason": "FieldManagerConflict", "message": with, "field": field})
            })
            .collect();
        let text = match conflicts {
            [(with, field)] => format!("Apply failed with 1 conflict: {with}: {field}"),
            many => {
                let mut text = format!("Apply failed with {} conflicts: ", many.len());
                let mut last = "";
                for (with, field) in many {
                    if with != last {
                        let separator = if last.is_empty() { "" } else { "\n" };
                        let with = with.replacen("conflict", "conflicts", 1);
                        text += &format!("{separator}{with}:");
                    }
                    last = with;
                    text += &format!("\n- {field}");
                }
                text
            }
        };
        let mut error = Self::new(409, "Conflict", text);
        error.details = Some(json!({"causes": causes}));
        error
    }

    /// 410, also sent inside a watch.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 with one cause a field.
    pub fn invalid(kind: &str, name: &str, causes: &[FieldError]) -> Self {
        let lines: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let text = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut error = Self::new(
            422,
            "Invalid",
            format!("{kind} \"{name}\" is invalid: {text}"),
        );
        let causes: Vec<Value> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        error.details = Some(json!({"name": name, "kind": kind, "causes": causes}));
        error
    }

    /// 422 for a patch that does not fit the object.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    /// 504 for a list newer than the store.
    pub fn too_new(revision: u64, current: u64) -> Self {
        let mut error = Self::new(
            504,
            "Timeout",
            format!("Too large resource version: {revision}, current: {current}"),
        );
        error.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1
        }));
        error
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// `spec.rules[0].backendRefs[1].weight`.
    pub field: String,
    /// `FieldValueInvalid`, `FieldValueRequired`.
    pub reason: &'static str,
    /// What a user reads after the field.
    pub message: String,
}

impl FieldError {
    /// A value that may not be.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        FieldError {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    /// A word that is none of those known.
    pub fn not_supported(field: impl Into<String>, value: &Value, known: &[&str]) -> Self {
        let known: Vec<String> = known.iter().map(|k| format!("\"{k}\"")).collect();
        FieldError {
            field: field.into(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                known.join(", ")
            ),
        }
    }

    /// A value that stands twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        FieldError {
            field: field.into(),
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {value}"),
        }
    }

    /// A value that is missing.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let colon = if why.is_empty() { "" } else { ": " };
        FieldError {
            field: field.into(),
            reason: "FieldValueRequired",
            message: format!("Required value{colon}{why}"),
        }
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
