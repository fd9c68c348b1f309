//! Finding a kind by a word, as kubectl's arguments name it.

use anyhow::{Result, bail};
use kube::api::{Api, DynamicObject};
use kube::discovery::{ApiCapabilities, ApiResource, Discovery, Scope};

/// The kind that a word names: `HTTPRoute` in any case, `httproutes`, or one of these with its group
/// (`httproute.gateway.networking.k8s.io`). Short names are not known: clients are not told them.
pub fn find(discovery: &Discovery, word: &str) -> Result<(ApiResource, ApiCapabilities)> {
    let word = word.to_ascii_lowercase();
    let (name, group) = match word.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (word.as_str(), None),
    };
    // Of two kinds of one name kubectl takes that whose group comes first, and so do we.
    let mut groups: Vec<_> = discovery
        .groups()
        .filter(|candidate| group.is_none_or(|group| candidate.name() == group))
        .collect();
    groups.sort_by_key(|group| group.name());
    let found = groups
        .into_iter()
        .flat_map(|group| group.recommended_resources())
        .find(|(resource, _)| {
            resource.plural == name || resource.kind.to_ascii_lowercase() == name
        });
    match found {
        Some(found) => Ok(found),
        None => bail!("the server has no kind `{word}`"),
    }
}

/// The API of a kind, in a namespace if it has those.
pub fn api(
    client: &kube::Client,
    (resource, capabilities): &(ApiResource, ApiCapabilities),
    namespace: &str,
) -> Api<DynamicObject> {
    match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, resource),
    }
}
