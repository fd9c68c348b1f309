//! A stand-in for `helm`: `install`, `upgrade`, `uninstall`, `list` and `template` of the Faces chart and
//! Envoy Gateway's, which it renders itself: nothing is downloaded.

mod charts;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Parser, Subcommand};
use kube::api::ListParams;
use serde_json::{Value, json};

use super::here::{Here, namespace};
use super::refused;
use crate::manifest;
use crate::mode::Outcome;
use charts::Chart;

/// Footlights' stand-in for helm.
#[derive(Debug, Parser)]
#[command(name = "helm", disable_help_subcommand = true)]
struct Cli {
    /// The namespace.
    #[arg(short, long, global = true, default_value = "default")]
    namespace: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install a chart.
    Install(Release),
    /// Change a release.
    Upgrade {
        #[command(flatten)]
        release: Release,
        /// Install it if it is not there.
        #[arg(short, long)]
        install: bool,
        /// Keep the values of before.
        #[arg(long)]
        reuse_values: bool,
    },
    /// Print what would be applied.
    Template(Release),
    /// Remove a release.
    #[command(alias = "delete")]
    Uninstall {
        /// The release.
        name: String,
        /// Wait until it is gone.
        #[arg(long)]
        wait: bool,
    },
    /// List releases.
    #[command(alias = "ls")]
    List {
        /// Of all namespaces.
        #[arg(short = 'A', long)]
        all_namespaces: bool,
    },
    /// Show the version.
    Version,
}

#[derive(Debug, Args)]
struct Release {
    /// The release.
    name: String,
    /// The chart: `oci://…/faces-chart` or `oci://…/gateway-helm`.
    chart: String,
    /// The chart's version.
    #[arg(long)]
    version: Option<String>,
    /// Files of values.
    #[arg(short = 'f', long)]
    values: Vec<PathBuf>,
    /// `KEY=VALUE`, with dots in the key.
    #[arg(long, value_delimiter = ',')]
    set: Vec<String>,
    /// The same, and the value is text.
    #[arg(long, value_delimiter = ',')]
    set_string: Vec<String>,
    /// Make the namespace.
    #[arg(long)]
    create_namespace: bool,
    /// Wait until what is installed is ready.
    #[arg(long)]
    wait: bool,
    /// How long to wait.
    #[arg(long)]
    timeout: Option<String>,
}

/// Runs a command line.
pub async fn run(args: Vec<OsString>) -> Result<Outcome> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            return Ok(refused(
                &error,
                "install, upgrade, uninstall, list, template and version",
            ));
        }
    };
    let within = cli.namespace.as_str();
    match cli.command {
        Command::Version => println!("version.BuildInfo{{Version:\"v3 (stand-in)\"}}"),
        Command::Template(release) => {
            let chart = Chart::find(&release.chart, release.version.as_deref())?;
            for object in chart.render(&values(&chart, &release, None)?, within) {
                print!("---\n{}", manifest::to_yaml(&object));
            }
        }
        Command::Install(release) => {
            let mut here = Here::connect().await?;
            if stored(&here, within, &release.name).await?.is_some() {
                bail!("INSTALLATION FAILED: cannot re-use a name that is still in use");
            }
            deploy(&mut here, within, &release, None, OldValues::Dropped).await?;
        }
        Command::Upgrade {
            release,
            install,
            reuse_values,
        } => {
            let mut here = Here::connect().await?;
            let before = stored(&here, within, &release.name).await?;
            if before.is_none() && !install {
                bail!(
                    "UPGRADE FAILED: \"{}\" has no deployed releases",
                    release.name
                );
            }
            let untouched = release.values.is_empty()
                && release.set.is_empty()
                && release.set_string.is_empty();
            let keep = if reuse_values || untouched {
                OldValues::Kept
            } else {
                OldValues::Dropped
            };
            deploy(&mut here, within, &release, before, keep).await?;
        }
        Command::Uninstall { name, .. } => {
            let here = Here::connect().await?;
            let Some(record) = stored(&here, within, &name).await? else {
                bail!("uninstall: Release not loaded: {name}: release: not found");
            };
            for object in record["objects"].as_array().into_iter().flatten().rev() {
                here.delete(object, within).await?;
            }
            let secret = secret_of(within, &record);
            here.delete(&secret, within).await?;
            println!("release \"{name}\" uninstalled");
        }
        Command::List { all_namespaces } => list(within, all_namespaces).await?,
    }
    Ok(Outcome::Good)
}

/// The chart's defaults, the values of before, files, then `--set`.
fn values(chart: &Chart, release: &Release, before: Option<&Value>) -> Result<Value> {
    let mut values = chart.defaults();
    if let Some(before) = before {
        lay(&mut values, before);
    }
    for file in &release.values {
        let text = match file.to_str() {
            Some("-") => std::io::read_to_string(std::io::stdin())?,
            _ => std::fs::read_to_string(file)
                .with_context(|| format!("reading the values {}", file.display()))?,
        };
        for document in manifest::parse(&text)? {
            lay(&mut values, &document.object);
        }
    }
    for (pairs, is_text) in [(&release.set, false), (&release.set_string, true)] {
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("--set {pair}: KEY=VALUE is meant"))?;
            let value = match (is_text, value) {
                (true, text) => json!(text),
                (false, "true") => json!(true),
                (false, "false") => json!(false),
                (false, "null") => Value::Null,
                (false, text) => text
                    .parse::<i64>()
                    .map_or_else(|_| json!(text), |n| json!(n)),
            };
            let nested = key
                .rsplit('.')
                .fold(value, |inner, key| json!({ key: inner }));
            lay(&mut values, &nested);
        }
    }
    Ok(values)
}

/// Values over values: maps merge, the rest is replaced, `null` removes.
fn lay(under: &mut Value, over: &Value) {
    json_patch::merge(under, over);
}

/// What becomes of the values of the release before.
#[derive(Clone, Copy, PartialEq)]
enum OldValues {
    Kept,
    Dropped,
}

async fn deploy(
    here: &mut Here,
    within: &str,
    release: &Release,
    before: Option<Value>,
    old_values: OldValues,
) -> Result<()> {
    let chart = Chart::find(&release.chart, release.version.as_deref())?;
    if release.create_namespace {
        here.apply_all(&[namespace(within)], "").await?;
    } else if !here.has_namespace(within).await? {
        bail!(
            "INSTALLATION FAILED: namespaces \"{within}\" not found (--create-namespace makes it)"
        );
    }
    let kept = before.as_ref().filter(|_| old_values == OldValues::Kept);
    let values = values(&chart, release, kept.map(|b| &b["values"]))?;
    let objects = chart.render(&values, within);
    for crd in chart.crds() {
        here.apply_if_absent(&crd).await?;
    }
    here.apply_all(&objects, within).await?;
    let gone = before.as_ref().map_or(&Value::Null, |b| &b["objects"]);
    let stays = |old: &Value| objects.iter().any(|o| same_object(o, old));
    for object in gone.as_array().into_iter().flatten().filter(|o| !stays(o)) {
        here.delete(object, within).await?;
    }
    if release.wait {
        for object in objects.iter().filter(|o| o["kind"] == "Deployment") {
            let name = object["metadata"]["name"].as_str().unwrap_or("");
            here.wait_for(within, name).await?;
        }
    }
    let revision = before.map_or(0, |b| b["revision"].as_u64().unwrap_or(0)) + 1;
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string();
    let names: Vec<Value> = objects
        .iter()
        .map(|o| json!({"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": {"name": o["metadata"]["name"]}}))
        .collect();
    let record = json!({
        "name": release.name, "revision": revision, "chart": chart.label(), "app": chart.app_version(),
        "updated": now, "values": values, "objects": names,
    });
    here.apply_all(&[secret_of(within, &record)], within)
        .await?;
    println!(
        "NAME: {}\nLAST DEPLOYED: {now}\nNAMESPACE: {within}\nSTATUS: deployed\nREVISION: {revision}",
        release.name
    );
    Ok(())
}

fn same_object(a: &Value, b: &Value) -> bool {
    a["kind"] == b["kind"] && a["metadata"]["name"] == b["metadata"]["name"]
}

/// A release's record, in a Secret as helm keeps its own, and readable by this stand-in only.
fn secret_of(within: &str, record: &Value) -> Value {
    let name = record["name"].as_str().unwrap_or("");
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "footlights.dev/release",
        "metadata": {"name": format!("sh.footlights.release.{name}"), "namespace": within,
                     "labels": {"owner": "helm", "name": name}},
        "data": {"release": STANDARD.encode(record.to_string())},
    })
}

fn record_of(secret: &Value) -> Option<Value> {
    let encoded = secret["data"]["release"].as_str()?;
    serde_json::from_slice(&STANDARD.decode(encoded).ok()?).ok()
}

async fn stored(here: &Here, within: &str, name: &str) -> Result<Option<Value>> {
    let api = here.api("", "Secret", within)?;
    let found = api
        .get_opt(&format!("sh.footlights.release.{name}"))
        .await?;
    Ok(match found {
        Some(secret) => record_of(&serde_json::to_value(secret)?),
        None => None,
    })
}

async fn list(within: &str, all_namespaces: bool) -> Result<()> {
    let here = Here::connect().await?;
    let gvk = kube::core::GroupVersionKind::gvk("", "v1", "Secret");
    let (resource, _) = here
        .discovery
        .resolve_gvk(&gvk)
        .context("no Secrets here")?;
    let api: kube::Api<kube::api::DynamicObject> = if all_namespaces {
        kube::Api::all_with(here.client.clone(), &resource)
    } else {
        kube::Api::namespaced_with(here.client.clone(), within, &resource)
    };
    let found = api
        .list(&ListParams::default().labels("owner=helm"))
        .await?;
    println!("NAME\tNAMESPACE\tREVISION\tUPDATED\tSTATUS\tCHART\tAPP VERSION");
    for secret in found.items {
        let at = secret.metadata.namespace.clone().unwrap_or_default();
        if let Some(record) = record_of(&serde_json::to_value(secret)?) {
            let text = |field: &str| record[field].as_str().unwrap_or("").to_owned();
            println!(
                "{}\t{at}\t{}\t{}\tdeployed\t{}\t{}",
                text("name"),
                record["revision"],
                text("updated"),
                text("chart"),
                text("app")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(set: &[&str]) -> Release {
        let mut words = vec![
            "helm",
            "install",
            "faces",
            "oci://ghcr.io/buoyantio/faces-chart",
            "--version",
            "2.0.0-rc.1",
        ];
        for pair in set {
            words.extend(["--set", pair]);
        }
        match Cli::try_parse_from(words).unwrap().command {
            Command::Install(release) => release,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_of_the_command_line_lie_over_the_charts() {
        let release = release(&["smiley2.enabled=true", "backend.errorFraction=0"]);
        let chart = Chart::find(&release.chart, release.version.as_deref()).unwrap();
        let values = values(&chart, &release, None).unwrap();
        assert_eq!(
            values["smiley2"],
            json!({"enabled": true, "smiley": "HeartEyes"})
        );
        assert_eq!(values["backend"]["errorFraction"], 0);
        assert!(Chart::find("oci://x/redis", None).is_err());
    }
}
