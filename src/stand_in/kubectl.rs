//! A stand-in for `kubectl` on the kube crate, for machines without the real one.

mod print;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery, Scope};
use serde_json::{Value, json};

use crate::cluster;
use crate::cluster::apply::{Mode, api_of, apply};
use crate::cluster::kinds;
use crate::manifest;
use crate::mode::Outcome;
use print::{formatted, printed};

/// Footlights' stand-in for kubectl: it knows the commands of the bundled demos.
#[derive(Debug, Parser)]
#[command(name = "kubectl", disable_help_subcommand = true)]
struct Cli {
    /// The namespace.
    #[arg(short, long, global = true, default_value = "default")]
    namespace: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create or change what manifests say.
    Apply {
        /// Manifest files.
        #[arg(short = 'f', long = "filename", required = true)]
        files: Vec<PathBuf>,
    },
    /// Create a namespace.
    Create {
        /// `namespace`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Show objects.
    Get(Get),
    /// Delete objects.
    Delete {
        /// `KIND NAME…` or `KIND/NAME…`.
        #[arg(required_unless_present = "files")]
        objects: Vec<String>,
        /// Manifests of what is deleted.
        #[arg(short = 'f', long = "filename")]
        files: Vec<PathBuf>,
    },
    /// Put annotations on an object.
    Annotate(Mark),
    /// Put labels on an object.
    Label(Mark),
    /// Set a number of replicas.
    Scale {
        /// `KIND/NAME`.
        object: String,
        /// How many.
        #[arg(long)]
        replicas: u32,
    },
    /// Wait for a rollout.
    Rollout {
        /// `status`.
        action: String,
        /// `KIND[/NAME]`.
        object: String,
    },
    /// Show versions.
    Version,
}

#[derive(Debug, Args)]
struct Mark {
    /// `KIND NAME KEY=VALUE…`.
    #[arg(required = true, num_args = 3..)]
    words: Vec<String>,
}

#[derive(Debug, Args)]
struct Get {
    /// `KIND[,KIND]`, `KIND NAME…` or `KIND/NAME…`.
    #[arg(required = true)]
    objects: Vec<String>,
    /// `yaml`, `json`, `name`, `wide` or `jsonpath=…`.
    #[arg(short, long)]
    output: Option<String>,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

/// What `get` asks for so that the server makes the table.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Runs a command line.
pub async fn run(args: Vec<OsString>) -> Result<Outcome> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            eprintln!(
                "the stand-in knows annotate, apply, create namespace, delete, get, label, rollout status, scale and version"
            );
            return Ok(Outcome::ShowFailed);
        }
    };
    match Kubectl::new(cli.namespace).await {
        Err(error) => Err(error),
        Ok(kubectl) => match kubectl.run(cli.command).await {
            Ok(()) => Ok(Outcome::Good),
            Err(error) => {
                eprintln!("{}", in_kubectls_words(&error));
                Ok(Outcome::ShowFailed)
            }
        },
    }
}

/// The objects of a manifest file, or of standard input.
fn documents(file: &Path) -> Result<Vec<manifest::Document>> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        _ => {
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?
        }
    };
    manifest::parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

fn in_kubectls_words(error: &anyhow::Error) -> String {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => {
            format!("Error from server ({}): {}", status.reason, status.message)
        }
        _ => format!("error: {error:#}"),
    }
}

struct Kubectl {
    client: kube::Client,
    discovery: Discovery,
    namespace: String,
}

impl Kubectl {
    async fn new(namespace: String) -> Result<Self> {
        let kubeconfig = std::env::var_os("KUBECONFIG").context("KUBECONFIG is not set")?;
        let client = cluster::client(&cluster::Target::of(kubeconfig.as_ref())).await?;
        let discovery = Discovery::new(client.clone()).run_aggregated().await?;
        Ok(Kubectl {
            client,
            discovery,
            namespace,
        })
    }

    async fn run(&self, command: Command) -> Result<()> {
        match command {
            Command::Apply { files } => self.apply(&files).await,
            Command::Create { kind, name } => self.create(&kind, &name).await,
            Command::Get(get) => self.get(&get).await,
            Command::Delete { objects, files } => self.delete(&objects, &files).await,
            Command::Annotate(mark) => self.mark(&mark, "annotations", "annotated").await,
            Command::Label(mark) => self.mark(&mark, "labels", "labeled").await,
            Command::Scale { object, replicas } => self.scale(&object, replicas).await,
            Command::Rollout { action, object } => self.rollout(&action, &object).await,
            Command::Version => self.version().await,
        }
    }

    async fn apply(&self, files: &[PathBuf]) -> Result<()> {
        for file in files {
            for document in documents(file)? {
                let object = &document.object;
                let applied = apply(
                    &self.client,
                    &self.discovery,
                    object,
                    &self.namespace,
                    Mode::Store,
                )
                .await?;
                let (api_version, kind) = (&object["apiVersion"], &object["kind"]);
                let group = api_version
                    .as_str()
                    .and_then(|v| v.split_once('/'))
                    .map_or("", |(g, _)| g);
                let name = object["metadata"]["name"].as_str().unwrap_or("");
                let what = match &applied.before {
                    None => "created",
                    Some(before)
                        if before["metadata"]["resourceVersion"]
                            == applied.after["metadata"]["resourceVersion"] =>
                    {
                        "unchanged"
                    }
                    Some(_) => "configured",
                };
                println!(
                    "{} {what}",
                    slashed(group, kind.as_str().unwrap_or(""), name)
                );
            }
        }
        Ok(())
    }

    async fn create(&self, kind: &str, name: &str) -> Result<()> {
        if !["namespace", "namespaces", "ns"].contains(&kind) {
            bail!("the stand-in creates namespaces only; use `kubectl apply -f`");
        }
        let (api, resource) = self.api("namespaces", None)?;
        let object: DynamicObject = serde_json::from_value(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        )?;
        api.create(&Default::default(), &object).await?;
        println!("{} created", slashed(&resource.group, &resource.kind, name));
        Ok(())
    }

    async fn get(&self, get: &Get) -> Result<()> {
        for (kind, names) in objects(&get.objects)? {
            let namespace = (!get.all_namespaces).then_some(self.namespace.as_str());
            let (api, resource) = self.api(&kind, namespace)?;
            match get.output.as_deref() {
                None | Some("wide") => {
                    let wide = get.output.is_some();
                    let table = self.table(&api, names.first().map(String::as_str)).await?;
                    print!("{}", printed(&table, wide, get.all_namespaces));
                }
                Some(output) => {
                    let value = self.value(&api, &resource, &names).await?;
                    print!("{}", formatted(&value, output, &resource)?);
                }
            }
        }
        Ok(())
    }

    async fn table(&self, api: &Api<DynamicObject>, name: Option<&str>) -> Result<Value> {
        let path = match name {
            Some(name) => format!("{}/{name}", api.resource_url()),
            None => api.resource_url().to_owned(),
        };
        let request = http::Request::get(path)
            .header("accept", TABLE)
            .body(Vec::new())?;
        Ok(self.client.request(request).await?)
    }

    async fn value(
        &self,
        api: &Api<DynamicObject>,
        resource: &ApiResource,
        names: &[String],
    ) -> Result<Value> {
        match names {
            [name] => Ok(serde_json::to_value(api.get(name).await?)?),
            _ => {
                let list = api.list(&Default::default()).await?;
                let items: Vec<Value> = list
                    .items
                    .into_iter()
                    .map(|item| {
                        let mut item = serde_json::to_value(item).unwrap_or_default();
                        item["apiVersion"] = json!(resource.api_version);
                        item["kind"] = json!(resource.kind);
                        item
                    })
                    .collect();
                Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
            }
        }
    }

    async fn delete(&self, words: &[String], files: &[PathBuf]) -> Result<()> {
        for (kind, names) in objects(words)? {
            if names.is_empty() {
                bail!("name what to delete: `kubectl delete {kind} NAME`");
            }
            let (api, resource) = self.api(&kind, Some(&self.namespace))?;
            for name in names {
                self.delete_one(&api, &resource, &name).await?;
            }
        }
        for file in files {
            for document in documents(file)? {
                let object = &document.object;
                let (api, resource) =
                    api_of(&self.client, &self.discovery, object, &self.namespace)?;
                let name = object["metadata"]["name"].as_str().unwrap_or("");
                self.delete_one(&api, &resource, name).await?;
            }
        }
        Ok(())
    }

    async fn delete_one(
        &self,
        api: &Api<DynamicObject>,
        resource: &ApiResource,
        name: &str,
    ) -> Result<()> {
        api.delete(name, &DeleteParams::background()).await?;
        let kind = slashed(&resource.group, &resource.kind, "");
        println!("{} \"{name}\" deleted", kind.trim_end_matches('/'));
        Ok(())
    }

    /// Labels or annotates an object.
    async fn mark(&self, Mark { words }: &Mark, field: &str, done: &str) -> Result<()> {
        let [kind, name, pairs @ ..] = &words[..] else {
            bail!("name what to mark: KIND NAME KEY=VALUE");
        };
        let (api, resource) = self.api(kind, Some(&self.namespace))?;
        let mut patch = json!({"metadata": {field: {}}});
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("`{pair}` is no KEY=VALUE"))?;
            patch["metadata"][field][key] = json!(value);
        }
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        println!("{} {done}", slashed(&resource.group, &resource.kind, name));
        Ok(())
    }

    async fn scale(&self, object: &str, replicas: u32) -> Result<()> {
        let (kind, name) = object.split_once('/').context("name it as KIND/NAME")?;
        let (api, resource) = self.api(kind, Some(&self.namespace))?;
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        api.patch_scale(name, &PatchParams::default(), &patch)
            .await?;
        println!("{} scaled", slashed(&resource.group, &resource.kind, name));
        Ok(())
    }

    async fn rollout(&self, action: &str, object: &str) -> Result<()> {
        if action != "status" {
            bail!("the stand-in knows `rollout status` only");
        }
        let (kind, name) = match object.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (object, None),
        };
        let (api, _) = self.api(kind, Some(&self.namespace))?;
        let mut waiting: VecDeque<String> = match name {
            Some(name) => [name.to_owned()].into(),
            None => {
                let list = api.list(&Default::default()).await?;
                list.items
                    .into_iter()
                    .filter_map(|o| o.metadata.name)
                    .collect()
            }
        };
        let mut told = String::new();
        while let Some(name) = waiting.front() {
            let object = serde_json::to_value(api.get(name).await?)?;
            match unfinished(&object) {
                None => {
                    println!("deployment \"{name}\" successfully rolled out");
                    waiting.pop_front();
                }
                Some(text) => {
                    if text != told {
                        println!("Waiting for deployment \"{name}\" rollout to finish: {text}...");
                        told = text;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        Ok(())
    }

    async fn version(&self) -> Result<()> {
        let server = self.client.apiserver_version().await?;
        println!(
            "Client Version: footlights {} (stand-in)",
            env!("CARGO_PKG_VERSION")
        );
        println!("Server Version: {}", server.git_version);
        Ok(())
    }

    fn api(
        &self,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<(Api<DynamicObject>, ApiResource)> {
        let resource = self
            .resource(kind)
            .with_context(|| format!("the server doesn't have a resource type \"{kind}\""))?;
        let gvk = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        let scope = self.discovery.resolve_gvk(&gvk).map(|(_, c)| c.scope);
        let api = match (scope, namespace) {
            (Some(Scope::Namespaced), Some(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
            _ => Api::all_with(self.client.clone(), &resource),
        };
        Ok((api, resource))
    }

    fn resource(&self, name: &str) -> Option<ApiResource> {
        const SHORT: [(&str, &str); 9] = [
            ("cm", "configmaps"),
            ("deploy", "deployments"),
            ("ev", "events"),
            ("gc", "gatewayclasses"),
            ("gtw", "gateways"),
            ("ns", "namespaces"),
            ("po", "pods"),
            ("rs", "replicasets"),
            ("svc", "services"),
        ];
        let mut parts = name.splitn(3, '.');
        let name = parts.next().unwrap_or(name).to_lowercase();
        // `httproutes.v1beta1.gateway.networking.k8s.io` names a version too.
        let version = parts
            .next()
            .filter(|p| p.starts_with('v') && p[1..].starts_with(|c: char| c.is_ascii_digit()));
        let name = SHORT
            .iter()
            .find(|(s, _)| *s == name)
            .map_or(name.as_str(), |(_, long)| long);
        let (mut resource, _) = kinds::find(&self.discovery, name).ok()?;
        if let Some(version) = version {
            version.clone_into(&mut resource.version);
            resource.api_version = format!("{}/{version}", resource.group);
        }
        Some(resource)
    }
}

/// `KIND NAME…`, `KIND/NAME…` or `KIND,KIND` as kinds with names.
fn objects(words: &[String]) -> Result<Vec<(String, Vec<String>)>> {
    let Some((first, names)) = words.split_first() else {
        return Ok(Vec::new());
    };
    if words.iter().all(|w| w.contains('/')) {
        let pair = |w: &String| {
            let (kind, name) = w.split_once('/').unwrap_or((w, ""));
            (kind.to_owned(), vec![name.to_owned()])
        };
        return Ok(words.iter().map(pair).collect());
    }
    if words.iter().any(|w| w.contains('/')) {
        bail!(
            "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form"
        );
    }
    Ok(first
        .split(',')
        .map(|kind| (kind.to_owned(), names.to_vec()))
        .collect())
}

/// `deployment.apps/x`.
fn slashed(group: &str, kind: &str, name: &str) -> String {
    let kind = kind.to_lowercase();
    if group.is_empty() {
        format!("{kind}/{name}")
    } else {
        format!("{kind}.{group}/{name}")
    }
}

/// What a Deployment still lacks, in kubectl's words.
fn unfinished(deployment: &Value) -> Option<String> {
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let status = &deployment["status"];
    let wanted = number(&deployment["spec"]["replicas"]);
    let (updated, all, available) = (
        number(&status["updatedReplicas"]),
        number(&status["replicas"]),
        number(&status["availableReplicas"]),
    );
    if number(&status["observedGeneration"]) < number(&deployment["metadata"]["generation"]) {
        Some("waiting for deployment spec update to be observed".to_owned())
    } else if updated < wanted {
        Some(format!(
            "{updated} out of {wanted} new replicas have been updated"
        ))
    } else if all > updated {
        Some(format!(
            "{} old replicas are pending termination",
            all - updated
        ))
    } else if available < updated {
        Some(format!(
            "{available} of {updated} updated replicas are available"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_in_both_ways() {
        let words = |s: &str| s.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let pair =
            |k: &str, n: &[&str]| (k.to_owned(), n.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(
            objects(&words("deploy/a")).unwrap(),
            [pair("deploy", &["a"])]
        );
        assert_eq!(
            objects(&words("pods a b")).unwrap(),
            [pair("pods", &["a", "b"])]
        );
        assert_eq!(
            objects(&words("svc,deploy")).unwrap(),
            [pair("svc", &[]), pair("deploy", &[])]
        );
        assert!(objects(&words("pods deploy/a")).is_err());
    }
}
