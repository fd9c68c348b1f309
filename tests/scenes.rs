//! The workshop's scenes: all of it on both meshes, and each expectation broken once, by itself.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::harness::{BINARY, Ends, Finished, Place, copy_files, kubectls, path_without, skipped};

const DEMO: &str = "demos/gateway-api";
const MAIN: &str = "gateway-api.md";

/// Scenes with timeouts, and all of the workshop: two of them at once on two cores would measure each
/// other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[track_caller]
fn is_good(finished: Finished) {
    let finished = finished.exits(0);
    assert!(
        finished.stdout.contains("44 expectations"),
        "{}",
        finished.stdout
    );
}

fn rehearse(mesh: &str) -> std::process::Command {
    let place = Place::new();
    let mut command = place.command(&["rehearse", &format!("{DEMO}/{MAIN}")]);
    command.env("DEMO_MESH", mesh);
    // Its places live as long as the test binary.
    std::mem::forget(place);
    command
}

#[test]
fn the_workshop_is_good_on_istio_with_a_real_kubectl() {
    let _alone = alone();
    if kubectls().is_empty() {
        return skipped("the workshop with a real kubectl", "no kubectl on PATH");
    }
    is_good(Finished::of(rehearse("istio").ends()));
}

#[test]
fn the_workshop_is_good_on_linkerd_with_the_stand_in_and_without_a_network() {
    let _alone = alone();
    let path = path_without(&["kubectl"]);
    let possible = std::process::Command::new("unshare")
        .args(["-n", "true"])
        .status();
    let mut command = rehearse("linkerd");
    command.env("PATH", path.path());
    if possible.is_ok_and(|s| s.success()) {
        let mut inside = std::process::Command::new("unshare");
        inside.args([
            "-n",
            "sh",
            "-c",
            "ip link set lo up; exec \"$@\"",
            "sh",
            BINARY,
        ]);
        inside.args(command.get_args()).env_clear();
        inside.env("PATH", path.path());
        for (name, value) in command.get_envs() {
            inside.envs(value.map(|value| (name, value)));
        }
        inside.current_dir(env!("CARGO_MANIFEST_DIR"));
        command = inside;
    } else {
        skipped(
            "the workshop without a network",
            "unshare -n is not permitted",
        );
    }
    is_good(Finished::of(command.ends()));
}

/// A scene with something wrong, and the expectation that sees it.
struct Broken {
    /// The headings whose pages are played.
    pages: &'static [&'static str],
    /// Files, and what is replaced in them.
    edits: &'static [(&'static str, &'static str, &'static str)],
    /// The expectation, behind `@expect`; the last of this text on those pages. No other is looked at.
    red: &'static str,
}

/// Plays the scene on a cluster where everything before it stands.
#[track_caller]
fn is_red(profile: &str, Broken { pages, edits, red }: &Broken) {
    if kubectls().is_empty() {
        return skipped("a broken scene", "no kubectl on PATH");
    }
    let place = Place::new();
    let here = place.home.path();
    for directory in ["", "istio"] {
        std::fs::create_dir_all(here.join(directory)).unwrap();
        copy_files(&Path::new(DEMO).join(directory), &here.join(directory));
    }
    let text = std::fs::read_to_string(here.join(MAIN)).unwrap();
    let text = text.replace("profile: bare", &format!("profile: {profile}"));
    std::fs::write(here.join(MAIN), only(&text, pages)).unwrap();
    for (file, from, to) in *edits {
        let text = std::fs::read_to_string(here.join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(here.join(file), text.replace(from, to)).unwrap();
    }
    // The expectation may stand in the script that the main one plays.
    let files = [MAIN, "istio/mesh.md"];
    let mut place_of_red = None;
    for file in files {
        let path = here.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (text, line) = with_one_expectation(&text, red);
        std::fs::write(&path, text).unwrap();
        place_of_red = place_of_red.or(line.map(|line| format!("{file}:{line}: expected")));
    }
    let place_of_red = place_of_red.unwrap_or_else(|| panic!("no page expects {red}"));
    let script = here.join(MAIN);
    let run = place.run(&["rehearse", script.to_str().unwrap()]).exits(1);
    let told = run.stdout.lines().find(|line| line.contains("FAILED at"));
    assert!(
        told.is_some_and(|told| told.contains(&place_of_red)),
        "{red}: {place_of_red}\n{}",
        run.stdout
    );
}

/// The beginning of the script and some of its pages.
fn only(text: &str, pages: &[&str]) -> String {
    let mut kept = String::new();
    let mut keeps = true;
    let mut found = 0;
    for line in text.split_inclusive('\n') {
        if let Some(heading) = line.strip_prefix("## ") {
            keeps = pages.contains(&heading.trim());
            found += usize::from(keeps);
        }
        if keeps {
            kept += line;
        }
    }
    assert_eq!(found, pages.len(), "{pages:?}");
    kept
}

/// Takes all expectations out but the last of a text, whose line is returned; its time is shortened.
fn with_one_expectation(text: &str, red: &str) -> (String, Option<usize>) {
    let lines: Vec<&str> = text.lines().collect();
    let is_red = |line: &str| {
        line.strip_prefix("<!-- @expect ")
            .is_some_and(|claim| claim.starts_with(red))
    };
    let at = lines.iter().rposition(|line| is_red(line));
    let kept = lines.iter().enumerate().map(|(index, line)| {
        let expects = line.starts_with("<!-- @expect ");
        match expects {
            true if at == Some(index) => {
                let claim = line.split(" within ").next().unwrap();
                let claim = claim.trim_end_matches(" -->");
                let waits = ["output", "exit"].iter().all(|w| !red.starts_with(w));
                format!("{claim}{} -->", if waits { " within 8s" } else { "" })
            }
            true => String::new(),
            false => (*line).to_owned(),
        }
    });
    let kept: Vec<String> = kept.collect();
    (kept.join("\n") + "\n", at.map(|index| index + 1))
}

fn all_are_red(scenes: &[Broken]) {
    for scene in scenes {
        is_red("workshop", scene);
    }
}

const WEIGHTS_50: &str =
    "weight: 50\n        - name: smiley2\n          port: 80\n          weight: 50";
const WEIGHTS_65: &str =
    "weight: 65\n        - name: smiley2\n          port: 80\n          weight: 35";

#[test]
fn what_is_installed_is_looked_at() {
    const START: &[&str] = &["A cluster", "The Gateway API"];
    const APPLY: &str = "$SHELL cluster crds | kubectl apply -f -";
    for scene in [
        Broken {
            pages: START,
            edits: &[(MAIN, "kubectl get nodes", "kubectl get namespaces")],
            red: "output /Ready/",
        },
        Broken {
            pages: START,
            edits: &[
                (MAIN, APPLY, "true"),
                (MAIN, "$SHELL \"$DEMO_MESH/mesh.md\"", "true"),
            ],
            red: "condition customresourcedefinition/httproutes",
        },
        Broken {
            pages: START,
            edits: &[
                (MAIN, APPLY, "true"),
                (MAIN, "$SHELL \"$DEMO_MESH/mesh.md\"", "true"),
            ],
            red: "condition customresourcedefinition/grpcroutes",
        },
        Broken {
            pages: START,
            edits: &[(
                "istio/mesh.md",
                "istioctl install --set profile=minimal -y",
                "true",
            )],
            red: "condition gatewayclass/istio",
        },
        Broken {
            pages: START,
            edits: &[("istio/gateway.yaml", "istio", "nobody")],
            red: "condition gateway/ingress",
        },
        Broken {
            pages: &["A cluster", "The Gateway API", "Faces"],
            edits: &[
                ("faces.yaml", "faces-workload:", "no-such-image:"),
                (MAIN, "kubectl rollout status -n faces deploy", "true"),
            ],
            red: "condition deployment/face",
        },
    ] {
        is_red("bare", &scene);
    }
}

#[test]
fn the_page_is_looked_at() {
    const PAGE: &[&str] = &["The page"];
    all_are_red(&[
        Broken {
            pages: PAGE,
            edits: &[("gui-route.yaml", "name: ingress", "name: nobody")],
            red: "condition httproute/faces-gui-route",
        },
        Broken {
            pages: PAGE,
            edits: &[
                (
                    MAIN,
                    "kubectl apply -f gui-route.yaml",
                    "kubectl delete -n faces httproute gui-route",
                ),
                (MAIN, "| grep -i '<title>'", ""),
            ],
            red: "output /<title>/",
        },
        Broken {
            pages: PAGE,
            edits: &[
                (
                    MAIN,
                    "kubectl apply -f gui-route.yaml",
                    "kubectl delete -n faces httproute gui-route",
                ),
                (MAIN, "| grep -i '<title>'", ""),
            ],
            red: "output /^200$/",
        },
    ]);
}

#[test]
fn base_and_unconditional_routes_are_looked_at() {
    all_are_red(&[
        Broken {
            pages: &["The faces"],
            edits: &[("face-route.yaml", "value: /face", "value: /fac")],
            red: "all smiley=Grinning,color=blue",
        },
        Broken {
            pages: &["The faces"],
            edits: &[("face-route.yaml", "- name: face\n", "- name: faces-gui\n")],
            red: "all pod=face",
        },
        Broken {
            pages: &["Between services"],
            edits: &[(MAIN, "kubectl apply -f color-route.yaml", "true")],
            red: "all smiley=HeartEyes,color=green",
        },
        Broken {
            pages: &[
                "Between services",
                "Back to where we were",
                "A canary: ten percent",
            ],
            edits: &[(
                MAIN,
                "kubectl delete -n faces grpcroute color-route",
                "true",
            )],
            red: "all color=blue",
        },
    ]);
}

#[test]
fn a_canary_moved_by_15_points_is_red() {
    all_are_red(&[
        Broken {
            pages: &["A canary: ten percent"],
            edits: &[
                ("smiley-canary-10.yaml", "weight: 90", "weight: 75"),
                ("smiley-canary-10.yaml", "weight: 10", "weight: 25"),
            ],
            red: "share smiley=HeartEyes 10%",
        },
        Broken {
            pages: &["Half and half"],
            edits: &[("smiley-canary-50.yaml", WEIGHTS_50, WEIGHTS_65)],
            red: "share smiley=HeartEyes 50%",
        },
        Broken {
            pages: &["Ninety percent"],
            edits: &[
                ("smiley-canary-90.yaml", "weight: 90", "weight: 75"),
                ("smiley-canary-90.yaml", "weight: 10", "weight: 25"),
            ],
            red: "share smiley=HeartEyes 90%",
        },
    ]);
}

#[test]
fn the_end_of_a_canary_moved_by_15_points_is_red() {
    const ALL: (&str, &str, &str) = ("smiley-canary-100.yaml", "weight: 100", "weight: 85");
    const NONE: (&str, &str, &str) = ("smiley-canary-100.yaml", "weight: 0", "weight: 15");
    const SCALE: &str = "kubectl scale -n faces deploy/smiley --replicas=0";
    all_are_red(&[
        Broken {
            pages: &["All of it"],
            edits: &[ALL, NONE, (MAIN, SCALE, "true")],
            red: "all smiley=HeartEyes",
        },
        Broken {
            pages: &["All of it"],
            edits: &[(
                MAIN,
                SCALE,
                "kubectl scale -n faces deploy/smiley2 --replicas=0",
            )],
            red: "errors < 5%",
        },
        Broken {
            pages: &["All of it", "And back"],
            edits: &[
                ("smiley-canary-100.yaml", "weight: 100", "weight: 15"),
                ("smiley-canary-100.yaml", "weight: 0", "weight: 85"),
                (
                    MAIN,
                    "kubectl delete -n faces httproute smiley-canary\n```\n<!-- @expect all smiley=Grinning within",
                    "true\n```\n<!-- @expect all smiley=Grinning within",
                ),
            ],
            red: "all smiley=Grinning within",
        },
    ]);
}

#[test]
fn a_grpc_canary_moved_by_15_points_and_a_wrong_method_are_red() {
    const MOVED: &str =
        "weight: 65\n        - name: color2\n          port: 80\n          weight: 35";
    const HALF: &str =
        "weight: 50\n        - name: color2\n          port: 80\n          weight: 50";
    const METHOD: (&str, &str, &str) = ("color-edge.yaml", "method: Edge", "method: Middle");
    all_are_red(&[
        Broken {
            pages: &["A canary for gRPC"],
            edits: &[("color-canary.yaml", HALF, MOVED)],
            red: "share color=green 50% ±5 within",
        },
        Broken {
            pages: &["A canary for gRPC", "By gRPC method"],
            edits: &[("color-canary.yaml", HALF, MOVED)],
            red: "share color=green 50% ±5 cells=center",
        },
        Broken {
            pages: &["A canary for gRPC", "By gRPC method"],
            edits: &[METHOD],
            red: "all color=green cells=edge",
        },
        Broken {
            pages: &["A canary for gRPC", "By gRPC method"],
            edits: &[(
                MAIN,
                "kubectl delete -n faces grpcroute color-canary",
                "true",
            )],
            red: "all color=blue cells=center",
        },
    ]);
}

#[test]
fn a_canary_for_some_and_its_rollback_are_looked_at() {
    const EVERYWHERE: &str = "value: /";
    const SMILEY3: &str = "        - name: smiley3\n          port: 80\n";
    const SOME: &str = "        - name: smiley3\n          port: 80\n          weight: 70\n        - name: smiley2\n          port: 80\n          weight: 30\n";
    all_are_red(&[
        Broken {
            pages: &["A canary for some"],
            edits: &[("smiley-edge-canary-50.yaml", WEIGHTS_50, WEIGHTS_65)],
            red: "share smiley=HeartEyes 50% ±5 cells=edge",
        },
        Broken {
            pages: &["A canary for some"],
            edits: &[("smiley-edge-canary-50.yaml", "value: /edge", EVERYWHERE)],
            red: "all smiley=Grinning cells=center",
        },
        Broken {
            pages: &["Something is wrong"],
            edits: &[(MAIN, SMILEY3, SOME)],
            red: "share smiley=Cursing 51%",
        },
        Broken {
            pages: &["Roll it back"],
            edits: &[("smiley-edge.yaml", "name: smiley2", "name: smiley3")],
            red: "all smiley=HeartEyes cells=edge",
        },
        Broken {
            pages: &["Roll it back"],
            edits: &[("smiley-edge.yaml", "value: /edge", EVERYWHERE)],
            red: "all smiley=Grinning cells=center",
        },
    ]);
}

#[test]
fn which_route_wins_is_looked_at() {
    const NEWER: &str = "kubectl apply -f smiley-canary-90.yaml";
    const ALONE: &str =
        "kubectl delete -n faces httproute smiley-edge && kubectl apply -f smiley-canary-50.yaml";
    const PAGES: &[&str] = &["Roll it back", "Which route wins"];
    // The later delete would fail first.
    const LATER: (&str, &str, &str) = (
        MAIN,
        "```bash\nkubectl delete -n faces httproute smiley-edge\n",
        "```bash\ntrue\n",
    );
    all_are_red(&[
        Broken {
            pages: PAGES,
            edits: &[(MAIN, NEWER, ALONE)],
            red: "all smiley=HeartEyes cells=edge",
        },
        Broken {
            pages: PAGES,
            edits: &[(MAIN, NEWER, ALONE)],
            red: "all smiley=Grinning cells=center",
        },
        Broken {
            pages: PAGES,
            edits: &[LATER],
            red: "share smiley=HeartEyes 90%",
        },
    ]);
}

#[test]
fn a_wrong_header_is_red() {
    const HTTP: &[&str] = &["An A/B test"];
    const BOTH: &[&str] = &["An A/B test", "And for gRPC"];
    // Nobody's requests say `unknown`.
    const NOBODY: &str = "value: unknown";
    const HEART: &str = "value: heart";
    all_are_red(&[
        Broken {
            pages: HTTP,
            edits: &[("smiley-ab.yaml", HEART, "value: hart")],
            red: "all smiley=HeartEyes,color=blue user=heart",
        },
        Broken {
            pages: HTTP,
            edits: &[("smiley-ab.yaml", HEART, NOBODY)],
            red: "all smiley=Grinning,color=blue within",
        },
        Broken {
            pages: BOTH,
            edits: &[("color-ab.yaml", HEART, "value: hart")],
            red: "all smiley=HeartEyes,color=darkblue user=heart",
        },
        Broken {
            pages: BOTH,
            edits: &[(MAIN, "kubectl delete -n faces httproute smiley-a-b", "true")],
            red: "all smiley=Grinning,color=darkblue user=heart",
        },
        Broken {
            pages: BOTH,
            edits: &[("color-ab.yaml", HEART, NOBODY)],
            red: "all smiley=Grinning,color=blue within",
        },
    ]);
}

#[test]
fn an_absent_timeout_is_red() {
    let _alone = alone();
    const MESH: &[&str] = &["A timeout in the mesh"];
    const BOTH: &[&str] = &["A timeout in the mesh", "A timeout at the Gateway"];
    const NONE: (&str, &str, &str) = ("face-route-timeout.yaml", "request: 200ms", "request: 10s");
    all_are_red(&[
        Broken {
            pages: MESH,
            edits: &[(
                "istio/smiley-timeout.yaml",
                "request: 300ms",
                "request: 10s",
            )],
            red: "share smiley=Sleeping 22%",
        },
        Broken {
            pages: BOTH,
            edits: &[NONE],
            red: "status 504 56%",
        },
        Broken {
            pages: BOTH,
            edits: &[NONE],
            red: "none smiley=Sleeping",
        },
        Broken {
            pages: BOTH,
            edits: &[NONE],
            red: "latency p95",
        },
    ]);
}
