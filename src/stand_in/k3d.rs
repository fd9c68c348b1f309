//! A stand-in for `k3d`: the embedded cluster is the cluster, so none is made and none goes.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::refused;
use crate::mode::Outcome;

/// Footlights' stand-in for k3d.
#[derive(Debug, Parser)]
#[command(name = "k3d", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Clusters.
    Cluster {
        #[command(subcommand)]
        command: Cluster,
    },
    /// Show versions.
    Version,
}

#[derive(Debug, Subcommand)]
enum Cluster {
    /// Make one.
    Create {
        /// Its name, and settings: ports, volumes, images are all alike here.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Delete one.
    Delete {
        /// Its name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// List them.
    List,
}

/// Runs a command line.
pub fn run(args: Vec<OsString>) -> Outcome {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, "cluster create, delete and list, and version"),
    };
    let name = |words: &[String]| {
        let named = words.iter().find(|w| !w.starts_with('-'));
        named.map_or("k3s-default", String::as_str).to_owned()
    };
    match cli.command {
        Command::Cluster { command } => match command {
            Cluster::Create { words } => {
                println!(
                    "Cluster '{}' is the embedded cluster, which runs already",
                    name(&words)
                );
            }
            Cluster::Delete { words } => {
                println!(
                    "Cluster '{}' is the embedded cluster: it stays until the show ends",
                    name(&words)
                );
            }
            Cluster::List => println!("NAME\nfootlights-embedded"),
        },
        Command::Version => println!("k3d version v5 (stand-in)"),
    }
    Outcome::Good
}
