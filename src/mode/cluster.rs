//! `footlights cluster`: the embedded cluster alone, in the foreground.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::{self, ClusterCommand, Format, ProfileName};
use crate::embedded::profile::{GATEWAY_API, Profile};
use crate::embedded::{EmbeddedCluster, GatewayListener, Options};
use crate::manifest;

use super::Outcome;

/// Runs it until Ctrl-C, SIGTERM or SIGHUP.
pub async fn run(args: cli::Cluster) -> Result<Outcome> {
    if args.instead == Some(ClusterCommand::Crds) {
        return match std::io::stdout().write_all(crds()?.as_bytes()) {
            // `| head` has what it wants.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Outcome::Good),
            written => Ok(written.map(|()| Outcome::Good)?),
        };
    }
    if super::show::outer_show().is_some() {
        bail!("this is a command of a show, which has a cluster: KUBECONFIG leads to it");
    }
    let profile = match args.profile {
        ProfileName::Bare => Profile::Bare,
        ProfileName::Gateway => Profile::Gateway,
        ProfileName::Workshop => Profile::Workshop,
    };
    let cluster = EmbeddedCluster::start(Options {
        profile,
        kubeconfig: args.kubeconfig.clone(),
        api_port: args.api_port,
        gateway_port: args.gateway_port,
        mesh_proxy: args.mesh_proxy,
    })
    .await?;
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
        // The first line is told once all is ready; later ones whatever becomes of other pods.
        let ready = told.is_some() || gateways.settled();
        if ready && told.as_ref() != Some(&now) {
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
    if args.kubeconfig.is_some() {
        // It leads nowhere any more, unless another cluster has written it since.
        let file = cluster.kubeconfig();
        let server = format!("https://{}\n", cluster.api());
        if std::fs::read_to_string(file).is_ok_and(|text| text.contains(&server)) {
            let _ = std::fs::remove_file(file);
        }
    }
    Ok(Outcome::Good)
}

/// The built-in bundle, a document a CRD, written out in full.
fn crds() -> Result<String> {
    let mut text = String::new();
    for document in manifest::parse(GATEWAY_API).context("reading the built-in CRDs")? {
        text += "---\n";
        text += &manifest::to_yaml(&document.object);
    }
    Ok(text)
}

fn for_people(cluster: &EmbeddedCluster, gateways: &[GatewayListener], first: bool) -> String {
    let mut text = String::new();
    if first {
        text += &format!(
            "The embedded cluster is ready. Ctrl-C ends it.\n\n  \
             export KUBECONFIG={}\n  kubectl get pods -A\n\n\
             From inside the mesh: curl -x {} http://SERVICE.NAMESPACE/\n",
            cluster.kubeconfig().display(),
            cluster.mesh_proxy()
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
           "kubeconfig": cluster.kubeconfig(), "gateways": gateways, "meshProxy": cluster.mesh_proxy()})
}
