//! A stand-in for `istioctl`: `install`, `version`, `x precheck`.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::json;

use super::here::{Here, control_plane, namespace};
use super::refused;
use crate::mode::Outcome;

/// The version that it plays: the workshop's.
const VERSION: &str = "1.24.2";
const NAMESPACE: &str = "istio-system";

/// Footlights' stand-in for istioctl.
#[derive(Debug, Parser)]
#[command(name = "istioctl", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install Istio's GatewayClass and control plane.
    Install {
        /// Settings: profiles are all alike here.
        #[arg(long = "set")]
        set: Vec<String>,
        /// Ask nothing.
        #[arg(short = 'y', long)]
        skip_confirmation: bool,
    },
    /// Show versions.
    Version {
        /// Of this program only.
        #[arg(long, num_args = 0..=1, default_missing_value = "true")]
        remote: Option<bool>,
    },
    /// Checks before an installation.
    #[command(alias = "experimental")]
    X {
        #[command(subcommand)]
        command: Experimental,
    },
}

#[derive(Debug, Subcommand)]
enum Experimental {
    /// Check whether Istio can be installed.
    Precheck,
}

/// Runs a command line.
pub async fn run(args: Vec<OsString>) -> Result<Outcome> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return Ok(refused(&error, "install, version and x precheck")),
    };
    let mut here = Here::connect().await?;
    match cli.command {
        Command::Install { .. } => install(&mut here).await?,
        Command::Version { remote } => {
            println!("client version: {VERSION}");
            if remote != Some(false) {
                if here.has_deployment(NAMESPACE, "istiod").await? {
                    println!("control plane version: {VERSION}");
                } else {
                    println!("Istio is not present in the cluster");
                }
            }
        }
        Command::X { .. } => {
            println!("✔ No issues found when checking the cluster.");
        }
    }
    Ok(Outcome::Good)
}

async fn install(here: &mut Here) -> Result<()> {
    let mut objects = vec![
        namespace(NAMESPACE),
        control_plane(
            NAMESPACE,
            "istiod",
            &format!("docker.io/istio/pilot:{VERSION}"),
        ),
    ];
    let classes =
        kube::core::GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "GatewayClass");
    let has_gateway_api = here.discovery.resolve_gvk(&classes).is_some();
    if has_gateway_api {
        for class in ["istio", "istio-remote"] {
            objects.push(json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
                "metadata": {"name": class},
                "spec": {"controllerName": "istio.io/gateway-controller",
                         "description": "The default Istio GatewayClass"}}));
        }
    }
    here.apply_all(&objects, NAMESPACE).await?;
    println!("✔ Istio core installed");
    here.wait_for(NAMESPACE, "istiod").await?;
    println!("✔ Istiod installed");
    println!("✔ Installation complete");
    if !has_gateway_api {
        println!("(no Gateway API here: apply its CRDs and install again for the GatewayClass)");
    }
    Ok(())
}
