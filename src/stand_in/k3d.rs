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

/// Options whose value is a word of its own.
const VALUED: &[&str] = &[
    "-p",
    "--port",
    "-v",
    "--volume",
    "-a",
    "--agents",
    "-s",
    "--servers",
    "-i",
    "--image",
    "-c",
    "--config",
    "-e",
    "--env",
    "-l",
    "--label",
    "--api-port",
    "--k3s-arg",
    "--network",
    "--registry-use",
    "--timeout",
    "--token",
    "--registry-create",
    "--registry-config",
    "--agents-memory",
    "--servers-memory",
    "--gpus",
    "--host-alias",
    "--k3s-node-label",
    "--lb-config-override",
    "--runtime-label",
    "--runtime-ulimit",
    "--subnet",
];

/// The cluster's name: the first word that is neither an option nor an option's value.
fn name(words: &[String]) -> &str {
    let mut before = "";
    for word in words {
        if !word.starts_with('-') && !VALUED.contains(&before) {
            return word;
        }
        before = word;
    }
    "k3s-default"
}

/// Runs a command line.
pub fn run(args: Vec<OsString>) -> Outcome {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, "cluster create, delete and list, and version"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_before_or_behind_options() {
        for (line, wanted) in [
            ("faces", "faces"),
            ("-p 80:80@loadbalancer faces --wait", "faces"),
            ("--port=80:80 faces", "faces"),
            ("faces -p 80:80", "faces"),
            ("--wait", "k3s-default"),
            ("", "k3s-default"),
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(name(&words), wanted, "{line}");
        }
    }
}
