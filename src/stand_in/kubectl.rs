//! A stand-in for `kubectl` on the kube crate, for machines without the real one.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery, Scope};
use serde_json::{Value, json};

use crate::cluster;
use crate::cluster::apply::{Mode, apply};
use crate::manifest;
use crate::mode::Outcome;

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
        #[arg(required = true)]
        objects: Vec<String>,
    },
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
                "the stand-in knows apply, create namespace, delete, get, rollout status, scale and version"
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
            Command::Delete { objects } => self.delete(&objects).await,
            Command::Scale { object, replicas } => self.scale(&object, replicas).await,
            Command::Rollout { action, object } => self.rollout(&action, &object).await,
            Command::Version => self.version().await,
        }
    }

    async fn apply(&self, files: &[PathBuf]) -> Result<()> {
        for file in files {
            let text = match file.to_str() {
                Some("-") => std::io::read_to_string(std::io::stdin())?,
                _ => std::fs::read_to_string(file)
                    .with_context(|| format!("reading {}", file.display()))?,
            };
            let documents = manifest::parse(&text)
                .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
            for document in documents {
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

    async fn delete(&self, words: &[String]) -> Result<()> {
        for (kind, names) in objects(words)? {
            if names.is_empty() {
                bail!("name what to delete: `kubectl delete {kind} NAME`");
            }
            let (api, resource) = self.api(&kind, Some(&self.namespace))?;
            for name in names {
                api.delete(&name, &DeleteParams::background()).await?;
                let kind = slashed(&resource.group, &resource.kind, "");
                println!("{} \"{name}\" deleted", kind.trim_end_matches('/'));
            }
        }
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
        self.discovery
            .groups()
            .flat_map(|group| group.recommended_resources())
            .map(|(resource, _)| resource)
            .find(|r| r.plural == name || r.kind.to_lowercase() == name)
            .map(|mut resource| {
                if let Some(version) = version {
                    version.clone_into(&mut resource.version);
                    resource.api_version = format!("{}/{version}", resource.group);
                }
                resource
            })
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

/// A table as text, in columns that are three blanks apart.
fn printed(table: &Value, wide: bool, namespaces: bool) -> String {
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

fn formatted(value: &Value, output: &str, resource: &ApiResource) -> Result<String> {
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
