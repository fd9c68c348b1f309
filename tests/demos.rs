//! The bundled demos are the end-to-end suite: each is rehearsed, and each expectation is broken.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::harness::{BINARY, Ends, Finished, Place, copy_files, kubectls, path_without, skipped};

const TOUR: &str = "demos/tour/tour.md";

#[track_caller]
fn is_good(finished: Finished) {
    let finished = finished.exits(0);
    assert!(
        finished.stdout.contains("good: 9 steps, 6 expectations"),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stdout.contains("95 % interval"),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains("n="), "{}", finished.stdout);
}

#[test]
fn the_tour_is_good_with_a_real_kubectl() {
    if kubectls().is_empty() {
        return skipped("the tour with a real kubectl", "no kubectl on PATH");
    }
    let place = Place::new();
    is_good(place.run(&["rehearse", TOUR]));
    assert_eq!(place.left_behind(), [""; 0]);
}

#[test]
fn the_tour_is_good_with_the_stand_in_and_bundled() {
    let place = Place::new();
    let path = path_without(&["kubectl"]);
    let output = place
        .command(&["rehearse", "tour"])
        .env("PATH", path.path())
        .ends();
    is_good(Finished::of(output));
}

#[test]
fn without_a_terminal_the_bare_command_rehearses_the_tour() {
    let finished = Place::new().run(&[]);
    assert!(
        finished.stderr.contains("no terminal"),
        "{}",
        finished.stderr
    );
    is_good(finished);
}

#[test]
fn the_tour_is_good_as_an_unprivileged_user() {
    if !rustix::process::geteuid().is_root() {
        return skipped(
            "the tour as another user",
            "these tests are not run by root",
        );
    }
    let place = Place::new();
    let home = place.home.path();
    for directory in [home, &place.tmp()] {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    // The build directory may be closed to others.
    let binary = home.join("footlights");
    std::fs::copy(BINARY, &binary).unwrap();
    copy_files(Path::new("demos/tour"), home);
    let output = std::process::Command::new(&binary)
        .args(["rehearse", "tour.md"])
        .envs(place.environment())
        .env_remove("KUBECONFIG")
        .current_dir(home)
        .stdin(std::process::Stdio::null())
        .uid(65534)
        .gid(65534)
        .ends();
    is_good(Finished::of(output));

    // Where port 80 cannot be bound, curl works as written all the same.
    let script = home.join("curl.md");
    std::fs::write(
        &script,
        "---\ncluster: {profile: workshop}\n---\n```bash\nlocal=$(kubectl get gateway ingress -o jsonpath='{.status.addresses[0].value}')\n\
         curl -sf \"http://$local/face/center/\" && echo && curl -sf $FOOTLIGHTS_GATEWAY_URL/gui/ | grep -q '<title>'\n```\n",
    )
    .unwrap();
    let output = std::process::Command::new(&binary)
        .args(["rehearse", "curl.md"])
        .envs(place.environment())
        .env_remove("KUBECONFIG")
        .current_dir(home)
        .stdin(std::process::Stdio::null())
        .uid(65534)
        .gid(65534)
        .ends();
    Finished::of(output).exits(0);
}

#[test]
fn the_tour_is_good_without_a_network() {
    let possible = std::process::Command::new("unshare")
        .args(["-n", "true"])
        .status();
    if !possible.is_ok_and(|s| s.success()) {
        return skipped("the tour without a network", "unshare -n is not permitted");
    }
    let place = Place::new();
    let output = std::process::Command::new("unshare")
        .args([
            "-n",
            "sh",
            "-c",
            "ip link set lo up; exec \"$0\" rehearse \"$1\"",
            BINARY,
            TOUR,
        ])
        .envs(place.environment())
        .env_remove("KUBECONFIG")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(std::process::Stdio::null())
        .ends();
    is_good(Finished::of(output));
}

/// Plays the tour with one thing changed, and sees it fail at the expectation's line.
#[track_caller]
fn fails(change: impl Fn(&Path), expectation: &str) {
    let place = Place::new();
    copy_files(Path::new("demos/tour"), place.home.path());
    let script = place.home.path().join("tour.md");
    // Waiting for the full time only makes the same failure later.
    let text = std::fs::read_to_string(&script)
        .unwrap()
        .replace("within 20s", "within 8s");
    std::fs::write(&script, text).unwrap();
    change(place.home.path());
    let text = std::fs::read_to_string(&script).unwrap();
    let expectation = expectation.replace("within 20s", "within 8s");
    let finished = place.run(&["rehearse", script.to_str().unwrap()]).exits(1);
    let line = text
        .lines()
        .enumerate()
        .filter(|(_, l)| l.contains(&expectation))
        .map(|(i, _)| i + 1)
        .find(|line| {
            finished
                .stdout
                .contains(&format!("FAILED at {}:{line}: expected", script.display()))
        });
    assert!(line.is_some(), "{}", finished.stdout);
}

fn set_weights(directory: &Path, file: &str, smiley: u32, smiley2: u32) {
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut weights = [smiley, smiley2].into_iter();
    let changed: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("weight:") {
            Some((indent, _)) => format!("{indent}weight: {}", weights.next().unwrap()),
            None => line.to_owned(),
        })
        .collect();
    std::fs::write(path, changed.join("\n")).unwrap();
}

fn replace_command(directory: &Path, command: &str, with: &str) {
    let path = directory.join("tour.md");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(command), "{command}");
    std::fs::write(path, text.replace(command, with)).unwrap();
}

#[test]
fn ten_percent_moved_by_15_points_is_red() {
    fails(
        |d| set_weights(d, "smiley-canary-10.yaml", 75, 25),
        "share smiley=HeartEyes 10% ±5",
    );
}

#[test]
fn fifty_percent_moved_by_15_points_is_red() {
    fails(
        |d| set_weights(d, "smiley-canary-50.yaml", 65, 35),
        "share smiley=HeartEyes 50% ±5",
    );
}

#[test]
fn ninety_percent_moved_by_15_points_is_red() {
    fails(
        |d| set_weights(d, "smiley-canary-90.yaml", 25, 75),
        "share smiley=HeartEyes 90% ±5",
    );
}

#[test]
fn all_moved_by_15_points_is_red() {
    fails(
        |d| set_weights(d, "smiley-canary-100.yaml", 15, 85),
        "all smiley=HeartEyes",
    );
}

#[test]
fn all_after_scaling_moved_by_15_points_is_red() {
    let change = |d: &Path| {
        set_weights(d, "smiley-canary-10.yaml", 90, 10);
        std::fs::copy(d.join("smiley-canary-10.yaml"), d.join("moved.yaml")).unwrap();
        set_weights(d, "moved.yaml", 15, 85);
        replace_command(
            d,
            "kubectl scale -n faces deploy/smiley --replicas=0",
            "kubectl apply -f moved.yaml",
        );
    };
    fails(change, "all smiley=HeartEyes");
}

#[test]
fn the_rollback_moved_by_15_points_is_red() {
    let change = |d: &Path| {
        replace_command(d, "weight: 100", "weight: 85");
        replace_command(d, "weight: 0", "weight: 15");
    };
    fails(change, "all smiley=Grinning");
}

#[test]
fn every_demo_is_planned_without_a_word_on_standard_error() {
    let finished = Place::new().run(&["plan", TOUR]).exits(0);
    assert_eq!(finished.stderr, "");
    assert!(
        finished
            .stdout
            .contains("kubectl apply -f smiley-canary-10.yaml"),
        "{}",
        finished.stdout
    );
}
