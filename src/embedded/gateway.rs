//! Gateways on loopback: binds their listeners and sends what arrives through the route table.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::body::boxed;
use super::hub::Hub;
use super::proxy::{Proxy, plain};
use super::routing::RequestHead;
use super::routing::table::{Certificate, ListenerProtocol, ObjectRef};
use super::serve::{Protocol, Stop, Stopped, Transport, serve, stop};

/// A Gateway's listener port.
type Port = (ObjectRef, u16);

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// Binds and unbinds listeners as Gateways come and go, until stopped. The first Gateway's first
/// listener is bound to `first_port`, if one is given.
pub async fn run(hub: Arc<Hub>, proxy: Proxy, first_port: Option<u16>, mut stopped: Stopped) {
    let mut revisions = hub.revisions();
    let mut bound: BTreeMap<Port, (Scheme, Stop, JoinHandle<()>)> = BTreeMap::new();
    let mut addresses: Vec<ObjectRef> = Vec::new();
    let mut first_port = first_port;
    loop {
        let wanted = wanted(&hub);
        let gone: Vec<Port> = bound
            .iter()
            .filter(|(port, (scheme, ..))| wanted.get(port) != Some(scheme))
            .map(|(port, _)| port.clone())
            .collect();
        for port in gone {
            if let Some((_, stop, accepting)) = bound.remove(&port) {
                drop(stop);
                // Its port may be wanted again at once.
                let _ = accepting.await;
            }
            hub.learn(|facts| {
                facts.bound.remove(&port);
            });
        }
        for (port, scheme) in wanted {
            if bound.contains_key(&port) {
                continue;
            }
            let ip = address_of(&mut addresses, &port.0);
            let asked = first_port.unwrap_or(port.1);
            match bind(ip, asked).await {
                Ok((listener, address)) => {
                    first_port = None;
                    let (stop, accepting) = accept(&hub, &proxy, listener, port.clone(), scheme);
                    bound.insert(port.clone(), (scheme, stop, accepting));
                    hub.learn(|facts| {
                        facts.bound.insert(port, address);
                    });
                }
                Err(error) => tracing::warn!(%error, %ip, port = asked, "cannot bind a listener"),
            }
        }
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { return },
            () = stopped.wait() => return,
        }
    }
}

/// The ports to listen on; the first listener of a port says what it speaks.
fn wanted(hub: &Hub) -> BTreeMap<Port, Scheme> {
    let mut wanted = BTreeMap::new();
    for listener in &hub.table().listeners {
        let scheme = match &listener.protocol {
            ListenerProtocol::Http => Scheme::Http,
            ListenerProtocol::Https(Some(_)) => Scheme::Https,
            ListenerProtocol::Https(None) => continue,
        };
        let port = (listener.gateway.clone(), listener.port);
        wanted.entry(port).or_insert(scheme);
    }
    wanted
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

fn accept(
    hub: &Arc<Hub>,
    proxy: &Proxy,
    listener: TcpListener,
    port: Port,
    scheme: Scheme,
) -> (Stop, JoinHandle<()>) {
    let (stop, stopped) = stop();
    let (hub, proxy) = (hub.clone(), proxy.clone());
    let transport = match scheme {
        Scheme::Http => Transport::Plain,
        Scheme::Https => Transport::Tls(tls(&hub, &port)),
    };
    let accepting = tokio::spawn(serve(
        listener,
        transport,
        Protocol::Either,
        stopped,
        move |peer| {
            let (hub, proxy, port) = (hub.clone(), proxy.clone(), port.clone());
            tower::service_fn(move |mut request: Request<Incoming>| {
                let (hub, proxy, port) = (hub.clone(), proxy.clone(), port.clone());
                let peer = peer.clone();
                async move {
                    if !has_one_host(&request) {
                        let why = "a request names one Host (RFC 9112 3.2)\n";
                        return Ok::<_, std::convert::Infallible>(plain(400, why.to_owned()));
                    }
                    forwarded(&mut request, peer.address, scheme);
                    let table = hub.table();
                    let decide = |head: &RequestHead<'_>| {
                        let name = peer.server_name.as_deref();
                        let listener = table.listener(&port.0, port.1, name.unwrap_or(head.host));
                        table.at_listener(listener, head, &mut fastrand::Rng::new())
                    };
                    let response = proxy.handle(request.map(boxed), decide).await;
                    Ok(response)
                }
            })
        },
    ));
    (stop, accepting)
}

fn has_one_host(request: &Request<Incoming>) -> bool {
    match request.version() {
        Version::HTTP_11 => request.headers().get_all(header::HOST).iter().count() == 1,
        _ => true,
    }
}

fn forwarded(request: &mut Request<Incoming>, peer: SocketAddr, scheme: Scheme) {
    let headers = request.headers_mut();
    let chain = match headers.get("x-forwarded-for").and_then(|v| v.to_str().ok()) {
        Some(before) => format!("{before}, {}", peer.ip()),
        None => peer.ip().to_string(),
    };
    if let Ok(value) = chain.parse() {
        headers.insert("x-forwarded-for", value);
    }
    let proto = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    headers.insert("x-forwarded-proto", HeaderValue::from_static(proto));
}

fn tls(hub: &Arc<Hub>, port: &Port) -> Arc<rustls::ServerConfig> {
    let resolver = Certificates {
        hub: hub.clone(),
        port: port.clone(),
        known: Mutex::default(),
    };
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Certificates that are kept ready.
const MOST_CERTIFICATES: usize = 64;

/// Chooses the certificate of the listener that the client's server name leads to, as the route
/// table has it now.
#[derive(Debug)]
struct Certificates {
    hub: Arc<Hub>,
    port: Port,
    known: Mutex<HashMap<Arc<Certificate>, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.hub.table();
        let name = hello.server_name().unwrap_or("").to_ascii_lowercase();
        let listener = table.listener(&self.port.0, self.port.1, &name)?;
        let ListenerProtocol::Https(Some(certificate)) = &listener.protocol else {
            return None;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(certificate) {
            return Some(key.clone());
        }
        let key = Arc::new(certified(certificate)?);
        if known.len() >= MOST_CERTIFICATES {
            known.clear();
        }
        known.insert(certificate.clone(), key.clone());
        Some(key)
    }
}

fn certified(certificate: &Certificate) -> Option<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificate.chain)
        .collect::<Result<_, _>>()
        .ok()?;
    let key = PrivateKeyDer::from_pem_slice(&certificate.key).ok()?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).ok()
}
