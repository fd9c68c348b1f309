//! CustomResourceDefinitions: what is checked of one, and the resource that it makes. Pure.

mod cost;
mod validation;

use std::sync::Arc;

use serde_json::{Value, json};

use super::resource::{Column, Definition, Origin, Resource, ScalePaths, Scope, Version};
use super::schema::Schema;
use crate::embedded::list::items;

pub use cost::Costs;
pub use validation::validate;

/// The resource that holds them.
pub const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Fills in what the API server fills in.
pub fn default(crd: &mut Value) {
    let Some(spec) = crd.get_mut("spec").filter(|s| s.is_object()) else {
        return;
    };
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
    let names = &mut spec["names"];
    if let Some(kind) = names["kind"].as_str().map(str::to_owned) {
        if names["singular"].is_null() {
            names["singular"] = json!(kind.to_lowercase());
        }
        if names["listKind"].is_null() {
            names["listKind"] = json!(format!("{kind}List"));
        }
    }
}

/// The resource that a valid CRD makes; none if it cannot be served. A version whose schema is
/// that of `before` keeps what was compiled of it.
pub fn resource(crd: &Value, before: Option<&Resource>) -> Option<Resource> {
    let spec = &crd["spec"];
    let names = &spec["names"];
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let list = |v: &Value| -> Vec<String> {
        let items = v.as_array().into_iter().flatten();
        items.map(text).collect()
    };
    let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
    let mut definitions: Vec<Arc<Definition>> = before
        .into_iter()
        .flat_map(|r| r.versions.iter().map(|v| v.definition.clone()))
        .collect();
    let mut definition = |schema: &Value| -> Option<Arc<Definition>> {
        if let Some(known) = definitions.iter().find(|d| d.json() == schema) {
            return Some(known.clone());
        }
        let compiled = Schema::of_crd(schema).ok()?;
        let made = Arc::new(Definition::custom(schema.clone(), compiled));
        definitions.push(made.clone());
        Some(made)
    };
    let mut versions = Vec::new();
    let mut storage = None;
    for version in spec["versions"].as_array()? {
        let definition = definition(&version["schema"]["openAPIV3Schema"])?;
        let name = text(&version["name"]);
        if version["storage"] == true {
            storage = Some((name.clone(), definition.clone()));
        }
        if version["served"] != true {
            continue;
        }
        let scale = &version["subresources"]["scale"];
        let mut subresources = Vec::new();
        if scale.is_object() {
            subresources.push("scale".to_owned());
        }
        if version["subresources"]["status"].is_object() {
            subresources.push("status".to_owned());
        }
        versions.push(Version {
            deprecation: deprecation(version, &group, &text(&names["kind"])),
            subresources,
            scale: scale_paths(scale),
            columns: columns(version),
            definition,
            name,
        });
    }
    let (storage, definition) = storage?;
    Some(Resource {
        id: format!("{plural}.{group}").into(),
        group,
        versions,
        storage,
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        plural,
        singular: text(&names["singular"]),
        short: list(&names["shortNames"]),
        categories: list(&names["categories"]),
        scope: if spec["scope"] == "Cluster" {
            Scope::Cluster
        } else {
            Scope::Namespaced
        },
        origin: Origin::Custom,
        definition,
    })
}

fn deprecation(version: &Value, group: &str, kind: &str) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let name = version["name"].as_str().unwrap_or("");
    let said = version["deprecationWarning"].as_str().map(str::to_owned);
    Some(said.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated")))
}

fn scale_paths(scale: &Value) -> ScalePaths {
    let pointer = |field: &str| {
        let path = scale[field].as_str()?;
        Some(path.replace('.', "/"))
    };
    let defaults = ScalePaths::default();
    ScalePaths {
        spec: pointer("specReplicasPath").unwrap_or(defaults.spec),
        status: pointer("statusReplicasPath").unwrap_or(defaults.status),
        selector: pointer("labelSelectorPath"),
    }
}

/// The printer columns of a version; AGE if it names none.
fn columns(version: &Value) -> Vec<Column> {
    let listed = version["additionalPrinterColumns"].as_array();
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let columns: Vec<Column> = listed
        .into_iter()
        .flatten()
        .map(|c| Column {
            name: text(&c["name"]),
            kind: text(&c["type"]),
            path: text(&c["jsonPath"]),
            priority: c["priority"].as_u64().unwrap_or(0).min(255) as u8,
            description: text(&c["description"]),
        })
        .collect();
    if !columns.is_empty() {
        return columns;
    }
    vec![Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        path: ".metadata.creationTimestamp".to_owned(),
        priority: 0,
        description: String::new(),
    }]
}

/// The status of a CRD that is served: its names, its conditions, the versions stored so far.
pub fn status(crd: &Value, now: &str) -> Value {
    let before = &crd["status"];
    let condition = |kind: &str, reason: &str, message: &str| {
        let known = items(&before["conditions"]);
        let since = known
            .filter(|c| c["type"] == kind && c["status"] == "True")
            .find_map(|c| c["lastTransitionTime"].as_str());
        json!({"type": kind, "status": "True", "reason": reason, "message": message,
               "lastTransitionTime": since.unwrap_or(now)})
    };
    let mut stored: Vec<Value> = before["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let versions = items(&crd["spec"]["versions"]);
    for version in versions.filter(|v| v["storage"] == true) {
        if !stored.contains(&version["name"]) {
            stored.push(version["name"].clone());
        }
    }
    json!({
        "acceptedNames": crd["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd() -> Value {
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec":
            {"type": "object", "properties": {"size": {"type": "integer"}},
             "x-kubernetes-validations": [{"rule": "self.size > 0", "message": "be bigger"}]}}}});
        json!({"metadata": {"name": "widgets.example.com"}, "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": schema,
                 "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size",
                                  "statusReplicasPath": ".status.size"}}},
                {"name": "v1beta1", "served": true, "storage": false, "schema": schema,
                 "deprecated": true},
                {"name": "v1alpha1", "served": false, "storage": false, "schema": schema}]}})
    }

    #[test]
    fn a_crd_makes_a_resource_with_its_served_versions() {
        let mut crd = crd();
        default(&mut crd);
        assert_eq!(validate(&crd), []);
        let made = resource(&crd, None).unwrap();
        assert_eq!(
            (&*made.id, made.list_kind.as_str()),
            ("widgets.example.com", "WidgetList")
        );
        let names: Vec<&str> = made.versions.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names, ["v1", "v1beta1"]);
        assert_eq!(made.versions[0].scale.spec, "/spec/size");
        let warning = made.versions[1].deprecation.as_deref();
        assert_eq!(warning, Some("example.com/v1beta1 Widget is deprecated"));
        // One schema for all versions is compiled once.
        assert!(Arc::ptr_eq(
            &made.versions[0].definition,
            &made.versions[1].definition
        ));
        let again = resource(&crd, Some(&made)).unwrap();
        assert!(Arc::ptr_eq(&made.definition, &again.definition));
        let status = status(&crd, "t");
        assert_eq!(status["storedVersions"], json!(["v1"]));
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_field() {
        let broken = |pointer: &str, value: Value| {
            let mut crd = crd();
            *crd.pointer_mut(pointer).unwrap() = value;
            let causes = validate(&crd);
            causes
                .iter()
                .map(|c| c.field.clone())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let schema = "/spec/versions/0/schema/openAPIV3Schema";
        for (pointer, value, field) in [
            (
                "/metadata/name".to_owned(),
                json!("x.example.com"),
                "metadata.name",
            ),
            ("/spec/scope".to_owned(), json!("World"), "spec.scope"),
            (
                "/spec/versions/0/storage".to_owned(),
                json!(false),
                "spec.versions",
            ),
            (
                format!("{schema}/properties/spec/properties/size/type"),
                json!("int"),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[size]",
            ),
            (
                format!("{schema}/properties/spec/x-kubernetes-validations/0/rule"),
                json!("self.l.all(a, self.l.all(b, self.l.all(c, a + b + c > 0)))"),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule",
            ),
            (
                format!("{schema}/properties/spec/x-kubernetes-validations/0/rule"),
                json!(format!("1{}>0", "+1".repeat(20_000))),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule",
            ),
            (
                "/spec/group".to_owned(),
                json!("apps"),
                "metadata.name spec.group",
            ),
            (
                "/spec/versions/0/subresources/scale/specReplicasPath".to_owned(),
                json!(".metadata"),
                "spec.versions[0].subresources.scale.specReplicasPath",
            ),
            (
                format!("{schema}/properties/spec/x-kubernetes-validations/0/rule"),
                json!("self.("),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule",
            ),
        ] {
            assert_eq!(broken(&pointer, value), field);
        }
    }
}
