//! The API server, as its clients see it: every kubectl at hand, and the kube crate.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{kubectls, skipped};
use crate::kubectl::Cluster;

const APP: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "ghcr.io/buoyantio/faces-smiley:2.0.0", ports: [{containerPort: 8000, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"#;

const WIDGETS: &str = r#"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties: {size: {type: integer, minimum: 1, description: "How wide it is."}, color: {type: string, default: red, enum: [red, blue]}}
            x-kubernetes-validations: [{rule: "self.size < 10", message: "too big for the stage"}]
  - {name: v1alpha1, served: true, storage: false, deprecated: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
"#;

/// A command line, whether it ends well, and what its output has in it.
type Case = (&'static str, bool, &'static str);

/// The issue's list, in the words that kubectl prints on a real cluster. FILES stands for a directory.
const CASES: &[Case] = &[
    (
        "apply -f FILES/app.yaml",
        true,
        "deployment.apps/web created\nservice/web created\n",
    ),
    (
        "apply -f FILES/app.yaml",
        true,
        "deployment.apps/web unchanged\nservice/web unchanged\n",
    ),
    (
        "apply -f FILES --recursive",
        true,
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created",
    ),
    (
        "rollout status deploy/web",
        true,
        "deployment \"web\" successfully rolled out",
    ),
    ("diff -f FILES/app.yaml", true, ""),
    (
        "get deploy web",
        true,
        "NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb    2/2     2            2 ",
    ),
    ("get deploy web -o name", true, "deployment.apps/web\n"),
    (
        "get deploy web -o jsonpath={.spec.strategy.rollingUpdate.maxSurge}",
        true,
        "25%",
    ),
    (
        "get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas",
        true,
        "N     R\nweb   2\n",
    ),
    (
        "get pods -l app=web --field-selector status.phase=Running -o name",
        true,
        "pod/web-",
    ),
    ("get pods -A -l app=nope", true, "No resources found"),
    (
        "get pods --field-selector spec.nope=1",
        false,
        "field label not supported: spec.nope",
    ),
    ("get pods -o wide", true, "NOMINATED NODE   READINESS GATES"),
    (
        "get pod nope",
        false,
        "Error from server (NotFound): pods \"nope\" not found",
    ),
    ("get nodes", true, "footlights   Ready    control-plane"),
    ("describe deploy web", true, "ScalingReplicaSet"),
    ("describe svc web", true, "TargetPort:  "),
    (
        "describe pod -l app=web",
        true,
        "Controlled By:  ReplicaSet/web-",
    ),
    ("get events", true, "SuccessfulCreate"),
    (
        "scale deploy web --replicas=3",
        true,
        "deployment.apps/web scaled",
    ),
    (
        "wait --for=condition=Available deploy/web --timeout=20s",
        true,
        "deployment.apps/web condition met",
    ),
    (
        "label deploy web tier=front",
        true,
        "deployment.apps/web labeled",
    ),
    (
        "annotate deploy web note=x",
        true,
        "deployment.apps/web annotate",
    ),
    (
        "get deploy -l tier=front -o name",
        true,
        "deployment.apps/web",
    ),
    (
        r#"patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"SMILEY","value":"HeartEyes"}]}]}}}}'"#,
        true,
        "deployment.apps/web patched",
    ),
    (
        "get deploy web -o jsonpath={.spec.template.spec.containers[0].image}",
        true,
        "ghcr.io/buoyantio/faces-smiley:2.0.0",
    ),
    (
        r#"patch deploy web --type json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'"#,
        true,
        "patched",
    ),
    (
        r#"patch deploy web --type merge -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'"#,
        false,
        "field is immutable",
    ),
    (
        "rollout restart deploy/web",
        true,
        "deployment.apps/web restarted",
    ),
    ("rollout status deploy/web", true, "successfully rolled out"),
    ("logs deploy/web", true, "Smiley: "),
    (
        "logs deploy/web --timestamps --since=1h --tail=1",
        true,
        "Z time=",
    ),
    (
        "delete deploy web --dry-run=server",
        true,
        "deployment.apps \"web\" deleted",
    ),
    ("get deploy web -o name", true, "deployment.apps/web\n"),
    (
        r#"patch deploy web --type merge -p '{"metadata":{"name":"other"}}'"#,
        false,
        "does not match the name on the URL",
    ),
    ("logs deploy/web -c nope", false, "nope"),
    ("api-resources --api-group=example.com", true, "widgets"),
    ("api-resources", true, "deployments "),
    ("auth can-i create pods", true, "yes\n"),
    ("cluster-info", true, "Kubernetes control plane"),
    (
        "create configmap cm --from-literal=a=b",
        true,
        "configmap/cm created",
    ),
    ("get cm cm -o jsonpath={.data.a}", true, "b"),
    (
        "create configmap cm --from-literal=a=b",
        false,
        "configmaps \"cm\" already exists",
    ),
    (
        "create secret generic sec --from-literal=a=b",
        true,
        "secret/sec created",
    ),
    (
        "create deployment made --image=faces-smiley",
        true,
        "deployment.apps/made created",
    ),
    (
        "expose deployment made --port=80",
        true,
        "service/made exposed",
    ),
    (
        "delete deploy made --cascade=foreground",
        true,
        "deployment.apps \"made\" deleted",
    ),
    (
        "apply -f FILES/widget.yaml",
        true,
        "widget.example.com/w created",
    ),
    ("get wd w", true, "NAME   SIZE\nw      3"),
    ("get wd w -o jsonpath={.spec.color}", true, "red"),
    ("explain widget.spec.size", true, "How wide it is."),
    (
        "explain deployment.spec.replicas",
        true,
        "Number of desired pods",
    ),
    ("scale wd w --replicas=4", true, "scaled"),
    (
        r#"patch wd w --type merge -p '{"spec":{"size":12}}'"#,
        false,
        "spec: Invalid value: \"object\": too big for the stage",
    ),
    (
        r#"patch wd w --type merge -p '{"spec":{"color":"green"}}'"#,
        false,
        "Unsupported value: \"green\": supported values: \"red\", \"blue\"",
    ),
    (
        "get widgets.v1alpha1.example.com w -o name",
        true,
        "Warning: example.com/v1alpha1 Widget is deprecated",
    ),
    (
        "apply -f FILES/typo/widget.yaml",
        false,
        "unknown field \"spec.sise\"",
    ),
    (
        "apply -f FILES/alien/alien.yaml",
        false,
        "no matches for kind \"Alien\" in version \"mars.example/v1\"",
    ),
    ("apply -f FILES/hold.yaml", true, "configmap/hold created"),
    (
        "delete cm hold --wait=false",
        true,
        "configmap \"hold\" deleted",
    ),
    (
        "get cm hold -o jsonpath={.metadata.deletionTimestamp}",
        true,
        "T",
    ),
    (
        r#"patch cm hold --type merge -p '{"metadata":{"finalizers":null}}'"#,
        true,
        "patched",
    ),
    ("get cm hold", false, "NotFound"),
    ("delete wd --all", true, "widget.example.com \"w\" deleted"),
    ("delete pods -l app=web", true, "\" deleted"),
    (
        "exec deploy/web -- ls",
        false,
        "the embedded cluster has no exec",
    ),
    (
        "get --raw /api/v1/namespaces/default/services/web:80/proxy/center/",
        true,
        "\"path\":\"/center/\"",
    ),
    ("create namespace gone", true, "namespace/gone created"),
    ("create configmap -n gone x", true, "configmap/x created"),
    ("delete namespace gone", true, "namespace \"gone\" deleted"),
    ("get cm -n gone x", false, "NotFound"),
    (
        "delete -f FILES/app.yaml",
        true,
        "deployment.apps \"web\" deleted",
    ),
    ("get rs", true, "No resources found"),
];

fn files() -> tempfile::TempDir {
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("app.yaml", APP);
    write("crds/widgets.yaml", WIDGETS);
    files
}

fn late_files(files: &Path) {
    let widget = |spec: &str| {
        format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {spec}\n")
    };
    std::fs::write(files.join("widget.yaml"), widget("{size: 3}")).unwrap();
    for (directory, name, text) in [
        ("typo", "widget.yaml", widget("{sise: 3}")),
        (
            "alien",
            "alien.yaml",
            "apiVersion: mars.example/v1\nkind: Alien\nmetadata: {name: a}\n".to_owned(),
        ),
    ] {
        std::fs::create_dir_all(files.join(directory)).unwrap();
        std::fs::write(files.join(directory).join(name), text).unwrap();
    }
    let hold =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hold, finalizers: [example.com/hold]}\n";
    std::fs::write(files.join("hold.yaml"), hold).unwrap();
}

fn works_through_the_list(program: &Path) {
    let cluster = Cluster::start("gateway");
    let files = files();
    for (line, good, wanted) in CASES {
        if line.contains("FILES/widget.yaml") {
            late_files(files.path());
        }
        let line = line.replace("FILES", files.path().to_str().unwrap());
        let run = cluster.kubectl(program, &line).exits(i32::from(!good));
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(
            said.contains(wanted),
            "kubectl {line}\nwanted: {wanted}\nsaid: {said}"
        );
    }
    // Server-side apply, in other files of the same object.
    let apply = |more: &str| {
        format!(
            "apply --server-side {more} -f {}",
            files.path().join("app.yaml").display()
        )
    };
    cluster.good(program, &apply(""));
    cluster.good(program, "scale deploy web --replicas=5");
    let conflict = cluster.kubectl(program, &apply("")).exits(1).stderr;
    assert!(
        conflict.contains(
            "Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\""
        ),
        "{conflict}"
    );
    assert!(conflict.contains(".spec.replicas"), "{conflict}");
    cluster.good(program, &apply("--force-conflicts"));
    assert_eq!(
        cluster.good(program, "get deploy web -o jsonpath={.spec.replicas}"),
        "2"
    );
}

#[test]
fn each_kubectl_works_through_the_list() {
    let programs = kubectls();
    if programs.is_empty() {
        return skipped("the list of kubectl commands", "no kubectl on PATH");
    }
    for program in programs {
        eprintln!("with {}", program.display());
        works_through_the_list(&program);
    }
}

/// What `curl` sees: KUBE-API.md, "Server facts".
#[tokio::test]
async fn strangers_hosts_and_large_bodies_are_refused_and_errors_are_statuses() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start("gateway");
    let api = cluster.told["apiServer"].as_str().unwrap().to_owned();
    let kubeconfig = std::fs::read_to_string(cluster.told["kubeconfig"].as_str().unwrap()).unwrap();
    let token = kubeconfig
        .split("token: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    // 256 bits.
    assert!(token.len() >= 43, "{token}");
    let client = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .http1_only()
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .unwrap();
    let ask = |method: &str, path: &str| {
        let request = client.request(method.parse().unwrap(), format!("{api}{path}"));
        request
            .bearer_auth(&token)
            .header("content-type", "application/json")
    };
    for path in ["/version", "/apis", "/api/v1/pods"] {
        let answer = client.get(format!("{api}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
    let foreign = ask("GET", "/version")
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), 403);
    let configmaps = "/api/v1/namespaces/default/configmaps";
    let large = json!({"metadata": {"name": "x"}, "data": {"k": "x".repeat(4 << 20)}}).to_string();
    let refused = ask("POST", configmaps).body(large).send().await.unwrap();
    assert_eq!(refused.status(), 413);
    for (method, path, body, code, reason) in [
        ("GET", "/apis/nope.example/v1/things", "", 404, ""),
        ("GET", "/api/v1/nope", "", 404, "NotFound"),
        ("POST", configmaps, "{", 400, "BadRequest"),
        (
            "POST",
            configmaps,
            r#"{"metadata":{"name":"Bad_Name"}}"#,
            422,
            "Invalid",
        ),
        (
            "POST",
            "/api/v1/namespaces/nowhere/configmaps",
            r#"{"metadata":{"name":"x"}}"#,
            404,
            "NotFound",
        ),
        (
            "GET",
            "/api/v1/pods?resourceVersion=99999999999",
            "",
            504,
            "Timeout",
        ),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/x",
            "{}",
            404,
            "NotFound",
        ),
        ("PUT", "/version", "{}", 200, ""),
    ] {
        let answer = ask(method, path).body(body).send().await.unwrap();
        assert_eq!(answer.status(), code, "{method} {path}");
        assert!(answer.headers().contains_key("audit-id"));
        let text = answer.text().await.unwrap();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        if !reason.is_empty() {
            assert_eq!(
                (&status["kind"], &status["reason"]),
                (&json!("Status"), &json!(reason)),
                "{text}"
            );
        }
    }
    // A watch from a revision that is gone ends in-stream.
    for n in 0..30 {
        let body = json!({"metadata": {"name": format!("c{n}")}}).to_string();
        assert_eq!(
            ask("POST", configmaps)
                .body(body)
                .send()
                .await
                .unwrap()
                .status(),
            201
        );
    }
    let page = ask("GET", &format!("{configmaps}?limit=10"))
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 10);
    assert_eq!(page["metadata"]["remainingItemCount"], 20);
    let next = page["metadata"]["continue"].as_str().unwrap();
    let rest = ask("GET", &format!("{configmaps}?continue={next}"))
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    assert_eq!(rest["items"].as_array().unwrap().len(), 20);
}
