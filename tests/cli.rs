//! The command line, and bad input: one clear message, exit 2, nothing left behind.

use crate::harness::{Ends, Finished, Place, Pty};

fn refused(args: &[&str], status: i32, named: &[&str]) {
    let place = Place::new();
    let finished = place.run(args).exits(status);
    for text in named {
        assert!(
            finished.stderr.contains(text),
            "{args:?}: {text}\n{}",
            finished.stderr
        );
    }
    assert_eq!(finished.stdout, "", "{args:?}");
    assert_eq!(place.left_behind(), [""; 0], "{args:?}");
}

#[test]
fn bad_input_is_named_and_leaves_nothing_behind() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let directive = file(
        "directive.md",
        b"# T\n<!-- @expect share smiley=HeartEyes 10 -->\n",
    );
    let front = file("front.md", b"---\ntitle: [\n---\n");
    let fence = file("fence.md", b"```bash\necho\n");
    let bytes = file("bytes.md", b"a\nb\xff\n");
    let nothing = file("nothing.md", b"only words\n");
    let directory = files.path().to_str().unwrap();
    refused(&["rehearse", "nope.md"], 2, &["nope.md", "No such file"]);
    refused(&["rehearse", directory], 2, &["is a directory"]);
    refused(
        &["rehearse", &directive],
        2,
        &["directive.md:2", "^", "help:"],
    );
    refused(&["rehearse", &front], 2, &["front.md:2", "front matter"]);
    refused(&["rehearse", &fence], 2, &["fence.md:1", "never closed"]);
    refused(&["rehearse", &bytes], 2, &["bytes.md:2", "not UTF-8"]);
    refused(&["rehearse"], 2, &["<SCRIPTS>"]);
    refused(&["rehearse", "--nonesuch", "tour"], 2, &["--nonesuch"]);
    refused(
        &["present", "demos/tour/tour.md"],
        2,
        &["needs a terminal", "rehearse"],
    );
    refused(&["demos/tour/tour.md"], 2, &["needs a terminal"]);
    refused(
        &["record", "tour", "-o", "/nonexistent/x.cast"],
        2,
        &["/nonexistent/x.cast"],
    );
    refused(
        &["record", "tour", "-o", &nothing],
        2,
        &["exists", "--force"],
    );
    refused(
        &["record", "tour", "-o", "x.cast", "--size", "9x9"],
        2,
        &["COLSxROWS"],
    );
    refused(
        &["record", "tour", "-o", "x.cast", "--theme", "pink"],
        2,
        &["pink", "dark and light"],
    );
    let planned = Place::new().run(&["plan", &directive]).exits(1);
    assert!(
        planned.stderr.contains("directive.md:2:"),
        "{}",
        planned.stderr
    );
    assert!(planned.stdout.contains("# T"), "what is sound is planned");
    let place = Place::new();
    let finished = place.run(&["rehearse", &nothing]).exits(2);
    assert!(
        finished.stderr.contains("no step was run"),
        "{}",
        finished.stderr
    );
}

#[test]
fn yaml_that_does_not_parse_fails_its_step_with_kubectls_own_message() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("bad.yaml"), "a: [1,\nb: }\n").unwrap();
    let script = files.path().join("x.md");
    std::fs::write(
        &script,
        format!(
            "```bash\ncd {}\nkubectl apply -f bad.yaml\n```\n",
            files.path().display()
        ),
    )
    .unwrap();
    let place = Place::new();
    let finished = place.run(&["rehearse", script.to_str().unwrap()]).exits(1);
    let failed = format!("FAILED at {}:3: exit status 1", script.display());
    assert!(finished.stdout.contains(&failed), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("  | "),
        "the command's own words: {}",
        finished.stdout
    );
    assert_eq!(place.left_behind(), [""; 0]);
}

#[test]
fn a_terminal_that_is_too_small_is_refused() {
    let place = Place::new();
    let mut pty = Pty::start(&place, crate::harness::BINARY, &[], 38, 12);
    assert_eq!(pty.wait_end(), 2);
    assert!(pty.text().contains("make it"), "{}", pty.text());
    assert!(
        !pty.raw().windows(8).any(|w| w == b"\x1b[?1049h"),
        "the screen was switched"
    );
}

#[test]
fn a_rehearsal_as_json_has_every_step_and_expectation() {
    let files = tempfile::tempdir().unwrap();
    let script = files.path().join("x.md");
    std::fs::write(
        &script,
        "# S\n```bash\necho a\nfalse\n```\n<!-- @expect exit 1 -->\n```bash\nsleep 60\n```\n",
    )
    .unwrap();
    let place = Place::new();
    let path = script.to_str().unwrap();
    let finished = place
        .run(&["rehearse", "--format", "json", "--step-timeout", "1", path])
        .exits(1);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let steps = report["scripts"][0]["steps"].as_array().unwrap();
    assert_eq!(steps[0]["line"], 3);
    assert_eq!(steps[1]["expects"][0]["ok"], true);
    assert_eq!(steps[1]["section"], "S");
    assert!(
        steps[2]["reason"]
            .as_str()
            .unwrap()
            .contains("longer than 1 s"),
        "{report}"
    );
    assert_eq!(place.left_behind(), [""; 0]);
}

#[test]
fn a_rehearsal_goes_on_after_a_failure_if_told_to_and_writes_junit() {
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad = write(
        "bad.md",
        "# <S> & T\n```bash\nfalse\n```\n```bash\necho on\n```\n<!-- @expect output /off/ -->\n```bash\necho end\n```\n",
    );
    let good = write("good.md", "```bash\ntrue\n```\n");
    let junit = files.path().join("report.xml");
    let place = Place::new();
    let run = |more: &[&str]| {
        let junit = junit.to_str().unwrap();
        let words = [&["rehearse", &bad, &good, "--junit", junit], more].concat();
        let finished = place.run(&words).exits(1);
        (finished.stdout, std::fs::read_to_string(junit).unwrap())
    };

    let (said, report) = run(&[]);
    assert!(
        said.contains(&format!("FAILED at {bad}:3: exit status 1")),
        "{said}"
    );
    assert!(!said.contains("echo on"), "{said}");
    assert!(report.contains("tests=\"1\" failures=\"1\""), "{report}");

    let (said, report) = run(&["--keep-going"]);
    for line in [3, 8] {
        assert!(said.contains(&format!("{bad}:{line}")), "{line}: {said}");
    }
    assert!(said.contains("echo end"), "{said}");
    for told in [
        "tests=\"4\" failures=\"2\"",
        "tests=\"1\" failures=\"0\"",
        "&lt;S&gt; &amp; T",
        "name=\"3: false\"",
        "name=\"8: expect output /off/\"",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
}

/// A kind and an object of it in one manifest, in the wrong order and in a namespace that is in it too;
/// then a field that somebody else owns.
const APPLIES: &str = r#"
<!-- @apply -->
```yaml
apiVersion: stage.example/v1
kind: Play
metadata: {name: hamlet, namespace: elsinore}
spec: {acts: 5}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: plays.stage.example}
spec:
  group: stage.example
  scope: Namespaced
  names: {plural: plays, singular: play, kind: Play}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: elsinore}
```
```bash
kubectl get plays -n elsinore -o name
```
<!-- @expect output /hamlet/ -->
```bash
kubectl patch play hamlet -n elsinore --type=merge --field-manager=producer -p '{"spec":{"acts":3}}'
```
<!-- @apply -->
```yaml
apiVersion: stage.example/v1
kind: Play
metadata: {name: hamlet, namespace: elsinore}
spec: {acts: 4}
```
"#;

#[test]
fn a_kind_and_its_objects_are_applied_together_and_a_conflict_is_explained() {
    let files = tempfile::tempdir().unwrap();
    let script = files.path().join("x.md");
    std::fs::write(&script, APPLIES).unwrap();
    let place = Place::new();
    let finished = place.run(&["rehearse", script.to_str().unwrap()]).exits(1);
    for told in [
        "spec.acts is owned by producer",
        &format!("FAILED at {}:33", script.display()),
    ] {
        assert!(
            finished.stdout.contains(told),
            "{told}: {}",
            finished.stdout
        );
    }
}

#[test]
fn the_guard_fails_a_step_that_changes_the_kubeconfig() {
    let files = tempfile::tempdir().unwrap();
    let script = files.path().join("x.md");
    std::fs::write(&script, "```bash\nexport KUBECONFIG=/tmp/other\n```\n").unwrap();
    let finished = Place::new()
        .run(&["rehearse", script.to_str().unwrap()])
        .exits(1);
    assert!(
        finished.stdout.contains("KUBECONFIG: it was put back"),
        "{}",
        finished.stdout
    );
}

#[test]
fn commands_get_no_credentials_but_the_embedded_clusters() {
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("production");
    std::fs::write(
        &secret,
        "apiVersion: v1\nkind: Config\ncurrent-context: production\n",
    )
    .unwrap();
    let script = files.path().join("x.md");
    std::fs::write(&script, "```bash\necho \"$KUBECONFIG\"; grep current-context \"$KUBECONFIG\" | grep footlights-embedded\n```\n").unwrap();
    let place = Place::new();
    let output = place
        .command(&["rehearse", script.to_str().unwrap()])
        .env("KUBECONFIG", &secret)
        .ends();
    crate::harness::Finished::of(output).exits(0);
}

#[test]
fn dash_c_is_bash() {
    let finished = Place::new()
        .run(&["-c", "echo $BASH_VERSION; exit 7"])
        .exits(7);
    assert!(
        finished.stdout.starts_with('5') || finished.stdout.starts_with('4'),
        "{}",
        finished.stdout
    );
}

#[test]
fn two_clusters_do_not_share_a_kubeconfig() {
    let cluster = crate::kubectl::Cluster::start("bare");
    let file = cluster.told["kubeconfig"].as_str().unwrap();
    let second = Place::new()
        .run(&["cluster", "--kubeconfig", file])
        .exits(2);
    assert!(
        second
            .stderr
            .contains("leads to an embedded cluster that runs"),
        "{}",
        second.stderr
    );
    assert_eq!(second.stdout, "");
}

#[test]
fn screens_of_steps_become_pictures() {
    let place = Place::new();
    let home = place.home.path();
    let script = home.join("s.md");
    std::fs::write(
        &script,
        "# S\n```bash\necho one\necho two\n```\n## T\n```bash\necho three\n```\n",
    )
    .unwrap();
    let take = |steps: &str, name: &str| {
        let output = home.join(name);
        let words = [
            "screenshot",
            script.to_str().unwrap(),
            "--step",
            steps,
            "--size",
            "60x20",
        ];
        let mut command = place.command(&words);
        Finished::of(command.arg("-o").arg(output).ends())
    };
    take("1,3", "{step}.svg").exits(0);
    let picture = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    let (first, last) = (picture("1.svg"), picture("3.svg"));
    assert!(
        first.contains("<svg") && first.contains(">one</text>"),
        "{first}"
    );
    assert!(!first.contains("three"), "{first}");
    assert!(last.contains(">three</text>"), "{last}");
    let again = take("1", "1.svg").exits(2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    let one_file = take("1,2", "x.svg").exits(2);
    assert!(one_file.stderr.contains("{step}"), "{}", one_file.stderr);
    let too_far = take("9", "9.svg").exits(2);
    assert!(too_far.stderr.contains("ends before"), "{}", too_far.stderr);
    assert!(!home.join("9.svg").exists());
}
