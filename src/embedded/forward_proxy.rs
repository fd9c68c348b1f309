//! A forward proxy for commands: a door into the mesh, and to Gateways wherever they are bound.
//!
//! `curl -x $FOOTLIGHTS_MESH_PROXY http://smiley.faces/edge/` is a request from inside the mesh;
//! the client's namespace is the user name of the proxy's URL. Where port 80 cannot be had, commands
//! get `http_proxy` pointing here, so that `curl http://$(kubectl get gateway … address)/face/`
//! works as written. Everything else passes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::Authority;
use http::{Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use super::Gateways;
use super::body::{Body, boxed, full};
use super::hub::Hub;
use super::mesh::Mesh;
use super::proxy::{Proxy, plain};
use super::serve::{Protocol, Stopped, Transport, connection, serve};

/// The namespace of a client that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// What the proxy knows.
#[derive(Clone)]
pub struct Doors {
    /// The Gateways' addresses.
    pub gateways: Gateways,
    /// The cluster.
    pub hub: Arc<Hub>,
    /// The way to pods.
    pub proxy: Proxy,
}

/// Where a request leads.
enum Door {
    /// To a Service, by the mesh's rules.
    Mesh(Box<Mesh>),
    /// To a Gateway's listener.
    Gateway(SocketAddr),
    /// Out.
    Outside,
}

/// Serves the proxy until stopped.
pub async fn run(listener: TcpListener, doors: Doors, stopped: Stopped) {
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let shutdown = stopped.clone();
    serve(
        listener,
        Transport::Plain,
        Protocol::Http1,
        stopped,
        move |_| {
            let (doors, client, stopped) = (doors.clone(), client.clone(), shutdown.clone());
            tower::service_fn(move |request: Request<Incoming>| {
                let (doors, client, stopped) = (doors.clone(), client.clone(), stopped.clone());
                async move {
                    let answer = match *request.method() == Method::CONNECT {
                        true => tunnel(&doors, request, stopped).await,
                        false => pass(&doors, &client, request).await,
                    };
                    Ok::<_, Infallible>(answer)
                }
            })
        },
    )
    .await;
}

impl Doors {
    fn door(&self, request: &Request<Incoming>, authority: &Authority) -> Door {
        let namespace = client_namespace(request);
        let mesh = Mesh::new(self.hub.clone(), self.proxy.clone(), &namespace);
        if mesh.knows(authority) {
            return Door::Mesh(Box::new(mesh));
        }
        let port = authority.port_u16().unwrap_or(80);
        match self.gateways.bound(authority.host(), port) {
            Some(address) => Door::Gateway(address),
            None => Door::Outside,
        }
    }
}

/// The user name of `Proxy-Authorization: Basic`.
fn client_namespace(request: &Request<Incoming>) -> String {
    let value = request.headers().get(header::PROXY_AUTHORIZATION);
    let user = value
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Basic "))
        .and_then(|v| STANDARD.decode(v.trim()).ok())
        .and_then(|v| String::from_utf8(v).ok())
        .and_then(|v| v.split(':').next().map(str::to_owned));
    user.filter(|u| !u.is_empty())
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
}

async fn pass(
    doors: &Doors,
    client: &Client<HttpConnector, Body>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let Some(authority) = request.uri().authority().cloned() else {
        let why = "this is a forward proxy: ask for an absolute URL\n";
        return plain(400, why.to_owned());
    };
    match doors.door(&request, &authority) {
        Door::Mesh(mesh) => return mesh.send(request.map(boxed)).await,
        Door::Gateway(address) => {
            let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
            let Ok(uri) = format!("http://{address}{path}").parse::<Uri>() else {
                return plain(400, "the URL is not valid\n".to_owned());
            };
            *request.uri_mut() = uri;
        }
        Door::Outside => {}
    }
    let headers = request.headers_mut();
    headers.remove("proxy-connection");
    headers.remove(header::PROXY_AUTHORIZATION);
    match client.request(request.map(boxed)).await {
        Ok(response) => response.map(boxed),
        Err(error) => {
            let why = "no Service of this name, and outside it cannot be reached";
            plain(502, format!("{authority}: {why}: {error}\n"))
        }
    }
}

/// `CONNECT`: what follows on the connection is for the named place.
async fn tunnel(doors: &Doors, request: Request<Incoming>, stopped: Stopped) -> Response<Body> {
    let Some(authority) = request.uri().authority().cloned() else {
        return plain(400, "CONNECT needs HOST:PORT\n".to_owned());
    };
    // What cannot be reached is told before the client begins to speak.
    let reached = match doors.door(&request, &authority) {
        Door::Mesh(mesh) => Ok(End::Mesh(mesh)),
        Door::Gateway(address) => reach(address).await,
        Door::Outside => reach(authority.as_str()).await,
    };
    let end = match reached {
        Ok(end) => end,
        Err(why) => return plain(502, format!("{authority} cannot be reached: {why}\n")),
    };
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let mut client = TokioIo::new(upgraded);
        match end {
            End::Mesh(mesh) => {
                let service = tower::service_fn(move |request: Request<Incoming>| {
                    let (mesh, authority) = (mesh.clone(), authority.clone());
                    async move {
                        let request = addressed(request.map(boxed), &authority);
                        Ok::<_, Infallible>(mesh.send(request).await)
                    }
                });
                connection(client, Protocol::Either, service, stopped).await;
            }
            End::Server(mut server) => {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        }
    });
    Response::new(full(""))
}

/// Where a tunnel leads.
enum End {
    Mesh(Box<Mesh>),
    Server(TcpStream),
}

/// How long a tunnel's other end is waited for.
const REACH: Duration = Duration::from_secs(10);

async fn reach(to: impl ToSocketAddrs) -> std::io::Result<End> {
    let connected = tokio::time::timeout(REACH, TcpStream::connect(to)).await;
    let server = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    server.map(End::Server)
}

/// A request within a tunnel goes to the tunnel's end, whatever its own `Host` says.
fn addressed(mut request: Request<Body>, authority: &Authority) -> Request<Body> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    if let Ok(uri) = format!("http://{authority}{path}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}
