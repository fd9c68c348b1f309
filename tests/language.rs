//! The script language: fixtures for the rows of DEMOSH.md, their plans, and what a rehearsal then does.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Ends, Finished, Place};

const FIXTURES: &str = "tests/fixtures/language";

/// Variables that the fixtures' hooks look for.
const HOOKS: [(&str, &str); 1] = [("DEMO_HOOK_TEST_SET", "echo set")];

/// The scripts of a directory, without those that are only imported or played.
fn scripts(directory: &str) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "md" || e == "sh"))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    found.sort();
    found
}

fn run(args: &[&str]) -> Finished {
    let output = Place::new().command(args).envs(HOOKS).ends();
    Finished::of(output)
}

fn plan(script: &str) -> Vec<Value> {
    let finished = run(&["plan", "--format", "json", script]).exits(0);
    serde_json::from_str(&finished.stdout).unwrap()
}

/// The commands that bash or a nested script gets, in the order in which they end.
fn commands(events: &[Value], found: &mut Vec<(String, u64, String)>) {
    for event in events {
        if let Some(nested) = event["nested"]["events"].as_array() {
            commands(nested, found);
        }
        let text = event["text"].as_str().unwrap();
        let runs = event["kind"] == "command" || event["kind"] == "apply";
        if runs && !["clear", "wait"].contains(&text.trim()) {
            let place = (
                event["file"].as_str().unwrap(),
                event["line"].as_u64().unwrap(),
            );
            found.push((place.0.to_owned(), place.1, text.to_owned()));
        }
    }
}

#[test]
fn a_rehearsal_does_what_the_plan_says() {
    let mut all = scripts(FIXTURES);
    // The others are rehearsed elsewhere, and what `DEMO_MESH` plays is in no plan.
    for demo in ["demos/language", "demos/tour"] {
        all.extend(scripts(demo));
    }
    assert!(all.len() > 10, "{all:?}");
    let rehearse: Vec<&str> = ["rehearse", "--format", "json"]
        .into_iter()
        .chain(all.iter().map(String::as_str))
        .collect();
    let finished = run(&rehearse);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    for (script, report) in all.iter().zip(report["scripts"].as_array().unwrap()) {
        assert_eq!(report["ok"], true, "{script}: {report:#}");
        let mut planned = Vec::new();
        commands(&plan(script), &mut planned);
        let done: Vec<(String, u64, String)> = report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| {
                let text = |name: &str| step[name].as_str().unwrap().to_owned();
                (text("file"), step["line"].as_u64().unwrap(), text("text"))
            })
            .collect();
        // What a nested script of an unknown path did is not in the plan.
        let known: Vec<_> = match script.contains("demos/language") {
            true => done
                .into_iter()
                .filter(|(file, ..)| !file.contains("child"))
                .collect(),
            false => done,
        };
        assert_eq!(planned, known, "{script}");
    }
    assert_eq!(finished.status, Some(0));
}

#[test]
fn plans_of_the_fixtures() {
    for script in scripts(FIXTURES) {
        let lines: Vec<String> = lines_of(&plan(&script), "");
        let name = Path::new(&script).file_name().unwrap().to_str().unwrap();
        insta::assert_snapshot!(format!("plan-{name}"), lines.join("\n"));
    }
}

/// A line an event: kind, flags (shown, typed, waits before, waits after), text.
fn lines_of(events: &[Value], indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for e in events {
        let flag = |name: &str, letter: &str| match e[name] == true {
            true => letter.to_owned(),
            false => "-".to_owned(),
        };
        let flags = [
            ("shown", "s"),
            ("typed", "t"),
            ("wait_before", "b"),
            ("wait_after", "a"),
        ]
        .map(|(name, letter)| flag(name, letter))
        .concat();
        lines.push(format!(
            "{indent}{:<13} {flags} {:?}",
            e["kind"].as_str().unwrap(),
            e["text"].as_str().unwrap().trim()
        ));
        if let Some(nested) = e["nested"]["events"].as_array() {
            lines.extend(lines_of(nested, &format!("{indent}  ")));
        }
    }
    lines
}

#[test]
fn the_init_file_is_the_first_that_there_is() {
    let place = Place::new();
    let here = tempfile::tempdir().unwrap();
    let write = |directory: &Path, name: &str, text: &str| {
        std::fs::write(directory.join(name), text).unwrap();
    };
    write(here.path(), "x.sh", "echo $FROM\n");
    let planned = |args: &[&str]| -> String {
        let args: Vec<&str> = ["plan"]
            .iter()
            .chain(args)
            .chain(&["x.sh"])
            .copied()
            .collect();
        let output = place.command(&args).current_dir(here.path()).ends();
        Finished::of(output).exits(0).stdout
    };
    for (directory, name) in [
        (place.home.path(), ".demoshrc.md"),
        (place.home.path(), ".demoshrc"),
        (here.path(), ".demoshrc.md"),
        (here.path(), ".demoshrc"),
    ] {
        let text = match name.ends_with("md") {
            true => format!("```bash\nFROM={name}\n```\n"),
            false => format!("FROM={name}\n"),
        };
        write(directory, name, &text);
        let plan = planned(&[]);
        let assigned = format!("FROM={name} (hidden)");
        assert_eq!(plan.matches("FROM=").count(), 1, "{plan}");
        assert!(plan.contains(&assigned), "{name}: {plan}");
    }
    assert!(!planned(&["--no-init"]).contains("FROM="));
}

#[test]
fn without_builtins_their_names_are_quiet_commands() {
    let here = tempfile::tempdir().unwrap();
    let script = here.path().join("x.sh");
    std::fs::write(&script, "set -e\n#@wait_clear\n#@show_5 now\ntrue\n").unwrap();
    let script = script.to_str().unwrap();
    let plan = run(&["plan", "--no-builtins", script]).exits(0).stdout;
    assert!(plan.contains("command       wait_clear"), "{plan}");
    run(&["rehearse", "--no-builtins", script]).exits(0);
}

#[test]
fn arguments_reach_the_script() {
    let here = tempfile::tempdir().unwrap();
    let script = here.path().join("x.sh");
    std::fs::write(&script, "GOT=$1-$2\ntest \"$GOT $#\" = 'a-b c 2'\n").unwrap();
    run(&["rehearse", script.to_str().unwrap(), "--", "a", "b c"]).exits(0);
}

#[test]
fn errexit_ends_the_outermost_script_and_the_exit_status_tells() {
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = here.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let failing = write("x.sh", "set -e\ntrue\nfalse || true\nfalse\necho never\n");
    let finished = run(&["rehearse", &failing]).exits(1);
    assert!(
        finished.stdout.contains("x.sh:4: exit status 1"),
        "{}",
        finished.stdout
    );
    // A nested script that stops there looks successful, so this is how scripts say "nothing to do".
    let child = write(
        "child.sh",
        "set -e\nDEMOSH_QUIET_FAILURE=true\nif true; then exit 1; fi\necho never\n",
    );
    let parent = write(
        "y.sh",
        &format!("set -e\n$SHELL {child}\nif $SHELL {child}; then echo ok; fi\necho end\n"),
    );
    let finished = run(&["rehearse", "--format", "json", &parent]).exits(0);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    let texts: BTreeMap<&str, i64> = report["scripts"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["text"].as_str().unwrap(), s["status"].as_i64().unwrap()))
        .collect();
    assert_eq!(texts["if true; then exit 1; fi"], 1);
    assert_eq!(texts["echo end"], 0);
    assert!(!texts.contains_key("echo never"));
}

/// The fenced examples of docs/script.md, each a script of its own.
fn examples() -> Vec<(usize, String)> {
    let page = std::fs::read_to_string("docs/script.md").unwrap();
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (None, "````markdown") => open = Some((index + 2, String::new())),
            (Some(_), "````") => found.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

#[test]
fn every_example_of_the_manual_runs_or_is_refused_by_name() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(
        here.path().join("tools.sh"),
        "#@macro greet\n  echo hello\n#@end\n",
    )
    .unwrap();
    std::fs::write(
        here.path().join("other.md"),
        "<!-- @SHOW -->\n```bash\necho other\n```\n",
    )
    .unwrap();
    let examples = examples();
    assert!(examples.len() > 15, "{}", examples.len());
    for (line, text) in examples {
        let name = format!("example-{line}.md");
        std::fs::write(here.path().join(&name), &text).unwrap();
        let run = |mode: &str| {
            let place = Place::new();
            let mut command = place.command(&[mode, &name]);
            Finished::of(command.current_dir(here.path()).ends())
        };
        let plan = run("plan").exits(0);
        assert_eq!(plan.stderr, "", "docs/script.md:{line}");
        run("rehearse").exits(0);
    }
}

#[test]
fn nothing_is_written_but_by_commands() {
    let place = Place::new();
    let here = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demos/language/language.md");
    let output = place
        .command(&["rehearse", demo.to_str().unwrap()])
        .current_dir(here.path())
        .ends();
    Finished::of(output).exits(0);
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap().flatten();
        entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(names(here.path()), [""; 0]);
    // The temporary directory is the test's own.
    assert_eq!(names(place.home.path()), ["tmp"]);
    assert_eq!(place.left_behind(), [""; 0]);
}

#[test]
fn a_script_in_a_compound_command_prints_and_waits_for_nobody() {
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(here.path().join(name), text).unwrap();
    write(
        "inner.md",
        "<!-- @SHOW -->\nWords for ${1}.\n<!-- @wait -->\n```bash\nkubectl get ns default\nset -e\nfalse\necho never\n```\n",
    );
    write(
        "outer.sh",
        "cd \"$(dirname \"$0\")\"\nOUT=$(if true; then $SHELL inner.md you; fi)\necho \"$OUT\"; [[ $OUT == *'Words for you.'* && $OUT == *'$ kubectl'*Active* && $OUT != *never* ]]\n",
    );
    let script = here.path().join("outer.sh");
    run(&["rehearse", script.to_str().unwrap()]).exits(0);
}

#[test]
fn a_script_that_plays_itself_in_a_compound_ends_and_leaves_nothing() {
    let place = Place::new();
    let here = tempfile::tempdir().unwrap();
    let script = here.path().join("x.sh");
    std::fs::write(&script, "if $SHELL \"$0\"; then echo yes; fi\n").unwrap();
    let finished = place.run(&["rehearse", script.to_str().unwrap()]).exits(0);
    assert!(
        finished.stdout.contains("good: 1 step,"),
        "{}",
        finished.stdout
    );
    assert_eq!(place.left_behind(), [""; 0]);
}

#[test]
fn what_interrupts_a_script_in_a_compound_interrupts_the_compound() {
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(here.path().join(name), text).unwrap();
    write("slow.sh", "sleep 86397\n");
    write(
        "x.sh",
        "cd \"$(dirname \"$0\")\"\n#@mayfail\n#@timeout 1s\nif $SHELL slow.sh; then :; fi; touch went-on\ntest ! -e went-on\n",
    );
    let script = here.path().join("x.sh");
    let finished = run(&["rehearse", script.to_str().unwrap()]).exits(0);
    assert!(finished.stdout.contains("exit 130"), "{}", finished.stdout);
}
