//! The data plane, with clients that we did not write: gRPC, TLS, curl, a browser.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use footlights::embedded::profile::Profile;
use footlights::embedded::workloads::echo::{EchoRequest, EchoResponse};
use footlights::embedded::{EmbeddedCluster, GatewayListener};
use footlights::{cluster, manifest};
use kube::discovery::Discovery;
use serde_json::{Value, json};

use crate::harness::{Ends, http, skipped, workshop};

/// A cluster with two echo servers behind a Gateway.
struct Stage {
    cluster: EmbeddedCluster,
    client: kube::Client,
    discovery: Discovery,
}

const ECHOES: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: infra}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: one, namespace: infra}
spec: &spec
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec:
      containers:
      - name: echo
        image: gcr.io/k8s-staging-gateway-api/echo-basic:v20240412
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: two, namespace: infra}
spec:
  selector: {matchLabels: {app: two}}
  template:
    metadata: {labels: {app: two}}
    spec:
      containers:
      - name: echo
        image: gcr.io/k8s-staging-gateway-api/echo-basic:v20240412
        env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: infra}
spec: {selector: {app: one}, ports: [{name: http, port: 80, targetPort: 3000}, {name: h2c, port: 8080, targetPort: 3000, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: infra}
spec: {selector: {app: two}, ports: [{port: 80, targetPort: 3000}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: footlights
  listeners:
  - {name: http, port: 18080, protocol: HTTP}
  - {name: tls, port: 18443, protocol: HTTPS, hostname: "*.example.org", tls: {certificateRefs: [{name: cert}]}}
"#;

impl Stage {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = EmbeddedCluster::start(Profile::Gateway.into())
            .await
            .unwrap();
        let client = cluster::client(&cluster::Target::of(cluster.kubeconfig()))
            .await
            .unwrap();
        let discovery = Discovery::new(client.clone())
            .run_aggregated()
            .await
            .unwrap();
        let stage = Stage {
            cluster,
            client,
            discovery,
        };
        stage.apply(ECHOES).await;
        stage
            .until("two pods and a listener", |s| {
                s.cluster.gateways().settled() && s.cluster.gateways().list().len() == 1
            })
            .await;
        stage
    }

    async fn apply(&self, text: &str) {
        for document in manifest::parse(text).unwrap() {
            let mode = cluster::apply::Mode::Store;
            cluster::apply::apply(
                &self.client,
                &self.discovery,
                &document.object,
                "infra",
                mode,
            )
            .await
            .unwrap();
        }
    }

    async fn route(&self, kind: &str, rules: Value) {
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": {"name": "r", "namespace": "infra"},
            "spec": {"parentRefs": [{"name": "gw"}], "rules": rules}});
        let mode = cluster::apply::Mode::Store;
        cluster::apply::apply(&self.client, &self.discovery, &route, "infra", mode)
            .await
            .unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.cluster.gateways().changes();
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !holds(self) {
                changes.changed().await.unwrap();
            }
        });
        waited
            .await
            .unwrap_or_else(|_| panic!("waiting for {what}"));
    }

    fn listener(&self, name: &str) -> GatewayListener {
        let all = self.cluster.gateways().list();
        all.into_iter().find(|l| l.listener == name).unwrap()
    }

    fn url(&self) -> String {
        self.listener("http").url()
    }

    async fn log(&self, app: &str) -> String {
        let pods: kube::Api<kube::api::DynamicObject> = {
            let gvk = kube::core::GroupVersionKind::gvk("", "v1", "Pod");
            kube::Api::namespaced_with(
                self.client.clone(),
                "infra",
                &self.discovery.resolve_gvk(&gvk).unwrap().0,
            )
        };
        let list = pods
            .list(&kube::api::ListParams::default().labels(&format!("app={app}")))
            .await
            .unwrap();
        let name = list.items[0].metadata.name.clone().unwrap();
        let path = format!("/api/v1/namespaces/infra/pods/{name}/log");
        self.client
            .request_text(http::Request::get(path).body(Vec::new()).unwrap())
            .await
            .unwrap()
    }
}

async fn get(url: &str) -> (u16, Value) {
    let client = http().build().unwrap();
    let answer = client.get(url).header("x-mine", "1").send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

#[tokio::test]
async fn filters_do_what_they_say_on_the_wire() {
    let stage = Stage::start().await;
    let to = |name: &str| json!([{"name": name, "port": 80}]);
    stage.route("HTTPRoute", json!([
        {"matches": [{"path": {"value": "/edit"}}], "backendRefs": [{"name": "one", "port": 80, "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "x-added", "value": "b"}]}}]}],
         "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-set", "value": "a"}], "remove": ["x-mine"]}},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x-back", "value": "c"}]}},
            {"type": "URLRewrite", "urlRewrite": {"hostname": "new.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}}}]},
        {"matches": [{"path": {"value": "/mirror"}}], "backendRefs": to("one"),
         "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "two", "port": 80}}}]},
        {"matches": [{"path": {"value": "/retry"}}], "backendRefs": to("one"), "retry": {"attempts": 3, "codes": [503], "backoff": "1ms"}},
        {"matches": [{"path": {"value": "/slow"}}], "backendRefs": to("one"), "timeouts": {"request": "300ms"}},
        {"matches": [{"path": {"value": "/h2c"}}], "backendRefs": [{"name": "one", "port": 8080}]},
        {"matches": [{"path": {"type": "RegularExpression", "value": "/re/[0-9]+"}}], "backendRefs": to("two")}])).await;
    let url = stage.url();
    let (status, told) = get(&format!("{url}/edit/y?q=1")).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (&told["path"], &told["host"]),
        (&json!("/x/y?q=1"), &json!("new.example"))
    );
    assert_eq!(
        (&told["headers"]["X-Set"], &told["headers"]["X-Added"]),
        (&json!(["a"]), &json!(["b"]))
    );
    assert_eq!(told["headers"]["X-Mine"], Value::Null);
    assert_eq!(told["headers"]["X-Forwarded-Proto"], json!(["http"]));
    let (_, told) = get(&format!("{url}/h2c")).await;
    assert_eq!(told["proto"], "HTTP/2.0");
    assert!(
        told["host"].as_str().unwrap().starts_with("127.0.0.1"),
        "the client's authority: {told}"
    );
    let (_, told) = get(&format!("{url}/re/42")).await;
    assert!(told["pod"].as_str().unwrap().starts_with("two-"));
    assert_eq!(get(&format!("{url}/re/x")).await.0, 404);
    let (status, _) = get(&format!(
        "{url}/retry/?uuid=a&succeedAfter=2&responseCode=503"
    ))
    .await;
    assert_eq!(status, 200, "the third try is good");
    let (status, _) = get(&format!(
        "{url}/retry/?uuid=b&succeedAfter=9&responseCode=503"
    ))
    .await;
    assert_eq!(status, 503);
    assert_eq!(get(&format!("{url}/slow?delay=3s")).await.0, 504);
    assert_eq!(get(&format!("{url}/mirror/m1")).await.0, 200);
    let mut copied = String::new();
    for _ in 0..200 {
        copied = stage.log("two").await;
        if copied.contains("/mirror/m1") {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(
        copied.contains("Echoing back request made to /mirror/m1"),
        "{copied}"
    );
}

/// Pods come and go under load: what was decided on an old table still gets an answer.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_pods_come_and_go() {
    let stage = Stage::start().await;
    let rules = json!([{"backendRefs": [{"name": "one", "port": 80}]}]);
    stage.route("HTTPRoute", rules).await;
    let url = stage.url();
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let workers: Vec<_> = (0..32)
        .map(|_| {
            let (url, over) = (url.clone(), over.clone());
            let client = http().build().unwrap();
            tokio::spawn(async move {
                let (mut good, mut bad) = (0, Vec::new());
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = client.get(&url).send().await.unwrap();
                    let status = answer.status();
                    let text = answer.text().await.unwrap();
                    if status == 200 {
                        good += 1;
                    } else {
                        bad.push(format!("{status}: {text}"));
                    }
                }
                (good, bad)
            })
        })
        .collect();
    let gvk = kube::core::GroupVersionKind::gvk("apps", "v1", "Deployment");
    let resource = stage.discovery.resolve_gvk(&gvk).unwrap().0;
    let api: kube::Api<kube::api::DynamicObject> =
        kube::Api::namespaced_with(stage.client.clone(), "infra", &resource);
    for round in 0..20 {
        let template = json!({"metadata": {"annotations": {"round": round.to_string()}}});
        let change = match round % 2 {
            0 => json!({"spec": {"replicas": 1 + round % 5}}),
            _ => json!({"spec": {"template": template}}),
        };
        let patch = kube::api::Patch::Merge(&change);
        api.patch("one", &Default::default(), &patch).await.unwrap();
        stage
            .until("settled pods", |s| s.cluster.gateways().settled())
            .await;
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let (mut good, mut bad) = (0, Vec::new());
    for worker in workers {
        let (g, b) = worker.await.unwrap();
        good += g;
        bad.extend(b);
    }
    assert!(good > 100, "{good} answers only");
    assert_eq!(bad, [""; 0], "of {good} good ones");
}

#[tokio::test]
async fn a_grpc_client_is_routed_by_method_and_gets_its_statuses() {
    let stage = Stage::start().await;
    let service = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho";
    stage.route("GRPCRoute", json!([
        {"matches": [{"method": {"service": service, "method": "Echo"}}], "backendRefs": [{"name": "one", "port": 80}]},
        {"matches": [{"method": {"service": service, "method": "EchoTwo"}}], "backendRefs": [{"name": "nope", "port": 80}]},
        {"matches": [{"method": {"service": service, "method": "EchoThree"}}], "backendRefs": [{"name": "two", "port": 80}]}])).await;
    let url = stage.url();
    let call = |method: &'static str| {
        let (url, path) = (url.clone(), format!("/{service}/{method}"));
        async move {
            let client =
                hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                    .http2_only(true)
                    .build_http::<tonic::body::Body>();
            let mut grpc = tonic::client::Grpc::with_origin(client, url.parse().unwrap());
            grpc.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<EchoRequest, EchoResponse>::default();
            let mut request = tonic::Request::new(EchoRequest {});
            request
                .metadata_mut()
                .insert("x-mine", "1".parse().unwrap());
            grpc.unary(request, path.parse().unwrap(), codec).await
        }
    };
    let told = call("Echo").await.unwrap().into_inner().assertions.unwrap();
    assert_eq!(told.fully_qualified_method, format!("/{service}/Echo"));
    assert!(told.context.unwrap().pod.starts_with("one-"));
    assert!(
        told.authority.starts_with("127.0.0.1:"),
        "{}",
        told.authority
    );
    assert!(
        told.headers
            .iter()
            .any(|h| h.key == "x-mine" && h.value == "1")
    );
    assert_eq!(
        call("EchoTwo").await.unwrap_err().code(),
        tonic::Code::Unavailable,
        "a broken backend"
    );
    assert_eq!(
        call("EchoThree").await.unwrap_err().code(),
        tonic::Code::Unimplemented,
        "the server's own"
    );
    assert_eq!(
        call("Nope").await.unwrap_err().code(),
        tonic::Code::Unimplemented,
        "no rule"
    );
}

#[tokio::test]
async fn an_https_listener_serves_its_secrets_certificate_as_soon_as_it_is_there() {
    let stage = Stage::start().await;
    stage
        .route(
            "HTTPRoute",
            json!([{"backendRefs": [{"name": "one", "port": 80}]}]),
        )
        .await;
    let status = async || {
        let gvk = kube::core::GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
        let api: kube::Api<kube::api::DynamicObject> = kube::Api::namespaced_with(
            stage.client.clone(),
            "infra",
            &stage.discovery.resolve_gvk(&gvk).unwrap().0,
        );
        let gateway = api.get("gw").await.unwrap();
        let listeners = gateway.data["status"]["listeners"]
            .as_array()
            .unwrap()
            .clone();
        listeners.into_iter().find(|l| l["name"] == "tls").unwrap()["conditions"].to_string()
    };
    assert!(status().await.contains("InvalidCertificateRef"));
    let made = rcgen::generate_simple_self_signed(vec!["a.example.org".to_owned()]).unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "cert"},
        "stringData": {"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()}});
    stage.apply(&secret.to_string()).await;
    stage
        .until("the listener", |s| {
            s.cluster
                .gateways()
                .list()
                .iter()
                .any(|l| l.listener == "tls")
        })
        .await;
    assert!(!status().await.contains("InvalidCertificateRef"));
    let address = stage.listener("tls").address;
    let client = http()
        .add_root_certificate(reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap())
        .resolve("a.example.org", address)
        .build()
        .unwrap();
    let url = format!("https://a.example.org:{}/", address.port());
    let told: Value = client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(told["headers"]["X-Forwarded-Proto"], json!(["https"]));

    // The same listener speaks plain HTTP as soon as it is said so.
    let plain = ECHOES.replace(
        r#"protocol: HTTPS, hostname: "*.example.org", tls: {certificateRefs: [{name: cert}]}"#,
        "protocol: HTTP",
    );
    stage.apply(&plain).await;
    let answers = async {
        loop {
            let listener = stage.cluster.gateways().list();
            let address = listener
                .iter()
                .find(|l| l.listener == "tls")
                .map(|l| l.address);
            if let Some(address) = address
                && let Ok(answer) = client.get(format!("http://{address}/")).send().await
            {
                return answer.json::<Value>().await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(20), answers).await;
    assert_eq!(
        told.unwrap()["headers"]["X-Forwarded-Proto"],
        json!(["http"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_through_the_door_is_a_client_in_the_mesh() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("the mesh proxy with curl", "no curl on PATH");
    }
    let stage = Stage::start().await;
    let rule = |path: &str, service: &str| json!({"matches": [{"path": {"value": path}}], "backendRefs": [{"name": service, "namespace": "infra", "port": 80}]});
    let route = |namespace: &str, rules: Value| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "mesh", "namespace": namespace}, "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "one", "namespace": "infra"}], "rules": rules}}).to_string()
    };
    stage
        .apply(&route("infra", json!([rule("/two", "two")])))
        .await;
    stage
        .apply(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
                .to_string(),
        )
        .await;
    stage
        .apply(&route("other", json!([rule("/", "one")])))
        .await;
    let proxy = stage.cluster.mesh_proxy();
    let curl = |args: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "-w", "\n%{http_code}"])
            .args(args)
            .ends();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, code) = text.rsplit_once('\n').unwrap();
        let told: Value = serde_json::from_str(body).unwrap_or_default();
        (
            code.to_owned(),
            told["pod"]
                .as_str()
                .unwrap_or("")
                .split('-')
                .next()
                .unwrap()
                .to_owned(),
        )
    };
    let of = |user: &str| proxy.replace("//", &format!("//{user}@"));
    assert_eq!(
        curl(&["-x", &proxy, "http://one.infra/two"]),
        ("200".into(), "two".into()),
        "a producer route"
    );
    assert_eq!(
        curl(&["-x", &proxy, "http://one.infra/else"]).0,
        "404",
        "no match is no way through"
    );
    assert_eq!(
        curl(&["-p", "-x", &proxy, "http://one.infra/two"]),
        ("200".into(), "two".into()),
        "CONNECT"
    );
    assert_eq!(
        curl(&["-x", &of("infra"), "http://two/"]),
        ("200".into(), "two".into()),
        "a name of its own namespace"
    );
    assert_eq!(
        curl(&["-x", &of("other"), "http://one.infra/else"]),
        ("200".into(), "one".into()),
        "a consumer route"
    );
    let gateway = format!("http://127.0.0.1:{}/", stage.listener("http").port);
    assert_eq!(
        curl(&["-x", &proxy, &gateway]).0,
        "404",
        "a Gateway by its own port"
    );
}

/// The Faces page in a browser, behind the workshop's routes.
#[tokio::test(flavor = "multi_thread")]
async fn the_faces_page_draws_faces_in_a_browser() {
    let Some(chromium) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        return skipped("the Faces page in a browser", "no chromium on PATH");
    };
    let (_cluster, url) = workshop().await;
    let page = http().build().unwrap().get(format!("{url}/gui/")).send();
    let page = page.await.unwrap();
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let pictures = tempfile::tempdir().unwrap();
    let picture = std::env::var("FOOTLIGHTS_PICTURE")
        .unwrap_or_else(|_| pictures.path().join("page.png").display().to_string());
    let browse = |what: &str| {
        // A headless Chromium hangs now and then, whatever the page: another one is tried.
        let mut tries = (0..3).map(|_| {
            let profile = tempfile::tempdir().unwrap();
            let mut command = Command::new(chromium);
            let quiet = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
                         --disable-background-networking --no-first-run --no-proxy-server";
            command.args(quiet.split_whitespace());
            command.args(["--window-size=700,640", "--virtual-time-budget=4500", what]);
            command.arg(format!("--user-data-dir={}", profile.path().display()));
            let address = format!("{url}/gui/");
            command.arg(address).ends_within(Duration::from_secs(45))
        });
        tries.find_map(Result::ok).expect("Chromium ends")
    };
    let output = browse("--dump-dom");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let faces = dom.matches('\u{1F603}').count();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Four are the legend's and the script's.
    assert!(faces >= 12, "{faces} faces in\n{dom}\n{said}");
    assert!(!said.contains("Content Security Policy"), "{said}");
    assert!(
        dom.contains("rgb(102, 204, 238)"),
        "the blue of color: {dom}"
    );
    browse(&format!("--screenshot={picture}"));
    assert!(
        Path::new(&picture)
            .metadata()
            .is_ok_and(|m| m.len() > 2_000)
    );
}
