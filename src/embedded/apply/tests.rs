//! Tests of `apply`.

use serde_json::{Value, json};

use super::*;
use crate::embedded::resource::Registry;
use crate::embedded::schema::Schema;

fn schema() -> std::sync::Arc<Schema> {
    let registry = Registry::built_in();
    registry
        .by_id("deployments.apps")
        .unwrap()
        .definition
        .schema()
        .clone()
}

fn writer(manager: &'static str) -> Writer<'static> {
    Writer {
        manager,
        api_version: "apps/v1",
        subresource: "",
        now: "2026-01-01T00:00:00Z",
    }
}

fn deployment(image: &str, replicas: Option<i64>, env: &[(&str, &str)]) -> Value {
    let env: Vec<Value> = env
        .iter()
        .map(|(k, v)| json!({"name": k, "value": v}))
        .collect();
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d",
        "labels": {"app": "d"}}, "spec": {"template": {"spec": {"containers": [
            {"name": "c", "image": image, "env": env, "ports": [{"containerPort": 80}]}]}}}});
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = json!(replicas);
    }
    object
}

fn owners(object: &Value) -> Vec<(String, Value)> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .map(|e| {
            (
                e["manager"].as_str().unwrap().to_owned(),
                e["fieldsV1"].clone(),
            )
        })
        .collect()
}

#[test]
fn an_applied_object_is_owned_field_by_field() {
    let config = deployment("x:1", Some(2), &[("A", "1")]);
    let applied = apply(
        &Value::Null,
        &config,
        &schema(),
        &writer("kubectl"),
        Force::No,
    )
    .unwrap();
    let (manager, fields) = &owners(&applied)[0];
    assert_eq!(manager, "kubectl");
    assert_eq!(
        fields,
        &json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:replicas": {},
        "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {},
        "f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}},
        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}})
    );
}

#[test]
fn what_an_applier_names_no_more_goes_and_what_others_own_stays() {
    let first = deployment("x:1", Some(2), &[("A", "1"), ("B", "2")]);
    let live = apply(&Value::Null, &first, &schema(), &writer("one"), Force::No).unwrap();
    // Somebody else adds a variable of their own.
    let theirs = json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [
        {"name": "c", "env": [{"name": "C", "value": "3"}]}]}}}});
    let live = apply(&live, &theirs, &schema(), &writer("two"), Force::No).unwrap();
    let names = |o: &Value| -> Vec<String> {
        o["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&live), ["A", "B", "C"]);
    let second = deployment("x:1", None, &[("B", "2")]);
    let live = apply(&live, &second, &schema(), &writer("one"), Force::No).unwrap();
    assert_eq!(names(&live), ["B", "C"]);
    assert_eq!(live["spec"]["replicas"], Value::Null);
    // The container is shared: it stays when the first lets go of all it had.
    let nothing = json!({"metadata": {"name": "d"}});
    let live = apply(&live, &nothing, &schema(), &writer("one"), Force::No).unwrap();
    assert_eq!(names(&live), ["C"]);
    assert_eq!(live["metadata"]["labels"], Value::Null);
}

#[test]
fn another_value_in_another_managers_field_is_a_conflict_unless_forced() {
    let schema = schema();
    let mut live = deployment("x:1", Some(2), &[]);
    track(None, &mut live, &schema, &writer("kubectl-create"));
    let config = deployment("x:1", Some(3), &[]);
    let error = apply(&live, &config, &schema, &writer("kubectl"), Force::No).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-create\" using \
        apps/v1 at 2026-01-01T00:00:00Z: .spec.replicas"
    );
    assert_eq!(
        error.details.unwrap()["causes"][0]["field"],
        ".spec.replicas"
    );
    // The same value is shared ownership, no conflict.
    let same = deployment("x:1", Some(2), &[]);
    apply(&live, &same, &schema, &writer("kubectl"), Force::No).unwrap();
    let forced = apply(&live, &config, &schema, &writer("kubectl"), Force::Yes).unwrap();
    assert_eq!(forced["spec"]["replicas"], 3);
    let create = owners(&forced)
        .into_iter()
        .find(|(m, _)| m == "kubectl-create")
        .unwrap()
        .1;
    assert_eq!(create["f:spec"]["f:replicas"], Value::Null);
    let two = deployment("y:2", Some(4), &[]);
    let error = apply(&live, &two, &schema, &writer("kubectl"), Force::No).unwrap_err();
    assert!(
        error.message.starts_with(
            "Apply failed with 2 conflicts: conflicts with \"kubectl-create\" using apps/v1"
        ),
        "{}",
        error.message
    );
    assert!(
        error
            .message
            .ends_with("\n- .spec.replicas\n- .spec.template.spec.containers[name=\"c\"].image"),
        "{}",
        error.message
    );
}

#[test]
fn an_update_takes_what_it_changes_and_an_unchanged_write_changes_no_owner() {
    let schema = schema();
    let mut first = deployment("x:1", Some(2), &[("A", "1")]);
    track(None, &mut first, &schema, &writer("create"));
    let fields = &owners(&first)[0].1;
    assert_eq!(
        fields["f:metadata"],
        json!({"f:labels": {".": {}, "f:app": {}}})
    );
    let mut second = first.clone();
    second["spec"]["replicas"] = json!(5);
    track(Some(&first), &mut second, &schema, &writer("scale"));
    assert_eq!(
        owners(&second)
            .iter()
            .find(|(m, _)| m == "scale")
            .unwrap()
            .1,
        json!({"f:spec": {"f:replicas": {}}})
    );
    let create = owners(&second)
        .into_iter()
        .find(|(m, _)| m == "create")
        .unwrap()
        .1;
    assert_eq!(create["f:spec"]["f:replicas"], Value::Null);
    let mut third = second.clone();
    track(Some(&second), &mut third, &schema, &writer("nobody"));
    assert_eq!(third, second);
    let mut reset = second.clone();
    reset["metadata"]["managedFields"] = json!([]);
    track(Some(&second), &mut reset, &schema, &writer("nobody"));
    assert_eq!(reset["metadata"]["managedFields"], Value::Null);
}

#[test]
fn lists_keep_the_order_of_both_sides() {
    let schema = schema();
    let spec = &schema.properties["spec"].properties["template"].properties["spec"].properties["containers"];
    let items = |names: &[&str]| Value::Array(names.iter().map(|n| json!({"name": n})).collect());
    for (live, config, merged) in [
        (vec!["a", "b"], vec!["b", "c"], vec!["a", "b", "c"]),
        (vec!["a", "b"], vec!["b", "a"], vec!["b", "a"]),
        (
            vec!["a", "x", "b"],
            vec!["a", "n", "b"],
            vec!["a", "x", "n", "b"],
        ),
        (vec![], vec!["a"], vec!["a"]),
    ] {
        assert_eq!(
            merge(&items(&live), &items(&config), Some(spec)),
            items(&merged)
        );
    }
}
