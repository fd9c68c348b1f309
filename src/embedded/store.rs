//! The cluster's objects: a persistent map, a revision, and a bounded log of changes to watch.
//!
//! Pure. Time and randomness come from the caller, so a test gives the same store twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

/// A Kubernetes object as JSON, shared between the store, its log and whoever reads it.
pub type Object = Arc<Value>;

/// Changes kept for watches that lag; older revisions are answered with `410 Expired`.
const LOG_LIMIT: usize = 1_000;

/// What those changes' objects may weigh together.
const LOG_BYTES: usize = 32 << 20;

/// What a map takes for every eleven of its entries, however few it has: a node of a B-tree.
const NODE: usize = 632;

/// About how many bytes of memory an object takes.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|v| 32 + weight(v)).sum(),
        Value::Object(fields) => {
            let nodes = fields.len().div_ceil(11) * NODE;
            nodes
                + fields
                    .iter()
                    .map(|(k, v)| k.len() + weight(v))
                    .sum::<usize>()
        }
        _ => 0,
    }
}

/// Where an object lives: resource (`deployments.apps`), namespace (empty if cluster-scoped), name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Plural and group, as a CRD is named: `pods`, `httproutes.gateway.networking.k8s.io`.
    pub resource: Arc<str>,
    /// Empty for a cluster-scoped object.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// A key from its three parts.
    pub fn new(resource: impl Into<Arc<str>>, namespace: &str, name: &str) -> Self {
        Key {
            resource: resource.into(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What happened to an object at one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was deleted; the change carries its last state.
    Deleted,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct Change {
    /// The store's revision after this change.
    pub revision: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// To what.
    pub key: Key,
    /// The object afterwards, or its last state if it was deleted.
    pub object: Object,
    /// The object before, if there was one: a selector watch needs it to report objects that leave.
    pub before: Option<Object>,
}

/// A watch asked for a revision that the log no longer holds.
#[derive(Debug, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    /// The revision asked for.
    pub asked: u64,
    /// The oldest one that can still be served.
    pub oldest: u64,
}

/// All objects of one cluster.
#[derive(Debug)]
pub struct Store {
    objects: BTreeMap<Key, Object>,
    revision: u64,
    log: VecDeque<Change>,
    log_bytes: usize,
    random: fastrand::Rng,
}

impl Store {
    /// An empty store whose uids and name suffixes follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Store {
            objects: BTreeMap::new(),
            revision: 1,
            log: VecDeque::new(),
            log_bytes: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// A copy to try something on: its log begins anew.
    pub fn without_log(&self) -> Self {
        Store {
            objects: self.objects.clone(),
            revision: self.revision,
            log: VecDeque::new(),
            log_bytes: 0,
            random: self.random.clone(),
        }
    }

    /// The revision of the newest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The object at `key`.
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// All objects of a resource, in order of namespace and name; of one namespace if given.
    pub fn list<'a>(
        &'a self,
        resource: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Object)> {
        let first = Key::new(resource, namespace.unwrap_or(""), "");
        self.objects.range(first..).take_while(move |(key, _)| {
            &*key.resource == resource && namespace.is_none_or(|ns| key.namespace == ns)
        })
    }

    /// All objects of a resource as they were at a revision.
    pub fn list_at(
        &self,
        revision: u64,
        resource: &str,
        namespace: Option<&str>,
    ) -> Result<BTreeMap<Key, Object>, Expired> {
        let now = self.list(resource, namespace);
        let mut objects: BTreeMap<Key, Object> = now.map(|(k, o)| (k.clone(), o.clone())).collect();
        let changes: Vec<&Change> = self.changes_since(revision)?.collect();
        for change in changes.into_iter().rev() {
            let key = &change.key;
            if &*key.resource != resource || namespace.is_some_and(|n| n != key.namespace) {
                continue;
            }
            match &change.before {
                Some(before) => objects.insert(key.clone(), before.clone()),
                None => objects.remove(key),
            };
        }
        Ok(objects)
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter()
    }

    /// Writes an object. A new one gets a uid, a creation time and generation 1; a changed one gets
    /// the next generation when anything but its metadata and status changed. Writing what is
    /// already there changes nothing, not even the revision.
    pub fn put(&mut self, key: Key, mut object: Value, now: &str) -> Object {
        let before = self.objects.get(&key).cloned();
        match &before {
            None => {
                self.stamp_new(&mut object, now);
                if counts_generations(&key.resource) {
                    object["metadata"]["generation"] = json!(1);
                }
            }
            Some(before) => {
                for field in ["uid", "creationTimestamp"] {
                    object["metadata"][field] = before["metadata"][field].clone();
                }
                if counts_generations(&key.resource) {
                    let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
                    let changed = !same_but_for_metadata_and_status(before, &object);
                    object["metadata"]["generation"] = json!(generation + u64::from(changed));
                }
                object["metadata"]["resourceVersion"] =
                    before["metadata"]["resourceVersion"].clone();
                if object == **before {
                    return before.clone();
                }
            }
        }
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        self.objects.insert(key.clone(), object.clone());
        let kind = if before.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        self.record(kind, key, object.clone(), before);
        object
    }

    /// Changes an object in place by a function, if it is there.
    pub fn update(&mut self, key: &Key, now: &str, change: impl FnOnce(&mut Value)) {
        if let Some(object) = self.objects.get(key) {
            let mut object = Value::clone(object);
            change(&mut object);
            self.put(key.clone(), object, now);
        }
    }

    /// Deletes an object and returns its last state.
    pub fn delete(&mut self, key: &Key) -> Option<Object> {
        let before = self.objects.remove(key)?;
        self.revision += 1;
        let mut last = Value::clone(&before);
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let last = Arc::new(last);
        self.record(ChangeKind::Deleted, key.clone(), last.clone(), Some(before));
        Some(last)
    }

    /// The changes after `revision`, oldest first.
    pub fn changes_since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, Expired> {
        let oldest = self.log.front().map_or(self.revision, |c| c.revision - 1);
        if revision < oldest {
            return Err(Expired {
                asked: revision,
                oldest,
            });
        }
        let skip = self.log.partition_point(|c| c.revision <= revision);
        Ok(self.log.range(skip..))
    }

    /// A random suffix in the alphabet that Kubernetes uses for generated names.
    pub fn suffix(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length)
            .map(|_| char::from(ALPHABET[self.random.usize(..ALPHABET.len())]))
            .collect()
    }

    fn stamp_new(&mut self, object: &mut Value, now: &str) {
        let (a, b) = (self.random.u64(..), self.random.u64(..));
        object["metadata"]["uid"] = json!(format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 48) & 0x3fff,
            b & 0xffff_ffff_ffff
        ));
        object["metadata"]["creationTimestamp"] = json!(now);
    }

    fn record(&mut self, kind: ChangeKind, key: Key, object: Object, before: Option<Object>) {
        self.log_bytes += weight(&object);
        while self.log.len() >= LOG_LIMIT || self.log_bytes > LOG_BYTES {
            match self.log.pop_front() {
                Some(oldest) => self.log_bytes -= weight(&oldest.object),
                None => break,
            }
        }
        self.log.push_back(Change {
            revision: self.revision,
            kind,
            key,
            object,
            before,
        });
    }
}

/// Kinds without a controller that acts on a spec have no `metadata.generation`.
fn counts_generations(resource: &str) -> bool {
    let without = [
        "configmaps",
        "endpoints",
        "events",
        "leases.coordination.k8s.io",
        "namespaces",
        "nodes",
        "secrets",
        "serviceaccounts",
        "services",
    ];
    !without.contains(&resource) && !resource.ends_with(".rbac.authorization.k8s.io")
}

/// True if two objects differ in their metadata and status only.
pub fn same_but_for_metadata_and_status(a: &Value, b: &Value) -> bool {
    fn rest(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let fields = object.as_object().into_iter().flatten();
        fields.filter(|(name, _)| !["metadata", "status"].contains(&name.as_str()))
    }
    rest(a).eq(rest(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("configmaps", "default", name)
    }

    #[test]
    fn an_unchanged_write_keeps_the_revision_and_the_generation_counts_spec_changes() {
        let mut store = Store::new(1);
        let key = |name: &str| Key::new("deployments.apps", "default", name);
        let object = json!({"metadata": {"name": "a"}, "spec": {"x": 1}});
        let first = store.put(key("a"), object.clone(), "t0");
        let again = store.put(key("a"), Value::clone(&first), "t1");
        assert_eq!(
            first["metadata"]["resourceVersion"],
            again["metadata"]["resourceVersion"]
        );

        store.update(&key("a"), "t2", |o| o["status"] = json!({"ready": true}));
        assert_eq!(store.get(&key("a")).unwrap()["metadata"]["generation"], 1);
        store.update(&key("a"), "t2", |o| o["spec"]["x"] = json!(2));
        let last = store.get(&key("a")).unwrap();
        assert_eq!(last["metadata"]["generation"], 2);
        assert_eq!(last["metadata"]["creationTimestamp"], "t0");
    }

    #[test]
    fn changes_are_told_from_a_revision_on_and_too_old_ones_are_refused() {
        let mut store = Store::new(1);
        let start = store.revision();
        store.put(key("a"), json!({"metadata": {"name": "a"}}), "t");
        store.put(key("b"), json!({"metadata": {"name": "b"}}), "t");
        store.delete(&key("a"));
        let kinds: Vec<_> = store
            .changes_since(start)
            .unwrap()
            .map(|c| c.kind)
            .collect();
        assert_eq!(
            kinds,
            [ChangeKind::Added, ChangeKind::Added, ChangeKind::Deleted]
        );
        assert_eq!(store.changes_since(start + 2).unwrap().count(), 1);

        for i in 0..=LOG_LIMIT {
            store.put(
                key("c"),
                json!({"metadata": {"name": "c"}, "data": {"i": i}}),
                "t",
            );
        }
        assert!(store.changes_since(start).is_err());
    }

    #[test]
    fn a_list_stays_within_its_resource_and_namespace() {
        let mut store = Store::new(1);
        for (resource, ns, name) in [("a", "x", "1"), ("a", "y", "2"), ("ab", "x", "3")] {
            store.put(Key::new(resource, ns, name), json!({"metadata": {}}), "t");
        }
        assert_eq!(store.list("a", None).count(), 2);
        assert_eq!(store.list("a", Some("y")).count(), 1);
        assert_eq!(store.list("a", Some("z")).count(), 0);
    }
}
