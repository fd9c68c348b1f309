//! Gateways on loopback: binds their listeners and sends what arrives through the route table.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderValue, Request};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::body::boxed;
use super::hub::Hub;
use super::proxy::Proxy;
use super::routing::RequestHead;
use super::routing::attach::{self, GATEWAYS};
use super::routing::table::ObjectRef;
use super::serve::{Protocol, Stop, Stopped, Transport, serve, stop};

/// A Gateway's listener port.
type Port = (ObjectRef, u16);

/// Binds and unbinds listeners as Gateways come and go, until stopped.
pub async fn run(hub: Arc<Hub>, proxy: Proxy, mut stopped: Stopped) {
    let mut revisions = hub.revisions();
    let mut bound: BTreeMap<Port, Stop> = BTreeMap::new();
    let mut addresses: Vec<ObjectRef> = Vec::new();
    loop {
        let wanted = wanted(&hub);
        let gone: Vec<Port> = bound
            .keys()
            .filter(|p| !wanted.contains(p))
            .cloned()
            .collect();
        for port in gone {
            bound.remove(&port);
            hub.learn(|facts| {
                facts.bound.remove(&port);
            });
        }
        for port in wanted {
            if bound.contains_key(&port) {
                continue;
            }
            let ip = address_of(&mut addresses, &port.0);
            match bind(ip, port.1).await {
                Ok((listener, address)) => {
                    bound.insert(port.clone(), accept(&hub, &proxy, listener, port.clone()));
                    hub.learn(|facts| {
                        facts.bound.insert(port, address);
                    });
                }
                Err(error) => tracing::warn!(%error, %ip, port = port.1, "cannot bind a listener"),
            }
        }
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { return },
            () = stopped.wait() => return,
        }
    }
}

fn wanted(hub: &Hub) -> Vec<Port> {
    hub.read(|state| {
        let mut wanted = Vec::new();
        for (key, gateway) in state.store.list(GATEWAYS, None) {
            if !attach::is_ours(&state.store, gateway) {
                continue;
            }
            let listeners = gateway["spec"]["listeners"]
                .as_array()
                .into_iter()
                .flatten();
            for listener in listeners.filter(|l| l["protocol"] == "HTTP") {
                let port = listener["port"].as_u64().unwrap_or(0) as u16;
                let entry = (ObjectRef::new(&key.namespace, &key.name), port);
                if !wanted.contains(&entry) {
                    wanted.push(entry);
                }
            }
        }
        wanted
    })
}

/// The first Gateway is 127.0.0.1, further ones 127.0.0.2 and so on; each keeps its address.
fn address_of(addresses: &mut Vec<ObjectRef>, gateway: &ObjectRef) -> IpAddr {
    let index = addresses
        .iter()
        .position(|g| g == gateway)
        .unwrap_or_else(|| {
            addresses.push(gateway.clone());
            addresses.len() - 1
        });
    let last = if cfg!(target_os = "linux") {
        1 + index % 250
    } else {
        1
    };
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last as u8))
}

/// The listener's own port where it can be had, else a free one.
async fn bind(ip: IpAddr, port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = match TcpListener::bind((ip, port)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind((ip, 0)).await?,
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn accept(hub: &Arc<Hub>, proxy: &Proxy, listener: TcpListener, port: Port) -> Stop {
    let (stop, stopped) = stop();
    let (hub, proxy) = (hub.clone(), proxy.clone());
    tokio::spawn(serve(
        listener,
        Transport::Plain,
        Protocol::Either,
        stopped,
        move |peer| {
            let (hub, proxy, port) = (hub.clone(), proxy.clone(), port.clone());
            tower::service_fn(move |mut request: Request<Incoming>| {
                let (hub, proxy, port) = (hub.clone(), proxy.clone(), port.clone());
                async move {
                    forwarded(&mut request, peer);
                    let table = hub.table();
                    let decide = |head: &RequestHead<'_>| {
                        table.at_gateway(&port.0, port.1, head, &mut fastrand::Rng::new())
                    };
                    let response = proxy.handle(request.map(boxed), decide).await;
                    Ok::<_, std::convert::Infallible>(response)
                }
            })
        },
    ));
    stop
}

fn forwarded(request: &mut Request<Incoming>, peer: SocketAddr) {
    let headers = request.headers_mut();
    let chain = match headers.get("x-forwarded-for").and_then(|v| v.to_str().ok()) {
        Some(before) => format!("{before}, {}", peer.ip()),
        None => peer.ip().to_string(),
    };
    if let Ok(value) = chain.parse() {
        headers.insert("x-forwarded-for", value);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
}
