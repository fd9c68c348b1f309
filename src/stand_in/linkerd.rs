//! A stand-in for `linkerd`: `check`, `install`, `version`.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::Value;

use super::here::{Here, control_plane, namespace};
use super::refused;
use crate::manifest;
use crate::mode::Outcome;

/// The release that it plays: the workshop's.
const VERSION: &str = "edge-24.10.4";
const NAMESPACE: &str = "linkerd";
const CRDS: &str = include_str!("../../assets/crds/linkerd.yaml");

/// Footlights' stand-in for linkerd.
#[derive(Debug, Parser)]
#[command(name = "linkerd", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the cluster, or what stands of Linkerd in it.
    Check {
        /// Before an installation.
        #[arg(long)]
        pre: bool,
        /// How long to wait for it.
        #[arg(long)]
        wait: Option<String>,
    },
    /// Print manifests for `kubectl apply -f -`.
    Install {
        /// The CRDs only.
        #[arg(long)]
        crds: bool,
        /// Settings: all alike here.
        #[arg(long = "set")]
        set: Vec<String>,
    },
    /// Show versions.
    Version {
        /// Of this program only.
        #[arg(long)]
        client: bool,
    },
}

/// Runs a command line.
pub async fn run(args: Vec<OsString>) -> Result<Outcome> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            return Ok(refused(
                &error,
                "check [--pre], install [--crds] and version",
            ));
        }
    };
    match cli.command {
        Command::Install { crds: true, .. } => {
            for document in manifest::parse(CRDS)? {
                print!("---\n{}", manifest::to_yaml(&document.object));
            }
        }
        Command::Install { .. } => {
            for object in control_planes() {
                print!("---\n{}", manifest::to_yaml(&object));
            }
        }
        Command::Check { pre, .. } => return check(pre).await,
        Command::Version { client } => {
            println!("Client version: {VERSION}");
            if !client {
                let here = Here::connect().await?;
                let stands = here
                    .has_deployment(NAMESPACE, "linkerd-destination")
                    .await?;
                println!(
                    "Server version: {}",
                    if stands { VERSION } else { "unavailable" }
                );
            }
        }
    }
    Ok(Outcome::Good)
}

fn control_planes() -> Vec<Value> {
    let image = |name: &str| format!("cr.l5d.io/linkerd/{name}:{VERSION}");
    vec![
        namespace(NAMESPACE),
        control_plane(
            NAMESPACE,
            "linkerd-destination",
            &image("policy-controller"),
        ),
        control_plane(NAMESPACE, "linkerd-identity", &image("controller")),
        control_plane(NAMESPACE, "linkerd-proxy-injector", &image("controller")),
    ]
}

async fn check(pre: bool) -> Result<Outcome> {
    let here = Here::connect().await?;
    println!("kubernetes-api\n--------------\n√ can query the Kubernetes API\n");
    let stands = here.has_namespace(NAMESPACE).await?;
    if pre {
        println!("pre-kubernetes-setup\n--------------------");
        if stands {
            println!(
                "× control plane namespace does not already exist\n\nStatus check results are ×"
            );
            return Ok(Outcome::ShowFailed);
        }
        println!(
            "√ control plane namespace does not already exist\n√ can create what Linkerd needs"
        );
        println!("\nStatus check results are √");
        return Ok(Outcome::Good);
    }
    println!("linkerd-existence\n-----------------");
    if !here
        .has_deployment(NAMESPACE, "linkerd-destination")
        .await?
    {
        println!("× control plane is not there: run linkerd install\n\nStatus check results are ×");
        return Ok(Outcome::ShowFailed);
    }
    for name in [
        "linkerd-destination",
        "linkerd-identity",
        "linkerd-proxy-injector",
    ] {
        here.wait_for(NAMESPACE, name).await?;
        println!("√ {name} is running");
    }
    println!("\nStatus check results are √");
    Ok(Outcome::Good)
}
