//! Deployments to ReplicaSets to Pods, with rolling updates.
//!
//! A new template gets its own ReplicaSet; the old one gives way once the new one's pods are ready.

use serde_json::{Value, json};

use super::events::{Happening, tell};
use super::lifecycle::retire;
use super::{all, keep_transition_times};
use crate::embedded::fingerprint::fnv;
use crate::embedded::rest::State;
use crate::embedded::routing::compile::is_ready;
use crate::embedded::store::{Key, Object};

const DEPLOYMENTS: &str = "deployments.apps";
const REPLICA_SETS: &str = "replicasets.apps";
const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Reconciles all Deployments and ReplicaSets.
pub fn reconcile(state: &mut State, now: &str) {
    for (key, deployment) in all(state, DEPLOYMENTS) {
        roll(state, &key, &deployment, now);
    }
    for (key, replica_set) in all(state, REPLICA_SETS) {
        match_pods(state, &key, &replica_set, now);
    }
    for (key, replica_set) in all(state, REPLICA_SETS) {
        let pods = pods_of(state, &replica_set);
        let ready = pods.iter().filter(|(_, p)| is_ready(p)).count();
        let mut status = json!({"replicas": pods.len(),
                                "observedGeneration": replica_set["metadata"]["generation"]});
        if !pods.is_empty() {
            status["fullyLabeledReplicas"] = json!(pods.len());
        }
        if ready > 0 {
            status["readyReplicas"] = json!(ready);
            status["availableReplicas"] = json!(ready);
        }
        state.store.update(&key, now, |o| o["status"] = status);
    }
    for (key, deployment) in all(state, DEPLOYMENTS) {
        let status = deployment_status(state, &deployment, now);
        state.store.update(&key, now, |o| o["status"] = status);
    }
}

fn owned(state: &State, resource: &str, owner: &Value) -> Vec<(Key, Object)> {
    let uid = &owner["metadata"]["uid"];
    let namespace = owner["metadata"]["namespace"].as_str();
    state
        .store
        .list(resource, namespace)
        .filter(|(_, o)| o["metadata"]["ownerReferences"][0]["uid"] == *uid)
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect()
}

/// The pods of a ReplicaSet that are not on their way out.
fn pods_of(state: &State, replica_set: &Value) -> Vec<(Key, Object)> {
    let mut pods = owned(state, "pods", replica_set);
    pods.retain(|(_, p)| !p["metadata"]["deletionTimestamp"].is_string());
    pods
}

/// The revision of a ReplicaSet; 0 if it has none.
fn revision(replica_set: &Value) -> u64 {
    let text = replica_set["metadata"]["annotations"][REVISION].as_str();
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

fn owner_reference(kind: &str, owner: &Value) -> Value {
    json!([{"apiVersion": "apps/v1", "kind": kind, "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}])
}

/// Ten characters that stand for a pod template, in the alphabet of generated names.
fn template_hash(template: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = fnv([template.to_string().as_bytes()]);
    (0..10)
        .map(|i| char::from(ALPHABET[(hash >> (i * 5)) as usize % ALPHABET.len()]))
        .collect()
}

fn roll(state: &mut State, key: &Key, deployment: &Value, now: &str) {
    if deployment["metadata"]["deletionTimestamp"].is_string() {
        return;
    }
    let hash = template_hash(&deployment["spec"]["template"]);
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let current = Key::new(
        REPLICA_SETS,
        &key.namespace,
        &format!("{}-{hash}", key.name),
    );
    let sets = owned(state, REPLICA_SETS, deployment);
    if !sets.iter().any(|(k, _)| *k == current) {
        if deployment["spec"]["paused"] == true {
            return;
        }
        let replica_set = new_replica_set(deployment, &current, &hash);
        state.store.put(current.clone(), replica_set, now);
    }
    number_revision(state, key, &current, &sets, now);
    scale(state, deployment, &current, wanted, now);
    let ready = state.store.get(&current).map_or(0, |o| {
        owned(state, "pods", o)
            .iter()
            .filter(|(_, p)| is_ready(p))
            .count() as i64
    });
    if ready < wanted {
        return;
    }
    for (old, _) in &sets {
        if *old != current {
            scale(state, deployment, old, 0, now);
        }
    }
    forget_old_sets(state, deployment, &current);
}

/// Sets a ReplicaSet's size and tells of it.
fn scale(state: &mut State, deployment: &Value, set: &Key, wanted: i64, now: &str) {
    let Some(object) = state.store.get(set) else {
        return;
    };
    let from = object["spec"]["replicas"].as_i64().unwrap_or(0);
    if from == wanted {
        return;
    }
    state
        .store
        .update(set, now, |o| o["spec"]["replicas"] = json!(wanted));
    let direction = if wanted > from { "up" } else { "down" };
    let happening = Happening {
        kind: "Normal",
        reason: "ScalingReplicaSet",
        message: &format!(
            "Scaled {direction} replica set {} from {from} to {wanted}",
            set.name
        ),
        component: "deployment-controller",
    };
    tell(state, deployment, happening, now);
}

/// The current ReplicaSet has the highest revision; its Deployment shows it.
fn number_revision(state: &mut State, key: &Key, current: &Key, sets: &[(Key, Object)], now: &str) {
    let others = sets.iter().filter(|(k, _)| k != current);
    let highest = others.map(|(_, o)| revision(o)).max().unwrap_or(0);
    let mine = state.store.get(current).map_or(0, |o| revision(o));
    if mine > highest {
        return;
    }
    for at in [current, key] {
        state.store.update(at, now, |o| {
            o["metadata"]["annotations"][REVISION] = json!((highest + 1).to_string());
        });
    }
}

/// Empty old ReplicaSets past `revisionHistoryLimit`.
fn forget_old_sets(state: &mut State, deployment: &Value, current: &Key) {
    let limit = deployment["spec"]["revisionHistoryLimit"]
        .as_u64()
        .unwrap_or(10) as usize;
    let mut old = owned(state, REPLICA_SETS, deployment);
    old.retain(|(k, o)| {
        k != current && o["spec"]["replicas"] == 0 && o["status"]["replicas"].as_i64() == Some(0)
    });
    old.sort_by_key(|(_, o)| revision(o));
    let surplus = old.len().saturating_sub(limit);
    for (key, _) in old.into_iter().take(surplus) {
        state.store.delete(&key);
    }
}

fn new_replica_set(deployment: &Value, key: &Key, hash: &str) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH_LABEL] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = json!(hash);
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": key.name, "namespace": key.namespace,
                     "labels": template["metadata"]["labels"],
                     "ownerReferences": owner_reference("Deployment", deployment)},
        "spec": {"replicas": 0, "selector": selector, "template": template},
    })
}

fn match_pods(state: &mut State, key: &Key, replica_set: &Value, now: &str) {
    if replica_set["metadata"]["deletionTimestamp"].is_string() {
        return;
    }
    let wanted = replica_set["spec"]["replicas"].as_u64().unwrap_or(0) as usize;
    let mut pods = pods_of(state, replica_set);
    // Pods that are not ready go first.
    pods.sort_by_key(|(_, p)| !is_ready(p));
    for (pod, _) in pods.iter().skip(wanted) {
        retire(state, pod, now);
        tell_of_pod(
            state,
            replica_set,
            "SuccessfulDelete",
            "Deleted",
            &pod.name,
            now,
        );
    }
    for _ in pods.len()..wanted {
        let name = format!("{}-{}", key.name, state.store.suffix(5));
        let template = &replica_set["spec"]["template"];
        let mut spec = template["spec"].clone();
        spec["nodeName"] = json!("footlights");
        spec["enableServiceLinks"] = json!(true);
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": key.namespace,
                         "generateName": format!("{}-", key.name),
                         "labels": template["metadata"]["labels"],
                         "ownerReferences": owner_reference("ReplicaSet", replica_set)},
            "spec": spec,
            "status": {"phase": "Pending", "qosClass": "BestEffort"},
        });
        let annotations = &template["metadata"]["annotations"];
        if annotations.is_object() {
            pod["metadata"]["annotations"] = annotations.clone();
        }
        state
            .store
            .put(Key::new("pods", &key.namespace, &name), pod, now);
        tell_of_pod(
            state,
            replica_set,
            "SuccessfulCreate",
            "Created",
            &name,
            now,
        );
    }
}

fn tell_of_pod(
    state: &mut State,
    replica_set: &Value,
    reason: &str,
    done: &str,
    pod: &str,
    now: &str,
) {
    let happening = Happening {
        kind: "Normal",
        reason,
        message: &format!("{done} pod: {pod}"),
        component: "replicaset-controller",
    };
    tell(state, replica_set, happening, now);
}

fn deployment_status(state: &State, deployment: &Value, now: &str) -> Value {
    let hash = template_hash(&deployment["spec"]["template"]);
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let sets = owned(state, REPLICA_SETS, deployment);
    let count = |field: &str| -> i64 {
        sets.iter()
            .map(|(_, o)| o["status"][field].as_i64().unwrap_or(0))
            .sum()
    };
    let updated = sets
        .iter()
        .find(|(k, _)| k.name.ends_with(&hash))
        .map_or(0, |(_, o)| o["status"]["replicas"].as_i64().unwrap_or(0));
    let ready = count("readyReplicas");
    let generation = &deployment["metadata"]["generation"];
    let available = ready >= wanted;
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        json!({"type": kind, "status": if status { "True" } else { "False" }, "reason": reason,
               "message": message})
    };
    let complete = available && updated >= wanted && count("replicas") == updated;
    let mut conditions = json!([
        if available {
            condition(
                "Available",
                true,
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            condition(
                "Available",
                false,
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        },
        condition(
            "Progressing",
            true,
            if complete {
                "NewReplicaSetAvailable"
            } else {
                "ReplicaSetUpdated"
            },
            "ReplicaSet is progressing.",
        ),
    ]);
    let old = &deployment["status"]["conditions"];
    keep_transition_times(old, &mut conditions, now);
    for c in conditions.as_array_mut().into_iter().flatten() {
        c["lastUpdateTime"] = c["lastTransitionTime"].clone();
    }
    let mut status = json!({"observedGeneration": generation, "conditions": conditions});
    for (field, number) in [
        ("replicas", count("replicas")),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", (wanted - ready).max(0)),
    ] {
        if number > 0 {
            status[field] = json!(number);
        }
    }
    status
}
