//! A forward proxy for commands: it knows the Gateways' addresses and the ports really bound.
//!
//! Where port 80 cannot be had, commands get `http_proxy` pointing here, so that
//! `curl http://$(kubectl get gateway … address)/face/` works as written. Everything else passes.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use super::Gateways;
use super::body::{Body, boxed, full};
use super::serve::{Protocol, Stopped, Transport, serve};

/// Serves the proxy until stopped.
pub async fn run(listener: TcpListener, gateways: Gateways, stopped: Stopped) {
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let client = Arc::new(client);
    serve(
        listener,
        Transport::Plain,
        Protocol::Http1,
        stopped,
        move |_| {
            let (gateways, client) = (gateways.clone(), client.clone());
            tower::service_fn(move |request: Request<Incoming>| {
                let (gateways, client) = (gateways.clone(), client.clone());
                async move { Ok::<_, Infallible>(pass(&gateways, &client, request).await) }
            })
        },
    )
    .await;
}

async fn pass(
    gateways: &Gateways,
    client: &Client<HttpConnector, Body>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return plain(405, "this proxy is for http:// URLs only");
    }
    let Some(authority) = request.uri().authority().cloned() else {
        return plain(400, "this is a forward proxy: ask for an absolute URL");
    };
    let port = authority.port_u16().unwrap_or(80);
    let bound = gateways.bound(authority.host(), port);
    if let Some(address) = bound {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let Ok(uri) = format!("http://{address}{path}").parse::<Uri>() else {
            return plain(400, "the URL is not valid");
        };
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove("proxy-connection");
    match client.request(request.map(boxed)).await {
        Ok(response) => response.map(boxed),
        Err(error) => plain(502, &format!("{authority}: {error}")),
    }
}

fn plain(code: u16, text: &str) -> Response<Body> {
    let mut response = Response::new(full(format!("{text}\n")));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    response
}
