//! `--context`: the embedded API server, reached as if it were somebody's own cluster.

use std::path::{Path, PathBuf};

use footlights::embedded::EmbeddedCluster;
use footlights::embedded::profile::Profile;
use serde_json::{Value, json};

use crate::harness::{BINARY, Ends, Finished, Place, Pty, kubectls, skipped, wait_until};

const SCRIPT: &str = "---\ncontexts: [theirs]\n---\n# Theirs\n\n\
<!-- @only context -->\n```bash\nkubectl config current-context\n```\n<!-- @expect output /^theirs$/ -->\n\
```bash\nkubectl config view -o jsonpath='{.contexts[*].name}{\"\\n\"}'\n```\n<!-- @expect output /^theirs$/ -->\n<!-- @end -->\n\
<!-- @apply -->\n```yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: was-here, namespace: default}\ndata: {who: footlights}\n```\n\
```bash\nkubectl get configmap was-here\n```\n<!-- @expect all smiley=Grinning within 30s -->\n\
<!-- @only embedded -->\n```bash\nfalse\n```\n<!-- @end -->\n";

/// A cluster that is not ours, and the kubeconfig of a user who may use it.
struct Theirs {
    cluster: EmbeddedCluster,
    place: Place,
}

impl Theirs {
    async fn new() -> Self {
        let cluster = EmbeddedCluster::start(Profile::Workshop.into())
            .await
            .unwrap();
        let mut changes = cluster.gateways().changes();
        while cluster.gateways().list().is_empty() {
            changes.changed().await.unwrap();
        }
        let place = Place::new();
        std::fs::write(place.home.path().join("theirs.md"), SCRIPT).unwrap();
        Theirs { cluster, place }
    }

    fn own(&self) -> Value {
        let text = std::fs::read_to_string(self.cluster.kubeconfig()).unwrap();
        footlights::manifest::parse(&text).unwrap()[0]
            .object
            .clone()
    }

    /// Writes a kubeconfig with two contexts, of which `theirs` has this user.
    fn write(&self, user: &Value, server: &str) -> PathBuf {
        let mut cluster = self.own()["clusters"][0]["cluster"].clone();
        cluster["server"] = json!(server);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "other",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}, {"name": "v", "user": {"token": "another"}}],
            "contexts": [{"name": "theirs", "context": {"cluster": "c", "user": "u"}},
                         {"name": "other", "context": {"cluster": "c", "user": "v"}}],
        });
        let path = self.place.home.path().join("config");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    fn server(&self) -> String {
        format!("https://{}", self.cluster.api())
    }

    fn rehearse(&self, kubeconfig: &Path, options: &[&str]) -> Finished {
        let url = self.cluster.gateways().list()[0].url();
        let script = self.place.home.path().join("theirs.md");
        let mut words = vec!["rehearse", script.to_str().unwrap(), "--gateway-url", &url];
        words.extend(options);
        let mut command = self.place.command(&words);
        Finished::of(command.env("KUBECONFIG", kubeconfig).ends())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_played_on_with_each_kind_of_credentials() {
    if kubectls().is_empty() {
        return skipped("shows on a context", "no kubectl on PATH");
    }
    let theirs = Theirs::new().await;
    let token = theirs.own()["users"][0]["user"]["token"].clone();
    let home = theirs.place.home.path();
    let (certificate, key) = theirs.cluster.client_certificate().unwrap();
    std::fs::write(home.join("client.crt"), certificate).unwrap();
    std::fs::write(home.join("client.key"), key).unwrap();
    std::fs::write(home.join("token"), token.as_str().unwrap()).unwrap();
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                            "status": {"token": token}});
    let login = format!("#!/bin/sh\ncat <<'END'\n{credential}\nEND\n");
    std::fs::write(home.join("login"), login).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(home.join("login"), mode).unwrap();
    // Paths are relative: they count from the kubeconfig's place.
    let users = [
        json!({"token": token}),
        json!({"tokenFile": "token"}),
        json!({"client-certificate": "client.crt", "client-key": "client.key"}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login",
                        "interactiveMode": "Never"}}),
    ];
    for user in users {
        let kubeconfig = theirs.write(&user, &theirs.server());
        let run = theirs.rehearse(&kubeconfig, &["--context", "theirs", "--trust-context"]);
        let run = run.exits(0);
        assert!(
            run.stdout.contains("good: 4 steps, 3 expectations"),
            "{user}: {}",
            run.stdout
        );
    }
    // The user's own kubeconfig is as it was.
    assert!(
        std::fs::read_to_string(home.join("config"))
            .unwrap()
            .contains("\"other\"")
    );
    let left: Vec<String> = theirs.place.left_behind();
    assert_eq!(left, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_asked_about_once_and_must_stay_the_same() {
    if kubectls().is_empty() {
        return skipped("trust in a context", "no kubectl on PATH");
    }
    let theirs = Theirs::new().await;
    let user = theirs.own()["users"][0]["user"].clone();
    let kubeconfig = theirs.write(&user, &theirs.server());
    let on = ["--context", "theirs"];
    let asked = theirs.rehearse(&kubeconfig, &on).exits(2);
    assert!(asked.stderr.contains("--trust-context"), "{}", asked.stderr);
    assert!(asked.stderr.contains(&theirs.server()), "{}", asked.stderr);
    theirs
        .rehearse(&kubeconfig, &["--context", "theirs", "--trust-context"])
        .exits(0);
    theirs.rehearse(&kubeconfig, &on).exits(0);

    // Another address of the same server, then another cluster at that name.
    let renamed = theirs.server().replace("127.0.0.1", "localhost");
    let kubeconfig = theirs.write(&user, &renamed);
    let moved = theirs
        .rehearse(&kubeconfig, &["--context", "theirs", "--trust-context"])
        .exits(2);
    assert!(moved.stderr.contains("its server was"), "{}", moved.stderr);
    assert!(moved.stderr.contains("contexts.json"), "{}", moved.stderr);

    let other = theirs
        .rehearse(&kubeconfig, &["--context", "other"])
        .exits(2);
    assert!(
        other
            .stderr
            .contains("it may not run on the context `other`"),
        "{}",
        other.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_of_a_context_is_found_by_its_status() {
    let theirs = Theirs::new().await;
    if theirs.cluster.gateways().list()[0].address.port() != 80 {
        return skipped("a context's gateway by its status", "port 80 cannot be had");
    }
    let user = theirs.own()["users"][0]["user"].clone();
    let kubeconfig = theirs.write(&user, &theirs.server());
    let script = theirs.place.home.path().join("theirs.md");
    let words = [
        "rehearse",
        script.to_str().unwrap(),
        "--context",
        "theirs",
        "--trust-context",
    ];
    let mut command = theirs.place.command(&words);
    Finished::of(command.env("KUBECONFIG", kubeconfig).ends()).exits(0);
}

/// Creates, changes and deletes, and something else is created meanwhile by somebody else.
const MAKES: &str = "# Makes\n\
```bash\nkubectl create namespace made\n```\n\
<!-- @apply -->\n```yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: made, namespace: made}\ndata: {a: b}\n---\n\
apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gone, namespace: default}\n---\n\
apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\n```\n\
```bash\nkubectl label configmap theirs touched=yes\n```\n\
```bash\nkubectl delete configmap gone\n```\n\
```bash\nkubectl create configmap unforeseen --from-literal=a=b -o yaml --dry-run=client > \"$TMPDIR/x.yaml\"; \
xargs kubectl create -f <<< \"$TMPDIR/x.yaml\"\n```\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rehearsal_certainly_made_on_a_context_is_deleted_unless_it_is_kept() {
    if kubectls().is_empty() {
        return skipped("cleaning up on a context", "no kubectl on PATH");
    }
    let theirs = Theirs::new().await;
    let user = theirs.own()["users"][0]["user"].clone();
    let kubeconfig = theirs.write(&user, &theirs.server());
    std::fs::write(theirs.place.home.path().join("theirs.md"), MAKES).unwrap();
    let kubectl = |words: &str| {
        let own = theirs.cluster.kubeconfig();
        let mut command = std::process::Command::new(&kubectls()[0]);
        let command = command.args(words.split(' ')).env("KUBECONFIG", own);
        Finished::of(command.ends())
    };
    kubectl("create configmap theirs").exits(0);
    let names = || {
        let all = kubectl("get configmaps,namespaces -A -o name").exits(0);
        let lines: Vec<String> = all.stdout.lines().map(str::to_owned).collect();
        let ours = ["made", "theirs", "gone", "unforeseen"];
        let is_ours = |line: &&String| ours.iter().any(|name| line.ends_with(&format!("/{name}")));
        lines.iter().filter(is_ours).cloned().collect::<Vec<_>>()
    };
    let on = ["--context", "theirs", "--trust-context"];

    let cleaned = theirs.rehearse(&kubeconfig, &on).exits(0);
    // A namespace goes once what is in it has gone.
    let left = ["configmap/theirs", "configmap/unforeseen"];
    let is_left = || (names() == left).then_some(());
    wait_until("the clean-up", is_left, || {
        format!("{}\n{}", names().join(" "), cleaned.stderr)
    });
    for told in [
        "cleaned up ConfigMap made/made",
        "cleaned up ConfigMap default/made",
        "cleaned up Namespace made",
        "ConfigMap default/unforeseen is left",
    ] {
        assert!(cleaned.stderr.contains(told), "{told}: {}", cleaned.stderr);
    }
    assert!(
        !cleaned.stderr.contains("theirs is left"),
        "{}",
        cleaned.stderr
    );

    kubectl("delete configmap unforeseen").exits(0);
    let keep: Vec<&str> = on.iter().copied().chain(["--keep"]).collect();
    theirs.rehearse(&kubeconfig, &keep).exits(0);
    let kept = [
        "configmap/made",
        "configmap/theirs",
        "configmap/unforeseen",
        "configmap/made",
        "namespace/made",
    ];
    assert_eq!(names(), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_is_asked_before_a_context_is_used() {
    if kubectls().is_empty() {
        return skipped("the question about a context", "no kubectl on PATH");
    }
    let theirs = Theirs::new().await;
    let user = theirs.own()["users"][0]["user"].clone();
    let kubeconfig = theirs.write(&user, &theirs.server());
    let home = theirs.place.home.path();
    std::fs::create_dir(home.join(".kube")).unwrap();
    std::fs::rename(kubeconfig, home.join(".kube/config")).unwrap();
    let script = home.join("theirs.md");
    let present = || {
        let words = ["present", script.to_str().unwrap(), "--context", "theirs"];
        let pty = Pty::start(&theirs.place, BINARY, &words, 100, 30);
        pty.wait_for("Go on? [y/N]");
        assert!(pty.text().contains(&theirs.server()), "{}", pty.text());
        pty
    };
    for no in ["\n", "no\n", "\u{4}"] {
        let mut pty = present();
        pty.send(no);
        pty.wait_for("nothing was run");
        assert_eq!(pty.wait_end(), 2, "{}", pty.text());
        assert!(!home.join("state/footlights/contexts.json").exists());
    }
    let mut pty = present();
    pty.send("y\n");
    pty.wait_for("step 1 of 4");
    assert!(pty.text().contains(" theirs "), "{}", pty.text());
    pty.send("q");
    pty.wait_for("Quit?");
    pty.send("y");
    pty.wait_end();
    assert!(home.join("state/footlights/contexts.json").exists());
}
