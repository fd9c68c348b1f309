//! Where a cluster's gateway is: what its Gateways' statuses say.

use anyhow::{Context, Result};
use futures::TryStreamExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;

/// The URL of the first Gateway that is programmed and has an address, as soon as there is one. A
/// cluster without the Gateway API is waited for too: a script may install it.
pub async fn first_url(client: &kube::Client) -> Result<String> {
    let gvk = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "gateways");
    let gateways: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let stream = watcher::watcher(gateways, watcher::Config::default().timeout(60));
    let mut stream = std::pin::pin!(stream.default_backoff().applied_objects());
    loop {
        match stream.try_next().await {
            Ok(Some(gateway)) => {
                if let Some(url) = url_of(&serde_json::to_value(gateway)?) {
                    return Ok(url);
                }
            }
            Ok(None) => return Err(anyhow::anyhow!("it ended")).context("watching Gateways"),
            Err(error) => tracing::debug!(%error, "no Gateways yet"),
        }
    }
}

/// The URL of a programmed Gateway's first HTTP listener.
fn url_of(gateway: &Value) -> Option<String> {
    let status = &gateway["status"];
    let is_programmed = status["conditions"]
        .as_array()?
        .iter()
        .any(|c| c["type"] == "Programmed" && c["status"] == "True");
    let address = status["addresses"][0]["value"].as_str()?;
    let listener = gateway["spec"]["listeners"]
        .as_array()?
        .iter()
        .find(|listener| listener["protocol"] == "HTTP")?;
    let host = match address.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => address.to_owned(),
    };
    match listener["port"].as_u64()? {
        _ if !is_programmed => None,
        80 => Some(format!("http://{host}")),
        port => Some(format!("http://{host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_programmed_gateway_has_a_url() {
        let gateway = |programmed: &str, address: &str, protocol: &str, port: u16| {
            json!({"spec": {"listeners": [{"protocol": "HTTPS", "port": 443},
                                          {"protocol": protocol, "port": port}]},
                   "status": {"addresses": [{"value": address}],
                              "conditions": [{"type": "Programmed", "status": programmed}]}})
        };
        for (gateway, url) in [
            (
                gateway("True", "172.18.0.2", "HTTP", 80),
                Some("http://172.18.0.2"),
            ),
            (
                gateway("True", "lb.example", "HTTP", 8080),
                Some("http://lb.example:8080"),
            ),
            (
                gateway("True", "fd00::1", "HTTP", 80),
                Some("http://[fd00::1]"),
            ),
            (gateway("False", "172.18.0.2", "HTTP", 80), None),
            (gateway("True", "172.18.0.2", "TCP", 80), None),
            (json!({}), None),
        ] {
            assert_eq!(url_of(&gateway).as_deref(), url, "{gateway}");
        }
    }
}
