//! Real kubectl, each version at hand, against `footlights cluster` from another process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{BINARY, Ends, Finished, Place, kubectls, skipped};

/// `footlights cluster` in the foreground.
pub struct Cluster {
    child: Child,
    pub place: Place,
    pub told: Value,
}

impl Cluster {
    pub fn start(profile: &str) -> Self {
        let place = Place::new();
        let mut child = place
            .command(&["cluster", "--profile", profile, "--format", "json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told = serde_json::from_str(&line).unwrap();
        Cluster { child, place, told }
    }

    pub fn kubectl(&self, program: &Path, line: &str) -> Finished {
        let args = shlex::split(line).unwrap();
        let output = Command::new(program)
            .args(args)
            .envs(self.place.environment())
            .env("KUBECONFIG", self.told["kubeconfig"].as_str().unwrap())
            .env("KUBECACHEDIR", self.place.home.path().join("cache"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .ends();
        Finished::of(output)
    }

    #[track_caller]
    pub fn good(&self, program: &Path, line: &str) -> String {
        self.kubectl(program, line).exits(0).stdout
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The list of commands.
fn drives_the_cluster(program: &Path) {
    let cluster = Cluster::start("workshop");
    let good = |line: &str| cluster.good(program, line);
    assert!(good("version").contains("Server Version: v1.32"));
    let pods = good("get pods -n faces");
    assert!(
        pods.starts_with("NAME") && pods.contains("READY") && pods.contains("1/1"),
        "{pods}"
    );
    assert_eq!(pods.lines().count(), 9, "{pods}");
    assert!(good("get gateway ingress").contains("127.0.0.1"));
    assert_eq!(
        good("get gateway ingress -o jsonpath='{.status.addresses[0].value}'"),
        "127.0.0.1"
    );

    assert_eq!(good("create namespace extra"), "namespace/extra created\n");
    let apply = |weight: u32| good(&format!("apply -f demos/tour/smiley-canary-{weight}.yaml"));
    assert_eq!(
        apply(10),
        "httproute.gateway.networking.k8s.io/smiley-canary created\n"
    );
    assert_eq!(
        apply(50),
        "httproute.gateway.networking.k8s.io/smiley-canary configured\n"
    );
    let weights = good(
        "get httproute smiley-canary -n faces -o jsonpath='{.spec.rules[0].backendRefs[*].weight}'",
    );
    assert_eq!(weights, "50 50");
    let beta =
        good("get httproutes.v1beta1.gateway.networking.k8s.io smiley-canary -n faces -o yaml");
    assert!(
        beta.contains("apiVersion: gateway.networking.k8s.io/v1beta1"),
        "{beta}"
    );
    assert!(beta.contains("reason: ResolvedRefs"), "{beta}");
    let json: Value =
        serde_json::from_str(&good("get httproute smiley-canary -n faces -o json")).unwrap();
    assert_eq!(json["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(
        json["status"]["parents"][0]["conditions"][0]["status"],
        "True"
    );

    good("scale -n faces deploy/smiley --replicas=3");
    assert!(good("rollout status -n faces deploy/smiley").contains("successfully rolled out"));
    assert!(good("get deploy smiley -n faces").contains("3/3"));
    good("delete -n faces httproute smiley-canary");
    let gone = cluster
        .kubectl(program, "get httproute smiley-canary -n faces")
        .exits(1);
    assert!(gone.stderr.contains("(NotFound)"), "{}", gone.stderr);

    let missing = cluster.kubectl(program, "get pods -n faces nope").exits(1);
    assert!(
        missing.stderr.contains("pods \"nope\" not found"),
        "{}",
        missing.stderr
    );
    good("delete namespace extra");
}

#[test]
fn each_real_kubectl_works() {
    let programs = kubectls();
    if programs.is_empty() {
        return skipped(
            "real kubectl against the embedded cluster",
            "no kubectl on PATH",
        );
    }
    for program in programs {
        eprintln!("with {}", program.display());
        drives_the_cluster(&program);
    }
}

#[test]
fn the_stand_in_does_the_same() {
    let bin = tempfile::tempdir().unwrap();
    let program = bin.path().join("kubectl");
    std::os::unix::fs::symlink(BINARY, &program).unwrap();
    drives_the_cluster(&program);
    let cluster = Cluster::start("bare");
    let refused = cluster.kubectl(&program, "explain pods").exits(1);
    assert!(refused.stderr.contains("stand-in"), "{}", refused.stderr);
    // `kubectl get pods | head -1`: nobody sees a panic on the stage.
    for (into, said) in [("| true", "stand-in"), ("> /dev/full", "No space left")] {
        let line = format!("'{}' get namespaces {into}", program.display());
        let mut shell = std::process::Command::new("bash");
        let shell = shell
            .args(["-c", &line])
            .env("KUBECONFIG", cluster.told["kubeconfig"].as_str().unwrap());
        let ended = Finished::of(shell.ends());
        assert!(ended.stderr.contains(said), "{into}: {}", ended.stderr);
        assert!(
            !ended.stderr.contains("panicked"),
            "{into}: {}",
            ended.stderr
        );
    }
}

#[test]
fn real_kubectl_sees_what_an_unknown_image_lacks_and_reads_logs() {
    let Some(program) = kubectls().into_iter().next() else {
        return skipped("describe and logs", "no kubectl on PATH");
    };
    let cluster = Cluster::start("workshop");
    let manifest = cluster.place.home.path().join("x.yaml");
    std::fs::write(
        &manifest,
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {a: b}}\n  \
         template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: 'nginx:1'}]}\n",
    )
    .unwrap();
    cluster.good(&program, &format!("apply -f {}", manifest.display()));
    crate::harness::wait_until(
        "an event",
        || {
            cluster
                .good(&program, "get events")
                .contains("no such image")
                .then_some(())
        },
        || cluster.good(&program, "get events"),
    );
    assert!(
        cluster
            .good(&program, "get pods")
            .contains("ImagePullBackOff")
    );
    let log = cluster.good(&program, "logs -n faces deploy/face -c face");
    assert!(
        log.contains("http://smiley") && log.contains("grpc://color:80"),
        "{log}"
    );
    let manifest = cluster.good(&program, "get deploy -n faces smiley -o yaml");
    std::fs::write(cluster.place.home.path().join("y.yaml"), manifest).unwrap();
}

#[test]
fn kubectl_waits_for_and_watches_what_comes() {
    let Some(program) = kubectls().into_iter().next() else {
        return skipped("wait and watch", "no kubectl on PATH");
    };
    let cluster = Cluster::start("workshop");
    let waited = cluster.good(
        &program,
        "wait --for=condition=Programmed gateway/ingress --timeout=20s",
    );
    assert!(waited.contains("condition met"), "{waited}");
    let ready = cluster.good(
        &program,
        "wait -n faces --for=condition=Ready pod --all --timeout=20s",
    );
    assert_eq!(ready.lines().count(), 8, "{ready}");
}

#[test]
fn strangers_are_not_let_in() {
    let cluster = Cluster::start("bare");
    let server = cluster.told["apiServer"].as_str().unwrap();
    let output = Command::new("curl")
        .args([
            "-sk",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "Authorization: Bearer x",
        ])
        .arg(format!("{server}/api/v1/namespaces"))
        .output();
    match output {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "401"),
        Err(_) => skipped("a wrong token", "no curl on PATH"),
    }
}
