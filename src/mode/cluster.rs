//! `footlights cluster`: the embedded cluster alone, in the foreground.

use std::io::{IsTerminal, Write};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::cli::{self, Format, ProfileName};
use crate::embedded::profile::Profile;
use crate::embedded::{EmbeddedCluster, GatewayListener};

use super::Outcome;

/// Runs it until Ctrl-C, SIGTERM or SIGHUP.
pub async fn run(args: cli::Cluster) -> Result<Outcome> {
    if super::show::outer_show().is_some() {
        bail!("this is a command of a show, which has a cluster: KUBECONFIG leads to it");
    }
    let profile = match args.profile {
        ProfileName::Bare => Profile::Bare,
        ProfileName::Gateway => Profile::Gateway,
        ProfileName::Workshop => Profile::Workshop,
    };
    let cluster = EmbeddedCluster::start(profile).await?;
    let text = match args.format {
        Some(format) => format == Format::Text,
        None => std::io::stdout().is_terminal(),
    };
    let gateways = cluster.gateways();
    let mut changes = gateways.changes();
    let mut ended = std::pin::pin!(super::terminated());
    let mut told: Option<Vec<GatewayListener>> = None;
    loop {
        let now = gateways.list();
        if gateways.settled() && told.as_ref() != Some(&now) {
            let mut out = std::io::stdout().lock();
            if text {
                out.write_all(for_people(&cluster, &now, told.is_none()).as_bytes())?;
            } else {
                writeln!(out, "{}", for_programs(&cluster, &now))?;
            }
            out.flush()?;
            told = Some(now);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = &mut ended => break,
        }
    }
    Ok(Outcome::Good)
}

fn for_people(cluster: &EmbeddedCluster, gateways: &[GatewayListener], first: bool) -> String {
    let mut text = String::new();
    if first {
        text += &format!(
            "The embedded cluster is ready. Ctrl-C ends it.\n\n  \
             export KUBECONFIG={}\n  kubectl get pods -A\n\n",
            cluster.kubeconfig().display()
        );
    }
    for listener in gateways {
        text += &format!(
            "Gateway {}/{} ({}, port {}): {}\n",
            listener.gateway.namespace,
            listener.gateway.name,
            listener.listener,
            listener.port,
            listener.url()
        );
    }
    text
}

fn for_programs(cluster: &EmbeddedCluster, gateways: &[GatewayListener]) -> Value {
    let gateways: Vec<Value> = gateways
        .iter()
        .map(|l| {
            json!({"namespace": l.gateway.namespace, "name": l.gateway.name,
                   "listener": l.listener, "port": l.port, "url": l.url()})
        })
        .collect();
    json!({"apiServer": format!("https://{}", cluster.api()),
           "kubeconfig": cluster.kubeconfig(), "gateways": gateways, "meshProxy": null})
}
