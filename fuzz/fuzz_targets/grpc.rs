//! gRPC framing: any bytes as the body of a call to the workloads that speak gRPC, in frames cut
//! anywhere. Each call is answered with a gRPC status.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, Bytes};
use axum::http::Request;
use footlights::embedded::hub::Hub;
use footlights::embedded::mesh::Mesh;
use footlights::embedded::proxy::Proxy;
use footlights::embedded::workloads::{self, Container, Log};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use tower::ServiceExt as _;

const PLACES: [(&str, &str); 4] = [
    ("faces-color", "/ColorService/Center"),
    ("faces-color", "/ColorService/None"),
    ("echo-basic", "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"),
    ("echo-basic", "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/None"),
];

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
});

/// Making a cluster takes longer than a call.
static MESH: LazyLock<Mesh> =
    LazyLock::new(|| Mesh::new(Arc::new(Hub::new(1)), Proxy::new(), "n"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Bytes that run out end the case.
    let _ = case(&mut Unstructured::new(bytes));
});

fn case(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (image, path) = *bytes.choose(&PLACES)?;
    let encoding = *bytes.choose(&["identity", "gzip", "x"])?;
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.int_in_range(1..=16)?.min(bytes.len());
        frames.push(Ok::<_, std::io::Error>(Bytes::copy_from_slice(bytes.bytes(length)?)));
    }
    let body = Body::from_stream(tokio_stream::iter(frames));
    let request = Request::post(path)
        .header("content-type", "application/grpc")
        .header("grpc-encoding", encoding)
        .header("te", "trailers")
        .body(body)
        .unwrap();
    RUNTIME.block_on(async {
        let container = Container {
            image: image.to_owned(),
            tag: String::new(),
            pod: "p".to_owned(),
            env: BTreeMap::new(),
            mesh: MESH.clone(),
            log: Log::new(),
        };
        let running = workloads::start(&container).unwrap().unwrap();
        let response = running.router.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap();
        let told = body.trailers().and_then(|t| t.get("grpc-status"));
        assert!(told.is_some() || head.headers.contains_key("grpc-status"), "{head:?}");
    });
    Ok(())
}
