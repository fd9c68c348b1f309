//! The API server, as its clients see it: every kubectl at hand, and the kube crate.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{http, kubectls, skipped};
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

/// The issue's list, in the words that kubectl prints on a real cluster: a command line that ends
/// well (`$`) or badly (`!`), and what its output has in it. FILES stands for a directory.
const CASES: &str = include_str!("fixtures/kubectl-commands.txt");

/// A command line.
struct Case {
    line: String,
    status: i32,
    wanted: String,
}

fn cases(files: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in CASES.lines() {
        let (mark, rest) = line.split_at(2);
        match mark {
            "$ " | "! " => cases.push(Case {
                line: rest.replace("FILES", files.to_str().unwrap()),
                status: i32::from(mark == "! "),
                wanted: String::new(),
            }),
            _ => {
                let wanted = &mut cases.last_mut().unwrap().wanted;
                if !wanted.is_empty() {
                    wanted.push('\n');
                }
                wanted.push_str(rest);
            }
        }
    }
    cases
}

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
    for case in cases(files.path()) {
        let line = &case.line;
        if line.ends_with("/widget.yaml") {
            late_files(files.path());
        }
        let run = cluster.kubectl(program, line).exits(case.status);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(
            said.contains(&case.wanted),
            "kubectl {line}\nwanted: {}\nsaid: {said}",
            case.wanted
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
    let client = http()
        .danger_accept_invalid_certs(true)
        .http1_only()
        .pool_max_idle_per_host(0)
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
