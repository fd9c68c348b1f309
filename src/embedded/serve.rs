//! Serving HTTP on a listener: connections, protocols, and ending them without losing a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::body::Body;

/// Which versions of HTTP a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 only, as the Faces HTTP roles do.
    Http1,
    /// HTTP/2 with prior knowledge only.
    Http2,
    /// Both on one port.
    Either,
}

/// A header list longer than this, or slower than `HEADER_TIMEOUT`, ends the connection.
const MAX_HEADERS: usize = 128;
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 250;
/// Connections at once on one listener.
const MAX_CONNECTIONS: usize = 1_000;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends what it was made for when it is dropped: listeners stop, connections finish their requests.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// The other end of a [`Stop`].
#[derive(Clone, Debug)]
pub struct Stopped(watch::Receiver<bool>);

/// A pair of which dropping the first wakes the second.
pub fn stop() -> (Stop, Stopped) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopped(receiver))
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Stopped {
    /// Returns once the [`Stop`] is gone.
    pub async fn wait(&mut self) {
        // An error means that the sender is gone, which is a stop as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// What lies below HTTP.
#[derive(Clone)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS, whose protocol names choose the version of HTTP.
    Tls(Arc<rustls::ServerConfig>),
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The server name that it asked for by TLS: empty if it named none, nothing without TLS.
    pub server_name: Option<String>,
    /// It has shown a certificate that the listener trusts.
    pub is_certified: bool,
}

/// Accepts connections until stopped. `make` gives each its service, by its peer. Past a thousand
/// a connection waits until another ends.
pub async fn serve<S>(
    listener: TcpListener,
    transport: Transport,
    protocol: Protocol,
    mut stopped: Stopped,
    make: impl Fn(Peer) -> S + Clone + Send + 'static,
) where
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let permit = room.clone().acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
            () = stopped.wait() => return,
        };
        // Accepting fails for a moment when descriptors run out; the next connection may do.
        let (permit, Ok((stream, address))) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (make, stopped, transport) = (make.clone(), stopped.clone(), transport.clone());
        tokio::spawn(async move {
            let _permit = permit;
            match transport {
                Transport::Plain => {
                    // One that says nothing would hold its place for ever.
                    let said = tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut [0])).await;
                    if said.is_ok() {
                        let peer = Peer {
                            address,
                            server_name: None,
                            is_certified: false,
                        };
                        connection(stream, protocol, make(peer), stopped).await;
                    }
                }
                Transport::Tls(config) => {
                    let handshake = TlsAcceptor::from(config).accept(stream);
                    // A client that does not trust our CA ends here; that is its own to tell.
                    if let Ok(Ok(stream)) = tokio::time::timeout(HEADER_TIMEOUT, handshake).await {
                        let name = stream.get_ref().1.server_name().unwrap_or("");
                        let peer = Peer {
                            address,
                            server_name: Some(name.to_ascii_lowercase()),
                            is_certified: stream.get_ref().1.peer_certificates().is_some(),
                        };
                        connection(stream, protocol, make(peer), stopped).await;
                    }
                }
            }
        });
    }
}

/// Serves one connection until its end, or until stopped and idle.
pub async fn connection<IO, S>(stream: IO, protocol: Protocol, service: S, mut stopped: Stopped)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS);
    let builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Either => builder,
    };
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A peer that goes away in the middle is its own affair.
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
